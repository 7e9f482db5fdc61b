"""`pilotfish supervise`: sources of every kind, labels, reports, a strong model that is asked, and mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pilotfish.measure.label_models import LabelModel
from tests.cli.distilling import Command, command_here
from tests.cli.help import error_of, remote, write_rows, write_toml
from tests.fakes_answers import Answer
from tests.fakes_http import ScriptedUpstream, Seen

if TYPE_CHECKING:
    from tests.conftest import TinyFolder

pytest.importorskip("torch")

WORDS = {"ham": "lunch meeting friend thanks".split(), "spam": "buy cheap winner click".split()}  # noqa: SIM905
NOISE = "the a my to is it now".split()  # noqa: SIM905


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str]) -> Command:
    return command_here(capfd)


def made(count: int, seed: int, *, people: bool = True) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        label = ("ham", "spam")[i % 2]
        words = [*random.choice(WORDS[label], 2), *random.choice(NOISE, 3), f"{seed}x{i}"]
        random.shuffle(words)
        wrong = ("spam", "ham")[i % 2]
        crowd = None if i % 4 == 0 else wrong if i % 5 == 0 else label
        rows.append({"text": " ".join(words), "worker": crowd, "site": "a" if i % 3 else "b", "truth": label})
        if not people:
            del rows[-1]["truth"]
    return rows


TABLE = """
[supervise]
rows = "rows.jsonl"
gold = "gold.jsonl"
test = "test.jsonl"
label = "truth"
out = "out"
seeds = [0, 1]
[[supervise.sources]]
name = "words"
keywords = { ham = ["lunch", "friend"], spam = ["buy"] }
least = 0.6
[[supervise.sources]]
patterns = { spam = "cheap|click" }
where = { site = "a" }
[[supervise.sources]]
column = "worker"
[[supervise.sources]]
name = "learnt"
learns = { features = "tf-idf" }
matches = "the"
"""
STRONG = """
[supervise.strong]
weights = "ENCODER"
confidence = 0.3
probe = { epochs = 10, rows = 64, decays = [0.01] }
"""


@pytest.fixture
def folder(tmp_path: Path, tiny_encoder_folder: Path) -> Path:
    write_rows(tmp_path / "rows.jsonl", made(120, 1))
    write_rows(tmp_path / "gold.jsonl", made(30, 2))
    write_rows(tmp_path / "test.jsonl", made(60, 3))
    (tmp_path / "c.toml").write_text(TABLE + STRONG.replace("ENCODER", str(tiny_encoder_folder)))
    return tmp_path


def test_rows_are_labelled_and_a_strong_model_learns_them(folder: Path, here: Command) -> None:
    done = here("supervise", "c.toml", "--json", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    out = folder / "out"
    names = [one["name"] for one in told["sources"]["sources"]]
    assert names == ["words", "patterns", "worker", "learnt"]
    assert told["sources"]["gold"] == 120
    assert told["sources"]["model"]["kind"] == "majority"
    lines = [json.loads(line) for line in (out / "labels.jsonl").read_text().splitlines()]
    assert len(lines) == 120
    heard = [line for line in lines if line["weak_label"] is not None]
    right = np.mean([line["weak_label"] == line["truth"] for line in heard])
    assert right > 0.8
    assert all(abs(sum(line["weak_probabilities"].values()) - 1) < 1e-5 for line in heard)
    assert any("worker" in line["said"] and "words" in line["said"] for line in lines)
    assert LabelModel.load(out / "label-model").sources_ == tuple(names)
    strong = told["strong"]
    assert (strong["tested"], strong["seeds"], strong["how"]) == (60, 2, "probe")
    assert {gap["metric"] for gap in strong["gaps"]} == {"accuracy", "AUROC"}
    assert strong["strong"]["value"] > 0.6
    write_toml(folder / "use.toml", '[models.m]\nuse = "classifier"\npath = "out/strong"')
    asked = here("ask", "use.toml", "buy cheap click now", cwd=folder)
    assert asked.stdout.strip() in ("ham", "spam")
    write_rows(folder / "rows.jsonl", made(120, 7))
    assert "was taught other labels" in error_of(here("supervise", "c.toml", "--quiet", cwd=folder))
    write_rows(folder / "rows.jsonl", made(120, 1))
    again = here("supervise", "c.toml", cwd=folder)
    assert again.returncode == 0, again.stderr
    for part in ("coverage", "learnt", "accuracy: weak", "calibration error"):
        assert part in again.stderr


def test_trees_over_columns_and_a_prompt_of_several(folder: Path, here: Command) -> None:
    for name in ("rows", "gold"):
        rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        longer = [{**row, "length": len(row["text"]) + 9 * (row["truth"] == "spam")} for row in rows]
        write_rows(folder / f"{name}.jsonl", longer)

    def says(seen: Seen) -> Answer:
        return Answer("spam" if seen.prompt.startswith("at b: ") else "ham")

    with ScriptedUpstream(says) as upstream:
        trees = '[[supervise.sources]]\nname = "grown"\nlearns = { features = "trees", columns = ["length", "site"] }\n'
        asks = '[[supervise.sources]]\nmodel = "cloud"\nprompt = "at {site}: {text}"\n'
        whole = (folder / "c.toml").read_text().partition("[supervise.strong]")[0]
        write_toml(folder / "t.toml", remote("cloud", upstream.url), whole, trees, asks)
        done = here("supervise", "t.toml", "--json", "--quiet", "--labels-only", cwd=folder)
        assert done.returncode == 0, done.stderr
    labels = [json.loads(line) for line in (folder / "out" / "labels.jsonl").read_text().splitlines()]
    told = json.loads((folder / "out" / "sources.json").read_text())
    assert {one["name"] for one in told["sources"]} >= {"grown", "cloud"}
    assert len(labels) == 120
    assert upstream.calls == 120


def test_labels_alone_need_no_people(folder: Path, here: Command) -> None:
    write_rows(folder / "bare.jsonl", made(50, 4, people=False))
    table = TABLE.partition('[[supervise.sources]]\nname = "learnt"')[0]
    for line in ('gold = "gold.jsonl"\n', 'test = "test.jsonl"\n', 'label = "truth"\n'):
        table = table.replace(line, "")
    (folder / "d.toml").write_text(table + '[supervise.labels]\nuse = "dawid-skene"\nhard = true\n')
    done = here("supervise", "d.toml", "--rows", "bare.jsonl", "--out", "here", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "weak labels in" in done.stderr
    lines = [json.loads(line) for line in (folder / "here" / "labels.jsonl").read_text().splitlines()]
    assert {value for line in lines for value in (line["weak_probabilities"] or {}).values()} <= {0.0, 0.5, 1.0}
    assert not (folder / "here" / "strong").exists()


def test_a_model_of_the_file_is_asked_once_and_topics_part_a_source(
    folder: Path, here: Command, tiny_encoder_folder: Path
) -> None:
    def says(seen: Seen) -> Answer:
        return Answer(text="spam" if any(word in seen.prompt for word in WORDS["spam"]) else "ham")

    with ScriptedUpstream(says) as upstream:
        table = f"""
{remote("large", upstream.url)}
[supervise]
rows = "rows.jsonl"
gold = "gold.jsonl"
label = "truth"
out = "out2"
[[supervise.sources]]
model = "large"
classes = ["ham", "spam"]
[[supervise.sources]]
name = "part"
learns = {{ features = "tf-idf" }}
topics = {{ encoder = "{tiny_encoder_folder}", count = 2 }}
[supervise.labels]
use = "dawid-skene"
settings = {{ smoothing = 1.0 }}
"""
        (folder / "e.toml").write_text(table)
        for _ in range(2):
            done = here("supervise", "e.toml", "--json", "--quiet", cwd=folder)
            assert done.returncode == 0, done.stderr
        assert len(upstream.seen) == 120
    told = json.loads(done.stdout)["sources"]
    assert [one["name"] for one in told["sources"]] == ["large", "part 0", "part 1"]
    assert told["sources"][0]["accuracy"]["value"] == 1
    assert told["sources"][1]["coverage"] + told["sources"][2]["coverage"] == pytest.approx(1)


def test_a_language_model_is_tuned_and_a_chain_hands_labels_on(
    folder: Path, here: Command, tiny_folder: TinyFolder, tiny_encoder_folder: Path
) -> None:
    strong = f"""
[supervise.strong]
weights = "{tiny_folder()}"
through = ["{tiny_encoder_folder}"]
max_length = 32
fit = {{ steps = 3, batch_tokens = 256, rate = 0.001, rank = 2, dtype = "float32" }}
"""
    (folder / "f.toml").write_text(TABLE.replace("seeds = [0, 1]", "seeds = [0]") + strong)
    done = here("supervise", "f.toml", "--json", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["strong"]["how"] == "adapters"
    assert (folder / "out" / "strong" / "encoder" / "modules.json").is_file()


def test_mistakes_are_one_line(folder: Path, here: Command) -> None:
    whole = (folder / "c.toml").read_text()
    for old, new, told in (
        ('column = "worker"', 'column = "woker"', "no column 'woker'"),
        (
            'column = "worker"',
            'column = "truth"\ncase = true',
            "`case` is of keywords: of column nothing would look at it",
        ),
        (
            'column = "worker"',
            "least = 0.1",
            "a source is one of keywords, patterns, column, model, learns; none is given",
        ),
        ('column = "worker"', 'column = "site"', "site, row 1: 'b' is none of the classes"),
        ('gold = "gold.jsonl"', "", "a source that `learns` needs `gold`"),
        ('name = "learnt"', 'name = "words"', "two sources are called 'words'"),
        (
            "[supervise.strong]",
            '[supervise.labels]\nuse = "dawid-sken"\n[supervise.strong]',
            "did you mean 'dawid-skene'?",
        ),
        (
            "[supervise.strong]",
            "[supervise.labels]\nsettings = { x = 1 }\n[supervise.strong]",
            "majority has no setting 'x'",
        ),
        ("confidence = 0.3", "confidence = 3", "confidence"),
        ("confidence = 0.3", "head_rate = 3.0", "`head_rate` is of `fit`"),
        ("confidence = 0.3", "balance = { ham = 1.0 }", "balance gives a share to each class: ham, spam"),
        ('features = "tf-idf"', 'features = "trees"', "trees go by `columns`"),
        ('column = "worker"', 'column = "worker"\nprompt = "{text}"', "`prompt` is of model"),
        ('rows = "rows.jsonl"', "", "--rows must be given"),
    ):
        assert old in whole
        (folder / "c.toml").write_text(whole.replace(old, new, 1))
        done = here("supervise", "c.toml", "--quiet", "--out", f"new-{abs(hash(new)) % 999}", cwd=folder)
        assert told in error_of(done), new
    (folder / "c.toml").write_text("[models]\n")
    assert "no [supervise] table" in error_of(here("supervise", "c.toml", cwd=folder))
    rows = made(5, 9)
    rows[2]["truth"] = None
    write_rows(folder / "gold.jsonl", rows)
    (folder / "c.toml").write_text(whole)
    assert "row 3 has no label of people" in error_of(here("supervise", "c.toml", cwd=folder))


def test_a_reward_model_is_taught_and_picks(folder: Path, here: Command, tiny_encoder_folder: Path) -> None:
    rows = [
        {"q": f"what is {word} {i}", "yes": f"please {word}", "no": f"nonsense {word}", "by": 1}
        for i, word in enumerate(["cat", "saw", "bird", "drill"] * 12)
    ]
    write_rows(folder / "prefer.jsonl", rows)
    table = f"""
[supervise.reward]
rows = "prefer.jsonl"
weights = "{tiny_encoder_folder}"
out = "judge"
prompt = "q"
chosen = "yes"
rejected = "no"
margin = "by"
held_out = 0.25
fit = {{ epochs = 8, rate = 0.001 }}
"""
    (folder / "r.toml").write_text(table)
    done = here("supervise", "reward", "r.toml", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["pairs"], told["held_out"]) == (36, 12)
    assert told["accuracy"]["value"] > 0.8
    again = here("supervise", "reward", "r.toml", cwd=folder)
    assert "prefers as people do" in again.stderr
    (folder / "r.toml").write_text(table.replace('margin = "by"', 'margin = "q"'))
    assert "row 1: column 'q': 'what is cat 0' is no margin" in error_of(
        here("supervise", "reward", "r.toml", cwd=folder)
    )
    assert "no [supervise.reward]" in error_of(here("supervise", "reward", "c.toml", cwd=folder))


def test_a_corrector_is_taught(folder: Path, here: Command, tiny_folder: TinyFolder) -> None:
    rows = [{"question": f"q {i}", "answer": f"teh cat {i}", "correction": f"the cat {i}"} for i in range(20)]
    write_rows(folder / "mend.jsonl", rows)
    table = f"""
[supervise.corrector]
rows = "mend.jsonl"
weights = "{tiny_folder()}"
out = "corrector"
template = "mend: {{answer}}"
length = 96
fit = {{ steps = 3, batch_tokens = 256, rate = 0.001, dtype = "float32" }}
"""
    (folder / "m.toml").write_text(table)
    done = here("supervise", "corrector", "m.toml", "--json", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "corrections of mend.jsonl" in (folder / "corrector" / "README.md").read_text()
    use = '[models.m]\nuse = "local"\nweights = "corrector"\nmax_tokens = 3\n[models.a]\nuse = "aligned"\nmodel = "m"\n'
    write_toml(folder / "use.toml", use + 'corrector = "m"\ntemplate = "mend: {answer}"\n')
    asked = here("ask", "use.toml", "-m", "a", "the cat", cwd=folder)
    assert asked.returncode == 0, asked.stderr
    write_rows(folder / "mend.jsonl", [{"question": "q", "answer": 3, "correction": "x"}])
    assert "row 1: column 'answer' is int" in error_of(here("supervise", "corrector", "m.toml", cwd=folder))
    assert "no [supervise.corrector]" in error_of(here("supervise", "corrector", "c.toml", cwd=folder))


def test_critiques_make_what_correctors_and_reward_models_learn(
    folder: Path, here: Command, tiny_encoder_folder: Path
) -> None:
    def says(seen: Seen) -> Answer:
        if "Critique:" in seen.prompt:
            return Answer("fine " + seen.prompt.partition("Task: ")[2].partition("\n")[0])
        return Answer("Nothing." if "Answer: right" in seen.prompt else "It is wrong. Be kind.")

    write_rows(folder / "said.jsonl", [{"q": f"q{i}", "a": "right" if i % 3 == 0 else f"bad {i}"} for i in range(24)])
    critiques = """
[supervise.critiques]
rows = "said.jsonl"
model = "cloud"
out = "critiques"
question = "q"
answer = "a"
principles = ["Be kind.", "Be right."]
"""
    learns = f"""
[supervise.reward]
rows = "critiques/preferences.jsonl"
weights = "{tiny_encoder_folder}"
out = "judge"
fit = {{ steps = 2 }}
"""
    with ScriptedUpstream(says) as upstream:
        write_toml(folder / "k.toml", remote("cloud", upstream.url), "[supervise]", critiques, learns)
        done = here("supervise", "critique", "k.toml", "--json", "--quiet", cwd=folder)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["rows"], told["sound"], told["corrected"], told["bill"]["calls"]) == (24, 8, 16, 40)
        calls = upstream.calls
        again = here("supervise", "critique", "k.toml", cwd=folder)
        assert "8 sound, 16 corrected" in again.stderr
        assert upstream.calls == calls
        assert here("supervise", "reward", "k.toml", cwd=folder).returncode == 0
        judged = critiques.replace('out = "critiques"', 'out = "judged"\njudge = "judge"')
        reward = '[models.judge]\nuse = "reward"\npath = "judge"\n'
        write_toml(folder / "j.toml", remote("cloud", upstream.url), reward, "[supervise]", judged)
        done = here("supervise", "critique", "j.toml", "--json", "--quiet", cwd=folder)
        told = json.loads(done.stdout)
        assert told["corrected"] + told["dropped"].get("no better by the judge", 0) == 16
    lines = (folder / "judged" / "preferences.jsonl").read_text().splitlines()
    assert len(lines) == told["corrected"]
    assert "no [supervise.critiques]" in error_of(here("supervise", "critique", "c.toml", cwd=folder))
