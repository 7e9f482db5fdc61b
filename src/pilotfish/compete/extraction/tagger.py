"""A small encoder and a layer that tags words with the fields whose values they are, as a folder and as a Model.

Source: Devlin et al. 2019 (BERT), section 5.3: a tag a word, by its first token's last state, no further structure.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pilotfish._extras import need
from pilotfish._saved import facts_in, reading
from pilotfish.compete.extraction.spans import Place, read_out
from pilotfish.model import Call, Reply, Request, TokenLogprob, Trace, WholeReplies
from pilotfish.models._tokens import buckets
from pilotfish.models.encoder import Encoder
from pilotfish.prompt.compress.tokens import Window, states, windows
from pilotfish.train.kept import FOLDER, HEAD, keep_encoder

if TYPE_CHECKING:
    from pilotfish.models.catalog import Catalog

__all__ = ["FILE", "FieldTagger", "TaggerReplies", "words_in"]

_WORD = re.compile(r"\w+|[^\w\s]")
WHAT, FILE, FORMAT = "field tagger", "fields-tagger.json", 1


@dataclass(frozen=True, eq=False)
class Read:
    """What a tagger reads out of a text.

    Attributes:
        values: field -> a text, a list of texts, or None.
        sure: (words,) the probability of each word's tag.
    """

    values: dict[str, Any]
    sure: NDArray[np.float64]


def words_in(text: str) -> list[Place]:
    """Return where the words of a text stand; each sign that is no letter or digit is a word of its own."""
    return [match.span() for match in _WORD.finditer(text)]


class FieldTagger:
    """Reads fields out of texts. Taught by `teach`.

    Args:
        encoder: taught.
        weight: (tags, width) of the layer.
        bias: (tags,).
        fields: in the order of the tags.
        before: what stands before the text in a prompt; a prompt that begins with it is read without it.
        report: what it learnt from, as plain data.
    """

    def __init__(
        self,
        encoder: Encoder,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32],
        fields: Sequence[str],
        *,
        before: str = "",
        report: dict[str, Any] | None = None,
    ) -> None:
        self.encoder, self.weight, self.bias = encoder, weight, bias
        self.fields, self.before, self.report = tuple(fields), before, report or {}

    def read(self, texts: Sequence[str]) -> list[Read]:
        """Return what each text says of the fields."""
        texts = [text.removeprefix(self.before) for text in texts]
        tables = self._probabilities(texts)
        found = []
        for text, table in zip(texts, tables, strict=True):
            tags = table.argmax(axis=1) if len(table) else np.zeros(0, np.int64)
            values = read_out(text, words_in(text), tags.tolist(), self.fields)
            found.append(Read(values, table.max(axis=1) if len(table) else np.ones(0)))
        return found

    def _probabilities(self, texts: Sequence[str]) -> list[NDArray[np.float64]]:
        """Return (words, tags) of each text; of a word in two windows those of the one where it is further inside."""
        torch = need("torch", "local")
        encoder = self.encoder
        encoder.load()
        cut: list[tuple[int, Window]] = []
        for number, text in enumerate(texts):
            cut += [(number, one) for one in windows(encoder, text, words_in(text), "", encoder.max_length) if one.at]
        tables = [np.zeros((len(words_in(text)), len(self.bias))) for text in texts]
        depths = [np.full(len(table), -1) for table in tables]
        device = encoder.model.device
        weight = torch.tensor(self.weight, device=device)
        bias = torch.tensor(self.bias, device=device)
        with encoder._lock, torch.inference_mode():
            for batch in buckets([len(one.ids) for _, one in cut], encoder.batch_tokens):
                some = [cut[i][1] for i in batch]
                last = states(encoder.model[0].auto_model, some, device).float()
                told = torch.softmax(last @ weight.T + bias, dim=-1).double().cpu().numpy()
                for place, i in enumerate(batch):
                    number, one = cut[i]
                    _take(tables[number], depths[number], one, told[place], texts[number])
        for table, depth in zip(tables, depths, strict=True):
            table[depth < 0, 0] = 1.0  # of what the tokenizer makes nothing of
        return tables

    def save(self, folder: str | Path) -> None:
        """Write the tagger: the encoder, the layer, and last the facts."""
        facts = {
            "format": FORMAT,
            "fields": list(self.fields),
            "before": self.before,
            "report": self.report,
            "encoder": FOLDER,
        }
        keep_encoder(folder, FILE, self.encoder, facts, {"weight": self.weight, "bias": self.bias})

    @classmethod
    def load(cls, folder: str | Path, catalog: Catalog | None = None) -> FieldTagger:
        """Read what `save` wrote.

        Raises:
            ModelError: there is none, or a damaged one.
        """
        folder = Path(folder)
        with reading(folder, WHAT):
            facts = facts_in(folder / FILE, WHAT, FORMAT)
            arrays = need("safetensors.numpy", "local").load_file(folder / HEAD)
            encoder = Encoder(str(folder / FOLDER), name=str(facts["name"]), dtype="float32", catalog=catalog)
            fields = [str(one) for one in facts["fields"]]
            return cls(
                encoder,
                arrays["weight"],
                arrays["bias"],
                fields,
                before=str(facts["before"]),
                report=dict(facts["report"]),
            )


def _take(
    table: NDArray[np.float64], depths: NDArray[np.int64], one: Window, told: NDArray[np.float64], text: str
) -> None:
    """Put a window's words into the table: each by its first token, where it is further from the window's ends."""
    ends = [end for _, end in words_in(text)]
    owners = np.searchsorted(ends, [start for start, _ in one.places], side="right")
    seen: set[int] = set()
    for at, owner in zip(one.at, np.minimum(owners, len(ends) - 1).tolist(), strict=True):
        depth = min(owner - one.first, one.last - 1 - owner)
        if owner not in seen and depth > depths[owner]:
            table[owner], depths[owner] = told[at], depth
        seen.add(owner)


class TaggerReplies(WholeReplies):
    """A tagger as a Model: a text in the last user turn, a JSON object of the fields out.

    The log-probability of its one token is that of its least sure word, so that a cascade can go by it.
    """

    def __init__(self, tagger: FieldTagger, name: str = "tagger") -> None:
        self.tagger, self.name = tagger, name

    async def reply(self, request: Request) -> Reply:
        """Answer a text."""
        started = time.perf_counter()
        read = self.tagger.read([request.prompt])[0]
        said = json.dumps(read.values, ensure_ascii=False)
        least = float(read.sure.min()) if len(read.sure) else 1.0
        logprob = math.log(max(least, 1e-300))
        call = Call(self.name, "tagger", seconds=time.perf_counter() - started)
        top = ((said, logprob), ("", math.log(max(1.0 - least, 1e-300))))
        return Reply(said, logprobs=(TokenLogprob(said, logprob, top),), trace=Trace((call,)))
