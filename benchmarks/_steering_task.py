"""A task to steer on: TREC's six types of questions (Li and Roth 2002), answered by the likeliest label.

The tuned rows and those that weights are fitted on come from the training file; every test row is asked, but those that
the training file has too. No choice was made on test rows: the prompt is the one of three under which the untuned
1.5B was best on 48 training rows.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks._steering import RESAMPLES, Ways, only, rules, shares
from pilotfish.adapt.expert import Tuning
from pilotfish.measure.intervals import bootstrap
from pilotfish.models.local import LocalModel

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from pilotfish.decode.evidence import Evidence

# The file's 0 to 5; each is one token of the models here when a blank stands before it.
LABELS = ("description", "entity", "abbreviation", "human", "location", "number")
ASKED = "\nType:"
ROWS = 640  # of the training file: those tuned on, and those held out
TUNING = Tuning(held_out=0.0625, batch_tokens=256, length=128, every=10)
BATCH = 16  # rows that are asked at once


def texts(data: Path) -> list[str]:
    """Return the training rows as texts to tune on, drawn by a seed; no question of the test is among them."""
    asked = {question for question, _ in _rows(data / "sent_conv" / "TREC.test.all", "utf-8")}
    known = dict.fromkeys(_rows(data / "sent_conv" / "TREC.train.all", "latin-1"))
    rows = [(question, label) for question, label in known if question not in asked]
    drawn = np.random.default_rng(0).permutation(len(rows))[:ROWS]
    return [f"{rows[i][0]}{ASKED} {LABELS[rows[i][1]]}" for i in drawn]


def questions(data: Path) -> list[tuple[str, int]]:
    """Return (prompt, label) of the test's rows, without those that the training file has as well."""
    known = {question for question, _ in _rows(data / "sent_conv" / "TREC.train.all", "latin-1")}
    rows = _rows(data / "sent_conv" / "TREC.test.all", "utf-8")
    return [(question + ASKED, label) for question, label in rows if question not in known]


def _rows(path: Path, encoding: str) -> list[tuple[str, int]]:
    """Return the (question, label) of a file whose lines are a label's number, a blank and a question."""
    lines = (line.partition(" ") for line in path.read_text(encoding=encoding).splitlines() if line)
    return [(question.strip(), int(label)) for label, _, question in lines]


def label_scores(
    ways: Ways, prompts: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]
) -> dict[str, NDArray[np.float64]]:
    """Return each way's summed log p of each label's tokens after each prompt: (prompts, labels)."""
    import torch

    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in ways.rules}
    decoder = ways.decoder
    for at in range(0, len(prompts), BATCH):
        batch = prompts[at : at + BATCH]
        rows, _ = decoder.start([[list(ids)] * decoder.members for ids in batch])
        firsts = [label[0] for label in labels]
        scores = {name: logits.log_softmax(-1)[:, firsts].double() for name, logits in ways.said.items()}
        for number, label in enumerate(labels):
            if len(label) == 1:
                continue
            decoder.feed(rows, [list(label[:-1])] * len(rows))
            targets = torch.tensor(list(label[1:]))[None, :, None].expand(len(rows), -1, 1)
            for name, logits in ways.said.items():
                logprobs = logits.log_softmax(-1).view(len(rows), len(label) - 1, -1)
                scores[name][:, number] += logprobs.gather(-1, targets).double().sum((1, 2))
            for row in rows:
                decoder.rollback(row, 0)
        for row in rows:
            decoder.close(row)
        for name, each in scores.items():
            found[name].append(each.numpy())
    return {name: np.concatenate(each) for name, each in found.items()}


def said_of_labels(models: Sequence[LocalModel], rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Evidence:
    """Return what each model says of the label's tokens alone, for (prompt, label) rows of ids."""
    import torch

    from pilotfish.decode.evidence import Evidence

    said: list[list[Tensor]] = [[] for _ in models]
    decoders = [model.decoder() for model in models]
    width = min(decoder.vocabulary for decoder in decoders)
    for prompt, label in rows:
        for decoder, into in zip(decoders, said, strict=True):
            (row,), first = decoder.start([[list(prompt)]])
            into.append(first[:, :width].log_softmax(-1))
            if len(label) > 1:
                into.append(decoder.feed([row], [list(label[:-1])])[0][:, :width].log_softmax(-1))
            decoder.close(row)
    targets = torch.tensor([token for _, label in rows for token in label])
    return Evidence("trec", torch.stack([torch.cat(parts) for parts in said]), targets)


def steered(
    models: Sequence[LocalModel],
    direct_at: Path,
    asked: Sequence[tuple[str, int]],
    fitting: Sequence[str],
    *,
    threads: int,
) -> list[dict[str, Any]]:
    """Return every way's accuracy on the questions asked, and the shares of the direct gain.

    Args:
        models: base, expert and anti-expert.
        direct_at: the folder of the base tuned itself.
        asked: (prompt, label) of the test.
        fitting: texts of the training file that no model was tuned on; weights are fitted on their labels.
        threads: for the direct model.
    """
    from pilotfish.decode.fit import fit_weights

    labels = [_ids(models[0], f" {label}") for label in LABELS]
    prompts = [_ids(models[0], prompt) for prompt, _ in asked]
    known = [text.rpartition(ASKED) for text in fitting]
    fit = fit_weights(
        "product",
        [said_of_labels(models, [(_ids(models[0], one + two), _ids(models[0], label)) for one, two, label in known])],
    )
    found = label_scores(Ways(models, rules(fit)), prompts, labels)
    found |= label_scores(Ways([LocalModel(direct_at, threads=threads)], only("direct")), prompts, labels)
    gc.collect()
    right = np.array([label for _, label in asked])
    wrong = {name: (scores.argmax(1) != right).astype(np.float64) for name, scores in found.items()}
    cases = []
    for name, each in wrong.items():
        interval = bootstrap(1 - each, resamples=RESAMPLES)
        ends = {"low": interval.low, "high": interval.high, "unit": "accuracy on the test's questions", "n": len(asked)}
        cases.append({"case": f"trec: accuracy, {name}", "value": interval.value, **ends})
    # Steering is worth its cost only where it goes beyond the expert alone, so that is told too.
    for name, each in wrong.items():
        if name.startswith("steered"):
            more = bootstrap(wrong["expert alone"] - each, resamples=RESAMPLES)
            ends = {"low": more.low, "high": more.high, "unit": "accuracy", "n": len(asked)}
            cases.append({"case": f"trec: more than the expert alone, {name}", "value": more.value, **ends})
    ways = {name: each for name, each in wrong.items() if name.startswith(("steered", "expert"))}
    return cases + shares("trec", "share of accuracy", wrong["base"], wrong["direct"], ways)


def _ids(model: LocalModel, text: str) -> list[int]:
    return list(model.tokenizer(text, add_special_tokens=False)["input_ids"])
