"""Steps that clean rows, from their tables, and `pilotfish curate` with them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from pilotfish.assemble import Collaboration
from pilotfish.assemble._build_curate import build_curate
from pilotfish.curate.kenlm import KenLM
from pilotfish.curate.language import Language
from pilotfish.curate.redact import Redact
from pilotfish.curate.semantic import Semantic
from pilotfish.curate.substrings import Substrings
from pilotfish.errors import ConfigError
from tests.cli.help import pilotfish, read_rows, write_rows, write_toml
from tests.curate.test_kenlm import arpa

TOP = '[curate]\nin = "rows.jsonl"\nout = "out"\ntext = "body"\n'


def built(step: str, folder: Path | None = None) -> Any:
    models = Collaboration(tomllib.loads(f"{TOP}[[curate.steps]]\n{step}"), where="x.toml", folder=folder)
    assert models.curate is not None
    (found,) = build_curate(models.curate, models)
    return found


def test_language_is_as_its_table_says() -> None:
    pytest.importorskip("py3langid", reason="the extra `language` is not installed")
    step = built('do = "language"\nkeep = ["en"]\nleast = 0.7\namong = ["en", "de"]\ninto = "lang"\ncharacters = 500')
    wanted = Language(["en"], least=0.7, among=["en", "de"], text="body", into="lang", characters=500)
    assert isinstance(step, Language) and step.config() == wanted.config()
    assert built('do = "language"').config() == Language(text="body").config()


def test_redaction_is_as_its_table_says() -> None:
    step = built('do = "redact"\nkinds = ["email", "ip"]\nmarks = { ip = "[ip]" }\ninto = "seen"\nmost = 3')
    wanted = Redact(["email", "ip"], marks={"ip": "[ip]"}, text="body", into="seen", most=3)
    assert isinstance(step, Redact) and step.config() == wanted.config()
    assert built('do = "redact"').config() == Redact(text="body").config()


def test_substrings_are_as_their_table_says() -> None:
    step = built('do = "substrings"\nwords = 30\nkeep = "none"\ndrop = 0.5\nshortest = 9\ninto = "cut"')
    wanted = Substrings(30, keep="none", drop=0.5, shortest=9, text="body", into="cut")
    assert isinstance(step, Substrings) and step.config() == wanted.config()
    assert built('do = "substrings"').config() == Substrings(text="body").config()


def test_semantic_is_as_its_table_says(tiny_encoder_folder: Path) -> None:
    where = f'do = "semantic"\nencoder = "{tiny_encoder_folder}"\n'
    step = built(where + 'threshold = 0.9\nkeep = "near"\nclusters = 4\nseed = 3\ncolumns = ["title", "body"]')
    wanted = Semantic(tiny_encoder_folder, 0.9, keep="near", clusters=4, seed=3, text=["title", "body"])
    assert isinstance(step, Semantic) and step.config() == wanted.config()
    assert built(where).config() == Semantic(tiny_encoder_folder, text="body").config()


def test_kenlm_is_as_its_table_says(tmp_path: Path) -> None:
    pytest.importorskip("kenlm", reason="the extra `kenlm` is not installed (it comes as source)")
    for name in ("en.arpa", "de.arpa"):
        arpa(tmp_path / name)
    step = built('do = "kenlm"\nmodels = "en.arpa"\nform = "none"\ninto = "ppl"\nleast = 2\nmost = 900.5', tmp_path)
    wanted = KenLM(tmp_path / "en.arpa", form="none", text="body", into="ppl", least=2, most=900.5)
    assert isinstance(step, KenLM) and step.config() == wanted.config()
    step = built('do = "kenlm"\nby = "language"\nmodels = { en = "en.arpa", de = "de.arpa" }', tmp_path)
    models = {"en": tmp_path / "en.arpa", "de": tmp_path / "de.arpa"}
    assert step.config() == KenLM(models, by="language", text="body").config()


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ('do = "redact"\nkinds = ["mail"]', "kinds"),
        ('do = "redact"\nkinds = ["ip"]\nmarks = { email = "x" }', "a mark for 'email', which is not looked for"),
        ('do = "redact"\nmark = "x"', "did you mean 'marks'?"),
        ('do = "language"\nleast = "high"', "least"),
        ('do = "substrings"\nkeep = "last"', "keep"),
        ('do = "languages"', "did you mean 'language'?"),
    ],
)
def test_what_a_table_may_not_say(step: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        built(step)
    assert said in str(raised.value)


def test_rows_are_cleaned_from_a_file(tmp_path: Path) -> None:
    pytest.importorskip("py3langid", reason="the extra `language` is not installed")
    write_rows(
        tmp_path / "rows.jsonl",
        [
            {"body": "Please write to jane@example.com before the committee meets again on Thursday."},
            {"body": "Der Ausschuss tritt am Donnerstag erneut zusammen; fragen Sie 8.8.8.8."},
        ],
    )
    steps = '[[curate.steps]]\ndo = "redact"\n[[curate.steps]]\ndo = "language"\nkeep = ["en"]\n'
    done = pilotfish("curate", write_toml(tmp_path / "curate.toml", TOP + steps), "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = read_rows(tmp_path / "out" / "kept.jsonl")
    assert "<EMAIL>" in row["body"] and row["redacted"] == {"email": 1} and row["language"] == "en"
    (left,) = read_rows(tmp_path / "out" / "dropped.jsonl")
    assert left["reason"].startswith("language.de: ") and left["row"]["body"].endswith("fragen Sie <IP>.")
    assert "1 email found" in done.stdout and "What was found" in (tmp_path / "out" / "report.html").read_text()
