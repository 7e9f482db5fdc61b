"""An engine on llama.cpp: a GGUF file as it is, in the quantisation that its maker chose.

Through `cyllama`, whose wheels hold llama.cpp compiled for any processor of a kind (it picks its kernels at run time),
so that no compiler is needed. It hands logits over as lists of Python's numbers: some milliseconds a token, which count
in what is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish.errors import ModelError
from pilotfish.measure.meters import usable_cores

__all__ = ["LlamaEngine"]

Floats = NDArray[np.float32]
ROWS = 32  # that stand beside the held line at a time


class LlamaEngine:
    """An engine on a GGUF file.

    Args:
        path: the file.
        length: tokens that are held at most; llama.cpp takes their memory at once.
        threads: None is every core that the process may use.

    Raises:
        MissingExtra: cyllama is not installed.
        ModelError: llama.cpp does not load the file.
    """

    def __init__(self, path: Path, length: int, threads: int | None = None) -> None:
        self._library = library = need("cyllama.llama.llama_cpp", "llamacpp")
        library.disable_logging()
        library.ggml_backend_load_all()
        settings = library.LlamaModelParams()
        settings.n_gpu_layers = 0
        context = library.LlamaContextParams()
        context.n_ctx = context.n_batch = length
        context.n_seq_max = ROWS + 1
        context.kv_unified = True  # one room for all rows: what they share is held once
        context.n_threads = context.n_threads_batch = threads or usable_cores()
        try:
            self._model = _model_class()(str(path), settings)
            self._context: Any = library.LlamaContext(self._model, context)
        except Exception as error:  # its errors share no base but Exception
            raise ModelError(f"{path}: llama.cpp does not load it: {error}") from error
        self._length = length
        self.about = f"llama.cpp by cyllama {need('cyllama', 'llamacpp').__version__}"

    def extend(self, ids: Sequence[int], at: int, wanted: Sequence[int]) -> Floats:
        """Read on from the first `at` tokens, and keep what was read."""
        self._context.memory_seq_rm(0, at, -1)
        return np.asarray(self._read([ids], at, wanted, first=0)[0])

    def beside(self, rows: Sequence[Sequence[int]], at: int, wanted: Sequence[int]) -> Floats:
        """Read rows after the first `at` tokens, and keep none."""
        found = []
        # What is held and the rows share one room, of which the rows may take what those before them leave.
        many = max(1, min(ROWS, (self._length - self._held()) // len(rows[0])))
        for start in range(0, len(rows), many):
            part = rows[start : start + many]
            for i in range(len(part)):
                self._context.memory_seq_cp(0, i + 1, 0, at)
            try:
                found.append(self._read(part, at, wanted, first=1))
            finally:
                for i in range(len(part)):
                    self._context.memory_seq_rm(i + 1, -1, -1)
        return np.concatenate(found)

    def _held(self) -> int:
        return int(self._context.memory_seq_pos_max(0)) + 1

    def _read(self, rows: Sequence[Sequence[int]], at: int, wanted: Sequence[int], first: int) -> Floats:
        asked = set(wanted)
        batch: Any = self._library.LlamaBatch(n_tokens=sum(map(len, rows)), embd=0, n_seq_max=1)
        places = []
        for i, row in enumerate(rows):
            for n, token in enumerate(row):
                if n in asked:
                    places.append(i * len(row) + n)
                batch.add(token, at + n, [first + i], n in asked)
        self._context.decode(batch)
        logits = np.array([self._context.get_logits_ith(place) for place in places], dtype=np.float32)
        return logits.reshape(len(rows), len(wanted), -1)


@cache
def _model_class() -> Any:
    """Return its model with the number of tokens as the attribute that its context looks for and does not find."""
    library = need("cyllama.llama.llama_cpp", "llamacpp")

    class Model(library.LlamaModel):  # type: ignore[misc, name-defined]
        @property
        def n_vocab(self) -> int:
            return int(self.get_vocab().n_vocab)

    return Model
