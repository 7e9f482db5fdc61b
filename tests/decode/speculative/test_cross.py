"""A draft with another tokenizer: the bytes always agree, and the answers are the target's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish._extras import need
from pilotfish.decode.decoder import Row
from pilotfish.decode.sampler import Sampler, Sampling
from pilotfish.decode.speculative import Auto, CrossDraft, Fixed, Speculative
from pilotfish.decode.speculative.draft import Plan, Seat
from pilotfish.decode.speculative.token_bytes import TokenBytes, whole_characters
from pilotfish.decode.strategy import Job, Plain
from tests.decode.reference import ReferenceDecoder
from tests.decode.speculative.exact import answers
from tests.tiny import tokenizer


def metaspace() -> Any:
    """A small BPE as SentencePiece makes it: U+2581 for a space, single bytes where nothing fits."""
    tokenizers, transformers = need("tokenizers", "local"), need("transformers", "local")
    raw = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=True, unk_token="<unk>"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="first")
    decoders = tokenizers.decoders
    raw.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
    )
    raw.train_from_iterator(["the cat sat on the mat, it's a song", "refund for the top up that failed"] * 5, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", unk_token="<unk>")


CUTTERS = {"byte-level": tokenizer(vocabulary=330), "larger": tokenizer(), "melting": tokenizer("melting")}
CUTTERS["metaspace"] = metaspace()


@pytest.mark.parametrize("cut", CUTTERS)
@settings(max_examples=60, deadline=None)
@given(text=st.text(st.sampled_from("the cat sat on \n\té日🙂,1"), max_size=20))
def test_tokens_bytes_are_the_texts(cut: str, text: str) -> None:
    table = TokenBytes(CUTTERS[cut])
    ids = table.exactly(text.encode())
    if ids is None:
        # SentencePiece joins some white space with its own first space; that may be refused, never got wrong.
        assert cut == "metaspace"
        return
    assert table(ids) == text.encode()


def test_half_characters_are_cut() -> None:
    data = "aé日🙂".encode()
    whole = [data[:1], data[:3], data[:6], data]
    for at in range(len(data) + 1):
        cut = whole_characters(data[:at])
        assert cut == max((w for w in [b"", *whole] if len(w) <= at), key=len)


@pytest.fixture(scope="module")
def trio(tiny_lm: Any) -> tuple[ReferenceDecoder, Any, Any]:
    """A target and its tokenizer, and a decoder of another vocabulary (its logits are as good as noise)."""
    return ReferenceDecoder(tiny_lm.model), tiny_lm.tokenizer, ReferenceDecoder(tiny_lm.model)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("cut", ["byte-level", "melting", "metaspace"])
@pytest.mark.parametrize("settings_", [{}, {"temperature": 0.9, "seed": 1}, {"repetition_penalty": 1.3}])
def test_answers_are_the_targets(trio: Any, cut: str, batch: int, settings_: Any) -> None:
    target, cutter, small = trio
    other = CUTTERS[cut]
    texts = ["the cat sat on the mat, the cat", "refund", "Où est", "été 🙂"][:batch]
    prompts = [[cutter(text)["input_ids"], other(text)["input_ids"]] for text in texts]
    plain, drafted = ([Sampler(Sampling(**settings_), target.vocabulary, p[0]) for p in prompts] for _ in range(2))
    strategy = Speculative(target, CrossDraft(small, other, cutter), Fixed(4))
    wanted = answers(Plain(target), [p[:1] for p in prompts], plain, 14, 14)
    assert answers(strategy, prompts, drafted, 14, 14) == wanted
    assert strategy.report.drafted > 0


@pytest.mark.parametrize("cut", ["byte-level", "melting", "metaspace"])
def test_a_row_stands_after_the_answers_bytes_whatever_it_held(trio: Any, cut: str) -> None:
    target, cutter, _ = trio
    text = " the cat sat on the mat, it's 2024 and the dog did not; the bird sang"
    other = CUTTERS[cut]
    said, held = cutter(text)["input_ids"], TokenBytes(other)
    draft = CrossDraft(target, other, cutter)
    # Whatever the row holds, it ends up after exactly the bytes that were said.
    for at in range(1, len(said)):
        data = TokenBytes(cutter)(said[:at])
        if whole_characters(data) != data:
            continue
        for before in ("", text[:9], text, " the dog"):
            have = other(before)["input_ids"]
            kept, more = draft._aligned(have, data)
            assert more
            assert held([*have[:kept], *more]) == data
            # And it holds what the tokenizer itself would have written.
            assert [*have[:kept], *more] == held.exactly(data)


class Writer:
    """Says one text, in a tokenizer's own tokens; where it is led astray it says token 0."""

    members, trees, device = 1, False, torch.device("cpu")

    def __init__(self, ids: list[int], vocabulary: int) -> None:
        self.ids, self.vocabulary = ids, vocabulary

    def start(self, prompts: Any) -> Any:
        rows = [Row(prompt) for prompt in prompts]
        return rows, torch.stack([self._after([]) for _ in rows])

    def feed(self, rows: Any, tokens: Any, parents: Any = None) -> list[torch.Tensor]:
        out = []
        for row, more in zip(rows, tokens, strict=True):
            row.tokens.extend(more)
            at = len(row.tokens) - len(more)
            out.append(torch.stack([self._after(row.tokens[: at + i + 1]) for i in range(len(more))]))
        return out

    def rollback(self, row: Row, length: int) -> None:
        del row.tokens[length:]

    def close(self, row: Row) -> None:
        pass

    def room(self, row: Row) -> int:
        return 1000

    def _after(self, tokens: list[int]) -> torch.Tensor:
        logits = torch.zeros(self.vocabulary)
        right = tokens == self.ids[: len(tokens)] and len(tokens) < len(self.ids)
        logits[self.ids[len(tokens)] if right else 0] = 9.0
        return logits


@pytest.mark.parametrize("cut", ["byte-level", "melting", "metaspace"])
def test_two_models_that_say_the_same_agree_through_texts(cut: str) -> None:
    text, cutter, other = (
        "the cat sat on the mat, it's 2024 and the dog did not; the bird sang",
        CUTTERS["larger"],
        CUTTERS[cut],
    )
    ids, own = cutter(text)["input_ids"], TokenBytes(other).exactly(text.encode())
    assert own is not None
    target, small = Writer(ids, len(cutter)), Writer(own, len(other))
    strategy = Speculative(target, CrossDraft(small, other, cutter), Fixed(6))  # type: ignore[arg-type]
    sampler = Sampler(Sampling(), len(cutter))
    assert answers(strategy, [[[1], [1]]], [sampler], len(ids), len(ids))[0] == tuple(ids)
    assert strategy.report.acceptance > 0.7
    assert strategy.report.mean_length > 3


@pytest.mark.parametrize("cut", ["byte-level", "metaspace"])
@settings(max_examples=30, deadline=None)
@given(parts=st.lists(st.text(st.sampled_from("the cat\n é日"), min_size=1, max_size=6), min_size=1, max_size=5))
def test_a_row_follows_any_text(trio: Any, cut: str, parts: list[str]) -> None:
    target, cutter, small = trio
    other = CUTTERS[cut]
    draft = CrossDraft(small, other, cutter)
    job = Job([[1]], Sampler(Sampling(), target.vocabulary), 100)
    seat = Seat(job, [other("refund")["input_ids"]])
    for part in parts:
        seat.tokens += cutter(part, add_special_tokens=False)["input_ids"]
        data = TokenBytes(cutter)(seat.tokens)
        proposal = draft.propose([seat], [Plan(3, match=True)], Auto()).proposals[0]
        if whole_characters(data) == data and proposal.tokens:
            fed = draft.bytes(seat.state.row.tokens)
            assert fed[: len(data)] == data


def test_the_drafts_end_is_the_targets_end(trio: Any) -> None:
    target, cutter, small = trio
    other = CUTTERS["byte-level"]
    ends = frozenset(range(small.vocabulary))  # everything ends it
    draft = CrossDraft(small, other, cutter, ends, frozenset({cutter.eos_token_id, 5}))
    job = Job([[1]], Sampler(Sampling(), target.vocabulary), 100)
    seat = Seat(job, [other("refund")["input_ids"]], cutter(" the")["input_ids"])
    assert draft.propose([seat], [Plan(3, match=True)], Fixed(3)).proposals[0].tokens == [cutter.eos_token_id]
