"""Documents from files: rows of any format, folders of texts, and TREC's <doc> ... </doc>, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pilotfish.errors import DataError
from pilotfish.retrieve._trec_xml import is_trec, trec_documents
from pilotfish.rows._json import shown
from pilotfish.rows._row import Row, need_columns
from pilotfish.rows.read import read
from pilotfish.rows.rejects import Rejects

__all__ = ["ENDINGS", "Document", "documents"]

ENDINGS = (".txt", ".md", ".markdown", ".rst")


@dataclass(frozen=True, slots=True)
class Document:
    """What is cut into passages.

    Attributes:
        id: its name, one of a kind.
        text: all of it.
        title: "" where it has none.
        fields: what else its row held.
    """

    id: str
    text: str
    title: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


def documents(
    source: str | Path,
    *,
    text: str = "text",
    title: str = "title",
    id: str = "id",
    rejects: Rejects | None = None,
    **options: Any,
) -> Iterator[Document]:
    """Yield the documents of a source.

    A folder (but one of `datasets`) gives its `.txt`, `.md`, `.markdown` and `.rst` files, and those of folders within
    it, each a document, whose id is its path from there. A file of `<doc>` ... `</doc>`, as TREC has it, gives these.
    Any other is read as rows. Where the first row has no id, a row's is the file's name and its number.

    Args:
        source: a file or folder, `-` for standard input, or a URL.
        text: the column of the texts.
        title: the column of titles; rows may lack it.
        id: the column of ids.
        rejects: where rows go that cannot be read, or that have no text; None raises at the first.
        options: as of `pilotfish.rows.read`.

    Raises:
        DataError: no such file, no text in a row, an id that is missing; file, row and column are named.
    """
    path = Path(source)
    if path.is_dir() and not any((path / name).exists() for name in ("dataset_info.json", "dataset_dict.json")):
        yield from _folder(path)
        return
    if options.get("format") is None and path.is_file() and is_trec(path):
        yield from trec_documents(path, Document)
        return
    if rejects is None:
        options["strict"] = True
    named: bool | None = None
    for number, row in enumerate(read(source, rejects=rejects, **options), 1):
        if named is None:
            need_columns(row, text, source=str(source))
            named = id in row
            if not named and id != "id":
                need_columns(row, id, source=str(source))
        try:
            yield _of(row, f"{source}, row {number}", path.name, number, (text, title, id), named=named)
        except DataError as error:
            if rejects is None:
                raise
            rejects.add(str(source), None, f"{error}", shown(row))


def _of(row: Row, where: str, file: str, number: int, columns: tuple[str, str, str], *, named: bool) -> Document:
    text, title, id = columns
    said = row.get(text)
    if not isinstance(said, str) or not said.strip():
        raise DataError(f"{where}: no text in {text!r}")
    head = row.get(title)
    if head is not None and not isinstance(head, str):
        raise DataError(f"{where}: {title!r} is {type(head).__name__}, not text")
    name = row.get(id) if named else f"{file}:{number}"
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        raise DataError(f"{where}: {id!r} is {name!r}, which is no id")
    rest = {key: value for key, value in row.items() if key not in columns}
    return Document(str(name), said, head or "", rest)


def _folder(folder: Path) -> Iterator[Document]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not found:
        raise DataError(f"{folder}: no {', '.join(ENDINGS)} files in it")
    for path in found:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not UTF-8 (byte {error.start})") from None
        if text.strip():
            name = path.relative_to(folder).as_posix()
            yield Document(name, text, "", {"path": name})
