"""A sequence-to-sequence model that reads one text and is asked how likely another is: BART, T5 and their kin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pilotfish._extras import need
from pilotfish.evaluate._weights import Loaded, padded
from pilotfish.evaluate.likelihood import Progress, Told
from pilotfish.models._tokens import buckets

__all__ = ["Seq2Seq"]


class Seq2Seq(Loaded):
    """Reads pairs of texts; the arguments are those of `Loaded`."""

    kind, what = "AutoModelForSeq2SeqLM", "sequence-to-sequence model"

    def of(self, pairs: Sequence[tuple[str, str]], *, progress: Progress | None = None) -> list[Told]:
        """Return of each (x, y) the log-probabilities of y's tokens given x, its special tokens included.

        An x or a y that is longer than the model takes is cut at its end, which is told.
        """
        torch = need("torch", "local")
        _, tokenizer = self.load()
        most = self.most
        read, asked, notes = [], [], []
        for given, text in pairs:
            ids = list(tokenizer(given, verbose=False)["input_ids"])
            end = ids[-1:] if ids[-1:] == [tokenizer.eos_token_id] else []
            over = len(ids) - most
            read.append(ids if over <= 0 else ids[: most - len(end)] + end)
            odd = [f"cut: {over} tokens of what was given were not read"] if over > 0 else []
            own = list(tokenizer(text_target=text, verbose=False)["input_ids"])
            odd += [f"long: its last {len(own) - most} tokens were not scored"] if len(own) > most else []
            asked.append(own[:most])
            notes.append("; ".join(odd))
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
        ids, mask = padded(read)
        targets, there = padded(asked)
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
