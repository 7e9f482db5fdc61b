"""`pilotfish distill` of a teacher's labels and vectors: every student measured, asked, and run again for free."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.rows.run import read_output
from tests.cli.distilling import Command, command_here
from tests.cli.help import error_of, pilotfish, remote, write_rows, write_toml
from tests.fakes_answers import Answer
from tests.fakes_http import ScriptedUpstream, Seen
from tests.tiny import TEXTS

pytest.importorskip("sklearn")

WORDS = {"card": ["card", "arrived", "yet"], "money": ["refund", "top", "failed"]}


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str]) -> Command:
    return command_here(capfd)


def said_of(text: str) -> str:
    return max(WORDS, key=lambda label: sum(text.count(word) for word in WORDS[label]))


def texts(count: int) -> list[dict[str, Any]]:
    """Rows of which every fifth has people's label, text and its id."""
    random = np.random.default_rng(3)
    noise = ["the", "is", "it", "my", "has"]
    rows = []
    for i in range(count):
        label = ("card", "money")[i % 2]
        words = [*random.choice(WORDS[label], 2), *random.choice(noise, 3)]
        random.shuffle(words)
        rows.append({"id": i, "text": " ".join(words), "label": label if i % 5 < 2 else ""})
    return rows


def teacher(seen: Seen) -> Answer:
    assert "Categories:\n- card\n- money" in seen.body["messages"][0]["content"]
    return Answer(text=f"{said_of(seen.prompt)}." if not seen.prompt.endswith(" it") else "Who knows?")


def head(*lines: str, kind: str = "linear", more: str = "") -> str:
    own = ["[distill]", 'teacher = "cloud"', 'rows = "rows.jsonl"', 'out = "taught"', "held_out = 0.3", *lines]
    return "\n".join([*own, "[distill.labels]", f'kind = "{kind}"', 'gold = "label"', more, ""])


def test_a_linear_student_is_taught_measured_and_asked(tmp_path: Path) -> None:
    rows = texts(100)
    write_rows(tmp_path / "rows.jsonl", rows)
    with ScriptedUpstream(teacher) as upstream:
        write_toml(tmp_path / "team.toml", remote("cloud", upstream.url), head(more="alpha = [0.5, 1.0]"))
        done = pilotfish("distill", "team.toml", "--json", "--quiet", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        # Nobody is asked about the rows that people labelled; equal texts are asked about once.
        assert set(upstream.prompts) == {f"Text: {row['text']}" for row in rows if not row["label"]}
        assert upstream.calls == len(upstream.prompts)
        calls = upstream.calls
        again = pilotfish("distill", "team.toml", "--json", "--quiet", cwd=tmp_path)
        assert json.loads(again.stdout) == told and upstream.calls == calls
        # Another seed is another split: it asks nothing either.
        other = pilotfish("distill", "team.toml", "--out", "taught", "--seed", "1", "--quiet", cwd=tmp_path)
        assert "holds the result of another run" in error_of(other) and upstream.calls == calls
    assert told["classes"] == ["card", "money"] and told["held_out"] == 12
    unsure = [row for row in rows if not row["label"] and row["text"].endswith(" it")]
    assert unsure and told["missing"] == {"no label in the answer": len(unsure)}
    assert set(told["tried"]) == {"0.5", "1"}
    for name in ("accuracy", "alone", "gain"):
        span = told[name]
        assert span["low"] <= span["value"] <= span["high"] and span["n"] == 12
    assert told["accuracy"]["value"] > 0.8
    write_toml(tmp_path / "use.toml", '[models.small]\nuse = "classifier"\npath = "taught"\n')
    assert pilotfish("ask", "use.toml", "refund failed", cwd=tmp_path).stdout.strip() == "money"
    # The folder needs nothing else: it may be moved.
    (tmp_path / "taught").rename(tmp_path / "elsewhere")
    assert pilotfish("ask", "elsewhere", "my card arrived", cwd=tmp_path).stdout.strip() == "card"


@pytest.mark.parametrize("student", ["encoder", "lm"])
def test_an_encoder_is_tuned_of_an_encoder_or_of_a_language_model(
    tiny_folder: Any, tiny_encoder_folder: Path, tmp_path: Path, here: Command, student: str
) -> None:
    write_rows(tmp_path / "rows.jsonl", texts(60))
    weights = tiny_encoder_folder if student == "encoder" else tiny_folder("llama", "plain")
    fit = '[distill.fit]\nepochs = 1\nrate = 0.001\ndtype = "float32"\n'
    with ScriptedUpstream(teacher) as upstream:
        table = head(f'student = "{weights}"', 'device = "cpu"', kind="encoder")
        write_toml(tmp_path / "team.toml", remote("cloud", upstream.url), table, fit)
        done = here("distill", "team.toml", "--json", "--quiet", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        calls = upstream.calls
        again = here("distill", "team.toml", "--json", "--quiet", cwd=tmp_path)
        assert again.stdout == done.stdout and upstream.calls == calls > 0
    told = json.loads(done.stdout)
    assert told["taught"] > 0 and told["alone"]["n"] == told["held_out"] > 0
    assert (tmp_path / "taught" / "encoder" / "modules.json").exists() and not (tmp_path / "taught" / "run").exists()
    write_toml(tmp_path / "use.toml", '[models.small]\nuse = "classifier"\npath = "taught"\n')
    assert here("ask", "use.toml", "refund failed", cwd=tmp_path).stdout.strip() in WORDS


def test_a_linear_student_over_an_encoder_of_the_file_taught_by_weights(
    tiny_folder: Any, tiny_encoder_folder: Path, tmp_path: Path, here: Command
) -> None:
    """The teacher's weights are here: its labels' probabilities are learnt, by the batch, and stored as well."""
    write_rows(tmp_path / "rows.jsonl", texts(40))
    vectors = f'[models.vectors]\nuse = "encoder"\nweights = "{tiny_encoder_folder}"\n'
    table = head('student = "vectors"', more='labels = ["card", "money", "other"]\ntemperature = 2').replace(
        '"cloud"', f'"{tiny_folder("llama", "plain")}"'
    )
    write_toml(tmp_path / "team.toml", vectors, table)
    told = [json.loads(here("distill", "team.toml", "--json", "--quiet", cwd=tmp_path).stdout) for _ in range(2)]
    assert told[0] == told[1]
    assert told[0]["classes"] == ["card", "money", "other"] and told[0]["taught"] == 24
    shares = [row["p"] for row in read_output(tmp_path / "taught-labels")]
    assert len(shares) == 24 and all(sum(one) == pytest.approx(1) for one in shares)


@pytest.mark.parametrize("kind", ["bag", "contrastive"])
def test_few_labels_and_a_teachers_make_a_bag_or_a_contrastive_student(
    tiny_encoder_folder: Path, tmp_path: Path, here: Command, kind: str
) -> None:
    write_rows(tmp_path / "rows.jsonl", texts(100))
    lines = [f'student = "{tiny_encoder_folder}"', 'device = "cpu"'] if kind == "contrastive" else []
    more = {"bag": "epochs = 30", "contrastive": "pairs = 120"}[kind]
    fit = "[distill.fit]\nrate = 0.001\n" if kind == "contrastive" else ""
    with ScriptedUpstream(teacher) as upstream:
        write_toml(tmp_path / "team.toml", remote("cloud", upstream.url), head(*lines, kind=kind, more=more), fit)
        done = here("distill", "team.toml", "--json", "--quiet", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["taught"] > 0 and told["alpha"] == 0.5 and told["accuracy"]["value"] > 0.7
    assert here("ask", "taught", "refund failed", cwd=tmp_path).stdout.strip() == "money"
    other = {"bag": "pairs = 3", "contrastive": "leaves = 3"}[kind]
    write_toml(tmp_path / "team.toml", remote("cloud", "http://localhost"), head(*lines, kind=kind, more=other))
    assert f"a {kind} student takes no" in error_of(here("distill", "team.toml", cwd=tmp_path))


def test_trees_are_grown_and_asked_with_an_object(tmp_path: Path, here: Command) -> None:
    random = np.random.default_rng(1)
    rows = [
        {"age": int(age), "plan": plan, "label": ("old" if age > 50 else "young") if i < 20 else None}
        for i, (age, plan) in enumerate(zip(random.integers(10, 90, 90), random.choice(["a", "b"], 90), strict=True))
    ]
    write_rows(tmp_path / "rows.jsonl", rows)

    def by_age(seen: Seen) -> Answer:
        return Answer(text="old" if int(seen.prompt.rpartition("age ")[2]) > 50 else "young")

    with ScriptedUpstream(by_age) as upstream:
        # The teacher is a labeller of the file: it is asked as it is.
        labeller = '[models.who]\nuse = "labeller"\nmodel = "cloud"\nlabels = ["old", "young"]\n'
        table = head('prompt = "plan {plan}, age {age}"', kind="tree", more='columns = ["age", "plan"]\nrounds = 20')
        write_toml(tmp_path / "team.toml", remote("cloud", upstream.url), labeller, table.replace('"cloud"', '"who"'))
        told = [json.loads(here("distill", "team.toml", "--json", "--quiet", cwd=tmp_path).stdout) for _ in range(2)]
        assert told[0] == told[1] and upstream.calls == len(upstream.prompts) <= 70
    assert 70 - 5 <= told[0]["taught"] <= 70  # copies of rows held out teach nothing
    write_toml(tmp_path / "use.toml", '[models.small]\nuse = "classifier"\npath = "taught"\n')
    for age, wanted in ((80, "old"), (20, "young")):
        asked = here("ask", "use.toml", json.dumps({"age": age, "plan": "a"}), cwd=tmp_path)
        assert asked.stdout.strip() == wanted
    assert "a JSON object of columns" in error_of(here("ask", "taught", "80", cwd=tmp_path))


@pytest.mark.parametrize("teacher_of", ["encoder", "lm"])
def test_an_encoder_learns_another_s_vectors(
    tiny_folder: Any, tiny_encoder_folder: Path, tmp_path: Path, here: Command, teacher_of: str
) -> None:
    from tests.tiny import write_encoder

    write_encoder(tmp_path / "smaller", width=16, seed=4)
    write_rows(tmp_path / "rows.jsonl", [{"text": f"{text} {i}"} for i in range(4) for text in TEXTS])
    table = """[distill]
student = "smaller"
teacher = "TEACHER"
rows = "rows.jsonl"
out = "taught"
held_out = 0.25
device = "cpu"
[distill.vectors]
similarity = 0.5
[distill.fit]
epochs = 10
batch_tokens = 128
rate = 0.003
dtype = "float32"
"""
    weights = tiny_encoder_folder if teacher_of == "encoder" else tiny_folder("llama", "plain")
    write_toml(tmp_path / "team.toml", table.replace("TEACHER", str(weights)))
    done = here("distill", "team.toml", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    near = json.loads(done.stdout)["near"]
    assert near["held_out"] == 7 and near["similarity_after"] > near["similarity_before"]
    again = here("distill", "team.toml", "--json", "--quiet", cwd=tmp_path)
    assert again.stdout == done.stdout
    assert not (tmp_path / "taught-run").exists()
    from pilotfish.assemble import Collaboration

    write_toml(tmp_path / "use.toml", '[models.vectors]\nuse = "encoder"\nweights = "taught"\n')
    encoder = Collaboration.load(tmp_path / "use.toml").encoder("vectors")
    assert encoder.encode(["a text"]).shape == (1, 48 if teacher_of == "encoder" else 32)


MISTAKES = [
    (head(kind="liner"), "labels.kind"),
    (head(kind="tree"), "needs `columns`"),
    (head(kind="tree", more='columns = ["age"]'), "no column 'age'"),
    (head(kind="encoder"), "the key 'student' is missing"),
    (head('device = "cpu"'), "device: a linear student"),
    (head(more="rounds = 3"), "a linear student takes no `rounds`"),
    (head(more="alpha = [0.5, 2]"), "alpha"),
    (head(more='labels = ["card", "cash"]'), "'money': none of `labels`"),
    (head("length = 20"), "length: labels are learnt without"),
    (head('dtype = "float32"'), "`dtype` is for weights that `teacher` names"),
    (head(more="[distill.fit]\nsteps = 3"), "fit.steps: a linear student"),
    (head(more="[distill.vectors]"), "labels and vectors: a run learns one thing"),
    (head().replace('gold = "label"', ""), "give `labels`, a list, or `gold`"),
    (head().replace('"label"', '"text"'), "every row has a label in 'text'"),
    (head('student = "cloud"'), "has no weights here, and vectors are read off those"),
    (head('student = { of = "x", out = "y" }'), "is not cut out of any"),
]


def test_what_makes_no_sense_is_one_line(tmp_path: Path, here: Command) -> None:
    write_rows(tmp_path / "rows.jsonl", texts(20))
    with ScriptedUpstream(teacher) as upstream:
        for table, said in MISTAKES:
            write_toml(tmp_path / "team.toml", remote("cloud", upstream.url), table)
            assert said in error_of(here("distill", "team.toml", "--quiet", cwd=tmp_path)), table
        labeller = '[models.who]\nuse = "labeller"\nmodel = "cloud"\nlabels = ["card", "money"]\n'
        table = head(more='instruction = "Say!"').replace('"cloud"', '"who"')
        write_toml(tmp_path / "team.toml", remote("cloud", upstream.url), labeller, table)
        assert "'who' answers with labels as it is" in error_of(here("distill", "team.toml", "--quiet", cwd=tmp_path))
        assert upstream.calls == 0
