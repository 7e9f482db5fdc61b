"""datatrove's MinHash pipeline, all four stages, in an environment of its own: a line of JSON in, a line of JSON out.

A job {source: a folder with one JSONL file, folder: an empty one, words, ngram, buckets, rows} is answered with the
seconds of the processor for all, for the first stage (reading and signatures) and for signatures alone, and with the
ids that are kept. `words` is "space" (words between white space, as ours) or "spacy" (its own default for English).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def pipeline(job: dict[str, Any]) -> dict[str, Any]:
    """Run the four stages one after another in this process."""
    from datatrove.pipeline.dedup import (  # type: ignore[import-not-found]
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig  # type: ignore[import-not-found]
    from datatrove.pipeline.readers import JsonlReader  # type: ignore[import-not-found]
    from datatrove.pipeline.writers import JsonlWriter  # type: ignore[import-not-found]
    from datatrove.utils.hashing import HashConfig  # type: ignore[import-not-found]
    from datatrove.utils.typeshelper import Languages  # type: ignore[import-not-found]

    folder = Path(job["folder"])
    config = MinhashConfig(
        n_grams=job["ngram"],
        num_buckets=job["buckets"],
        hashes_per_bucket=job["rows"],
        hash_config=HashConfig(precision=64),
    )
    signing = MinhashDedupSignature(str(folder / "signatures"), config, language=Languages.english)
    if job["words"] == "space":
        signing.word_tokenizer = Spaced()
    else:
        signing.word_tokenizer.word_tokenize("What is loaded once is loaded here.")
    processor = time.process_time()
    _drain(signing.run(JsonlReader(job["source"], doc_progress=False)(None, 0, 1), 0, 1))
    signed = time.process_time() - processor
    for bucket in range(job["buckets"]):
        stage = MinhashDedupBuckets(str(folder / "signatures"), str(folder / "pairs"), config=config)
        _drain(stage.run(None, bucket, job["buckets"]))
    _drain(MinhashDedupCluster(str(folder / "pairs"), str(folder / "removed"), config=config).run(None, 0, 1))
    sifting = MinhashDedupFilter(str(folder / "removed"))
    rows = sifting.run(JsonlReader(job["source"], doc_progress=False)(None, 0, 1), 0, 1)
    _drain(JsonlWriter(str(folder / "kept"), compression=None)(rows, 0, 1))
    told = {"processor": time.process_time() - processor, "first": signed, "signatures": _signatures(signing, job)}
    kept = []
    for path in sorted((folder / "kept").glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            kept += [json.loads(line)["id"] for line in lines]
    return {**told, "kept": kept}


def _signatures(signing: Any, job: dict[str, Any]) -> float:
    """Return the seconds of the processor for shingles and signatures, without reading and writing."""
    texts = []
    for path in Path(job["source"]).iterdir():
        with path.open(encoding="utf-8") as lines:
            texts += [json.loads(line)["text"] for line in lines]
    start = time.process_time()
    for text in texts:
        if (shingles := signing.get_shingles(text)).size:
            signing.get_signature(shingles)
    return time.process_time() - start


class Spaced:
    """Words as what stands between white space."""

    def word_tokenize(self, text: str) -> list[str]:
        """Return the words."""
        return text.split()


def _drain(rows: Any) -> None:
    for _ in rows or ():
        pass


def main() -> None:
    """Answer jobs."""
    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        print(json.dumps(pipeline(json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    main()
