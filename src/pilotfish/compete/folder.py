"""The output folder of an advice: the report, the artefact, and a file that `pilotfish ask` runs at once."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish._extras import need
from pilotfish.compete.page import page
from pilotfish.errors import DataError
from pilotfish.measure.report import render_html
from pilotfish.rows._atomic import atomic
from pilotfish.rows.write import write

if TYPE_CHECKING:
    from pilotfish.compete.advise import Advice

# Last to be written, first to be removed: a folder without it holds no finished advice.
LAST = "advice.json"


def write_folder(advice: Advice, out: Path, large: Mapping[str, Any] | None) -> None:
    """Write everything into `out`; `large` is the large model's table as a collaboration file has it.

    Files: report.html, pilotfish.toml, model/ (the small classifier), distilled/ (the one that the large model taught
    too, where there is one), examples.jsonl (of the few-shot prompt), answers.jsonl (held-out rows and what each
    candidate said), and advice.json last.

    Where the choice needs the large model and `large` is None, the file's default is the small model.

    Raises:
        DataError: the folder cannot be written; no advice.json is left that a later run would trust.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / LAST).unlink(missing_ok=True)
        (out / "examples.jsonl").unlink(missing_ok=True)
        for part in ("model", "distilled"):
            if (out / part).exists():
                shutil.rmtree(out / part)
        advice.classifier.save(out / "model")
        if advice.distilled is not None:
            advice.distilled.student.save(out / "distilled")
        if advice.judged is not None and advice.judged.labeller.examples:
            write(
                ({"text": text, "label": label} for text, label in advice.judged.labeller.examples),
                out / "examples.jsonl",
            )
        write(_answers(advice), out / "answers.jsonl")
        put(out / "report.html", render_html(page(advice)))
        put(out / "pilotfish.toml", _toml(advice, large))
        put(out / LAST, json.dumps(plain(advice.to_json()), ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    except (OSError, need("safetensors", "local").SafetensorError) as error:
        # safetensors says "…: I/O error: No space left on device (os error 28)".
        said = getattr(error, "strerror", None) or str(error).rpartition("I/O error: ")[2]
        raise DataError(f"cannot write the advice into {out}: {said}") from error


def put(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with atomic(path) as file:
        file.write(text.encode())


def plain(value: Any) -> Any:
    """Return what strict JSON can say: numpy's numbers as Python's, those that are not finite as None.

    Raises:
        TypeError: a value that JSON has no form for.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"advice.json has no form for a {type(value).__name__}")


def _answers(advice: Advice) -> Iterator[dict[str, Any]]:
    said: dict[int, dict[str, str | None]] = {}
    for one in advice.candidates:
        for row, answer in zip(one.rows, one.answers, strict=True):
            said.setdefault(int(row), {})[one.key] = answer
    for row, answers in sorted(said.items()):
        yield {"text": advice.task.test[row], "label": advice.task.test_labels[row], "answers": answers}


def _toml(advice: Advice, large: Mapping[str, Any] | None) -> str:
    """Return the collaboration file; its `assistant` is the choice."""
    choice = {"small": "small", "large": "large", "cascade": "cascade", "large at training time only": "distilled"}
    default = choice[advice.verdict.answer]
    lines = [
        '# Written by `pilotfish advise`. Try it:  pilotfish ask pilotfish.toml "…" --trace',
        comment(f"{advice.verdict.answer}: {advice.verdict.reason}"),
    ]
    if large is None and default in ("large", "cascade"):
        lines.append(f"# The choice, {default}, needs the large model, whose table was not given: add it to use it.")
        default = "small"
    lines += [
        f'default = "{default}"',
        "",
        *table("models.small", {"use": "classifier", "path": "model"}),
    ]
    if advice.distilled is not None:
        lines += table("models.distilled", {"use": "classifier", "path": "distilled"})
    if advice.judged is not None and large is not None:
        labeller = advice.judged.labeller
        settings: dict[str, Any] = {"use": "labeller", "model": "large-model", "labels": list(labeller.labels)}
        if labeller.names:
            settings["names"] = dict(labeller.names)
        if labeller.examples:
            settings["examples"] = "examples.jsonl"
        if labeller.prior_ is not None:
            settings["prior"] = [round(float(x), 5) for x in labeller.prior_]
        lines += table("models.large-model", large) + table("models.large", settings)
        threshold = advice.threshold
        if threshold is not None:
            # A threshold that always defers is infinite; probabilities end at 1.
            accept = {"score": "confidence", "above": min(threshold.above, 1.01)}
            lines += table("models.cascade", {"use": "cascade", "small": "small", "large": "large", "accept": accept})
    return "\n".join(lines)


def comment(text: str) -> str:
    """Return a TOML comment; line breaks and control characters, which one may not hold, become spaces."""
    return "# " + "".join(char if char.isprintable() else " " for char in text)


def table(name: str, values: Mapping[str, Any]) -> list[str]:
    """Return the lines of a TOML table of strings, numbers, lists and inline tables, and an empty line."""
    return [f"[{name}]", *(f"{_key(key)} = {_value(value)}" for key, value in values.items() if value is not None), ""]


def _key(key: str) -> str:
    bare = key and all(c.isascii() and (c.isalnum() or c in "-_") for c in key)
    return key if bare else _quoted(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
