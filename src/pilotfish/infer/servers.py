"""The same pair in other engines: the flags of vLLM, llama.cpp's server and SGLang for a target and its draft.

Flags as documented by vLLM 0.26, by llama.cpp since its pull request 22964 (May 2026), and by SGLang 0.5 (2026).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from pilotfish.errors import ConfigError, did_you_mean

__all__ = ["SERVERS", "Pair", "export"]


@dataclass(frozen=True)
class Pair:
    """A target's weights and what drafts for it: `draft` is weights, or None for prompt look-up.

    `same`: whether both have one tokenizer.
    """

    target: str
    draft: str | None
    length: int = 4
    max_ngram: int = 3
    same: bool = True


def export(server: str, pair: Pair) -> str:
    """Return the command line of a server, with a comment on the version that its flags hold for.

    Raises:
        ConfigError: an unknown server, or one that cannot draft this way.
    """
    if server not in SERVERS:
        raise ConfigError(f"no flags known for {server!r}{did_you_mean(server, SERVERS)}")
    return SERVERS[server](pair)


def _vllm(pair: Pair) -> str:
    settings: dict[str, object] = {"method": "ngram", "prompt_lookup_max": pair.max_ngram}
    if pair.draft is not None:
        settings = {"method": "draft_model", "model": pair.draft}
        if not pair.same:
            settings["use_heterogeneous_vocab"] = True
    settings["num_speculative_tokens"] = pair.length
    words = ["vllm", "serve", pair.target, "--speculative-config", json.dumps(settings)]
    return f"# vLLM 0.26\n{shlex.join(words)}"


def _llama_cpp(pair: Pair) -> str:
    note = f"# llama.cpp since May 2026; before: --draft-max {pair.length}"
    words = ["llama-server", "-m", pair.target]
    if pair.draft is None:
        note += f" --spec-ngram-size-n {pair.max_ngram} --spec-ngram-size-m {pair.length}"
        words += ["--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", str(pair.max_ngram)]
        words += ["--spec-ngram-simple-size-m", str(pair.length)]
    else:
        words += ["--model-draft", pair.draft, "--spec-type", "draft-simple", "--spec-draft-n-max", str(pair.length)]
    if not pair.target.endswith(".gguf"):
        note += "\n# give GGUF files of these weights"
    return f"{note}\n{shlex.join(words)}"


def _sglang(pair: Pair) -> str:
    words = ["python", "-m", "sglang.launch_server", "--model-path", pair.target, "--speculative-algorithm"]
    if pair.draft is None:
        words += ["NGRAM", "--speculative-num-draft-tokens", str(pair.length + 1)]
        words += ["--speculative-ngram-max-match-window-size", str(pair.max_ngram)]
        return f"# SGLang 0.5 (its n-gram drafts need CUDA)\n{shlex.join(words)}"
    if not pair.same:
        raise ConfigError("sglang: target and draft need one tokenizer there; vllm takes two")
    words += ["STANDALONE", "--speculative-draft-model-path", pair.draft, "--speculative-num-steps", str(pair.length)]
    words += ["--speculative-eagle-topk", "1", "--speculative-num-draft-tokens", str(pair.length + 1)]
    return f"# SGLang 0.5\n{shlex.join(words)}"


SERVERS: dict[str, Callable[[Pair], str]] = {"vllm": _vllm, "llama.cpp": _llama_cpp, "sglang": _sglang}
