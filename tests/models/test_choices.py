"""Choices in one tree pass a batch against scoring every pair by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.decode._ancestors import ancestors
from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Message, Request
from pilotfish.models import _choices
from pilotfish.models._choices import PrefixCache, TokenTree, choice_logprobs, common_beginning, takes_trees
from pilotfish.models._tokens import encode, encode_pair, joint_choices
from pilotfish.models.local import LocalModel
from tests.models.brute import tail_logprobs, total
from tests.tiny import TEXTS, Cut, Family

torch = pytest.importorskip("torch")

LABELS = ["refund request", "card arrival", "exchange rate", "top up failed", "card lost"]
Folder = Callable[[Family, Cut], Path]
ROWS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=1, max_size=8)


@pytest.fixture(scope="module", params=["llama", "qwen2", "gpt2"])
def lm(request: pytest.FixtureRequest, tiny_folder: Folder) -> LocalModel:
    return LocalModel(tiny_folder(request.param, "plain"), dtype="float32", device="cpu").load()


def chats(lm: LocalModel, instruction: str, texts: list[str] = TEXTS) -> list[str]:
    return [lm.render(Request((Message("system", instruction), Message("user", text)))) for text in texts]


def by_score(lm: LocalModel, contexts: list[str], choices: list[str], end: bool = False) -> np.ndarray[tuple[int, int]]:
    """Every pair by itself, by one plain forward pass each."""
    last = [lm.tokenizer.eos_token_id] if end else []
    table = []
    for context in contexts:
        pairs = [encode_pair(lm.tokenizer, context, choice) for choice in choices]
        table.append([sum(tail_logprobs(lm.model, ids + last, at)) for ids, at in pairs])
    return np.array(table)


@given(ROWS)
def test_a_tree_holds_every_choice_once(rows: list[list[int]]) -> None:
    tree = TokenTree.of(rows)
    inner = {tuple(row[:n]) for row in rows for n in range(1, len(row))}
    assert len(tree.tokens) == len(inner)
    sees = ancestors(tree.parents)
    for row, path in zip(rows, tree.edges, strict=True):
        assert [token for _, token in path] == row
        nodes = [node for node, _ in path]
        assert nodes[0] == -1
        for depth, (node, token) in enumerate(path[1:]):
            assert (tree.tokens[node], tree.depths[node], tree.parents[node]) == (row[depth], depth, nodes[depth])
            assert token == row[depth + 1]
            # A node sees its own beginnings and nothing else.
            assert np.flatnonzero(sees[node]).tolist() == sorted(nodes[1 : depth + 2])


@given(ROWS)
def test_the_common_beginning_leaves_every_row_something(rows: list[list[int]]) -> None:
    n = common_beginning(rows)
    assert all(row[:n] == rows[0][:n] and len(row) > n for row in rows)
    longer = [row[: n + 1] for row in rows]
    assert any(len(row) == n + 1 for row in rows) or any(row != longer[0] for row in longer)


@pytest.mark.parametrize("batch_tokens", [1, 90, 4096])
def test_choices_equal_score_pair_by_pair(lm: LocalModel, batch_tokens: int) -> None:
    lm.batch_tokens = batch_tokens
    contexts = chats(lm, "Sort the text into exactly one category.")
    finished: list[int] = []
    got = lm.choices(contexts, LABELS, progress=finished.append)
    assert sum(finished) == len(contexts)
    np.testing.assert_allclose(got, by_score(lm, contexts, LABELS), atol=1e-3)
    scored = lm.score([(context, choice) for context in contexts for choice in LABELS])
    np.testing.assert_allclose(got.ravel(), [one.total for one in scored], atol=1e-3)


def test_the_tree_is_what_runs(lm: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("scored pair by pair")

    monkeypatch.setattr("pilotfish.models._scoring.score_ids", never)
    lm.choices(chats(lm, "Sort."), LABELS)


def test_single_token_choices_and_one_choice(lm: LocalModel) -> None:
    contexts = chats(lm, "Answer with a letter.")
    singles = ["a", "b", "c"]
    assert all(len(encode(lm.tokenizer, one)) == 1 for one in singles)
    np.testing.assert_allclose(lm.choices(contexts, singles), by_score(lm, contexts, singles), atol=1e-3)
    np.testing.assert_allclose(lm.choices(contexts[:1], ["refund"]), by_score(lm, contexts[:1], ["refund"]), atol=1e-3)


def test_where_one_choice_begins_another_each_gets_the_end_token(lm: LocalModel) -> None:
    contexts = chats(lm, "Sort.")
    nested = ["refund", "refund status", "card arrival"]
    got = lm.choices(contexts, nested)
    np.testing.assert_allclose(got, by_score(lm, contexts, nested, end=True), atol=1e-3)
    # Without it the longer could never win.
    bare = by_score(lm, contexts, nested)
    assert (bare[:, 0] > bare[:, 1]).all()


def test_a_choice_that_stands_twice_counts_the_same_twice(lm: LocalModel) -> None:
    contexts = chats(lm, "Sort.")
    got = lm.choices(contexts, ["refund", "card arrival", "refund"])
    np.testing.assert_array_equal(got[:, 0], got[:, 2])
    np.testing.assert_allclose(got[:, :2], by_score(lm, contexts, ["refund", "card arrival"]), atol=1e-3)


def test_the_prefix_is_kept_between_calls_and_changed_with_the_instruction(
    lm: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    original = PrefixCache._run

    def counted(self: PrefixCache, model: object, ids: list[int]) -> None:
        runs.append(len(ids))
        original(self, model, ids)

    monkeypatch.setattr(PrefixCache, "_run", counted)
    lm._prefix = None
    long = "Sort the text into exactly one category, and answer with its name. " * 2
    for text in TEXTS:  # one after another: the instruction is paid for once
        contexts = chats(lm, long, [text])
        np.testing.assert_allclose(lm.choices(contexts, LABELS), by_score(lm, contexts, LABELS), atol=1e-3)
    assert len(runs) == 1
    for instruction in ("the bird sang a song of the sea, " * 5, long, "Sort."):
        contexts = chats(lm, instruction)
        np.testing.assert_allclose(lm.choices(contexts, LABELS), by_score(lm, contexts, LABELS), atol=1e-3)
    # "Sort." begins as the long instruction does: what is held serves for it.
    assert len(runs) == 3


def test_the_logits_held_at_once_are_bounded(lm: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    contexts = chats(lm, "Sort.")
    whole = lm.choices(contexts, LABELS)
    monkeypatch.setattr(_choices, "LOGITS", 1)
    finished: list[int] = []
    np.testing.assert_allclose(lm.choices(contexts, LABELS, progress=finished.append), whole, atol=1e-3)
    assert finished == [1] * len(contexts)


def test_contexts_that_share_nothing_and_contexts_of_one_token(lm: LocalModel) -> None:
    ids = [[7], [9, 8, 7], [11, 2, 0, 5]]
    choices = [[4, 5], [4, 6], [300]]
    got = choice_logprobs(lm.model, ids, choices, batch_tokens=64, prefix=PrefixCache())
    expected = [[sum(tail_logprobs(lm.model, row + choice, len(row))) for choice in choices] for row in ids]
    np.testing.assert_allclose(got, expected, atol=1e-3)


@pytest.mark.parametrize("cut", ["bos", "melting", "bare"])
def test_plain_texts_as_contexts(tiny_folder: Folder, cut: Cut) -> None:
    lm = LocalModel(tiny_folder("llama", cut), dtype="float32", device="cpu")
    contexts = [f"Text: {text}\nCategory: " for text in TEXTS]
    np.testing.assert_allclose(lm.choices(contexts, LABELS), by_score(lm, contexts, LABELS), atol=1e-3)


def test_seams_that_melt_are_compared_from_the_same_place(tiny_folder: Folder) -> None:
    lm = LocalModel(tiny_folder("llama", "melting"), dtype="float32", device="cpu")
    contexts = ["the c", "Sort the text in", "xq", "", "t"]
    choices = ["at sat", "to exactly", "zebra", "he"]
    _, tails = joint_choices(lm.tokenizer, contexts, choices)
    assert len(set(tails)) > 1
    got = lm.choices(contexts, choices)
    for i, context in enumerate(contexts):
        pairs = [encode_pair(lm.tokenizer, context, choice) for choice in choices]
        wholes = [encode(lm.tokenizer, context + choice) for choice in choices]
        if len({len(ids) - len(whole) for (ids, _), whole in zip(pairs, wholes, strict=True)}) > 1:
            wholes = [ids if ids[0] == 0 else [0, *ids] for ids, _ in pairs]
            at = 1
        else:
            wholes, at = [ids for ids, _ in pairs], min(split for _, split in pairs)
        expected = [sum(tail_logprobs(lm.model, ids, at)) for ids in wholes]
        np.testing.assert_allclose(got[i], expected, atol=1e-3)


def test_errors_are_one_line(tiny_lm: LocalModel, tiny_folder: Folder) -> None:
    with pytest.raises(ConfigError, match="a choice must not be empty"):
        tiny_lm.choices(["the cat"], ["a", ""])
    with pytest.raises(ModelError, match=r"tiny takes 512 tokens at most; a text has \d+: shorten it"):
        tiny_lm.choices(["z" * 600], ["a"])
    bare = LocalModel(tiny_folder("llama", "bare"), dtype="float32", device="cpu")
    with pytest.raises(ModelError, match="one choice begins another, and its tokenizer has no token"):
        bare.choices(["the cat"], ["refund", "refund status"])
    assert tiny_lm.choices([], ["a"]).shape == (0, 1)
    assert tiny_lm.choices(["the cat"], []).shape == (1, 0)


def test_a_sliding_window_sends_long_texts_the_slow_way(tiny_lm: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_lm.model.config
    assert takes_trees(tiny_lm.model, 10_000)
    monkeypatch.setattr(config, "sliding_window", 16, raising=False)
    assert takes_trees(tiny_lm.model, 16)
    assert not takes_trees(tiny_lm.model, 17)
    monkeypatch.setattr(config, "use_sliding_window", False, raising=False)
    assert takes_trees(tiny_lm.model, 17)
    monkeypatch.setattr(config, "model_type", "mamba")
    assert not takes_trees(tiny_lm.model, 3)


@pytest.mark.models
def test_smollm2_chooses_as_it_scores(smollm2: LocalModel) -> None:
    contexts = chats(smollm2, "Sort the text into one category: refund, refund status, card arrival.", TEXTS[:3])
    choices = ["refund", "refund status", "card arrival"]
    got = smollm2.choices(contexts, choices)
    np.testing.assert_allclose(got, by_score(smollm2, contexts, choices, end=True), atol=1e-3)
    pairs = [(context, choice) for context in contexts for choice in ("card arrival", "exchange rate")]
    scored = [one.total for one in smollm2.score(pairs)]
    np.testing.assert_allclose(smollm2.choices(contexts, ["card arrival", "exchange rate"]).ravel(), scored, atol=1e-3)
    np.testing.assert_allclose(scored, [total(smollm2, *pair) for pair in pairs], atol=1e-3)
