"""C compiled by the user's compiler: once, for this machine, and what is said where it cannot be."""

from __future__ import annotations

import ctypes
import stat
from pathlib import Path

import pytest

from pilotfish import _native
from pilotfish._native import NativeUnavailable, find_compiler, for_this_cpu, plain


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PILOTFISH_HOME", str(tmp_path / "home"))
    path = tmp_path / "_twice.c"
    path.write_text("int twice(int x) { return 2 * x; }\n")
    return path


def has_compiler() -> bool:
    try:
        find_compiler()
    except NativeUnavailable:
        return False
    return True


needs_compiler = pytest.mark.skipif(not has_compiler(), reason="no C compiler here")
FLAGS = ("-O1", "-shared", "-fPIC")


@needs_compiler
@pytest.mark.parametrize("make", [plain, for_this_cpu])
def test_compiled_once_under_a_name_of_all_it_depends_on(source: Path, make: object) -> None:
    assert callable(make)
    first = make(source, FLAGS)
    assert ctypes.CDLL(str(first)).twice(21) == 42
    written = first.stat().st_mtime_ns
    assert make(source, FLAGS) == first
    assert first.stat().st_mtime_ns == written
    assert make(source, (*FLAGS, "-DMORE")) != first
    source.write_text("int twice(int x) { return x + x; }\n")
    assert make(source, FLAGS) != first
    assert first.name.startswith("twice-")
    assert stat.S_IMODE(first.parent.stat().st_mode) == 0o700


@needs_compiler
def test_a_machine_that_the_compiler_does_not_know_gets_plain_code(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = tmp_path / "cc"
    wrapper.write_text('#!/bin/sh\nfor a in "$@"; do case $a in -m*) echo "error: unknown" >&2; exit 1; esac; done\n')
    wrapper.write_text(wrapper.read_text() + f'exec {find_compiler()[0]} "$@"\n')
    wrapper.chmod(0o700)
    monkeypatch.setenv("CC", str(wrapper))
    assert ctypes.CDLL(str(for_this_cpu(source, FLAGS))).twice(4) == 8


def test_what_is_wrong_is_said(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(NativeUnavailable, match="no-such-compiler is not on the path"):
        plain(source, FLAGS)
    broken = tmp_path / "cc"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && echo broken 1.0 && exit\necho "error: no luck" >&2; exit 1\n')
    broken.chmod(0o700)
    monkeypatch.setenv("CC", str(broken))
    for make in (plain, for_this_cpu):
        with pytest.raises(NativeUnavailable, match="no luck"):
            make(source, FLAGS)
    assert not list((tmp_path / "home" / "native").iterdir())
    monkeypatch.setenv("PILOTFISH_HOME", str(source))
    with pytest.raises(NativeUnavailable, match="cannot be kept"):
        plain(source, FLAGS)
    monkeypatch.setenv("PILOTFISH_NATIVE", "0")
    assert _native.turned_off()
