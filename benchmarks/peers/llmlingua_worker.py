"""LLMLingua in an environment of its own: a line of JSON in, a line of JSON out.

It counts by a tokenizer that is fetched from the network, for its reports alone; here that is the small model's own.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def main() -> None:
    """Answer jobs: load, losses, compress."""
    out, sys.stdout = sys.stdout, sys.stderr
    import tiktoken
    import torch
    from llmlingua import PromptCompressor  # type: ignore[import-not-found]
    from transformers import AutoTokenizer

    held: dict[str, Any] = {}
    for line in sys.stdin:
        job: dict[str, Any] = json.loads(line)
        torch.set_num_threads(job["threads"])
        told: dict[str, Any] = {}
        start = time.perf_counter()
        if job["do"] == "load":
            tokenizer = AutoTokenizer.from_pretrained(job["weights"])
            # A Counted is no Encoding, but it encodes, and that is all that is asked of it.
            setattr(tiktoken, "encoding_for_model", Counted(tokenizer))  # noqa: B010
            config = {"torch_dtype": getattr(torch, job["dtype"]), "trust_remote_code": False}
            held["made"] = PromptCompressor(job["weights"], device_map="cpu", model_config=config)
        elif job["do"] == "losses":
            told["losses"] = [held["made"].get_ppl(text, granularity="token").float().tolist() for text in job["texts"]]
        elif job["do"] == "compress":
            told["texts"], told["each"] = [], []
            for one in job["prompts"]:
                begun = time.perf_counter()
                try:
                    found = held["made"].compress_prompt(one["documents"], question=one["question"], **one["settings"])
                    told["texts"].append(found["compressed_prompt"])
                except Exception as error:
                    # Told, and counted as what it is.
                    told["texts"].append(None)
                    told.setdefault("errors", []).append(f"{type(error).__name__}: {error}"[:200])
                told["each"].append(time.perf_counter() - begun)
        told.setdefault("seconds", time.perf_counter() - start)
        print(json.dumps(told), file=out, flush=True)


class Counted:
    """Counts as a tokenizer of transformers does, by the name that is asked for."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def __call__(self, name: str) -> Counted:
        """Return itself, whatever the model."""
        return self

    def encode(self, text: str) -> list[int]:
        """Return a text's tokens."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


if __name__ == "__main__":
    main()
