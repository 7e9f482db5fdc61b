"""The tokenizer that a GGUF file describes, as tokenizer.json and tokenizer_config.json."""

from __future__ import annotations

import json
from typing import Any

from pilotfish._extras import need
from pilotfish.errors import ModelError
from pilotfish.models._gguf_read import Gguf

__all__ = ["merges_of", "tokenizer_files"]

# The split that each family's own tokenizer.json gives; the file only names it.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPLITS = {
    "qwen2": _WORDS % "",
    "llama-bpe": _WORDS % "{1,3}",
    "llama-v3": _WORDS % "{1,3}",
    "llama3": _WORDS % "{1,3}",
}
_GPT2 = {"default", "gpt-2", "gpt2"}
_DIGITS = {"smollm", "starcoder", "refact", "command-r"}
_NORMAL, _UNKNOWN, _CONTROL, _USER, _BYTE = 1, 2, 3, 4, 6
_SPACE = "▁"


def tokenizer_files(gguf: Gguf) -> dict[str, str]:
    """Return the texts of tokenizer.json and tokenizer_config.json, the chat template included.

    Raises:
        MissingExtra: the `local` extra is not installed.
        ModelError: the file has no tokenizer, or one of a kind that is not known.
    """
    fields = gguf.fields
    kind = fields.get("tokenizer.ggml.model")
    if kind is None or "tokenizer.ggml.tokens" not in fields:
        raise ModelError(f"{gguf.path}: it has no tokenizer; this GGUF file is not a whole model")
    if kind not in ("gpt2", "llama"):
        raise ModelError(f"{gguf.path}: a tokenizer of the kind {kind!r} cannot be converted; use safetensors")
    tokenizer = _byte_level(gguf) if kind == "gpt2" else _sentencepiece(gguf)
    _add_special(tokenizer, fields)
    adds_bos = _adds(
        fields, "bos", default=kind == "llama" or fields.get("tokenizer.ggml.pre") in ("llama-bpe", "llama3")
    )
    adds_eos = _adds(fields, "eos", default=False)
    _wrap(tokenizer, fields, adds_bos=adds_bos, adds_eos=adds_eos)
    config = _config(fields) | {"add_bos_token": adds_bos, "add_eos_token": adds_eos}
    return {
        "tokenizer.json": tokenizer.to_str(),
        "tokenizer_config.json": json.dumps(config, indent=2, ensure_ascii=False) + "\n",
    }


def _adds(fields: dict[str, Any], which: str, *, default: bool) -> bool:
    return bool(fields.get(f"tokenizer.ggml.add_{which}_token", default))


def _byte_level(gguf: Gguf) -> Any:
    """GPT-2's byte-level BPE, split as `tokenizer.ggml.pre` names."""
    library = need("tokenizers", "local")
    fields = gguf.fields
    pre = fields.get("tokenizer.ggml.pre", "default")
    vocabulary = {token: i for i, token in enumerate(fields["tokenizer.ggml.tokens"])}
    merges = [tuple(merge.split(" ", 1)) for merge in fields["tokenizer.ggml.merges"]]
    whole = pre in ("llama-bpe", "llama-v3", "llama3")
    tokenizer = library.Tokenizer(library.models.BPE(vocab=vocabulary, merges=merges, ignore_merges=whole))
    splitters = library.pre_tokenizers
    own_split = splitters.ByteLevel(add_prefix_space=False, use_regex=True)
    if pre in _SPLITS:
        split = splitters.Split(library.Regex(_SPLITS[pre]), "isolated")
        tokenizer.pre_tokenizer = splitters.Sequence(
            [split, splitters.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
    elif pre in _DIGITS:
        tokenizer.pre_tokenizer = splitters.Sequence([splitters.Digits(individual_digits=True), own_split])
    elif pre in _GPT2:
        tokenizer.pre_tokenizer = own_split
    else:
        raise ModelError(f"{gguf.path}: the tokenizer's split {pre!r} is not known here; use the hub's safetensors")
    if pre == "qwen2":
        tokenizer.normalizer = library.normalizers.NFC()
    tokenizer.decoder = library.decoders.ByteLevel()
    return tokenizer


def _sentencepiece(gguf: Gguf) -> Any:
    """Llama 1 and 2, Mistral: BPE over pieces with scores; unknown characters fall back to their bytes."""
    library = need("tokenizers", "local")
    fields = gguf.fields
    tokens = fields["tokenizer.ggml.tokens"]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    kinds = fields.get("tokenizer.ggml.token_type", [_NORMAL] * len(tokens))
    scores = fields["tokenizer.ggml.scores"]
    pieces = {t: score for t, score, k in zip(tokens, scores, kinds, strict=True) if k == _NORMAL}
    unknown = tokens[int(fields.get("tokenizer.ggml.unknown_token_id", 0))]
    model = library.models.BPE(
        vocab=vocabulary, merges=merges_of(pieces), unk_token=unknown, fuse_unk=True, byte_fallback=True
    )
    tokenizer = library.Tokenizer(model)
    prefixed = bool(fields.get("tokenizer.ggml.add_space_prefix", True))
    steps = [library.normalizers.Prepend(_SPACE)] if prefixed else []
    tokenizer.normalizer = library.normalizers.Sequence([*steps, library.normalizers.Replace(" ", _SPACE)])
    decoders = library.decoders
    steps = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prefixed else steps)
    return tokenizer


def merges_of(pieces: dict[str, float]) -> list[tuple[str, str]]:
    """Return the BPE merges, first ones first, that join neighbours in the order of the joined piece's score.

    SentencePiece joins the pair whose result scores highest, wherever it stands; a merge list says the same thing.
    """
    found: list[tuple[float, int, tuple[str, str]]] = []
    for piece, score in pieces.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in pieces and right in pieces:
                found.append((-score, len(found), (left, right)))
    return [pair for _, _, pair in sorted(found)]


def _add_special(tokenizer: Any, fields: dict[str, Any]) -> None:
    """Control tokens are never cut; tokens that the model's makers added are matched whole but are plain text."""
    added = need("tokenizers", "local").AddedToken
    tokens, kinds = fields["tokenizer.ggml.tokens"], fields.get("tokenizer.ggml.token_type", [])
    pairs = list(zip(tokens, kinds, strict=False))
    tokenizer.add_special_tokens(
        [added(t, normalized=False, special=True) for t, k in pairs if k in (_CONTROL, _UNKNOWN)]
    )
    tokenizer.add_tokens([added(t, normalized=False, special=False) for t, k in pairs if k == _USER])


def _named(fields: dict[str, Any]) -> dict[str, str]:
    tokens = fields["tokenizer.ggml.tokens"]
    ids = {name: fields.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos", "padding", "unknown")}
    if ids["padding"] is None:
        ids["padding"] = ids["eos"]
    short = {"bos": "bos_token", "eos": "eos_token", "padding": "pad_token", "unknown": "unk_token"}
    return {short[name]: tokens[int(i)] for name, i in ids.items() if i is not None}


def _wrap(tokenizer: Any, fields: dict[str, Any], *, adds_bos: bool, adds_eos: bool) -> None:
    """Put the begin and end tokens around a text where the model was trained so."""
    named = _named(fields)
    ends = [named["bos_token"]] if adds_bos and "bos_token" in named else []
    tails = [named["eos_token"]] if adds_eos and "eos_token" in named else []
    if not ends and not tails:
        return
    used = [(token, tokenizer.token_to_id(token)) for token in dict.fromkeys([*ends, *tails])]
    library = need("tokenizers", "local")
    tokenizer.post_processor = library.processors.TemplateProcessing(
        single=[*ends, "$A", *tails], pair=[*ends, "$A", *tails, *ends, "$B", *tails], special_tokens=used
    )


def _config(fields: dict[str, Any]) -> dict[str, Any]:
    architecture = fields["general.architecture"]
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": int(fields.get(f"{architecture}.context_length", 2048)),
        **_named(fields),
    }
    if fields.get("tokenizer.chat_template"):
        config["chat_template"] = fields["tokenizer.chat_template"]
    return config
