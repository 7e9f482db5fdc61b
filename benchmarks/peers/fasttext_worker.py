"""fastText as a classifier of good texts, in an environment of its own: a line of JSON in, a line of JSON out.

Texts come prepared as its users prepare them: in lower case, words and signs apart, on one line.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Answer {do: "fit", texts, good, epoch, lr}, {do: "score", texts} and {do: "time", texts}; files are JSON."""
    import fasttext  # type: ignore[import-not-found]

    out, sys.stdout = sys.stdout, sys.stderr
    model: Any = None
    for line in sys.stdin:
        job = json.loads(line)
        texts = json.loads(Path(job["texts"]).read_text(encoding="utf-8"))
        told: dict[str, Any] = {}
        start = time.perf_counter()
        if job["do"] == "fit":
            with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
                for text, good in zip(texts, job["good"], strict=True):
                    file.write(f"__label__{'good' if good else 'bad'} {text}\n")
                file.flush()
                model = fasttext.train_supervised(
                    file.name, wordNgrams=2, epoch=job["epoch"], lr=job["lr"], dim=100, thread=1, verbose=0
                )
        elif job["do"] == "score":
            labels, chances = model.predict(texts, k=2)
            both = [dict(zip(names, found, strict=True)) for names, found in zip(labels, chances, strict=True)]
            told["scores"] = [float(one["__label__good"]) for one in both]
        else:
            for _ in range(job["times"]):
                model.predict(texts)
        print(json.dumps(told | {"seconds": time.perf_counter() - start}), file=out, flush=True)


if __name__ == "__main__":
    main()
