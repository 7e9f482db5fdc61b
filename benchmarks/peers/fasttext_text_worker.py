"""fastText as a classifier of any number of labels, in an environment of its own: JSON in, JSON out."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time

WORDS = re.compile(r"\w+|[^\w\s]")


def prepared(text: str) -> str:
    """Return a text as its users prepare it: lower case, words and signs apart, on one line."""
    return " ".join(WORDS.findall(text.lower()))


def main() -> None:
    """Answer {texts, labels, test, seed}: what it says of `test`, and the seconds of teaching."""
    import fasttext  # type: ignore[import-not-found]

    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        job = json.loads(line)
        names = sorted(set(job["labels"]))
        epochs = min(100, max(5, -(-50_000 // len(job["texts"]))))  # as many as ours
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            for text, label in zip(job["texts"], job["labels"], strict=True):
                file.write(f"__label__{names.index(label)} {prepared(text)}\n")
            file.flush()
            start = time.perf_counter()
            model = fasttext.train_supervised(
                file.name, wordNgrams=2, minn=3, maxn=5, dim=64, lr=0.5, epoch=epochs, thread=1, seed=job["seed"],
                verbose=0,
            )  # fmt: skip
            seconds = time.perf_counter() - start
        found = model.predict([prepared(text) for text in job["test"]])[0]
        said = [names[int(one[0].removeprefix("__label__"))] for one in found]
        print(json.dumps({"said": said, "seconds": seconds}), file=out, flush=True)


if __name__ == "__main__":
    main()
