"""What every test may use: no network, tiny models that load in a moment, and the embedded models."""

from __future__ import annotations

import os
import signal

# The processes of pytest-xdist ignore Ctrl-C, and so would every command that a test starts and stops by it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before anything imports a Hugging Face library: they read these once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# One thread for torch: tiny models gain nothing by more, and threads that wait for one another on a busy machine made
# these tests 13 times slower (measured: 178 s and 13 s).
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder
    from pilotfish.models.local import LocalModel
    from tests.tiny import Cut, Family

    TinyFolder = Callable[..., Path]

# A machine that does other work as well takes now and then a quarter of a second for what takes a millisecond.
# HYPOTHESIS_PROFILE=thorough draws ten times as many examples.
settings.register_profile("shared", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "shared"))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> TinyFolder:
    """Make the folder of a tiny causal language model, once for each family and tokenizer (see `tests.tiny`)."""
    made: dict[tuple[str, str], Path] = {}

    def folder(family: Family = "llama", cut: Cut = "plain") -> Path:
        from tests.tiny import write_lm

        if (family, cut) not in made:
            made[family, cut] = write_lm(tmp_path_factory.mktemp("tiny") / f"{family}-{cut}", family, cut)
        return made[family, cut]

    return folder


@pytest.fixture(scope="session")
def tiny_lm(tiny_folder: TinyFolder) -> LocalModel:
    """A tiny Llama in float32, loaded; its tokenizer has a chat template."""
    from pilotfish.models.local import LocalModel

    return LocalModel(tiny_folder(), name="tiny", dtype="float32", device="cpu").load()


@pytest.fixture(scope="session")
def tiny_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sentence-transformers folder of a tiny BERT: 48 dimensions, 32 tokens at most, normalised."""
    from tests.tiny import write_encoder

    return write_encoder(tmp_path_factory.mktemp("tiny") / "encoder")


@pytest.fixture(scope="session")
def tiny_encoder(tiny_encoder_folder: Path) -> Encoder:
    """The tiny BERT, loaded."""
    from pilotfish.models.encoder import Encoder

    return Encoder(tiny_encoder_folder, name="tiny-encoder", device="cpu").load()


@pytest.fixture(scope="session")
def smollm2() -> LocalModel:
    """SmolLM2-135M-Instruct in float32. Mark the test `models`; `make models` fetches the weights."""
    from pilotfish.models.local import LocalModel

    _is_here("smollm2-135m-instruct")
    return LocalModel("smollm2-135m-instruct", dtype="float32", device="cpu").load()


@pytest.fixture(scope="session")
def minilm() -> Encoder:
    """all-MiniLM-L6-v2 in float32. Mark the test `models`; `make models` fetches the weights."""
    from pilotfish.models.encoder import Encoder

    _is_here("all-minilm-l6-v2")
    return Encoder("all-minilm-l6-v2", device="cpu").load()


def _is_here(weights: str) -> None:
    """Fail where the weights are not on this machine: a test fetches nothing."""
    from pilotfish.models.catalog import Catalog

    Catalog.load().resolve(weights, pull=False)
