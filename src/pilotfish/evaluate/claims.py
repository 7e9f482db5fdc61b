"""What a text claims, one claim at a time, and which of its claims are borne out, denied or not to be found.

Source: Hu et al. 2024 (RefChecker), sections 3.2 (claims as triplets), 3.3 (a checker says of each claim entailment,
contradiction or neutral) and 3.4 (how they are summed); Min et al. 2023 (FActScore), section 3.1, for atomic sentences.
A model takes the claims out; a small one checks them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pilotfish.errors import ConfigError, DataError, UpstreamError
from pilotfish.evaluate.nli import CONTRADICTION, ENTAILMENT, Infers, over_pieces
from pilotfish.evaluate.scores import Scores
from pilotfish.measure.answers import unfenced
from pilotfish.measure.judging import filled_in
from pilotfish.model import Request
from pilotfish.models.calls import heard
from pilotfish.rows.sentences import pieces_of, sentences_of

if TYPE_CHECKING:
    from pilotfish.model import Model

__all__ = ["Claim", "ClaimCheck", "Claims"]

Verdict = Literal["entailed", "contradicted", "neutral"]

SENTENCES = """List what the text below claims, as short sentences. Each sentence says one thing, can be checked by
itself (names instead of "he", "it" or "there"), and adds nothing that the text does not say. A text that claims nothing
has an empty list.

Text: {text}

Answer with a JSON object: {"claims": ["...", "..."]}"""

TRIPLETS = """List what the text below claims, as triplets of subject, relation and object. Each triplet says one thing,
can be checked by itself (names instead of "he", "it" or "there"), and adds nothing that the text does not say. A text
that claims nothing has an empty list.

Text: {text}

Answer with a JSON object: {"claims": [["subject", "relation", "object"], ...]}"""

_ONE = {"type": "string", "minLength": 1}
_FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "sentences": (SENTENCES, _ONE),
    "triplets": (TRIPLETS, {"type": "array", "items": _ONE, "minItems": 3, "maxItems": 3}),
}


@dataclass(frozen=True)
class Claim:
    """One claim of a text.

    Attributes:
        text: the claim; a triplet's parts with spaces between.
        verdict: what the source says of it; None before it was checked.
        entailment, contradiction: by the checker; see `over_pieces`.
    """

    text: str
    verdict: Verdict | None = None
    entailment: float = 0.0
    contradiction: float = 0.0


class Claims:
    """Takes the claims out of texts. Each text is asked about once: answers are stored.

    Args:
        model: who is asked.
        folder: where answers are stored.
        form: "sentences" or "triplets".
        prompt: with {text}; the form's own by default. The reply must be a JSON object with "claims".
        max_tokens: of a reply.
        concurrency: calls at once; None goes by the model.

    Raises:
        ConfigError: another form, or a prompt without the place.
    """

    def __init__(
        self,
        model: Model,
        folder: str | Path,
        *,
        form: str = "sentences",
        prompt: str | None = None,
        max_tokens: int = 512,
        concurrency: int | None = None,
    ) -> None:
        if form not in _FORMS:
            raise ConfigError(f"claims are sentences or triplets, not {form!r}")
        own, self._item = _FORMS[form]
        self.model, self.folder, self.form = model, Path(folder), form
        self.prompt = own if prompt is None else prompt
        if "{text}" not in self.prompt:
            raise ConfigError("the prompt needs the place {text}")
        self.max_tokens, self.concurrency = max_tokens, concurrency

    def request(self, text: str) -> Request:
        """Return what is asked about a text; a local model can answer nothing but such an object."""
        claims = {"type": "array", "items": self._item}
        schema: dict[str, Any] = {"type": "object", "properties": {"claims": claims}, "required": ["claims"]}
        schema["additionalProperties"] = False
        form = {"type": "json_schema", "json_schema": {"name": "claims", "schema": schema, "strict": True}}
        prompt = filled_in(self.prompt, text=text)
        return Request.of(prompt, max_tokens=self.max_tokens, temperature=0.0, response_format=form)

    def of(self, texts: Sequence[str], *, progress: bool = False) -> list[list[Claim] | str]:
        """Return each text's claims, or why there are none to be had.

        Raises:
            UpstreamError: the endpoint failed for some; what it answered stays, and the next run asks for the rest.
        """
        distinct = [text for text in dict.fromkeys(texts) if text.strip()]
        self.folder.mkdir(parents=True, exist_ok=True)
        asked = [(self.request(text), 0) for text in distinct]
        told = heard(self.model, asked, self.folder / "claims.sqlite", concurrency=self.concurrency, progress=progress)
        if told.again:
            raise UpstreamError(
                f"{self.model.name} failed for {told.again:,} texts: run again, what it answered is kept"
            )
        found: dict[str, list[Claim] | str] = {
            text: "no answer" if said is None else self._read(said.text)
            for text, said in zip(distinct, told.said, strict=True)
        }
        return [found.get(text, []) for text in texts]

    def _read(self, reply: str) -> list[Claim] | str:
        try:
            told = json.loads(unfenced(reply).strip())
            claims = told["claims"]
        except (ValueError, KeyError, TypeError):
            return "no JSON object with claims in the answer"
        if not isinstance(claims, list):
            return "the claims of the answer are no list"
        found = []
        for one in claims:
            parts = one if isinstance(one, list) else [one]
            if not parts or not all(isinstance(part, str) and part.strip() for part in parts):
                return f"the answer has a claim that is none: {one!r:.60}"
            found.append(" ".join(part.strip() for part in parts))
        return [Claim(text) for text in dict.fromkeys(found)]


class ClaimCheck:
    """Scores texts by the share of their claims that their sources bear out.

    Args:
        claims: who takes them out.
        infers: who checks them; see `nli`.
        size: sentences of a piece of the source.
        language: of sentences.
    """

    def __init__(self, claims: Claims, infers: Infers, *, size: int = 3, language: str = "en") -> None:
        if size < 1:
            raise ConfigError(f"pieces have 1 sentence or more, not {size}")
        self.claims, self.infers, self.size, self.language = claims, infers, size, language
        model = str(getattr(infers, "name", "nli"))
        self.name = f"claims ({claims.model.name}, {claims.form}; {model})"

    def __call__(self, sources: Sequence[str | Sequence[str]], texts: Sequence[str]) -> Scores:
        """Return the share of claims that are entailed, with "contradicted" and "neutral" ones and how many "claims".

        A text without a claim says nothing that could be untrue: 1, and noted. Where the claims could not be read out
        nothing is known of the text: 0, and noted as such.

        Raises:
            DataError: columns of different length.
            UpstreamError: see `Claims.of`.
        """
        values = np.zeros(len(texts))
        parts = {name: np.zeros(len(texts)) for name in ("contradicted", "neutral", "claims")}
        notes = []
        for number, some in enumerate(self.checked(sources, texts)):
            if isinstance(some, str):
                notes.append(f"unread: {some}")
                continue
            notes.append("" if some else "no claim in the text")
            counts = {
                kind: sum(one.verdict == kind for one in some) for kind in ("entailed", "contradicted", "neutral")
            }
            total = max(1, len(some))
            values[number] = counts["entailed"] / total if some else 1.0
            parts["contradicted"][number] = counts["contradicted"] / total
            parts["neutral"][number] = counts["neutral"] / total
            parts["claims"][number] = len(some)
        return Scores(self.name, values, parts, notes)

    def checked(self, sources: Sequence[str | Sequence[str]], texts: Sequence[str]) -> list[list[Claim] | str]:
        """Return each text's claims with their verdicts: the likeliest of the three.

        Raises:
            DataError: columns of different length.
            UpstreamError: see `Claims.of`.
        """
        if len(sources) != len(texts):
            raise DataError(f"{len(sources)} sources, {len(texts)} texts")
        found = self.claims.of(texts)
        whole = [source if isinstance(source, str) else "\n".join(source) for source in sources]
        pieces = {
            source: pieces_of(sentences_of(source, self.language), self.size, self.size // 2) or [""]
            for source in dict.fromkeys(whole)
        }
        rows: list[tuple[list[str], str]] = []
        ends = [0]
        for source, some in zip(whole, found, strict=True):
            rows += [] if isinstance(some, str) else [(pieces[source], one.text) for one in some]
            ends.append(len(rows))
        told = over_pieces(self.infers, rows) if rows else np.zeros((0, 3))
        return [
            some if isinstance(some, str) else [_judged(*both) for both in zip(some, told[start:end], strict=True)]
            for some, (start, end) in zip(found, pairwise(ends), strict=True)
        ]


def _judged(claim: Claim, shares: Any) -> Claim:
    verdicts: tuple[Verdict, ...] = ("entailed", "neutral", "contradicted")
    return replace(
        claim,
        verdict=verdicts[int(np.argmax(shares))],
        entailment=float(shares[ENTAILMENT]),
        contradiction=float(shares[CONTRADICTION]),
    )
