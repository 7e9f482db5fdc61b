"""`pilotfish distill`, run for real on tiny models."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.help import error_of, pilotfish, write_rows
from tests.forks import forked, module

FILE = """
[models.large]
use = "local"
weights = "{teacher}"
dtype = "float32"

[models.cloud]
use = "openai"
model = "large"

[distill]
student = {{ of = "{teacher}", layers = 1, out = "half" }}
teacher = "large"
rows = "rows.jsonl"
out = "taught"
prompt = "what is {{n}}?"
length = 64
device = "cpu"

[distill.loss]
divergence = "jsd"
beta = 0.5

[distill.fit]
steps = 20
batch_tokens = 500
rate = 0.01
"""


def _file(folder: Path, teacher: Path, old: str = "", new: str = "") -> Path:
    text = FILE.format(teacher=teacher)
    assert not old or old in text
    (folder / "team.toml").write_text(text.replace(old, new) if old else text)
    return write_rows(folder / "rows.jsonl", [{"n": n, "answer": f"it is {n}"} for n in range(30)])


def test_a_student_is_made_taught_and_asked(tiny_folder: Any, tmp_path: Path) -> None:
    rows = _file(tmp_path, tiny_folder("llama", "plain"))
    with rows.open("a") as file:
        file.write('{"n": 1, "answer": null}\n')
    done = pilotfish("distill", "team.toml", "--json", "--quiet", cwd=tmp_path)
    assert "1 row rejected" in done.stderr
    told = json.loads(done.stdout)
    assert told["rows"] + told["held_out"] == 30
    assert told["figures"]["divergence"]["after"] < told["figures"]["divergence"]["before"]
    assert (tmp_path / "half" / "config.json").exists()
    (tmp_path / "use.toml").write_text('[models.small]\nuse = "local"\nweights = "taught"\nmax_tokens = 4\n')
    assert pilotfish("ask", "use.toml", "what is 3?", cwd=tmp_path).returncode == 0
    # A second run repeats nothing and tells the same.
    again = pilotfish("distill", "team.toml", cwd=tmp_path)
    assert "agreement" in again.stderr and "steps:" not in again.stderr


def test_a_draft_is_taught_on_its_target_s_answers(tiny_folder: Any, tmp_path: Path) -> None:
    _file(tmp_path, tiny_folder("llama", "plain"), 'out = "taught"', 'out = "drafts"\nheld_out = 0.2')
    with (tmp_path / "team.toml").open("a") as file:
        file.write("\n[distill.draft]\nmax_tokens = 8\nlength = 2\n")
    done = pilotfish("distill", "team.toml", "--for", "draft", "--json", "--quiet", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert told["length"] == 2 and told["held_out"] == 6
    assert told["after"]["value"] >= 1
    assert (tmp_path / "drafts" / "draft" / "model.safetensors").exists()


def test_a_black_box_s_answers_are_learnt(tiny_folder: Any, tmp_path: Path) -> None:
    """The teacher is a cascade: a collaboration is a model, and any model teaches."""
    text = FILE.format(teacher=tiny_folder("llama", "plain")).partition("[distill]")[0]
    text += """
[models.nested]
use = "cascade"
small = "large"
large = "large"
accept = { score = "mean-logprob", above = -1.0 }

[distill]
student = "STUDENT"
teacher = "nested"
rows = "rows.jsonl"
out = "taught"
prompt = "what is {n}?"
length = 64
device = "cpu"

[distill.answers]
samples = 2
temperature = 0.7
max_tokens = 400

[distill.fit]
steps = 5
""".replace("STUDENT", str(tiny_folder("llama", "plain")))
    (tmp_path / "team.toml").write_text(text)
    write_rows(tmp_path / "rows.jsonl", [{"n": n} for n in range(12)])
    done = pilotfish("distill", "team.toml", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["teacher"] is None and set(told["figures"]) == {"cross_entropy"}
    assert "12 rows, 24 questions" in done.stderr
    assert (tmp_path / "taught-answers" / "rows.jsonl").exists()


def test_two_processes_end_with_what_one_does(tiny_folder: Any, tmp_path: Path) -> None:
    told = []
    # On CPUs `accelerate launch --num_processes 2` starts one process without a word; torch's launcher starts two.
    launch = ["--standalone", "--nproc_per_node", "2"]
    # Each of the two holds half of the teacher; that they do without, too, `tests/train/test_loop.py` shows.
    for name, launcher, own in (("one", [], ""), ("two", launch, "shard = true\n")):
        folder = tmp_path / name
        folder.mkdir()
        _file(folder, tiny_folder("llama", "plain"), "rate = 0.01", 'rate = 0.01\naccumulate = 2\ndtype = "float32"')
        text = (folder / "team.toml").read_text().replace("[distill]\n", f"[distill]\n{own}")
        (folder / "team.toml").write_text(f"{text}warmup = 0.2\n")
        asked = ("distill", "team.toml", "--json", "--quiet")
        if launcher:
            run = forked(module("torch.distributed.run"), *launcher, "-m", "pilotfish.cli.main", *asked, cwd=folder)
            out, said = run.communicate(timeout=240)
            done: Any = subprocess.CompletedProcess(run.args, run.wait(), out.decode(), said.decode())
        else:
            done = pilotfish(*asked, cwd=folder)
        assert done.returncode == 0, done.stderr[-2000:]
        told.append(json.loads(done.stdout))  # told once
        assert told[-1]["processes"] == (2 if launcher else 1)
        assert (folder / "taught" / "model.safetensors").exists() and not (folder / "taught/run/checkpoints").exists()
    one, two = told
    for name, figure in one["figures"].items():
        assert two["figures"][name]["after"] == pytest.approx(figure["after"], rel=1e-4), name
    assert one["steps"] == two["steps"] == 20


def test_the_file_s_settings_and_defaults_are_python_s() -> None:
    from dataclasses import asdict

    from pilotfish.assemble._specs_distill import FitSpec, MatchingSpec, SamplingSpec
    from pilotfish.distill.matching import Matching
    from pilotfish.distill.sampling import Sampling
    from pilotfish.train.settings import Fit

    for spec, own in ((FitSpec(), Fit()), (SamplingSpec(), Sampling()), (MatchingSpec(), Matching())):
        wanted = asdict(own)
        wanted.pop("betas", None)  # in Python only
        assert spec.model_dump() == wanted


def test_mistakes_are_one_line(tiny_folder: Any, tmp_path: Path) -> None:
    teacher = tiny_folder("llama", "plain")
    for old, new, said in (
        ('teacher = "large"', 'teacher = "cloud"', "'cloud' has no weights here"),
        ('divergence = "jsd"', 'divergence = "jds"', "no divergence is called 'jds'"),
        ("beta = 0.5", "skew = 0.5", "jsd has no setting 'skew'"),
        ("rate = 0.01", "rat = 0.01", "rate"),
        ("{n}", "{m}", "'m'"),
        ('device = "cpu"', 'device = "cpu"\nanswers = { samples = 2 }', "is for a teacher without weights here"),
        ("beta = 0.5", "beta = 0.5\nalpha = 0.5\n[distill.draft]", "loss.alpha: a draft learns"),
    ):
        _file(tmp_path, teacher, old, new)
        assert said in error_of(pilotfish("distill", "team.toml", cwd=tmp_path))
    (tmp_path / "team.toml").write_text('[models.large]\nuse = "local"\nweights = "x"\n')
    assert "no [distill] table" in error_of(pilotfish("distill", "team.toml", cwd=tmp_path))
