"""The output folder of an advice: the report, the artefact, and a file that `pilotfish ask` runs at once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotfish.compete.page import page
from pilotfish.errors import DataError
from pilotfish.measure.report import render_html
from pilotfish.rows.write import write

if TYPE_CHECKING:
    from pilotfish.compete.advise import Advice

# Last to be written, first to be removed: a folder without it holds no finished advice.
LAST = "advice.json"


def write_folder(advice: Advice, out: Path, large: Mapping[str, Any] | None) -> None:
    """Write everything into `out`; `large` is the large model's table as a collaboration file has it.

    Files: report.html, pilotfish.toml, model/ (the small classifier), taught/ (the one that the large model taught,
    where there is one), examples.jsonl (of the few-shot prompt), answers.jsonl (held-out rows and what each candidate
    said), and advice.json last.

    Raises:
        DataError: the folder cannot be written; no advice.json is left that a later run would trust.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / LAST).unlink(missing_ok=True)
        for part in ("model", "taught"):
            shutil.rmtree(out / part, ignore_errors=True)
        advice.classifier.save(out / "model")
        if advice.taught is not None:
            advice.taught.classifier.save(out / "taught")
        if advice.judged is not None:
            examples = [{"text": text, "label": label} for text, label in advice.judged.labeller.examples]
            write(examples or [{"text": "", "label": ""}], out / "examples.jsonl")
        write(_answers(advice), out / "answers.jsonl")
        (out / "report.html").write_text(render_html(page(advice)), encoding="utf-8")
        (out / "pilotfish.toml").write_text(_toml(advice, large), encoding="utf-8")
        text = json.dumps(advice.to_json(), ensure_ascii=False, indent=1, default=_plain)
        (out / LAST).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write the advice into {out}: {error.strerror or error}") from error


def _plain(value: Any) -> Any:
    """Turn numpy numbers into Python's."""
    return value.item() if hasattr(value, "item") else str(value)


def _answers(advice: Advice) -> Iterator[dict[str, Any]]:
    said: dict[int, dict[str, str | None]] = {}
    for one in advice.candidates:
        for row, answer in zip(one.rows, one.answers, strict=True):
            said.setdefault(int(row), {})[one.key] = answer
    for row, answers in sorted(said.items()):
        yield {"text": advice.task.test[row], "label": advice.task.test_labels[row], "answers": answers}


def _toml(advice: Advice, large: Mapping[str, Any] | None) -> str:
    """Return the collaboration file; its `assistant` is the choice."""
    choice = {"small": "small", "large": "large", "cascade": "cascade", "large at training time only": "taught"}
    lines = [
        '# Written by `pilotfish advise`. Try it:  pilotfish ask pilotfish.toml "…" --trace',
        f"# {advice.verdict.answer}: {advice.verdict.reason}",
        f'default = "{choice[advice.verdict.answer]}"',
        "",
        *table("models.small", {"use": "classifier", "path": "model"}),
    ]
    if advice.taught is not None:
        lines += table("models.taught", {"use": "classifier", "path": "taught"})
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


def table(name: str, values: Mapping[str, Any]) -> list[str]:
    """Return the lines of a TOML table of strings, numbers, lists and inline tables, and an empty line."""
    return [f"[{name}]", *(f"{_key(key)} = {_value(value)}" for key, value in values.items() if value is not None), ""]


def _key(key: str) -> str:
    bare = key and all(c.isascii() and (c.isalnum() or c in "-_") for c in key)
    return key if bare else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    # JSON's escapes are TOML's, but for DEL.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
