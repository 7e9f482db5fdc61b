"""BERTScore against its formula, written out text by text without batches; oddities are told."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.evaluate.bertscore import Baseline, BertScore, Idf, baseline_of
from pilotfish.evaluate.states import TokenStates
from tests.tiny import CORPUS

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder
    from pilotfish.models.local import LocalModel

torch = pytest.importorskip("torch")

WORDS = " ".join(CORPUS).split()


def texts(count: int, seed: int = 0, most: int = 7) -> list[str]:
    dice = np.random.default_rng(seed)
    return [" ".join(dice.choice(WORDS, size=dice.integers(1, most))) for _ in range(count)]


def states_of(encoder: Any, text: str, layer: int | None) -> tuple[list[int], Any]:
    """One text alone, all layers kept: (ids, normalised states)."""
    body = encoder.model[0].auto_model
    given = encoder.tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        every = body(**{k: given[k] for k in ("input_ids", "attention_mask")}, output_hidden_states=True).hidden_states
    found = every[-1 if layer is None else layer][0]
    return given["input_ids"][0].tolist(), found / found.norm(dim=-1, keepdim=True)


def by_hand(encoder: Any, one: str, other: str, layer: int | None, idf: dict[int, float] | None) -> tuple[float, ...]:
    (ids, mine), (their_ids, theirs) = (states_of(encoder, text, layer) for text in (one, other))
    added = {encoder.tokenizer.cls_token_id, encoder.tokenizer.sep_token_id}

    def mean(tokens: list[int], best: Any) -> float:
        weights = [0.0 if token in added else 1.0 if idf is None else idf[token] for token in tokens]
        return sum(w * float(b) for w, b in zip(weights, best, strict=True)) / sum(weights)

    near = mine @ theirs.T
    precision, recall = mean(ids, near.max(1).values), mean(their_ids, near.max(0).values)
    return precision, recall, 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("layer", [None, 0, 1, 2, -1])
def test_it_is_the_formula(tiny_encoder: Encoder, layer: int | None) -> None:
    mine, theirs = texts(12, 1), texts(12, 2)
    found = BertScore(tiny_encoder, layer, batch_tokens=64)(mine, theirs)
    wanted = [
        by_hand(tiny_encoder, a, b, None if layer == -1 else layer, None) for a, b in zip(mine, theirs, strict=True)
    ]
    told = np.stack([found.parts["precision"], found.parts["recall"], found.values], axis=1)
    assert told == pytest.approx(np.array(wanted), abs=1e-5)
    assert not found.odd()


def test_idf_is_the_paper_s(tiny_encoder: Encoder) -> None:
    mine, theirs = texts(10, 3), texts(10, 4)
    plain = BertScore(tiny_encoder)
    idf = Idf.over(theirs, plain.states)
    has = [set(tiny_encoder.tokenizer(text)["input_ids"]) for text in theirs]
    every = set().union(*has, *(tiny_encoder.tokenizer(text)["input_ids"] for text in mine))
    wanted = {token: math.log(11 / (sum(token in some for some in has) + 1)) for token in every}
    found = BertScore(tiny_encoder, idf=idf)(mine, theirs)
    rows = [by_hand(tiny_encoder, a, b, None, wanted) for a, b in zip(mine, theirs, strict=True)]
    assert found.values == pytest.approx([row[2] for row in rows], abs=1e-5)
    assert np.abs(found.values - plain(mine, theirs).values).max() > 1e-3


def test_with_one_reference_idf_counts_all_alike_and_says_so(tiny_encoder: Encoder) -> None:
    (mine,), (theirs,) = texts(1, 5), texts(1, 6)
    idf = Idf.over([theirs], TokenStates(tiny_encoder))
    found = BertScore(tiny_encoder, idf=idf)([theirs, mine], [theirs, theirs])
    assert found.values[0] == pytest.approx(1, abs=1e-6)
    assert found.notes[0] == "idf tells no token apart: all count alike"
    assert np.isfinite(found.values).all()


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 8))
def test_a_row_does_not_depend_on_the_rows_beside_it(tiny_encoder: Encoder, seed: int, count: int) -> None:
    mine, theirs = texts(count, seed, 30), texts(count, seed + 1, 30)
    whole = BertScore(tiny_encoder, batch_tokens=200)(mine, theirs)
    for number in range(count):
        alone = BertScore(tiny_encoder)([mine[number]], [theirs[number]])
        assert alone.values[0] == pytest.approx(whole.values[number], abs=1e-5)


def test_itself_is_one_and_sides_are_precision_and_recall(tiny_encoder: Encoder) -> None:
    mine, theirs = texts(8, 7), texts(8, 8)
    metric = BertScore(tiny_encoder)
    there, back = metric(mine, theirs), metric(theirs, mine)
    assert there.parts["precision"] == pytest.approx(back.parts["recall"], abs=1e-6)
    assert there.values == pytest.approx(back.values, abs=1e-6)
    assert metric(mine, mine).values == pytest.approx(1, abs=1e-5)


def test_of_several_references_the_best_counts(tiny_encoder: Encoder) -> None:
    (mine,), theirs = texts(1, 9), texts(4, 10)
    metric = BertScore(tiny_encoder)
    each = metric([mine] * 4, theirs)
    best = int(each.values.argmax())
    found = metric([mine], [theirs])
    assert found.values[0] == pytest.approx(each.values[best], abs=1e-6)
    assert found.parts["recall"][0] == pytest.approx(each.parts["recall"][best], abs=1e-6)


def test_rescaled_the_unrelated_are_at_nought(tiny_encoder: Encoder) -> None:
    metric = BertScore(tiny_encoder)
    base = baseline_of(metric, texts(60, 11), pairs=300)
    assert base == baseline_of(metric, texts(60, 11), pairs=300)
    mine, theirs = texts(5, 12), texts(5, 13)
    rescaled = BertScore(tiny_encoder, baseline=base)(mine, theirs)
    plain = metric(mine, theirs)
    assert rescaled.values == pytest.approx((plain.values - base.f1) / (1 - base.f1))
    assert rescaled.parts["recall"] == pytest.approx((plain.parts["recall"] - base.recall) / (1 - base.recall))
    assert "rescaled" in rescaled.metric
    with pytest.raises(DataError, match="not on one scale"):
        rescaled.above(plain)
    with pytest.raises(DataError, match="two different"):
        baseline_of(metric, ["a", "a "])


def test_what_is_odd_has_a_score_and_is_told(tiny_encoder: Encoder) -> None:
    long = " ".join(texts(400, 14))
    strange = ["", "  ", "\x00", "😀 🏳️‍🌈", "مرحبا بالعالم", long, "a" * 5000, "[SEP] [PAD] [CLS]"]
    found = BertScore(tiny_encoder)([*strange, "the cat"], ["the cat"] * len(strange) + [["", "the cat"]])
    assert np.isfinite(found.values).all()
    assert (found.values[:2] == 0).all() and found.values[-1] == pytest.approx(1, abs=1e-5)
    assert found.odd()["the candidate is empty"] >= 2 and found.odd()["long"] == 1
    assert found.notes[-1] == "a reference is empty"
    assert BertScore(tiny_encoder)(["x"], [""]).values[0] == 0
    cut = BertScore(tiny_encoder, long="cut")([long], ["the cat"])
    assert cut.odd() == {"cut": 1}


def test_a_long_text_is_read_to_its_end(tiny_encoder: Encoder) -> None:
    long = " ".join(texts(60, 15))
    states = TokenStates(tiny_encoder)
    (found,) = states.of([long])
    ids = tiny_encoder.tokenizer(long)["input_ids"]
    assert len(ids) > 3 * states.most and found.windows > 3
    assert found.ids.tolist() == ids and len(found.vectors) == len(ids)
    assert found.special.sum() == 2
    # What stands at the end is found there.
    metric = BertScore(tiny_encoder)
    last = " ".join(long.split()[-12:])
    cut = BertScore(tiny_encoder, long="cut")
    assert metric([last], [long]).parts["precision"][0] > cut([last], [long]).parts["precision"][0]
    # Each token's state is that of the piece in whose midst it stands.
    room = states.most - 2
    piece = ids[:1] + ids[1 + room // 2 + room % 2 :][:room] + ids[-1:]
    with torch.inference_mode():
        own = tiny_encoder.model[0].auto_model(torch.tensor([piece])).last_hidden_state[0]
    place = 1 + room // 2 + room % 2 + room // 2
    wanted = own[1 + room // 2] / own[1 + room // 2].norm()
    assert torch.allclose(found.vectors[place], wanted, atol=1e-5)


def test_a_language_model_s_states_do_as_well(tiny_lm: LocalModel) -> None:
    mine, theirs = texts(3, 16, 8), texts(3, 17, 8)
    body, cutter = tiny_lm.model.model, tiny_lm.tokenizer
    for layer in (None, 1):
        found = BertScore(tiny_lm, layer)([*mine, mine[0]], [*theirs, mine[0]])
        assert found.values[-1] == pytest.approx(1, abs=1e-5) and found.values[0] < 0.999
        (states,) = TokenStates(tiny_lm, layer).of([mine[0]])
        with torch.inference_mode():
            told = body(torch.from_numpy(states.ids)[None], output_hidden_states=True).hidden_states
        wanted = told[-1 if layer is None else layer][0]
        assert torch.allclose(states.vectors, wanted / wanted.norm(dim=-1, keepdim=True), atol=1e-5)
    assert cutter is TokenStates(tiny_lm).tokenizer


def test_texts_that_come_again_are_not_read_again(tiny_encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    states = TokenStates(tiny_encoder)
    read: list[int] = []
    own = TokenStates._pass

    def counted(self: TokenStates, rows: Any) -> Any:
        read.append(len(rows))
        return own(self, rows)

    monkeypatch.setattr(TokenStates, "_pass", counted)
    some = texts(5, 18)
    states.of([*some, *some])
    states.of(some)
    assert sum(read) == 5
    few = TokenStates(tiny_encoder, held=1)
    few.of(some)
    few.of(some)
    assert sum(read) == 15


def test_tokens_are_shown_where_they_stand(tiny_encoder: Encoder) -> None:
    mine, theirs = BertScore(tiny_encoder).explain(" the cat sat ", "the cat")
    assert "".join(piece for piece, _ in mine) == "thecatsat"
    assert [piece for piece, cosine in theirs if cosine > 0.5]


def test_mistakes(tiny_encoder: Encoder) -> None:
    metric = BertScore(tiny_encoder)
    with pytest.raises(DataError, match="2 candidates, 1 references"):
        metric(["a", "b"], ["a"])
    with pytest.raises(DataError, match="row 2: no reference"):
        metric(["a", "b"], ["a", []])
    with pytest.raises(ConfigError, match="windows or cut"):
        BertScore(tiny_encoder, long="all")
    with pytest.raises(ConfigError, match="has 2 layers, not 3"):
        BertScore(tiny_encoder, 3)(["a"], ["b"])
    with pytest.raises(DataError, match="idf needs"):
        Idf.over([], metric.states)
    assert Baseline(0.1, 0.2, 0.3).f1 == 0.3


def test_a_text_s_first_word_is_cut_as_any_other(tiny_lm: LocalModel, tiny_encoder: Encoder) -> None:
    states = TokenStates(tiny_lm)
    assert states.ids("the the") == 2 * states.ids("the")
    assert tiny_lm.tokenizer("the the")["input_ids"][0] != states.ids("the")[0]
    (found,) = states.of(["the cat"])
    assert [("the cat")[start:end].strip() for start, end in found.spans] == ["the", "cat"]
    assert TokenStates(tiny_encoder).ids("the cat") == tiny_encoder.tokenizer("the cat")["input_ids"]


def test_no_more_is_left_out_than_the_model_cannot_take(tiny_encoder: Encoder) -> None:
    # Told to read 32 tokens for a text's vector, it has room for 64.
    assert tiny_encoder.max_length == 32 and TokenStates(tiny_encoder).most == 64
