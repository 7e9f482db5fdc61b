"""`need`: an optional dependency, or the exact command that installs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pilotfish._extras import need
from pilotfish.errors import MissingExtra


def test_a_module_that_is_there_is_given() -> None:
    assert need("json", "local") is json
    assert need("os.path", "local") is __import__("os").path


@pytest.mark.parametrize("module", ["no_such_package_here", "no_such_package_here.part"])
def test_a_missing_one_names_the_command(module: str) -> None:
    with pytest.raises(MissingExtra) as caught:
        need(module, "train")
    assert str(caught.value) == "no_such_package_here is not installed: pip install 'pilotfish[train]'"


def test_a_module_that_lacks_a_dependency_of_its_own_is_another_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_extra_module.py").write_text("import no_such_dependency_of_it\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency_of_it"):
        need("broken_extra_module", "local")


def test_the_light_modules_import_no_heavy_library() -> None:
    script = (
        "import sys, pilotfish, pilotfish.model, pilotfish.models.local, pilotfish.models.encoder, "
        "pilotfish.models.classify\n"
        "print([m for m in ('torch', 'transformers', 'sklearn', 'sentence_transformers', 'model2vec') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
