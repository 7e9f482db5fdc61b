"""`pilotfish judge`: single answers, pairs, panels, reward models, people's labels, a stop, and mistakes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pilotfish.evaluate.judge import Calibrated, TrainedJudge
from pilotfish.models.encoder import Encoder
from pilotfish.train.reward import Pair, RewardModel
from pilotfish.train.settings import Fit
from tests.cli.distilling import Command, command_here
from tests.cli.help import error_of, read_rows, remote, write_rows, write_toml
from tests.fakes_answers import Answer, failing
from tests.fakes_http import ScriptedUpstream, Seen

pytest.importorskip("torch")


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str]) -> Command:
    return command_here(capfd)


def grade(seen: Seen) -> Answer:
    """Ten for an answer with "good" in it, three for others; nothing for "mute", and a failure for "down"."""
    answer = re.search(r"### The answer\n(.*)\n\n### Your", seen.prompt, re.DOTALL)
    assert answer is not None
    if "down" in answer.group(1):
        return failing(500)
    said = json.dumps({"score": 10 if "good" in answer.group(1) else 3})
    return Answer("From 1 to 10? 7" if "mute" in answer.group(1) else said)


def compare(seen: Seen) -> Answer:
    """Prefers an answer with "good" in it; the model "first" prefers whichever comes first."""
    a, b = re.findall(r"### Answer [AB]\n(.*)\n", seen.prompt)
    better = "tie" if ("good" in a) == ("good" in b) else "A" if "good" in a else "B"
    return Answer(json.dumps({"better": "A" if seen.body["model"] == "first" else better}))


def test_single_answers_and_people(tmp_path: Path, here: Command) -> None:
    rows = [
        {"prompt": f"q{n}", "answer": f"good {n}" if n % 2 else f"bad {n}", "people": 5 if n % 2 else 1}
        for n in range(20)
    ]
    rows += [{"prompt": "q", "answer": "mute", "people": 3}, {"prompt": "q", "answer": "good down", "people": ""}]
    write_rows(tmp_path / "rows.jsonl", rows)
    given = [
        "judge",
        "c.toml",
        "rows.jsonl",
        "--rubric",
        "Is it good?",
        "--high",
        "10",
        "--gold",
        "people",
        "--quiet",
    ]
    with ScriptedUpstream(grade) as upstream:
        write_toml(tmp_path / "c.toml", remote("one", upstream.url))
        done = here(*given, "--out", "out", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        calls = upstream.calls
        again = here(*given, "--out", "out", "--json", cwd=tmp_path)
        assert upstream.calls == calls + 1  # the failed one alone
    assert "one: mean 6.500 [" in done.stdout
    assert "one: no verdict on 2 of 22 rows: no JSON in the reply: 1, no answer: 1" in done.stdout
    assert "one: the endpoint failed on 1 rows" in done.stdout
    found = read_rows(tmp_path / "out" / "rows.jsonl")
    assert [row["judge.one"] for row in found] == [3, 10] * 10 + [None, None]
    assert found[0]["answer"] == "bad 0" and found[20]["judge.one.note"] == "no JSON in the reply"
    told = json.loads(again.stdout)["one"]
    assert told == json.loads((tmp_path / "out" / "report.json").read_text())["one"]
    assert (told["rows"], told["judged"], told["later"]) == (22, 20, 1)
    assert told["before"]["bias"]["value"] == pytest.approx(3.5) and told["after"]["mse"]["value"] < 0.1
    assert told["agreement"]["rows"] == 20 and told["agreement"]["same"]["value"] == 0
    curve = Calibrated.load(tmp_path / "out" / told["calibration"]).curve
    assert curve([3, 10]).tolist() == [1, 5]


def test_pairs_by_a_panel(tmp_path: Path, here: Command) -> None:
    kinds = [("poor", "poor", "tie"), ("good", "poor", "a"), ("good", "good", "")]
    rows = [{"q": str(n), **dict(zip(("x", "y", "who"), kinds[n % 3], strict=True))} for n in range(12)]
    write_rows(tmp_path / "rows.jsonl", rows)
    with ScriptedUpstream(compare) as upstream:
        tables = [remote(name, upstream.url) for name in ("fair", "biased", "also")]
        tables[1] = tables[1].replace("scripted-1", "first")
        table = (
            '[judge]\nmodels = ["fair", "biased", "also"]\ncriteria = { quality = "Is it good?" }\ntask = "q"\n'
            'answer = "x"\nagainst = "y"\ngold = "who"\nout = "verdicts"\nlabel_model = "majority"\n'
        )
        write_toml(tmp_path / "c.toml", *tables, table)
        done = here("judge", "c.toml", "rows.jsonl", "--quiet", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert "biased: the first answer is preferred 1.000 [" in done.stdout
    assert "fair: the first answer is preferred 0.500 [" in done.stdout
    assert "fair: x against y wins 0.667" in done.stdout and "ties: 8" in done.stdout
    found = read_rows(tmp_path / "verdicts" / "rows.jsonl")
    assert [row["judge.fair"] for row in found[:3]] == ["tie", "a", "tie"]
    assert {row["judge.biased"] for row in found} == {"tie"}
    assert [row["judge.panel"] for row in found[:3]] == ["tie", "a", "tie"]
    figures = json.loads((tmp_path / "verdicts" / "report.json").read_text())
    assert figures["panel"]["agreement"]["rows"] == 8 and figures["panel"]["agreement"]["same"]["value"] == 1
    assert figures["biased"]["position"]["to_first"] == 12 and figures["panel"]["position"] is None


def test_a_local_model_and_a_reward_model(
    tmp_path: Path, here: Command, tiny_folder: Any, tiny_encoder: Encoder
) -> None:
    some = [Pair(f"p{i}", f"please the cat {i}", f"nonsense the cat {i}") for i in range(60)]
    how = Fit(epochs=6, batch_tokens=1024, rate=1e-3, dtype="float32")
    RewardModel(tiny_encoder, how).fit(some).save(tmp_path / "prefers")
    rows = [
        {
            "prompt": f"p{n}",
            "answer": f"please the dog {n}",
            "other": f"nonsense the dog {n}" if n % 2 else f"please the dog {n}",
            "who": 1 if n % 2 else 0,
        }
        for n in range(20)
    ]
    write_rows(tmp_path / "rows.jsonl", rows)
    local = f'[models.small]\nuse = "local"\nweights = {json.dumps(str(tiny_folder()))}\n'
    write_toml(tmp_path / "c.toml", local, '[models.prefers]\nuse = "reward"\npath = "prefers"\n')
    given = ["judge", "c.toml", "rows.jsonl", "--rubric", "Is it kind?", "--quiet"]
    done = here(*given, "-m", "small", "--high", "3", "--out", "points", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    scores = [row["judge.small"] for row in read_rows(tmp_path / "points" / "rows.jsonl")]
    assert len(set(scores)) > 2 and all(1 < one < 3 for one in scores)
    pairs = ["--against", "other", "--gold", "who", "--learn-ties", "--out", "pairs"]
    done = here(*given, "-m", "small", "-m", "prefers", *pairs, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "prefers: rewards up to" in done.stdout and "panel: answer against other wins" in done.stdout
    kept = TrainedJudge.load(tmp_path / "prefers")
    assert kept.agreement_ is not None and kept.agreement_.same.value > 0.8
    figures = json.loads((tmp_path / "pairs" / "report.json").read_text())
    assert figures["prefers"]["agreement"] == kept.agreement_.to_json() | {
        "same": figures["prefers"]["agreement"]["same"],
        "kappa": figures["prefers"]["agreement"]["kappa"],
        "weighted": figures["prefers"]["agreement"]["weighted"],
    }
    assert figures["prefers"]["position"] is None and figures["small"]["position"] is not None
    done = here("judge", "c.toml", "rows.jsonl", "-m", "prefers", "--out", "alone", "--quiet", cwd=tmp_path)
    assert done.returncode == 0 and "prefers: mean" in done.stdout
    shown = ["-m", "prefers", "--reference", "other", "--out", "alone", "--quiet"]
    assert "reads no right answer" in error_of(here("judge", "c.toml", "rows.jsonl", *shown, cwd=tmp_path))


def test_mistakes_are_one_line(tmp_path: Path, here: Command) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"prompt": "q", "answer": "a", "other": 3, "who": "me"}])
    write_toml(tmp_path / "c.toml", remote("one", "http://127.0.0.1:9"), remote("panel", "http://127.0.0.1:9"))
    start = ["judge", "c.toml", "rows.jsonl", "-m", "one"]
    out = ["--out", "out"]
    assert "--out must be given" in error_of(here(*start, "--rubric", "x", cwd=tmp_path))
    assert "give `criteria`, or --rubric" in error_of(here(*start, *out, cwd=tmp_path))
    assert "no model 'two'" in error_of(here(*start[:3], "-m", "two", "--rubric", "x", *out, cwd=tmp_path))
    start += ["--rubric", "x", *out]
    assert "'other' is int, not text" in error_of(here(*start, "--against", "other", cwd=tmp_path))
    assert "'me' is not a number" in error_of(here(*start, "--gold", "who", cwd=tmp_path))
    assert "'me' is not a, b or tie" in error_of(here(*start, "--gold", "who", "--against", "answer", cwd=tmp_path))
    assert "no column 'x'" in error_of(here(*start, "--task", "x", cwd=tmp_path))
    assert "give `against` and `gold`" in error_of(here(*start, "--learn-ties", cwd=tmp_path))
    assert "have no mean" in error_of(here(*start, "--label-model", "mean", "--against", "answer", cwd=tmp_path))
    assert "not 5 to 5" in error_of(here(*start, "--low", "5", cwd=tmp_path))
    assert "cannot sit on a panel" in error_of(here(*start, "-m", "panel", cwd=tmp_path))
    assert "does not tell the probability" in error_of(here(*start, "--by", "probability", cwd=tmp_path))
    write_toml(tmp_path / "c.toml", "[judge]\nmodles = []\n", remote("one", "http://127.0.0.1:9"))
    assert "unknown key 'judge.modles'; did you mean 'models'?" in error_of(here(*start, cwd=tmp_path))
    write_toml(tmp_path / "c.toml", '[judge]\nmodels = ["on"]\n', remote("one", "http://127.0.0.1:9"))
    assert "[judge] models.0 = 'on': no such model" in error_of(here(*start, cwd=tmp_path))
