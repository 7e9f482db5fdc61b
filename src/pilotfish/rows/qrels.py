"""TREC's files: judgements of documents (qrels), and what a system ranked (a run).

Formats: `query 0 document grade`, and `query Q0 document rank score tag`, separated by white space. As trec_eval does,
a run is ordered by score and, where scores are equal, by the id, the larger first; its ranks mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pilotfish.errors import DataError
from pilotfish.rows._atomic import atomic

__all__ = ["Qrels", "Run", "ranked", "read_qrels", "read_run", "write_qrels", "write_run"]

Qrels = Mapping[str, Mapping[str, int]]
BEIR = ["query-id", "corpus-id", "score"]
# query -> (document, score), best first
Run = Mapping[str, Sequence[tuple[str, float]]]


def read_qrels(path: str | Path) -> dict[str, dict[str, int]]:
    """Return the grades of each query's documents; of BEIR's files, too, which have a header and no second column.

    Raises:
        DataError: a line that is none, a document that is judged twice with two grades, or no line at all.
    """
    found: dict[str, dict[str, int]] = {}
    form = 4
    for line, parts in _lines(path, (4, 3), "query 0 document grade"):
        if line == 1 and parts == BEIR:
            form = 3
            continue
        if len(parts) != form:
            raise DataError(f"{path}, line {line}: {len(parts)} words where the others have {form}")
        if form == 3:
            parts.insert(1, "0")
        try:
            grade = int(parts[3])
        except ValueError:
            raise DataError(f"{path}, line {line}: the grade {parts[3]!r} is no whole number") from None
        held = found.setdefault(parts[0], {})
        if held.get(parts[2], grade) != grade:
            raise DataError(
                f"{path}, line {line}: {parts[2]!r} has the grades {held[parts[2]]} and {grade} for {parts[0]!r}"
            )
        held[parts[2]] = grade
    return found


def write_qrels(path: str | Path, qrels: Qrels) -> None:
    """Write judgements.

    Raises:
        DataError: an id with white space in it, or the disk refuses.
    """
    with atomic(Path(path)) as file:
        for query, grades in qrels.items():
            for document, grade in grades.items():
                file.write(f"{_name(query)} 0 {_name(document)} {grade}\n".encode())


def read_run(path: str | Path) -> dict[str, list[tuple[str, float]]]:
    """Return what was ranked for each query, in trec_eval's order.

    Raises:
        DataError: a line that is none, a document that is ranked twice for a query, or no line at all.
    """
    held: dict[str, dict[str, float]] = {}
    for line, parts in _lines(path, (6,), "query Q0 document rank score tag"):
        try:
            score = float(parts[4])
        except ValueError:
            raise DataError(f"{path}, line {line}: the score {parts[4]!r} is no number") from None
        scores = held.setdefault(parts[0], {})
        if parts[2] in scores:
            raise DataError(f"{path}, line {line}: {parts[2]!r} is ranked twice for {parts[0]!r}")
        scores[parts[2]] = score
    return {query: ranked(scores) for query, scores in held.items()}


def ranked(scores: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return documents in trec_eval's order: by score, where it is equal by id, the larger first."""
    return sorted(sorted(scores.items(), reverse=True), key=lambda one: -one[1])


def write_run(path: str | Path, run: Run, tag: str = "pilotfish") -> None:
    """Write what was ranked; where scores are equal, trec_eval takes another order than the ranks that stand there.

    Raises:
        DataError: an id with white space in it, or the disk refuses.
    """
    with atomic(Path(path)) as file:
        for query, found in run.items():
            for rank, (document, score) in enumerate(found, 1):
                file.write(f"{_name(query)} Q0 {_name(document)} {rank} {score!r} {_name(tag)}\n".encode())


def _name(name: str) -> str:
    if len(name.split()) != 1 or name != name.strip():
        raise DataError(f"TREC's files cannot hold the id {name!r}: it has white space in it, or nothing")
    return name


def _lines(path: str | Path, parts: tuple[int, ...], form: str) -> Iterator[tuple[int, list[str]]]:
    path = Path(path)
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line, text in enumerate(file, 1):
                if not text.strip():
                    continue
                found = text.split()
                if len(found) not in parts:
                    raise DataError(f"{path}, line {line}: {len(found)} words where {form!r} has {parts[0]}")
                number += 1
                yield line, found
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start})") from None
    if not number:
        raise DataError(f"{path}: no line of {form!r} in it")
