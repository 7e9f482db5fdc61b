"""A draft whose tokenizer is not the target's: texts are handed over, not tokens.

Source: Timor et al. 2025 (Accelerating LLM Inference with Lossless Speculative Decoding Algorithms for Heterogeneous
Vocabularies), algorithm 2 (string-level exact match); universal assisted decoding in transformers. The draft writes on
greedily, its text is cut into the target's tokens, and `verify.matched` judges those, which is exact for greedy and
sampled answers alike.

The draft's row always stands after exactly the bytes of the answer: what it holds is compared with the answer byte by
byte, rolled back to the last word that they share, and the rest is cut anew with the words before it, so that the
draft reads the tokens that it would have written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from pilotfish.decode.retoken import ids_after
from pilotfish.decode.speculative.draft import Drafted, Judge, Plan, Proposal, Seat
from pilotfish.decode.speculative.model_draft import signs_of
from pilotfish.decode.speculative.token_bytes import TokenBytes, whole_characters
from pilotfish.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from pilotfish.decode.decoder import Decoder, Row

__all__ = ["CrossDraft"]

WORDS_BACK = 2  # how many words before the first new byte are cut anew


@dataclass(eq=False)
class _State:
    """The draft's row, and the answer's bytes so far (those of its first `read` tokens)."""

    row: Row
    said: bytearray = field(default_factory=bytearray)
    read: int = 0


@dataclass
class _Live:
    """One job's text in the making: the draft's tokens, and each one's sign."""

    place: int
    seat: Seat
    plan: Plan
    logits: Tensor
    tokens: list[int] = field(default_factory=list)
    signs: list[int] = field(default_factory=list)
    survival: float = 1.0
    ended: bool = False


class CrossDraft:
    """Drafts with any language model, by text.

    Args:
        decoder: the small model.
        tokenizer: its transformers tokenizer.
        target_tokenizer: the target's.
        ends: the small model's tokens that end an answer.
        target_ends: the target's; one of them is proposed where the draft ends.
        name: the name in traces.
    """

    trees = False

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: Any,
        target_tokenizer: Any,
        ends: frozenset[int] = frozenset(),
        target_ends: frozenset[int] = frozenset(),
        name: str = "draft",
    ) -> None:
        self.decoder, self.ends, self.name = decoder, ends, name
        self.bytes, self.target_bytes = TokenBytes(tokenizer), TokenBytes(target_tokenizer)
        own = target_tokenizer.eos_token_id
        self.end = own if own in target_ends else min(target_ends, default=None)

    def propose(self, seats: Sequence[Seat], plans: Sequence[Plan], judge: Judge) -> Drafted:
        """Propose a chain a seat. Nothing is proposed while the answer ends in half a character."""
        out = Drafted([Proposal() for _ in seats])
        for seat, plan in zip(seats, plans, strict=True):
            if plan.length and seat.state is None and not seat.refused:
                self._open(seat)
        lives = self._caught_up(seats, plans, out)
        started = list(lives)
        while lives:
            signs = signs_of(torch.cat([live.logits for live in lives]))
            best = torch.cat([live.logits for live in lives]).argmax(-1).tolist()
            lives = [
                live
                for live, sign, token in zip(lives, signs, best, strict=True)
                if self._next(live, sign, int(token), judge)
            ]
            if lives:
                self._feed(lives, [[live.tokens[-1]] for live in lives], out)
        for live in started:
            out.proposals[live.place] = self._translated(live)
        return out

    def close(self, seat: Seat) -> None:
        """Close the seat's row."""
        if seat.state is not None:
            self.decoder.close(seat.state.row)
            seat.state = None

    def _open(self, seat: Seat) -> None:
        try:
            rows, _ = self.decoder.start([seat.prompt])
        except ModelError as error:
            seat.refused = f"the draft cannot follow: {error}"
            return
        seat.state = _State(rows[0])

    def _caught_up(self, seats: Sequence[Seat], plans: Sequence[Plan], out: Drafted) -> list[_Live]:
        """Bring the rows to the end of the answers; return the jobs that can be drafted for, with their logits."""
        lives, pending = [], []
        for place, (seat, plan) in enumerate(zip(seats, plans, strict=True)):
            if plan.length < 1 or seat.state is None:
                continue
            state: _State = seat.state
            state.said += self.target_bytes(seat.tokens[state.read :])
            state.read = len(seat.tokens)
            said = bytes(state.said)
            if not said or whole_characters(said) != said:
                continue
            kept, more = self._aligned(state.row.tokens, said)
            room = self.decoder.room(state.row) + len(state.row.tokens) - kept
            if not more or room < len(more) + plan.length:
                continue
            if kept < len(state.row.tokens):
                self.decoder.rollback(state.row, kept)
            lives.append(_Live(place, seat, plan, torch.empty(0)))
            pending.append(more)
        if lives:
            self._feed(lives, pending, out)
        return lives

    def _aligned(self, held: Sequence[int], said: bytes) -> tuple[int, list[int]]:
        """Return how many of the row's tokens stay, and what to feed so that it stands after `said` exactly.

        At least one token is fed, for its logits; none where the tokenizer cannot write these bytes.
        """
        offsets = [0]
        for token in held:
            piece = self.bytes.one(token)
            if not piece or said[offsets[-1] : offsets[-1] + len(piece)] != piece:
                break
            offsets.append(offsets[-1] + len(piece))
        shared = len(offsets) - 1
        # Back to the beginning of a word: a cut in the middle of one would make tokens that nobody writes.
        words, start = 0, shared
        while start > 0 and words < WORDS_BACK:
            start -= 1
            words += self.bytes.one(held[start])[:1] in (b" ", b"\n")
        again = self.bytes.exactly(said[offsets[start] :])
        if again is None:
            start, again = shared, self.bytes.exactly(said[offsets[shared] :])
            if again is None:
                return 0, []
        same = 0
        while same < min(len(again) - 1, shared - start) and again[same] == held[start + same]:
            same += 1
        if again:
            return start + same, again[same:]
        return shared - 1, list(held[shared - 1 : shared])

    def _feed(self, lives: Sequence[_Live], tokens: Sequence[Sequence[int]], out: Drafted) -> None:
        out.steps += 1
        out.fed.append(sum(map(len, tokens)))
        fed = self.decoder.feed([live.seat.state.row for live in lives], tokens)
        for live, logits in zip(lives, fed, strict=True):
            live.logits = logits[-1:]

    def _next(self, live: _Live, sign: int, token: int, judge: Judge) -> bool:
        """Add a token to a text where it pays; say whether another one may follow it."""
        survival = live.survival * judge.chance(sign)
        if not judge.goes_on(survival, paid=True):
            return False
        if token in self.ends:
            live.ended = True
            live.signs.append(sign)
            return False
        live.survival = survival
        live.tokens.append(token)
        live.signs.append(sign)
        return len(live.tokens) < live.plan.length and judge.goes_on(survival, paid=False)

    def _translated(self, live: _Live) -> Proposal:
        """Return the draft's text in the target's tokens, each with the sign of the draft's token it ends in."""
        text = _text(self.bytes(live.tokens))
        tokens = ids_after(self.target_bytes.tokenizer, live.seat.tokens, text) if text else []
        ends, at = [], 0
        for token in live.tokens:
            at += len(self.bytes.one(token))
            ends.append(at)
        signs, at, place = [], 0, 0
        for token in tokens:
            at += len(self.target_bytes.one(token))
            while place < len(ends) - 1 and ends[place] < at:
                place += 1
            signs.append(live.signs[place])
        if live.ended and self.end is not None:
            tokens, signs = [*tokens, self.end], [*signs, live.signs[-1]]
        return Proposal(tokens[: live.plan.length], signs=signs[: live.plan.length])


def _text(data: bytes) -> str:
    """Return what is text from the start: not a half character, nor anything after bytes that are none."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        return data[: error.start].decode()
