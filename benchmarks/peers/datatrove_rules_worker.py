"""datatrove's document filters on texts, in an environment of its own: a line of JSON in, a line of JSON out.

`words` is "space" (words between white space, as ours) or "spacy" (its own default for English). FineWeb's and Gopher's
bounds are datatrove's defaults.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def filters(words: str) -> dict[str, Any]:
    """Return the filters by the names of our rules."""
    from datatrove.pipeline.filters import (  # type: ignore[import-not-found]
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )
    from datatrove.utils.typeshelper import Languages  # type: ignore[import-not-found]
    from datatrove.utils.word_tokenizers import WhitespaceTokenizer  # type: ignore[import-not-found]

    class Spaced(WhitespaceTokenizer):  # type: ignore[misc]
        """Its own tokenizer of that name splits words as spaCy does."""

        def word_tokenize(self, text: str) -> list[str]:
            """Return what stands between white space."""
            return text.split()

    language = Languages.english if words == "spacy" else Spaced()
    made = {
        "gopher_repetition": GopherRepetitionFilter,
        "gopher_quality": GopherQualityFilter,
        "fineweb": FineWebQualityFilter,
        "c4": C4QualityFilter,
    }
    return {name: one(language=language) for name, one in made.items()}


def judged(one: Any, text: str) -> tuple[str, str]:
    """Return why a text goes, "" where it stays, and the text as it is left."""
    from datatrove.data import Document  # type: ignore[import-not-found]

    document = Document(text=text, id="")
    try:
        found = one.filter(document)
    except (AssertionError, ZeroDivisionError, IndexError) as error:
        return f"raised {type(error).__name__}", ""
    if found is True:
        return "", document.text
    return (found[1] if isinstance(found, tuple) else "dropped"), ""


def main() -> None:
    """Answer jobs {texts: a JSON file, rule, words} with {reasons, left, seconds}."""
    out, sys.stdout = sys.stdout, sys.stderr
    held: dict[str, Any] = {}
    for line in sys.stdin:
        job = json.loads(line)
        texts = json.loads(Path(job["texts"]).read_text(encoding="utf-8"))
        if job["words"] not in held:
            held[job["words"]] = filters(job["words"])
            for one in held[job["words"]].values():
                judged(one, "The words of a first sentence load what is loaded once.")
        one = held[job["words"]][job["rule"]]
        start = time.perf_counter()
        found = [judged(one, text) for text in texts]
        seconds = time.perf_counter() - start
        told = {"reasons": [why for why, _ in found], "left": [left for _, left in found], "seconds": seconds}
        print(json.dumps(told), file=out, flush=True)


if __name__ == "__main__":
    main()
