"""Past traffic as a model: replay recorded replies at no cost, and record a model's replies for later."""

from __future__ import annotations

import dataclasses
import difflib
import heapq
import json
import os
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from pilotfish.errors import ConfigError, DataError, ModelError, did_you_mean
from pilotfish.model import Delta, Model, Price, Reply, Request, Trace, WholeReplies
from pilotfish.models._recorded_rows import Columns, conversation_of, messages_key, reply_of, row_of

__all__ = ["Columns", "RecordedModel", "Recorder"]

_BLOCK = 1 << 16  # bytes read at a time while looking for the start of a file's last line


class RecordedModel(WholeReplies):
    """Answers with what was answered before.

    A row with `messages` answers exactly that conversation; a row without them answers every request whose last user
    turn is its `prompt`. Sampling settings are not compared. Several rows for one prompt are samples of it, in the
    order of the file: `metadata={"sample": i}` picks one, the first by default, and a request with n > 1 gets that one
    and the next as `choices`. The call in the trace has the recorded tokens, seconds and cost.

    Args:
        source: a file that `pilotfish.rows.read` reads (JSONL, CSV, Parquet, …), or rows.
        name: what traces show.
        price: for rows that have tokens but no cost.
        columns: the names of the columns; single ones by keyword too, e.g. `reply="answer"`.

    Raises:
        ConfigError: no such column name to set.
        DataError: there are no rows, or a row lacks a prompt or reply or has a value of the wrong form.
    """

    def __init__(
        self,
        source: str | Path | Iterable[Mapping[str, Any]],
        *,
        name: str = "recorded",
        price: Price | None = None,
        columns: Columns | None = None,
        **names: str,
    ) -> None:
        known = [field.name for field in dataclasses.fields(Columns)]
        for word in names:
            if word not in known:
                raise ConfigError(f"a recording has no column {word!r} to name{did_you_mean(word, known)}")
        self.name = name
        self._columns = dataclasses.replace(columns or Columns(), **names)
        self._price = price
        self._source = str(source) if isinstance(source, str | Path) else "the recording"
        self._by_prompt: dict[str, list[Reply]] = {}
        self._by_messages: dict[str, list[Reply]] = {}
        self._prompts: dict[str, None] = {}  # every recorded prompt, in order, for the error that names the nearest
        for number, row in enumerate(_rows(source), 1):
            self._add(row, f"{self._source}, row {number}")
        if not self._prompts:
            raise DataError(f"{self._source} has no rows: there is nothing to replay")

    def __len__(self) -> int:
        return sum(map(len, (*self._by_prompt.values(), *self._by_messages.values())))

    def __repr__(self) -> str:
        return f"RecordedModel({self._source!r}, name={self.name!r}, replies={len(self)})"

    async def reply(self, request: Request) -> Reply:
        """Return the recorded reply.

        Raises:
            ModelError: nothing, or no such sample, is recorded for this request.
            ConfigError: `metadata["sample"]` is no whole number from 0 on.
        """
        found = self._by_messages.get(messages_key(request.messages)) or self._by_prompt.get(request.prompt)
        if not found:
            raise ModelError(self._unseen(request))
        sample = request.metadata.get("sample", 0)
        if not isinstance(sample, int) or sample < 0:
            raise ConfigError(f'metadata["sample"] must be a whole number from 0 on, not {sample!r}')
        first = found[sample] if sample < len(found) else None
        if first is not None and len(first.choices) + 1 >= request.n:
            return first.with_(choices=first.choices[: request.n - 1])
        if first is None or sample + request.n > len(found):
            wanted = f"sample {sample}" if request.n == 1 else f"{request.n} answers from sample {sample} on"
            raise ModelError(f"{self.name}: {len(found)} recorded for {_short(request.prompt)}, but {wanted} asked for")
        first, *others = found[sample : sample + request.n]
        return first.with_(choices=tuple(other.with_(trace=Trace()) for other in others)).after(*others)

    def _add(self, row: Mapping[str, Any], where: str) -> None:
        messages = conversation_of(row, self._columns, where)
        prompt = row.get(self._columns.prompt)
        if messages is None and not isinstance(prompt, str):
            hint = did_you_mean(self._columns.prompt, map(str, row))
            raise DataError(f"{where}: no text in column {self._columns.prompt!r}{hint}")
        if self._columns.reply not in row:
            hint = did_you_mean(self._columns.reply, map(str, row))
            raise DataError(f"{where}: no column {self._columns.reply!r}{hint}")
        reply = reply_of(row, self._columns, where, self.name, self._price)
        if messages is None:
            assert isinstance(prompt, str)
            self._by_prompt.setdefault(prompt, []).append(reply)
        else:
            prompt = Request(messages).prompt
            self._by_messages.setdefault(messages_key(messages), []).append(reply)
        self._prompts[prompt] = None

    def _unseen(self, request: Request) -> str:
        prompt = request.prompt
        if prompt in self._prompts:
            return (
                f"{self.name}: {_short(prompt)} is recorded in {self._source}, but within another conversation: "
                "send the same messages, system message included"
            )
        nearest = _nearest(prompt, self._prompts)
        return f"{self.name}: no reply is recorded for {_short(prompt)}; the nearest prompt is {_short(nearest)}"


class Recorder:
    """A model that answers as the model it wraps, and appends each exchange to a JSONL file for `RecordedModel`.

    Each line is handed to the operating system before the reply is returned, so a killed process loses none. A line
    that an earlier kill cut in two is removed when the file is opened. Threads may share a recorder.

    Raises:
        DataError: the file cannot be written.
    """

    def __init__(self, model: Model, path: str | Path) -> None:
        self._model = model
        self._path = Path(path)
        self._lock = threading.Lock()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab+", buffering=0)
            self._mend()
        except OSError as error:
            raise DataError(f"the recording {self._path} cannot be written: {error.strerror}") from None

    @property
    def name(self) -> str:
        """The wrapped model's name: recording changes nothing else."""
        return self._model.name

    async def reply(self, request: Request) -> Reply:
        """Ask the wrapped model and record what it answers; its errors are not recorded.

        Raises:
            DataError: the exchange could not be written.
        """
        reply = await self._model.reply(request)
        self._record(request, reply)
        return reply

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Pass the wrapped model's stream on; record the whole reply at its end.

        Raises:
            DataError: the exchange could not be written.
        """
        async for delta in self._model.stream(request):
            if delta.reply is not None:
                self._record(request, delta.reply)
            yield delta

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _record(self, request: Request, reply: Reply) -> None:
        line = json.dumps(row_of(request, reply)).encode() + b"\n"
        try:
            with self._lock:
                start = self._file.seek(0, os.SEEK_END)
                written = self._file.write(line)
                if written != len(line):  # a disk that fills up takes part of the line: leave none of it
                    self._file.truncate(start)
                    raise OSError(0, "no room left on the disk")
        except OSError as error:
            raise DataError(f"the recording {self._path} cannot be written: {error.strerror}") from None

    def _mend(self) -> None:
        """End the last line: cut off one that is no whole record."""
        if not self._path.is_file():  # a pipe or a device has no last line
            return
        size = end = self._file.seek(0, os.SEEK_END)
        tail = b""
        while end and b"\n" not in tail:
            start = max(0, end - _BLOCK)
            self._file.seek(start)
            tail = self._file.read(end - start) + tail
            end = start
        last = tail.rpartition(b"\n")[2]
        if not last:
            return
        try:
            json.loads(last)
        except ValueError:
            self._file.truncate(size - len(last))
        else:
            self._file.write(b"\n")


def _rows(source: str | Path | Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    if not isinstance(source, str | Path):
        return source
    from pilotfish.rows.read import read

    return read(source, strict=True)  # a row passed over would be an unseen prompt later


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 80 else line[:79] + "…")


def _nearest(prompt: str, known: Iterable[str]) -> str:
    """Return the most similar prompt: shared words choose 20, spelling decides between them."""
    words = set(prompt.lower().split())

    def shared(other: str) -> float:
        others = set(other.lower().split())
        return len(words & others) / (len(words | others) or 1)

    candidates = heapq.nlargest(20, known, key=shared)
    return max(candidates, key=lambda other: difflib.SequenceMatcher(None, prompt[:500], other[:500]).ratio())
