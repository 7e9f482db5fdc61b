"""A table against its spec: one line, the nearest key, the place."""

from __future__ import annotations

from typing import Any

import pytest

from pilotfish.assemble._spec import Spec
from pilotfish.assemble._specs_advise import AdviseSpec
from pilotfish.assemble._specs_cascade import CascadeSpec
from pilotfish.assemble.check import checked
from pilotfish.assemble.specs import LocalSpec, MapSpec, OpenAISpec
from pilotfish.errors import ConfigError


@pytest.mark.parametrize(
    ("spec", "table", "message"),
    [
        (LocalSpec, {"use": "local", "wights": "x"}, r"^here: unknown key 'wights'; did you mean 'weights'\?$"),
        (LocalSpec, {"use": "local"}, "^here: the key 'weights' is missing$"),
        (LocalSpec, {"use": "local", "weights": "x", "threads": 0}, "^here: threads: .*greater than or equal to 1"),
        (LocalSpec, {"use": "local", "weights": "x", "threads": "2"}, "^here: threads: .*valid integer"),
        (LocalSpec, {"use": "local", "weights": "x", "dtype": "float8"}, "^here: dtype: .*'bfloat16'"),
        (LocalSpec, {"use": "local", "weights": "x", "quantize": "int3"}, "^here: quantize: .*'int8'"),
        (LocalSpec, {"use": "local", "weights": "x", "backend": "cuda"}, "^here: backend: .*'transformers'"),
        (
            CascadeSpec,
            {"use": "cascade", "small": "a", "large": "b", "accept": {"score": "x", "abov": 1}},
            r"unknown key 'accept.abov'; did you mean 'above'\?",
        ),
        (CascadeSpec, {"use": "cascade", "small": "a", "large": "b"}, "^here: a cascade takes `accept`, or `accepts`"),
        (
            CascadeSpec,
            {"use": "cascade", "small": "a", "accept": {"by": "schema"}},
            "^here: a cascade takes `small`",
        ),
        (
            CascadeSpec,
            {"use": "cascade", "models": ["a", "b", "c"], "accepts": [{"by": "schema"}]},
            "^here: 3 models need 2 in `accepts`, not 1$",
        ),
        (
            CascadeSpec,
            {"use": "cascade", "small": "a", "large": "b", "accept": {"by": "agreement"}},
            "^here: accept: accept by agreement needs `above`$",
        ),
        (
            CascadeSpec,
            {"use": "cascade", "small": "a", "large": "b", "accept": {"by": "pattern", "pattern": "x", "above": 1}},
            "^here: accept: accept by pattern takes no `above`; it takes pattern$",
        ),
        (OpenAISpec, {"use": "openai", "model": "m", "price": {"in": 2}}, r"'price.in'; did you mean 'input'\?"),
        (AdviseSpec, {"rows": "r", "text": "t", "label": "l", "seed": "x"}, r"seed: .*valid integer"),
        (MapSpec, {"concurrency": 0}, "concurrency"),
    ],
)
def test_a_fault_is_one_line(spec: type[Spec], table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        checked(spec, table, "here")
    assert "\n" not in str(caught.value)


def test_whole_numbers_serve_as_fractions_and_defaults_hold() -> None:
    spec = checked(AdviseSpec, {"rows": "r", "text": "t", "label": "l", "max_seconds": 60}, "here")
    assert spec.max_seconds == 60.0
    assert (spec.small, spec.large, spec.margin) == ("small", None, 0.02)


def test_a_secret_of_a_faulty_table_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        checked(OpenAISpec, {"use": "openai", "model": {"key": "sk-secret"}}, "here")
    assert "sk-secret" not in str(caught.value)
