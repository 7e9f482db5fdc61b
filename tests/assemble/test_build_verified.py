"""Verified models in a collaboration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.errors import ConfigError
from pilotfish.infer import Above
from pilotfish.model import Request
from pilotfish.prompt.verify import CitedAgreement, Grounded, PassesTests, SumsHold, Together, Verified
from tests.fakes_answers import Answer
from tests.fakes_http import ScriptedUpstream, Seen


def loaded(folder: Path, text: str) -> Collaboration:
    (folder / "c.toml").write_text(text, encoding="utf-8")
    return Collaboration.load(folder / "c.toml")


CLOUD = '[models.cloud]\nuse = "openai"\nmodel = "m"\nbase_url = "{url}"\ncache = false\n'


def test_checks_of_a_file_become_a_verifier(tmp_path: Path) -> None:
    (tmp_path / "tests.py").write_text("assert f(1) == 2\n", encoding="utf-8")
    models = loaded(
        tmp_path,
        CLOUD.format(url="http://127.0.0.1:9/v1")
        + """
[models.checked]
use = "verified"
model = "cloud"
need = "any"
on_reject = "refine"
tries = 2
then = "best"
fallback = "cloud"
verify = [
  { by = "sums", needed = true },
  { by = "tests", tests_file = "tests.py", seconds = 5 },
  { by = "grounded", nli = "words", above = 0.7, over = "mean" },
  { by = "cited", model = "cloud", nli = "words", all_if_none = false, max_tokens = 9 },
  { score = "mean-logprob", above = -1.0 },
]
""",
    )
    made = models.model("checked")
    assert isinstance(made, Verified)
    assert (made.on_reject, made.tries, made.then, made.logprobs) == ("refine", 2, "best", True)
    assert made.fallback is models.model("cloud")
    assert isinstance(made.verifier, Together) and made.verifier.need == "any"
    sums, tests, grounded, cited, score = made.verifier.verifiers
    assert sums == SumsHold(needed=True)
    assert tests == PassesTests("assert f(1) == 2\n", 5)
    assert isinstance(grounded, Grounded) and (grounded.above, grounded.over) == (0.7, "mean")
    assert isinstance(cited, CitedAgreement) and cited.agreement is not None and not cited.all_if_none
    assert score == Above("mean-logprob", -1.0)


def test_a_cascade_accepts_by_the_same_checks(tmp_path: Path) -> None:
    def says(seen: Seen) -> Answer:
        return Answer("3 + 4 = 8" if seen.body["model"] == "small" else "3 + 4 = 7")

    with ScriptedUpstream(says) as upstream:
        models = loaded(
            tmp_path,
            CLOUD.format(url=upstream.url)
            + CLOUD.replace("cloud", "little").replace('"m"', '"small"').format(url=upstream.url)
            + '[models.both]\nuse = "cascade"\nsmall = "little"\nlarge = "cloud"\naccept = { by = "sums" }\n',
        )
        assert ask(models.model("both"), Request.of("3 + 4?")).text == "3 + 4 = 7"


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("verify = []", "verify"),
        ('verify = [{ by = "cited" }]', "needs `model`"),
        ('verify = [{ by = "sums", nli = "words" }]', "takes no `nli`"),
        ('verify = [{ by = "tests", tests_file = "none.py" }]', "tests_file"),
        ('verify = [{ by = "verifier", path = "none" }]', "verifier"),
        ('verify = [{ by = "sums" }]\ntemperature = 0', "temperature 0"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, table: str, fault: str) -> None:
    text = CLOUD.format(url="http://127.0.0.1:9/v1") + f'[models.c]\nuse = "verified"\nmodel = "cloud"\n{table}\n'
    with pytest.raises(Exception, match=fault) as told:
        loaded(tmp_path, text).model("c")
    assert "\n" not in str(told.value)
    assert isinstance(told.value, ConfigError) or "verifier" in fault
