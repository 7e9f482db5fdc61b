"""`pilotfish distill` of a teacher's answers over HTTP: filters, rationales, preferences; a second run asks nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pilotfish.models.encoder import Encoder
from pilotfish.supervise.reward import Pair, RewardModel
from pilotfish.train.settings import Fit
from tests.cli.distilling import FIT, Command, command_here
from tests.cli.help import error_of, pilotfish, read_rows, remote, write_rows, write_toml
from tests.fakes_answers import Answer
from tests.fakes_http import ScriptedUpstream, Seen

SAMPLES = ["it is 2", "it is 2", "2", "3", "so, it is 2!", "it is 3"]


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str]) -> Command:
    return command_here(capfd)


def head(student: Path, teacher: str, *lines: str) -> str:
    own = [f'student = "{student}"', f'teacher = "{teacher}"'] if teacher else [f'student = "{student}"']
    kept = ['rows = "rows.jsonl"', 'out = "taught"', 'prompt = "what is {n}?"', "length = 96", "held_out = 0.25"]
    return "\n".join(["[distill]", *own, *kept, 'device = "cpu"', *lines, ""])


def grade(prompt: str) -> str:
    """Grade longer answers higher."""
    said = prompt.rpartition("Answer: ")[2]
    return f"It is fine. Grade: {min(1000, len(said))}"


def teacher(seen: Seen) -> Answer:
    if seen.prompt.startswith("You grade"):
        return Answer(text=grade(seen.prompt))
    return Answer(text=SAMPLES[int(seen.body.get("seed") or 0)])


def test_answers_pass_checks_then_agree_then_are_right_then_the_best(
    tiny_folder: Any, tmp_path: Path, here: Command
) -> None:
    """In that order, which the file says; the same command again asks neither the teacher nor the judge."""
    write_rows(tmp_path / "rows.jsonl", [{"n": n, "right": "2" if n % 2 else "3", "id": n} for n in range(12)])
    with ScriptedUpstream(teacher) as upstream:
        table = """[distill.answers]
samples = 6
temperature = 0.7
verify = [{ by = "pattern", pattern = "it is" }]
agree = 0.6
read = "last-number"
gold = "right"
judge = { model = "cloud", low = 0, high = 1000 }
balanced = true
"""
        write_toml(
            tmp_path / "team.toml",
            remote("cloud", upstream.url),
            head(tiny_folder("llama", "plain"), "cloud"),
            table,
            FIT,
        )
        done = pilotfish("distill", "team.toml", "--json", "--quiet", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        made = read_rows(tmp_path / "taught-answers" / "rows.jsonl")
        # Four of six pass; three of those say 2, which is right of every other row; the longest of them is the best.
        assert {row["answer"] for row in made} == {"so, it is 2!"} and len(made) == 6
        assert {row["source"]["right"] for row in made} == {"2"}
        report = json.loads((tmp_path / "taught-answers" / "report.json").read_text())
        assert report["dropped"] == {
            "fails the check": 24,
            "disagrees with the majority": 12,
            "grade too low": 18,
            "not among the best": 12,
        }
        assert told["rows"] + told["held_out"] == 6
        calls = upstream.calls
        assert calls == 12 * 6 + 6 * 2  # of the three answers that are left two are equal: they are graded once
        again = pilotfish("distill", "team.toml", "--json", "--quiet", cwd=tmp_path)
        assert json.loads(again.stdout) == told
        assert upstream.calls == calls
        # Behind the same name another model: what the first one said is not taken for its.
        text = (tmp_path / "team.toml").read_text()
        (tmp_path / "team.toml").write_text(text.replace("scripted-1", "scripted-2"))
        assert "what cloud said with other settings" in error_of(here("distill", "team.toml", cwd=tmp_path))


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ('best = "mean-logprob"\ncount = 2', ["2", "3"]),
        ('best = "tests.cli.test_distill_answers:shortest"', ["2"]),
        ('verify = [{ by = "schema", schema_file = "number.json" }]', ["2", "3"]),
        ('verify = [{ by = "code" }, { by = "pattern", pattern = "3" }]', ["3"]),
        ('read = "contains"\ngold = "right"', ["2", "it is 2", "so, it is 2!"]),
    ],
)
def test_each_filter_by_its_words(tiny_folder: Any, tmp_path: Path, here: Command, lines: str, kept: list[str]) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"n": n, "right": "2"} for n in range(8)])
    (tmp_path / "number.json").write_text('{"type": "integer"}')
    with ScriptedUpstream(teacher) as upstream:
        table = f"[distill.answers]\nsamples = 6\ntemperature = 0.7\n{lines}\n"
        student = tiny_folder("llama", "plain")
        write_toml(tmp_path / "team.toml", remote("cloud", upstream.url), head(student, "cloud"), table, FIT)
        done = here("distill", "team.toml", "--quiet", "--steps", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted({row["answer"] for row in read_rows(tmp_path / "taught-answers" / "rows.jsonl")}) == kept


def shortest(answer: str, row: dict[str, Any]) -> float:
    assert row["right"] == "2", "the user's function sees the whole row"
    return -len(answer)


def reasoned(seen: Seen) -> Answer:
    number = int((re.findall(r"what is (\d+)", seen.prompt) or ["0"])[-1])
    label = "odd_one" if number % 2 else "even"
    if number == 4:
        return Answer(text="I do not know.")
    return Answer(text=f"Rationale: {number} divided by two says so.\nLabel: {label.replace('_', ' ')}")


def test_rationales_are_learnt_and_the_label_alone_is_asked_for(
    tiny_folder: Any, tmp_path: Path, here: Command
) -> None:
    student = tiny_folder("llama", "plain")
    write_rows(tmp_path / "rows.jsonl", [{"n": n, "right": "even" if n == 1 else None} for n in range(12)])
    with ScriptedUpstream(reasoned) as upstream:
        table = """[distill.rationales]
labels = ["odd_one", "even"]
names = { odd_one = "odd one" }
gold = "right"
alpha = 0.75
"""
        write_toml(tmp_path / "team.toml", remote("cloud", upstream.url), head(student, "cloud"), table, FIT)
        told = [json.loads(here("distill", "team.toml", "--json", "--quiet", cwd=tmp_path).stdout) for _ in range(2)]
        assert upstream.calls == 12 and told[0] == told[1]
    made = read_rows(tmp_path / "taught-rationales" / "rows.jsonl")
    # One row gave no label; of row 1 people say otherwise, so the label is theirs and the rationale is not learnt.
    assert len(made) == 2 * 10 + 1
    assert [row["answer"] for row in made if row["source"]["n"] == 1] == ["even"]
    assert {row["answer"] for row in made if row["task"] == "label"} == {"even", "odd_one"}
    from transformers import AutoTokenizer

    cut = AutoTokenizer.from_pretrained(student)
    for row in made:  # a rationale counts no more for being long
        tokens = len(cut(row["answer"], add_special_tokens=False)["input_ids"]) + 1
        assert row["weight"] * tokens == pytest.approx(0.75 if row["task"] == "label" else 0.25)
    write_toml(
        tmp_path / "use.toml",
        ["[models.tuned]", 'use = "local"', 'weights = "taught"', "max_tokens = 4"],
        ["[models.assistant]", 'use = "label-prefixed"', 'model = "tuned"', ""],
    )
    asked = here("ask", "use.toml", "what is 3?", cwd=tmp_path)
    plain = here("ask", "use.toml", "--model", "tuned", "[label] what is 3?", cwd=tmp_path)
    assert asked.returncode == 0 and asked.stdout == plain.stdout


def test_a_teacher_whose_weights_are_here_may_give_reasons_too(tiny_folder: Any, tmp_path: Path, here: Command) -> None:
    """It is asked for text: a distribution over the rows would not be a label and why."""
    student = tiny_folder("llama", "plain")
    write_rows(tmp_path / "rows.jsonl", [{"n": n} for n in range(8)])
    table = """[distill.rationales]
prompt = "why {question}"
parse = '(?s)(?P<rationale>.+)(?P<label>[a-zA-Z0-9])'
weigh = "tokens"
alpha = 0.25
temperature = 0.7
max_tokens = 400
"""
    write_toml(tmp_path / "team.toml", head(student, str(student), 'dtype = "float32"'), table, FIT)
    done = here("distill", "team.toml", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {row["weight"] for row in read_rows(tmp_path / "taught-rationales" / "rows.jsonl")} == {0.25, 0.75}
    assert json.loads(done.stdout)["teacher"] is None


def judging(seen: Seen) -> Answer:
    if seen.prompt.startswith("You grade"):
        return Answer(text=grade(seen.prompt))
    _, _, rest = seen.prompt.partition("Answer A: ")
    a, _, b = rest.partition("\n\nAnswer B: ")
    return Answer(text=f"Better: {'A' if (len(a), a) > (len(b), b) else 'B'}")


@pytest.mark.parametrize("by", ["pairs", "grades"])
def test_a_judge_of_the_file_teaches_what_it_prefers(tiny_folder: Any, tmp_path: Path, here: Command, by: str) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"n": n} for n in range(10)])
    with ScriptedUpstream(judging) as upstream:
        margin = "margin = 0.5" if by == "grades" else ""
        table = f"""[distill.preferences]
samples = 4
pairs = 2
max_tokens = 400
seed = 3
by = "{by}"
beta = 0.2
label_smoothing = 0.1
{'judge = { model = "cloud", low = 0, high = 1000 }' if by == "grades" else ""}
{margin}
"""
        who = "" if by == "grades" else "cloud"
        student = tiny_folder("llama", "plain")
        write_toml(tmp_path / "team.toml", remote("cloud", upstream.url), head(student, who), table, FIT)
        done = here("distill", "team.toml", "--json", "--quiet", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        calls = upstream.calls
        again = here("distill", "team.toml", "--json", "--quiet", cwd=tmp_path)
        assert again.stdout == done.stdout and upstream.calls == calls > 0
    told = json.loads(done.stdout)
    assert told["steps"] == 4 and told["held_out"] > 0 and 0 <= told["preferred"]["value"] <= 1
    pairs = read_rows(tmp_path / "taught-preferences" / "rows.jsonl")
    assert 0 < len(pairs) <= 20 and all(row["chosen"] != row["rejected"] for row in pairs)
    assert all(len(row["chosen"]) >= len(row["rejected"]) for row in pairs)
    assert (tmp_path / "taught" / "model.safetensors").exists()


def test_a_small_reward_model_teaches_what_it_prefers(
    tiny_folder: Any, tiny_encoder: Encoder, tmp_path: Path, here: Command
) -> None:
    """Weak to strong: no call of a judge; the same for answers that are learnt as they are."""
    write_rows(tmp_path / "rows.jsonl", [{"n": n} for n in range(10)])
    how = Fit(steps=1, batch_tokens=256, dtype="float32")
    RewardModel(tiny_encoder, how).fit([Pair(f"p{i}", "good", f"bad {i}") for i in range(12)]).save(
        tmp_path / "prefers"
    )
    reward = '[models.prefers]\nuse = "reward"\npath = "prefers"\n'
    student = tiny_folder("llama", "plain")
    table = """[distill.preferences]
samples = 3
max_tokens = 400
seed = 3
judge = "prefers"
by = "grades"
"""
    write_toml(tmp_path / "team.toml", reward, head(student, ""), table, FIT)
    done = here("distill", "team.toml", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    pairs = read_rows(tmp_path / "taught-preferences" / "rows.jsonl")
    judge = RewardModel.load(tmp_path / "prefers")
    assert pairs
    for row in pairs:
        better, worse = judge(row["messages"][-1]["content"], [row["chosen"], row["rejected"]])
        assert better > worse
    write_toml(tmp_path / "pairs.toml", reward, head(student, ""), table.replace("grades", "pairs"), FIT)
    done = here("distill", "pairs.toml", "--quiet", cwd=tmp_path)
    assert 'give by = "grades"' in error_of(done)
    with ScriptedUpstream(teacher) as upstream:
        best = '[distill.answers]\nsamples = 6\ntemperature = 0.7\njudge = "prefers"\n'
        named = head(student, "cloud").replace('out = "taught"', 'out = "best"')
        write_toml(tmp_path / "best.toml", remote("cloud", upstream.url), reward, named, best, FIT)
        done = here("distill", "best.toml", "--json", "--quiet", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert upstream.calls == 60
    for row in read_rows(tmp_path / "best-answers" / "rows.jsonl"):
        rewards = judge(row["messages"][-1]["content"], [row["answer"], *SAMPLES])
        assert rewards[0] == pytest.approx(max(rewards))


MISTAKES = [
    ('[distill.answers]\nsamples = 2\ntemperature = 1\nverify = [{ by = "patern" }]', "verify.0.by"),
    ('[distill.answers]\nverify = [{ by = "pattern" }]', "a check by pattern needs `pattern`"),
    ('[distill.answers]\nverify = [{ by = "pattern", pattern = "(" }]', "'(' is not a pattern"),
    ('[distill.answers]\nverify = [{ by = "code", above = 1 }]', "a check by code takes no `above`"),
    ('[distill.answers]\nverify = [{ by = "schema" }]', "needs `schema_file`"),
    ('[distill.answers]\nread = "last-number"', "`read` is for `agree` or `gold`"),
    ("[distill.answers]\nagree = 0.5", "`agree` needs several `samples`"),
    ('[distill.answers]\nbest = "mean-logprob"', "the best 1 of 1 are all of them"),
    ('[distill.answers]\nbest = "mean-logprob"\njudge = "cloud"', "not by both"),
    ('[distill.answers]\nsamples = 2\ntemperature = 1\njudge = "clowd"', "judge = 'clowd': no such model"),
    ("[distill.answers]\ncount = 2", "are for `best` or a `judge`"),
    ("[distill.answers]\nseed = 2", "`seed` needs a temperature above 0"),
    ('[distill.answers]\ngold = "write"', "no column 'write'"),
    (
        "[distill.answers]\nsamples = 2\n[distill.rationales]\nalpha = 1",
        "answers and rationales: a run",
    ),
    ("[distill.rationales]\nalpha = 2", "alpha"),
    ('[distill.rationales]\nlabels = ["a", "a"]', "stands in `labels` twice"),
    ('[distill.rationales]\nlabels = ["a", "b"]\nnames = { c = "x" }', "`names` has 'c'"),
    ('[distill.rationales]\nparse = "x"', "needs the groups"),
    ("[distill.rationales]\n[distill.loss]\nalpha = 1", "loss: rationales are learnt without"),
    ("[distill.preferences]\nsamples = 1", "preferences.samples"),
    ("[distill.preferences]\nmargin = 1", "are for grades"),
    ('[distill.preferences]\njudge = "cloud"', "give one of them"),
    ("[distill.preferences]\n[distill.on_policy]\nshare = 1", "on_policy: preferences are learnt without"),
    ("[distill.preferences]\n[distill.draft]\nlength = 2", "preferences: a draft learns"),
]


def test_what_makes_no_sense_is_one_line(tiny_folder: Any, tmp_path: Path, here: Command) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"n": n, "right": "2"} for n in range(4)])
    student = tiny_folder("llama", "plain")
    with ScriptedUpstream() as upstream:
        for table, said in MISTAKES:
            write_toml(tmp_path / "team.toml", remote("cloud", upstream.url), head(student, "cloud"), table)
            assert said in error_of(here("distill", "team.toml", "--quiet", cwd=tmp_path)), table
        for old, new, said in (
            ('prompt = "what is {n}?"', 'prompt = "what is {n}?"\ntext = "n"', "`text` is not looked at"),
            ('teacher = "cloud"', "", "the key 'teacher' is missing"),
            (f'student = "{student}"', "", "the key 'student' is missing"),
        ):
            text = head(student, "cloud")
            assert old in text
            write_toml(tmp_path / "team.toml", remote("cloud", upstream.url), text.replace(old, new))
            assert said in error_of(here("distill", "team.toml", "--quiet", cwd=tmp_path))
        write_toml(
            tmp_path / "team.toml",
            remote("cloud", upstream.url),
            head(student, "cloud"),
            '[distill.answers]\nverify = [{ by = "pattern", pattern = "nothing says this" }]',
        )
        assert "nothing to learn is left" in error_of(here("distill", "team.toml", "--quiet", cwd=tmp_path))
        assert upstream.calls == 4
