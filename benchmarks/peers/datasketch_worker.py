"""One side of `benchmarks minhash`, in a process of its own: ours, or datasketch, in whichever environment runs this.

The first line of JSON says {which, texts (a file), ngram, size, threshold}; each further line {do} is answered with its
seconds: `sketch` from texts, `hashed` from n-grams that are hashed already, `groups` from texts to near pairs (in
`pairs`); `estimate` gives the estimates for pairs (in `estimates`), and `many` the seconds and MiB of so many texts.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def shingled(text: str, n: int) -> set[str]:
    """Return the character n-grams, one blank before and after the text, as ours has them."""
    padded = f" {text} ".ljust(n)
    return {padded[start : start + n] for start in range(len(padded) - n + 1)}


class Theirs:
    """datasketch as its documentation uses it: `bulk`, its default scheme, an LSH index queried text by text."""

    def __init__(self, texts: list[str], ngram: int, size: int, threshold: float) -> None:
        datasketch = importlib.import_module("datasketch")
        self.library, self.texts, self.ngram, self.size, self.threshold = datasketch, texts, ngram, size, threshold
        self.hashes = [[datasketch.hashfunc.sha1_hash32(g.encode()) for g in shingled(t, ngram)] for t in texts]

    def sketch(self) -> Any:
        """Return the sketches, from the texts."""
        sets = ([gram.encode() for gram in shingled(text, self.ngram)] for text in self.texts)
        return self.library.MinHash.bulk(sets, num_perm=self.size)

    def hashed(self) -> Any:
        """Return the sketches, from hashes: the quickest way in that it has."""
        return self.library.MinHash.bulk(self.hashes, num_perm=self.size, hashfunc=int)

    def groups(self) -> list[tuple[int, int]]:
        """Return near pairs: candidates whose estimate reaches the threshold."""
        sketches = self.sketch()
        index = self.library.MinHashLSH(threshold=self.threshold, num_perm=self.size)
        found = []
        for place, sketch in enumerate(sketches):
            found += [
                (other, place) for other in index.query(sketch) if sketches[other].jaccard(sketch) >= self.threshold
            ]
            index.insert(place, sketch)
        return found

    def estimates(self, pairs: list[list[int]]) -> list[float]:
        """Return the estimated similarity of pairs."""
        sketches = self.sketch()
        return [float(sketches[a].jaccard(sketches[b])) for a, b in pairs]


class Ours:
    """This project's index."""

    def __init__(self, texts: list[str], ngram: int, size: int, threshold: float) -> None:
        from pilotfish.rows._grams import hashed
        from pilotfish.rows.minhash import MinHash

        self.texts, self.how = texts, MinHash(threshold, ngram, size=size)
        self.grams, self.counts = hashed(texts, ngram)

    def sketch(self) -> Any:
        """Return the sketches, from the texts."""
        return self.how.sketched(self.texts)

    def hashed(self) -> Any:
        """Return the sketches, from hashes."""
        from pilotfish.rows._sketch import sketches

        return sketches(self.grams, self.counts, self.how.size)

    def groups(self) -> list[tuple[int, int]]:
        """Return near pairs, checked exactly; normalising the texts is part of it."""
        from pilotfish.rows.dedupe import near_duplicates

        found = near_duplicates(self.texts, self.how.threshold, ngram=self.how.ngram, method="minhash")
        return [(a, b) for a, b, _ in found.pairs]

    def estimates(self, pairs: list[list[int]]) -> list[float]:
        """Return the estimated similarity of pairs."""
        import numpy as np

        from pilotfish.rows._verify import estimated

        left, right = np.array(pairs, dtype=np.int64).T
        return [float(value) for value in estimated(self.sketch(), left, right)]

    def many(self, count: int) -> dict[str, Any]:
        """Stream so many texts of two halves of known ones into an index, and search it by its sketches."""
        from pilotfish.rows.minhash import MinHashIndex

        def made() -> Iterator[str]:
            total = len(self.texts)
            for place in range(count):
                turn, first = divmod(place, total)
                yield f"{self.texts[first][:200]} {self.texts[(first * 7919 + turn * 104729 + 1) % total][:200]} {turn}"

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        index = MinHashIndex(self.how)
        start = time.perf_counter()
        index.add(made())
        added = time.perf_counter()
        found = index.duplicates()
        end = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "add": added - start,
            "search": end - added,
            "mib": (peak - before) / 1024,
            "removed": len(found.removed),
        }


def main() -> None:
    """Serve one set of texts."""
    out, sys.stdout = sys.stdout, sys.stderr
    job = json.loads(sys.stdin.readline())
    texts = json.loads(Path(job["texts"]).read_text(encoding="utf-8"))
    made: Any = {"ours": Ours, "datasketch": Theirs}[job["which"]]
    side = made(texts, job["ngram"], job["size"], job["threshold"])
    print(json.dumps({"ready": True}), file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        start = time.perf_counter()
        told: dict[str, Any] = {}
        if asked["do"] == "estimate":
            told["estimates"] = side.estimates(asked["pairs"])
        elif asked["do"] == "many":
            told |= side.many(asked["count"])
        else:
            found = getattr(side, asked["do"])()
            told["pairs"] = found if asked["do"] == "groups" else []
        print(json.dumps(told | {"seconds": time.perf_counter() - start}), file=out, flush=True)


if __name__ == "__main__":
    main()
