"""Shared tokens: by bytes, one to one; and families whose vocabularies differ by padding alone."""

from __future__ import annotations

import json

import pytest

from pilotfish._extras import need
from pilotfish.distill.cross import Pieces, shared_rows, shared_vocabulary
from pilotfish.errors import ConfigError
from tests.distill.cross.tokenizers import sentencepiece
from tests.tiny import tokenizer

LEVEL, PIECE = tokenizer(), sentencepiece()


def test_padding_rows_are_cut_off() -> None:
    assert shared_rows(400, 448, tokenizer(), tokenizer()) == 400
    assert shared_rows(448, 400, tokenizer(), tokenizer()) == 400
    with pytest.raises(ConfigError, match="the teacher has 399 logits for the 400 tokens"):
        shared_rows(448, 399, tokenizer(), tokenizer())


def test_one_different_token_is_another_tokenizer() -> None:
    data = json.loads(LEVEL.backend_tokenizer.to_str())
    vocabulary = data["model"]["vocab"]
    name = next(text for text, token in vocabulary.items() if token == 399)
    vocabulary["zzzz"] = vocabulary.pop(name)
    data["model"]["merges"] = [pair for pair in data["model"]["merges"] if "".join(pair) != name]
    made = need("tokenizers", "local").Tokenizer.from_str(json.dumps(data))
    other = need("transformers", "local").PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>")
    assert shared_rows(400, 400, LEVEL, other) is None
    assert len(shared_vocabulary(Pieces(LEVEL), Pieces(other), 400, 400).student) == 399


def test_tokens_are_shared_by_their_bytes() -> None:
    ours, theirs = Pieces(LEVEL), Pieces(PIECE)
    shared = shared_vocabulary(ours, theirs, 410, 360)
    assert len(shared.student) == len(shared.teacher) > 256
    for mine, other in zip(shared.student.tolist(), shared.teacher.tolist(), strict=True):
        assert ours.one(mine) == theirs.one(other) != b""
    assert len(set(shared.student.tolist())) == len(shared.student)
    assert len(set(shared.teacher.tolist())) == len(shared.teacher)
    assert sorted([*shared.student.tolist(), *shared.student_rest.tolist()]) == list(range(410))
    assert sorted([*shared.teacher.tolist(), *shared.teacher_rest.tolist()]) == list(range(360))
    # End tokens are shared whatever their names, letters by the token that texts are written with.
    at = shared.student.tolist().index(LEVEL.eos_token_id)
    assert shared.teacher[at] == PIECE.eos_token_id
    letter = shared.classes[b"a"]
    assert PIECE.convert_ids_to_tokens(int(shared.teacher[letter])) == "a"
    half = shared.classes[b"\xc3"]
    assert PIECE.convert_ids_to_tokens(int(shared.teacher[half])) == "<0xC3>"
    assert "tokens shared" in str(shared)


def test_equal_tokenizers_share_all_and_padding_rows_are_left_over() -> None:
    shared = shared_vocabulary(Pieces(tokenizer()), Pieces(tokenizer()), 410, 404)
    assert sorted(shared.student.tolist()) == list(range(400))
    assert shared.student.tolist() == shared.teacher.tolist()
    assert shared.student_rest.tolist() == list(range(400, 410))
    assert shared.teacher_rest.tolist() == list(range(400, 404))
    moved = shared.to("cpu")
    assert moved.classes is shared.classes


def test_too_few_logits_are_said() -> None:
    with pytest.raises(ConfigError, match="the student has 399 logits"):
        shared_vocabulary(Pieces(LEVEL), Pieces(PIECE), 399, 400)
