"""Few threads: the made-up tasks are tiny, and on a busy machine threads that wait for one another cost seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pilotfish._extras import need

if TYPE_CHECKING:
    from pathlib import Path

    from pilotfish.models.encoder import Encoder


@pytest.fixture(autouse=True, scope="package")
def few_threads() -> Iterator[None]:
    """One thread for the linear algebra of the tests in this folder."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with need("threadpoolctl", "train").threadpool_limits(1):
        yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="package")
def few_timings() -> Iterator[None]:
    """Each candidate's latency is measured on few single rows: what it is says nothing of a tiny model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pilotfish.compete.students.TIMED", 8)
        yield


@pytest.fixture(autouse=True, scope="package")
def few_pairs() -> Iterator[None]:
    """Contrastive students draw few pairs: the made-up tasks are told apart by two words."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pilotfish.train.contrast.pairs_for", lambda texts: 48)
        yield


@pytest.fixture(scope="package")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for static vectors, so that the user's own is left alone."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def encoder(tiny_encoder_folder: Path, own_home: Path) -> Iterator[Encoder]:
    """A tiny encoder whose static vectors are kept in a folder of the tests."""
    from pilotfish.models.encoder import Encoder

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PILOTFISH_HOME", str(own_home))
        yield Encoder(tiny_encoder_folder, name="tiny", device="cpu", threads=1).load()
