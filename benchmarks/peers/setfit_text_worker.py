"""SetFit in an environment of its own: a line of JSON in, a line of JSON out."""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def main() -> None:
    """Answer {texts, labels, test, steps, encoder, seed}: what it says of `test`, and the seconds of teaching."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments  # type: ignore[import-not-found]

    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        job = json.loads(line)
        names = sorted(set(job["labels"]))
        rows = Dataset.from_dict({"text": job["texts"], "label": [names.index(one) for one in job["labels"]]})
        model: Any = SetFitModel.from_pretrained(job["encoder"], device="cpu")
        how = TrainingArguments(
            batch_size=16,
            num_epochs=1,
            max_steps=job["steps"],
            seed=job["seed"],
            report_to="none",
            show_progress_bar=False,
        )
        start = time.perf_counter()
        Trainer(model=model, args=how, train_dataset=rows).train()
        seconds = time.perf_counter() - start
        said = [names[int(one)] for one in model.predict(job["test"], show_progress_bar=False)]
        print(json.dumps({"said": said, "seconds": seconds}), file=out, flush=True)


if __name__ == "__main__":
    main()
