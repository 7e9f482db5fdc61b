"""`[curate]`: what its tables say, and what they refuse."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pilotfish.assemble import Collaboration
from pilotfish.assemble._build_curate import build_curate
from pilotfish.assemble._build_curate_learn import build_classifier, lesson_of
from pilotfish.assemble._specs_curate import STEPS
from pilotfish.curate.quality import HashedClassifier, StaticClassifier, TunedClassifier
from pilotfish.curate.rules import RULES
from pilotfish.errors import ConfigError, DataError
from tests.cli.help import write_rows

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "curate.md"
FILE = """
[models.small]
use = "encoder"
weights = "all-minilm-l6-v2"
[curate]
in = "rows.jsonl"
out = "out"
[curate.classifiers.prose]
out = "prose"
positive = "good.jsonl"
negative = "bad.jsonl"
bits = 16
[[curate.steps]]
do = "rules"
rules = ["gopher_repetition", "gopher_quality", "c4", "fineweb"]
gopher_repetition = { max_top = { 2 = 0.3 }, max_duplicate_lines = false }
gopher_quality = { min_words = 20, stop_words = ["der", "die"] }
c4 = { punctuated = false, min_sentences = false }
[[curate.steps]]
do = "quality"
classifier = "prose"
threshold = 0.5
[[curate.steps]]
do = "dedupe"
ngram = 5
[[curate.steps]]
do = "decontaminate"
tests = { own = "test.jsonl" }
threshold = false
"""


def collaboration(text: str, folder: Path | None = None) -> Collaboration:
    return Collaboration(tomllib.loads(text), where="x.toml", folder=folder)


def test_rules_are_built_as_the_table_says(tmp_path: Path) -> None:
    text, _, rest = FILE.partition('[[curate.steps]]\ndo = "quality"')
    write_rows(tmp_path / "test.jsonl", [{"text": "what is in the test"}])
    models = collaboration(text + rest.partition("threshold = 0.5")[2], tmp_path)
    assert models.curate is not None
    repetition, quality, c4, fineweb, dedupe, clean = build_curate(models.curate, models)
    assert (repetition.max_top, repetition.max_duplicate_lines) == ({2: 0.3}, None)  # type: ignore[union-attr]
    assert repetition.max_duplicate[5] == 0.15 and quality.max_words == 100_000  # type: ignore[union-attr]
    assert (quality.min_words, quality.stop_words) == (20, ["der", "die"])  # type: ignore[union-attr]
    assert (c4.punctuated, c4.min_sentences, c4.curly) == (False, None, True)  # type: ignore[union-attr]
    assert fineweb.config() == RULES["fineweb"]().config()
    assert dedupe.ngram == 5 and clean.threshold is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('do = "rules"', 'do = "rule"', "curate.steps: step 1: unknown do 'rule'; did you mean 'rules'?"),
        ('do = "rules"\n', "", "step 1 needs `do`: what it does, one of rules, quality, dedupe, decontaminate"),
        ('"fineweb"]', '"finweb"]', "step 1 (rules): rules.3:"),
        ('"gopher_quality", ', "", "`gopher_quality` is not among `rules`"),
        ('"c4", ', '"c4", "c4", ', "`rules` names one twice"),
        ("min_words = 20", 'min_words = "20"', "step 1 (rules): gopher_quality.min_words"),
        ("max_top = { 2", "max_top = { two", "an n-gram has 1 to 64 words, not 'two'"),
        ('in = "rows', 'inn = "rows', "unknown key 'curate.inn'; did you mean 'in'?"),
        ('positive = "good.jsonl"', "", "learn from what?"),
        ("bits = 16", "bits = 99", "bits"),
        ("bits = 16", "epochs = 2", "a hashed classifier takes no `epochs`; its own are ngram, bits, c"),
        ("bits = 16", 'kind = "static"', "a static classifier needs an `encoder`"),
        ("bits = 16", 'ratings = { rows = "r.jsonl", column = "grade" }', "not from both"),
        ("threshold = 0.5", 'threshold = "0.5"', "step 2 (quality): threshold"),
        ("threshold = 0.5", "threshold = 50", "step 2 (quality): threshold"),
        ("threshold = 0.5", "threshold = 0.5\npareto = 9", "threshold and pareto are two ways to keep rows"),
        ("threshold = 0.5", "treshold = 0.5", "step 2 (quality): unknown key 'treshold'; did you mean 'threshold'?"),
        ("threshold = 0.5", "seed = 1", "`seed` is of the draw"),
        ("ngram = 5", 'method = "exact"\nseed = 1', "`seed` is of minhash"),
        ("threshold = false", "threshold = false\nngram = false", "nothing to look for"),
        ("threshold = false", "ngram = false\nshortest = 3", "`shortest` is about n-grams"),
        ("[curate.classifiers.prose]", "[curate.classifier.prose]", "unknown key 'curate.classifier'"),
    ],
)
def test_what_would_not_be_looked_at_is_refused(before: str, after: str, said: str) -> None:
    assert before in FILE
    with pytest.raises(ConfigError) as caught:
        collaboration(FILE.replace(before, after, 1))
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('rows = "r.jsonl"', "asked of a `model`, or stand in a `column`"),
        ('rows = "r.jsonl", model = "large", column = "x"', "give one of the two"),
        ('rows = "r.jsonl", column = "x", prompt = "p"', "`prompt` is about asking a `model`"),
        ('rows = "r.jsonl", column = "x", good_from = 7', "good_from"),
    ],
)
def test_ratings(table: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        collaboration(f'[curate.classifiers.x]\nout = "x"\nratings = {{ {table} }}')
    assert said in str(caught.value)


def test_classifiers_of_each_kind() -> None:
    def made(more: str) -> Any:
        models = collaboration(FILE.replace("bits = 16", more))
        assert models.curate is not None
        return build_classifier(models.curate.classifiers["prose"], models)

    assert isinstance(made("ngram = 3"), HashedClassifier) and made("ngram = 3").ngram == 3
    static = made('kind = "static"\nencoder = "small"\ndimension = 64\ncalibrate = "isotonic"')
    assert isinstance(static, StaticClassifier) and (static.dimension, static.calibrate) == (64, "isotonic")
    assert static.encoder is not None and static.encoder.weights == "all-minilm-l6-v2"
    tuned = made('kind = "tuned"\nencoder = "all-minilm-l6-v2"\nepochs = 2')
    assert isinstance(tuned, TunedClassifier) and tuned.epochs == 2


def test_rated_rows_and_groups(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"text": "a b", "grade": 4, "doc": 1},
        {"text": "c", "grade": 1.5},
        {"text": "d"},
        {"text": " ", "grade": 1},
    ]
    write_rows(tmp_path / "r.jsonl", rows)
    head = '[curate.classifiers.x]\nout = "x"\ngroup = "doc"\nratings = { rows = "r.jsonl", column = "grade"'
    said: list[str] = []
    for more, quality in ((" }", [4.0, 1.5]), (", classes = true }", [True, False])):
        models = collaboration(head + more, tmp_path)
        assert models.curate is not None
        lesson = lesson_of(models.curate.classifiers["x"], models, tell=said.append)
        assert (lesson.texts, lesson.quality, lesson.groups) == (["a b", "c"], quality, ["1", 1])
    assert said[0] == "1 of 3 rows have no number in 'grade': left out"
    write_rows(tmp_path / "r.jsonl", [{"text": "a", "grade": 1}, {"text": "b", "grade": 0}])
    for more, why in ((" }", "the ratings are all 1 or less"), (', "x" = 1 }', "unknown key")):
        with pytest.raises((DataError, ConfigError), match=why):
            models = collaboration((head + more).replace('group = "doc"', ""), tmp_path)
            assert models.curate is not None
            lesson_of(models.curate.classifiers["x"], models)


def test_the_guide_shows_tables_that_load_and_names_every_step() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        assert collaboration(block).curate is not None
    assert all(f"`{name}`" in text for name in (*STEPS, *RULES))
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        compile(block, "the guide", "exec")
