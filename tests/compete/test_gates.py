from __future__ import annotations

import pytest

from pilotfish.compete import gates


@pytest.mark.parametrize(
    ("licences", "allowed", "status"),
    [
        ({"a": "apache-2.0", "b": "MIT"}, (), "pass"),
        ({"a": "apache-2.0", "b": "llama3"}, (), "warn"),
        ({"a": "unknown"}, (), "warn"),
        ({"a": "apache-2.0", "b": gates.SERVED}, (), "pass"),
        ({"a": "apache-2.0", "b": "MIT"}, ("mit",), "fail"),
        ({"a": "Apache-2.0"}, ("apache-2.0",), "pass"),
        ({"a": "llama3"}, ("LLAMA3",), "pass"),
        ({"a": "apache-2.0", "b": gates.SERVED}, ("apache-2.0",), "pass"),
    ],
)
def test_licences(licences: dict[str, str], allowed: tuple[str, ...], status: str) -> None:
    gate = gates.licence_gate(licences, allowed)
    assert gate.status == status
    assert all(name in gate.text for name in licences)


def test_memory_is_of_the_choice_not_of_the_measurement() -> None:
    assert gates.memory_gate(2**30, 2**33, None).status == "pass"
    assert gates.memory_gate(2**30, 2**33, 2**30).status == "pass"
    failed = gates.memory_gate(2**30 + 1, 2**33, 2**30)
    assert failed.status == "fail"
    assert "1.00 GiB" in failed.text and "8.00 GiB" in failed.text


@pytest.mark.parametrize(("cut", "status"), [(5, "pass"), (6, "warn"), (20, "warn"), (21, "fail")])
def test_the_worst_model_decides_about_truncation(cut: int, status: str) -> None:
    gate = gates.truncation_gate({"a": (0, 1000), "b": (cut, 100)})
    assert gate.status == status
    assert f"b cut {cut} of 100" in gate.text


def test_truncation_of_no_texts() -> None:
    assert gates.truncation_gate({"a": (0, 0)}).status == "pass"


def test_labels_that_training_lacks() -> None:
    assert gates.unseen_gate({}, 100).status == "pass"
    assert gates.unseen_gate({"odd": 5}, 100).status == "warn"
    gate = gates.unseen_gate({"odd": 4, "rare": 2}, 100)
    assert gate.status == "fail"
    assert "odd (4), rare (2)" in gate.text and "6 of 100" in gate.text
