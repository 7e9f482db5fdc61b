"""A sequence-to-sequence model that reads one text and is asked how likely another is: BART, T5 and their kin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pilotfish._extras import need
from pilotfish.errors import DataError, ModelError
from pilotfish.evaluate.likelihood import Progress, Told
from pilotfish.models import _weights
from pilotfish.models._tokens import buckets

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["Seq2Seq"]


class Seq2Seq:
    """Reads pairs of texts. Loads on first use, once.

    Args:
        weights: a catalog name, `hf:org/name`, or a folder of transformers weights.
        name: the name in reports.
        dtype: "float32", "bfloat16", "float16" or "auto".
        device: "auto", "cpu", "cuda", "mps".
        batch_tokens: the most tokens, padding included, of either side in one pass.
        catalog: where names are looked up.
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        name: str | None = None,
        dtype: str = "float32",
        device: str = "auto",
        batch_tokens: int = 4096,
        catalog: Catalog | None = None,
    ) -> None:
        _weights.check_dtype(dtype)
        self.weights, self.name = str(weights), name or Path(str(weights)).name
        self.dtype, self.device, self.batch_tokens = dtype, device, batch_tokens
        self._catalog = catalog
        self._loaded: tuple[Any, Any] | None = None

    def load(self) -> tuple[Any, Any]:
        """Return model and tokenizer, loaded.

        Raises:
            ModelError: no such model, or no sequence-to-sequence one.
            MissingExtra: torch or transformers are not installed.
        """
        if self._loaded is None:
            transformers = need("transformers", "local")
            _weights.quiet(transformers)
            folder, _ = _weights.located(self.weights, self._catalog)
            device = _weights.pick_device(self.device)
            try:
                model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
                    str(folder), dtype=_weights.pick_dtype(self.dtype, device), use_safetensors=True
                )
                tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
            except Exception as error:  # each library on the way raises its own kinds
                reason = _weights.first_line(error)
                raise ModelError(f"{self.weights}: no sequence-to-sequence model that loads: {reason}") from error
            self._loaded = model.to(device).eval(), tokenizer
        return self._loaded

    def of(self, pairs: Sequence[tuple[str, str]], *, progress: Progress | None = None) -> list[Told]:
        """Return of each (x, y) the log-probabilities of y's tokens given x, its special tokens included.

        An x that is longer than the encoder takes is cut at its end, which is told.

        Raises:
            DataError: a y longer than the decoder takes.
        """
        torch = need("torch", "local")
        model, tokenizer = self.load()
        most = self._most(model, tokenizer)
        read, asked, notes = [], [], []
        for number, (given, text) in enumerate(pairs, 1):
            ids = list(tokenizer(given, verbose=False)["input_ids"])
            end = ids[-1:] if ids[-1:] == [tokenizer.eos_token_id] else []
            over = len(ids) - most
            read.append(ids if over <= 0 else ids[: most - len(end)] + end)
            notes.append(f"cut: {over} tokens of what was given were not read" if over > 0 else "")
            own = list(tokenizer(text_target=text, verbose=False)["input_ids"])
            if len(own) > most:
                raise DataError(f"row {number}: {len(own)} tokens to be found likely, {self.name} takes {most}")
            asked.append(own)
        found: list[Any] = [None] * len(pairs)
        with torch.inference_mode():
            for batch in buckets([max(len(read[i]), len(asked[i])) for i in range(len(pairs))], self.batch_tokens):
                for place, logprobs in zip(
                    batch, self._pass([read[i] for i in batch], [asked[i] for i in batch]), strict=True
                ):
                    found[place] = logprobs
                if progress:
                    progress(len(batch))
        return [Told(one, note) for one, note in zip(found, notes, strict=True)]

    def _pass(self, read: Sequence[Sequence[int]], asked: Sequence[Sequence[int]]) -> list[Any]:
        torch = need("torch", "local")
        model, _ = self.load()
        ids, mask = _padded(read)
        targets, there = _padded(asked)
        start = model.config.decoder_start_token_id
        before = torch.cat([torch.full((len(asked), 1), start, dtype=torch.long), targets[:, :-1]], dim=1)
        device = model.device
        logits = model(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            decoder_input_ids=before.to(device),
            decoder_attention_mask=there.to(device),
            use_cache=False,
        ).logits.float()
        own = logits.log_softmax(-1).gather(-1, targets.to(device)[..., None])[..., 0].cpu().numpy()
        return [np.array(row[: len(some)], np.float32) for row, some in zip(own, asked, strict=True)]

    def _most(self, model: Any, tokenizer: Any) -> int:
        places = getattr(model.config, "max_position_embeddings", None) or 2**31
        return int(min(places, tokenizer.model_max_length, 2**31))


def _padded(rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    torch = need("torch", "local")
    longest = max(1, *map(len, rows))
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[place, : len(row)] = 1
    return ids, mask
