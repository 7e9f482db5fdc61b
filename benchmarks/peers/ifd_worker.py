"""Superfiltering's own program, unchanged, in its own environment: a row's two perplexities, a row at a time.

The one line of JSON is {repo, rows, weights, threads, max_length}: a clone of the project, a file of rows, a folder of
weights. The answer has what the program wrote for each row, and the seconds that each row took.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def main() -> None:
    """Run it as told, and say what it wrote."""
    out, sys.stdout = sys.stdout, sys.stderr
    job = json.loads(sys.stdin.readline())
    import torch

    torch.set_num_threads(job["threads"])
    program = Path(job["repo"]) / "code_ifd" / "data_analysis.py"
    spec = importlib.util.spec_from_file_location("data_analysis", program)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ended: list[float] = []

    def timed(rows: Iterable[Any]) -> Iterator[Any]:
        """Stands in for its progress bar: a row ends where the next one is asked for."""
        ended.append(time.perf_counter())
        for row in rows:
            yield row
            ended.append(time.perf_counter())

    module.tqdm = timed
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "out.jsonl"
        settings = {"data_path": job["rows"], "save_path": str(saved), "model_name_or_path": job["weights"]}
        settings["max_length"] = str(job["max_length"])
        sys.argv = ["data_analysis", *(word for name, value in settings.items() for word in (f"--{name}", value))]
        module.main()
        found = [json.loads(line) for line in saved.read_text().splitlines()]
    seconds = [after - before for before, after in itertools.pairwise(ended)]
    print(json.dumps({"rows": found, "seconds": seconds}), file=out, flush=True)


if __name__ == "__main__":
    main()
