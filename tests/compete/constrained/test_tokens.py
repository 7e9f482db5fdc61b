"""The light tokenizer gives what transformers gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pilotfish.compete.constrained.tokens import LightTokenizer
from pilotfish.errors import ModelError
from pilotfish.model import Message, Request
from pilotfish.models._chat import render_chat
from pilotfish.models._tokens import encode, encode_pair, joint_choices
from tests.tiny import CORPUS


@pytest.mark.parametrize("cut", ["plain", "bos", "melting"])
def test_its_tokens_are_those_of_transformers(cut: str, tiny_folder: Any) -> None:
    from transformers import AutoTokenizer

    folder = tiny_folder("llama", cut)
    ours, theirs = LightTokenizer(folder), AutoTokenizer.from_pretrained(folder)
    for text in [*CORPUS[:7], "", " a ", "x" * 300]:
        assert encode(ours, text) == encode(theirs, text)
        assert encode_pair(ours, text, " and more") == encode_pair(theirs, text, " and more")
        ids = encode(theirs, text)
        assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True)
    contexts, choices = ["the cat sat on", "Where is my"], [" the mat", " card"]
    assert joint_choices(ours, contexts, choices) == joint_choices(theirs, contexts, choices)
    assert (ours.bos_token_id, ours.eos_token_id) == (theirs.bos_token_id, theirs.eos_token_id)
    assert set(ours.all_special_tokens) == set(theirs.all_special_tokens)


@pytest.mark.parametrize(
    "messages",
    [
        [Message("user", "Where is my card?")],
        [Message("system", "Be short."), Message("user", "Why?")],
        [Message("user", "Why?"), Message("assistant", "Because it")],
    ],
)
def test_a_conversation_is_rendered_alike(messages: list[Message], tiny_folder: Any) -> None:
    from transformers import AutoTokenizer

    folder = tiny_folder("llama", "plain")
    ours, theirs = LightTokenizer(folder), AutoTokenizer.from_pretrained(folder)
    request = Request(tuple(messages))
    assert render_chat(ours, request, "m") == render_chat(theirs, request, "m")


def test_a_template_that_refuses_is_told(tiny_folder: Any) -> None:
    ours = LightTokenizer(tiny_folder("llama", "plain"))
    with pytest.raises(ModelError, match="unknown role"):
        render_chat(ours, Request((Message("robot", "x"),)), "m")


def test_encoders_texts_are_cut_with_their_special_tokens(tiny_encoder_folder: Path) -> None:
    from transformers import AutoTokenizer

    ours, theirs = LightTokenizer(tiny_encoder_folder), AutoTokenizer.from_pretrained(tiny_encoder_folder)
    texts = ["my card", "the cat sat on the mat " * 20, ""]
    assert ours.cut(texts, 16) == theirs(texts, truncation=True, max_length=16)["input_ids"]
    assert len(encode(ours, texts[1])) > 16  # cutting is over when it is done


def test_a_folder_without_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no tokenizer.json"):
        LightTokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({}))
    with pytest.raises(ModelError, match="cannot be read"):
        LightTokenizer(tmp_path)
