"""Votes aggregated by ours, by crowd-kit or by Snorkel, in whichever environment runs this.

A line of JSON in: {which, model, votes: a file of row, source, label, rows, sources, classes; options}; a line out:
seconds of fitting, and posteriors (rows, classes), null for a row without votes; or the error.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def ours(job: dict[str, Any], votes: dict[str, Any]) -> tuple[float, Any]:
    """Fit one of Pilotfish's; the time is of columns to posteriors, so of sorting them too."""
    from pilotfish.measure.label_models import kind_of
    from pilotfish.measure.votes import Votes

    columns = [np.array(votes[name]) for name in ("row", "source", "label")]
    sizes: dict[str, Any] = {"classes": range(votes["classes"]), "names": range(votes["sources"])}
    sizes["ids"] = range(votes["rows"])
    start = time.perf_counter()
    model = kind_of(job["model"])(**job["options"]).fit(Votes.from_columns(*columns, **sizes))
    return time.perf_counter() - start, model.posterior_


def crowdkit(job: dict[str, Any], votes: dict[str, Any]) -> tuple[float, Any]:
    """Fit one of crowd-kit's aggregations; the time is of a data frame to posteriors."""
    pandas = importlib.import_module("pandas")
    found = importlib.import_module("crowdkit.aggregation")
    frame = pandas.DataFrame({"task": votes["row"], "worker": votes["source"], "label": votes["label"]})
    if job.get("named") == "in order":
        frame["worker"] = pandas.factorize(frame["worker"])[0]
    options = {name: -np.inf if value == "-inf" else value for name, value in job["options"].items()}
    start = time.perf_counter()
    model = getattr(found, job["model"])(**options)
    if hasattr(model, "fit_predict_proba"):
        told = model.fit_predict_proba(frame)
    else:
        said = model.fit_predict(frame)
        told = pandas.get_dummies(said).astype(float)
    seconds = time.perf_counter() - start
    table = np.full((votes["rows"], votes["classes"]), np.nan)
    filled = told.reindex(columns=range(votes["classes"]), fill_value=0.0)
    table[filled.index.to_numpy()] = filled.to_numpy()
    return seconds, table


def snorkel(job: dict[str, Any], votes: dict[str, Any]) -> tuple[float, Any]:
    """Fit Snorkel's label model with its defaults, or its majority vote, on the dense table that it wants."""
    found = importlib.import_module("snorkel.labeling.model")
    table = np.full((votes["rows"], votes["sources"]), -1)
    table[votes["row"], votes["source"]] = votes["label"]
    start = time.perf_counter()
    model = getattr(found, job["model"])(cardinality=votes["classes"])
    if job["model"] == "LabelModel":
        model.fit(table, progress_bar=False, **job["options"])
    told = model.predict_proba(table)
    seconds = time.perf_counter() - start
    told[(table < 0).all(axis=1)] = np.nan
    return seconds, told


def main() -> None:
    """Answer jobs."""
    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        job = json.loads(line)
        votes = json.loads(Path(job["votes"]).read_text(encoding="utf-8"))
        try:
            seconds, table = {"ours": ours, "crowd-kit": crowdkit, "snorkel": snorkel}[job["which"]](job, votes)
        except Exception as error:  # one model that fails does not end the others
            print(json.dumps({"error": f"{type(error).__name__}: {error}"[:300]}), file=out, flush=True)
            continue
        plain = [None if np.isnan(row).any() else row.tolist() for row in np.asarray(table, float)]
        print(json.dumps({"seconds": seconds, "posterior": plain}), file=out, flush=True)


if __name__ == "__main__":
    main()
