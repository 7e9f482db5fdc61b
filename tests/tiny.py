"""Tiny models with random weights and real tokenizers, written as folders that transformers loads.

Their answers mean nothing, but their arithmetic is that of the large ones: what holds for them to the last bits holds
for any model of the family.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pilotfish._extras import need

__all__ = ["Cut", "Family", "tokenizer", "write_encoder", "write_lm"]

# Mistral and Gemma 3 have windows of 12 tokens (Gemma in its first layer only).
Family = Literal["llama", "qwen2", "gpt2", "qwen3", "gemma3", "mistral"]
# plain: words apart, as in GPT-2; bos: the same, and every text begins with a token of its own; melting: merges run
# across words, so that a text's tokens depend on what stands before it; bare: no special token and no chat template.
Cut = Literal["plain", "bos", "melting", "bare"]

TEMPLATE = (
    "{% for m in messages %}"
    "{% if m['role'] not in ['system', 'user', 'assistant'] %}"
    "{{ raise_exception('unknown role ' + m['role']) }}{% endif %}"
    "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CORPUS = [
    "My card has not arrived yet. Where is it? I want a refund for the top up that failed.",
    "Sort the text into exactly one category. Answer with the category's name and nothing else.",
    "Categories:\n- card arrival\n- refund\n- refund status\n- top up failed\n- exchange rate",
    "the cat sat on the mat, it's 2024 and the dog did not; the bird sang a song of the sea",
    "Où est l'été ? Ça va. 日本語の文 🙂 naïve café",
    "Text: the exchange rate is wrong, wrong, wrong!",
    "system\nuser\nassistant\nText:",
] * 3
TEXTS = [text.strip() for text in CORPUS[:7]]


def tokenizer(cut: Cut = "plain", *, vocabulary: int = 400) -> Any:
    """A byte-level BPE trained on a few lines, as a transformers tokenizer."""
    tokenizers = need("tokenizers", "local")
    transformers = need("transformers", "local")
    pre = tokenizers.pre_tokenizers
    raw = tokenizers.Tokenizer(tokenizers.models.BPE())
    raw.pre_tokenizer = pre.ByteLevel(add_prefix_space=False, use_regex=cut != "melting")
    raw.decoder = tokenizers.decoders.ByteLevel()
    special = [] if cut == "bare" else SPECIAL
    raw.train_from_iterator(
        CORPUS,
        tokenizers.trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=special,
            initial_alphabet=pre.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if cut == "bare":
        return transformers.PreTrainedTokenizerFast(tokenizer_object=raw)
    if cut == "bos":
        raw.post_processor = tokenizers.processors.TemplateProcessing(
            single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
        )
    # The padding token is the end token, as in many real models: whoever masks by its id loses real tokens.
    names = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **names)
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    made.chat_template = TEMPLATE
    return made


def write_lm(folder: Path, family: Family = "llama", cut: Cut = "plain", *, length: int = 512, seed: int = 7) -> Path:
    """Write a causal language model of two layers and its tokenizer, and return the folder."""
    torch = need("torch", "local")
    transformers = need("transformers", "local")
    cutter = tokenizer(cut)
    torch.manual_seed(seed)
    ends = {"bos_token_id": cutter.bos_token_id, "eos_token_id": cutter.eos_token_id}
    if family == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=len(cutter), n_positions=length, n_embd=32, n_layer=2, n_head=4, **ends
        )
    else:
        kind, own = _kind(family)
        config = kind(
            vocab_size=len(cutter),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=length,
            **ends,
            **own,
        )
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            # Larger than at first, so that the likeliest token stands out and a wrong position or mask shows.
            parameter.copy_(torch.randn_like(parameter) * 0.3 + (1.0 if parameter.ndim == 1 else 0.0))
    model.generation_config = transformers.GenerationConfig(**ends)
    model.save_pretrained(folder)
    cutter.save_pretrained(folder)
    return folder


def _kind(family: Family) -> tuple[Any, dict[str, Any]]:
    """Return a family's config class, and what it is given beside what all families share."""
    transformers = need("transformers", "local")
    kinds: dict[Family, tuple[Any, dict[str, Any]]] = {
        "llama": (transformers.LlamaConfig, {}),
        "qwen2": (transformers.Qwen2Config, {}),
        "qwen3": (transformers.Qwen3Config, {"head_dim": 16}),
        "mistral": (transformers.MistralConfig, {"sliding_window": 12}),
        "gemma3": (
            transformers.Gemma3TextConfig,
            {
                "head_dim": 16,
                "sliding_window": 12,
                "query_pre_attn_scalar": 24,
                "layer_types": ["sliding_attention", "full_attention"],
            },
        ),
    }
    return kinds[family]


def write_encoder(folder: Path, *, length: int = 32, width: int = 48, seed: int = 3) -> Path:
    """Write a sentence-transformers folder (a BERT of two layers, mean pooling, normalised), and return it.

    Its tokens are words of `CORPUS` and letters; texts with words in common get vectors near one another, so a head on
    top learns simple tasks.
    """
    torch = need("torch", "local")
    transformers = need("transformers", "local")
    cutter = _word_pieces(length)
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=len(cutter),
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=max(64, length),
    )
    transformers.BertModel(config).eval().save_pretrained(folder)
    cutter.save_pretrained(folder)
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds.items())
    ]
    pooling = {"word_embedding_dimension": width, "pooling_mode_mean_tokens": True}
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": length, "do_lower_case": False}))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


def _word_pieces(length: int) -> Any:
    tokenizers = need("tokenizers", "local")
    transformers = need("transformers", "local")
    names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    # Written down and not trained: the WordPiece trainer breaks ties by chance, and each run would get another encoder.
    normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    pre = tokenizers.pre_tokenizers.BertPreTokenizer()
    words = {word for text in CORPUS for word, _ in pre.pre_tokenize_str(normalizer.normalize_str(text))}
    letters = {letter for word in words for letter in word}
    inner = [f"##{letter}" for letter in sorted(letters)]
    pieces = [*names.values(), *sorted(letters), *inner, *sorted(words - letters)]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    raw = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    raw.normalizer, raw.pre_tokenizer = normalizer, pre
    raw.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, raw.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    )
    raw.decoder = tokenizers.decoders.WordPiece()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, model_max_length=length, **{f"{role}_token": name for role, name in names.items()}
    )
