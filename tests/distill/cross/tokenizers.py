"""Tokenizers that cut the same text in different ways."""

from __future__ import annotations

from typing import Any

from pilotfish._extras import need
from tests.tiny import CORPUS


def sentencepiece(vocabulary: int = 350, *, prefix: bool = True) -> Any:
    """A BPE that writes spaces as U+2581, puts one in front, and falls back to bytes, as Llama 2's does."""
    tokenizers, transformers = need("tokenizers", "local"), need("transformers", "local")
    raw = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    normalizers = tokenizers.normalizers
    steps = [normalizers.Prepend("▁")] if prefix else []
    raw.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
    raw.decoder = tokenizers.decoders.Sequence(
        [
            tokenizers.decoders.Replace("▁", " "),
            tokenizers.decoders.ByteFallback(),
            tokenizers.decoders.Fuse(),
            *([tokenizers.decoders.Strip(" ", 1, 0)] if prefix else []),
        ]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    raw.train_from_iterator(
        CORPUS[:4] * 3,  # no accents and no Japanese: those fall back to bytes
        tokenizers.trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=special, show_progress=False),
    )
    # Byte tokens are no special tokens of the finished tokenizer: special ones decode to nothing.
    told = raw.to_str()
    import json

    data = json.loads(told)
    data["added_tokens"] = [token for token in data["added_tokens"] if token["id"] < 3]
    raw = tokenizers.Tokenizer.from_str(json.dumps(data))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def ids(tokenizer: Any, text: str) -> list[int]:
    """A text's tokens, nothing special added."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
