"""Steps that go by models: every table makes its step, with what it says, and refuses what would not be looked at."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotfish.assemble import Collaboration
from pilotfish.assemble._build_curate import build_curate
from pilotfish.assemble._specs_curate_models import MODEL_STEPS
from pilotfish.curate.coverage import Cover
from pilotfish.curate.influence import Influence
from pilotfish.curate.judged import Expected, LearningPercentage, Necessity, Rated
from pilotfish.curate.reading import IFD, Compression, LossDifference, Perplexity
from pilotfish.curate.select import Bands, Best
from pilotfish.errors import ConfigError
from tests.cli.help import write_rows

MODELS = """
[models.small]
use = "local"
weights = "{weights}"
dtype = "float32"
device = "cpu"
[models.judge]
use = "openai"
model = "m"
base_url = "http://localhost:1/v1"
key_env = ""
[models.vectors]
use = "encoder"
weights = "all-minilm-l6-v2"
[curate]
in = "rows.jsonl"
out = "out"
text = "output"
"""
STEPS: list[tuple[str, type, dict[str, Any]]] = [
    ('do = "perplexity"\nreader = "small"\nmost = 50\nlength = 64\nstride = 32', Perplexity, {"most": 50}),
    ('do = "compression"\nleast = 0.2', Compression, {"least": 0.2, "text": "output"}),
    ('do = "loss-difference"\nbase = "small"\nreference = "small"', LossDifference, {"into": "loss_difference"}),
    ('do = "ifd"\nreader = "small"\ninput = false\nmost = false', IFD, {"input": None, "most": None}),
    ('do = "learned"\nbase = "small"\nearly = "small"\nfinal = "small"', LearningPercentage, {"into": "learned"}),
    ('do = "bands"\nkeep = ["head"]\nby = "language"', Bands, {"keep": ["head"], "by": "language"}),
    ('do = "best"\ncolumn = "ifd"\nshare = 0.1', Best, {"share": 0.1}),
    ('do = "cover"\nencoder = "vectors"\nhow = "distinct"', Cover, {"how": "distinct", "columns": ["output"]}),
    ('do = "rated"\nmodel = "judge"\nleast = 4.5', Rated, {"least": 4.5}),
    ('do = "necessity"\nmodel = "small"\nprompt = "{instruction}"\njudge = "judge"', Necessity, {"grade": None}),
    ('do = "expected"\nscorer = "small"\nprompt = "rate {output}"\nchat = true', Expected, {"chat": True, "high": 6}),
    (
        'do = "influence"\nstudent = "tiny"\nwanted = "wanted.jsonl"\nfit = { epochs = 2 }\nprompt = false',
        Influence,
        {"prompt": None, "size": 4096},
    ),
]


def built(steps: str, folder: Path, weights: Path) -> list[Any]:
    write_rows(folder / "wanted.jsonl", [{"instruction": "a", "output": "b"}])
    models = Collaboration(tomllib.loads(MODELS.format(weights=weights) + steps), where="x.toml", folder=folder)
    assert models.curate is not None
    return build_curate(models.curate, models)


@pytest.mark.parametrize(("table", "kind", "said"), STEPS, ids=[table.split('"')[1] for table, _, _ in STEPS])
def test_each_table_is_its_step(
    tmp_path: Path, tiny_folder: Callable[..., Path], table: str, kind: type, said: dict[str, Any]
) -> None:
    step: Any
    (step,) = built(f"[[curate.steps]]\n{table}\n", tmp_path, tiny_folder())
    assert type(step).__name__ == kind.__name__
    assert {name: getattr(step, name) for name in said} == said
    assert step.config()  # plain data, so that a run can be known again


def test_every_kind_of_step_is_among_these() -> None:
    assert {table.split('"')[1] for table, _, _ in STEPS} == set(MODEL_STEPS)


def test_a_reader_is_the_file_s_own_model_or_weights(tmp_path: Path, tiny_folder: Callable[..., Path]) -> None:
    folder = tiny_folder()
    (own,) = built('[[curate.steps]]\ndo = "perplexity"\nreader = "small"\n', tmp_path, folder)
    (tmp_path / "weights").symlink_to(folder)
    (beside,) = built('[[curate.steps]]\ndo = "perplexity"\nreader = "weights"\ndtype = "float32"\n', tmp_path, folder)
    assert own.config()["weights"] == beside.config()["weights"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('do = "perplexity"\nreader = "judge"', "cannot read: a local model is needed"),
        ('do = "expected"\nscorer = "judge"\nprompt = "{output}"', "cannot score: a local model is needed"),
        ('do = "perplexity"\nreader = "small"\nmost = "5"', "most"),
        ('do = "perplexity"\nreader = "small"\nlength = 8\nstride = 8', "nothing before them"),
        ('do = "best"\ncolumn = "x"', "a share or a count"),
        ('do = "cover"\nencoder = "small"\ncount = 3', "not an encoder"),
        ('do = "cover"\nencoder = "vectors"\ncount = 3\nmost = 0.5', "nothing would look at it"),
        ('do = "necessity"\nmodel = "small"\nprompt = "{a}"', "give one"),
        ('do = "necessity"\nmodel = "small"\nprompt = "{a}"\ngrade = "text"\ngold = "g"\nlow = 2', "there is none"),
        ('do = "rated"\nmodel = "nobody"', "nobody"),
        ('do = "ifd"\nreader = "small"\nanswr = "x"', "answer"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, tiny_folder: Callable[..., Path], table: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        built(f"[[curate.steps]]\n{table}\n", tmp_path, tiny_folder())
    assert "\n" not in str(caught.value)
