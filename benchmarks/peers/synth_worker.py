"""One side of `benchmarks synth-engine`, in a process of its own: ours, Curator or distilabel, asking an endpoint.

The one line of JSON is {which, url, rows, concurrency, folder}: so many different prompts are asked, and every answer
becomes a row on the disk or in a data set, as each does it by itself. The answer has the seconds from the first line of
work to the last row, and how many rows there are.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def main() -> None:
    """Make the rows, and say how long that took."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # peers print to standard output, from processes of theirs too
    job = json.loads(sys.stdin.readline())
    rows, seconds = {"ours": ours, "curator": curator, "distilabel": distilabel}[job["which"]](job)
    out.write(json.dumps({"rows": rows, "seconds": seconds}) + "\n")
    out.flush()


def prompt_of(number: int) -> str:
    """Return a row's prompt."""
    return f"Write one sentence about the number {number}."


def ours(job: dict[str, Any]) -> tuple[int, float]:
    """Ask by Pilotfish's engine."""
    from collections.abc import Iterable, Sequence

    from pilotfish.model import Reply, Request
    from pilotfish.models.remote import RemoteModel
    from pilotfish.synthesize.make import synthesize
    from pilotfish.synthesize.recipe import Made, Prompt, Recipe

    class Sentences(Recipe):
        name = "sentences"

        def prompts(self, made: Made) -> Sequence[Prompt]:
            count = 0 if made.round else job["rows"]
            return [Prompt(Request.of(prompt_of(i), max_tokens=64), {"number": i}) for i in range(count)]

        def read(self, prompt: Prompt, reply: Reply) -> Iterable[dict[str, Any]]:
            return [{"text": reply.text}]

        def config(self) -> dict[str, Any]:
            return {}

    start = time.perf_counter()
    model = RemoteModel("scripted", job["url"], key_env=None, concurrency=job["concurrency"])
    told = synthesize(Sentences(), model, job["folder"], progress=False)
    return told.kept, time.perf_counter() - start


def curator(job: dict[str, Any]) -> tuple[int, float]:
    """Ask by Bespoke Curator."""
    litellm = find_spec("litellm")
    assert litellm is not None and litellm.origin is not None
    os.environ.update(
        OPENAI_API_KEY="none",
        CURATOR_CACHE_DIR=job["folder"],
        CURATOR_DISABLE_RICH_DISPLAY="1",
        TELEMETRY_ENABLED="false",
        CURATOR_VIEWER="0",
        # Its tokenizer would be fetched over the network; LiteLLM, on which it stands, brings the same one along.
        TIKTOKEN_CACHE_DIR=str(Path(litellm.origin).parent / "litellm_core_utils" / "tokenizers"),
    )
    from bespokelabs import curator as peer  # type: ignore[import-not-found]

    class Sentences(peer.LLM):  # type: ignore[misc]
        def prompt(self, input: dict[str, Any]) -> str:
            return str(input["prompt"])

        def parse(self, input: dict[str, Any], response: str) -> dict[str, Any]:
            return {"text": response}

    start = time.perf_counter()
    llm = Sentences(
        model_name="gpt-4o-mini",
        backend="openai",
        generation_params={"max_tokens": 64},
        backend_params={
            "base_url": job["url"],
            "max_requests_per_minute": 10**7,
            "max_tokens_per_minute": 10**10,
            "max_concurrent_requests": job["concurrency"],
            "max_retries": 1,
        },
    )
    made = llm([{"prompt": prompt_of(i)} for i in range(job["rows"])])
    rows = len(getattr(made, "dataset", made))
    return rows, time.perf_counter() - start


def distilabel(job: dict[str, Any]) -> tuple[int, float]:
    """Ask by distilabel."""
    os.environ["OPENAI_API_KEY"] = "none"
    from distilabel.models import OpenAILLM  # type: ignore[import-not-found]
    from distilabel.pipeline import Pipeline  # type: ignore[import-not-found]
    from distilabel.steps import LoadDataFromDicts  # type: ignore[import-not-found]
    from distilabel.steps.tasks import TextGeneration  # type: ignore[import-not-found]

    start = time.perf_counter()
    with Pipeline(name="sentences", cache_dir=job["folder"]) as pipeline:
        load = LoadDataFromDicts(
            data=[{"instruction": prompt_of(i)} for i in range(job["rows"])], batch_size=job["concurrency"]
        )
        ask = TextGeneration(
            llm=OpenAILLM(
                model="scripted", base_url=job["url"], api_key="none", generation_kwargs={"max_new_tokens": 64}
            ),
            input_batch_size=job["concurrency"],
        )
        load >> ask
    made = pipeline.run(use_cache=False)
    return len(made["default"]["train"]), time.perf_counter() - start


if __name__ == "__main__":
    main()
