"""Write rows to Parquet as they come, though a column, or its type, may show late."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any, BinaryIO

from pilotfish._extras import need
from pilotfish.errors import DataError
from pilotfish.rows._row import Row

BATCH = 4096


def write_parquet(rows: Iterable[Row], file: BinaryIO) -> int:
    """Write rows to an open file, 4096 a row group; return how many.

    A part is rows in a run with one schema. Nearly always there is one part, and it is the file. Else the parts are
    brought to the schema that holds them all.

    Raises:
        DataError: there are no rows, or a column holds values of types that do not go together.
        MissingExtra: pyarrow is not installed.
    """
    arrow = need("pyarrow", "parquet")
    parquet = need("pyarrow.parquet", "parquet")
    source = iter(rows)
    count = 0
    with ExitStack() as stack:
        parts: list[tuple[Any, Any]] = []  # (scratch file, its writer)
        while batch := list(islice(source, BATCH)):
            table = _table(arrow, batch, count)
            if not parts or parts[-1][1].schema != table.schema:
                if parts:
                    parts[-1][1].close()
                scratch = stack.enter_context(tempfile.TemporaryFile())
                parts.append((scratch, stack.enter_context(parquet.ParquetWriter(scratch, table.schema))))
            parts[-1][1].write_table(table)
            count += len(batch)
        if not parts:
            raise DataError("no rows to write: a Parquet file needs one to know its columns")
        parts[-1][1].close()
        if len(parts) == 1:
            parts[0][0].seek(0)
            shutil.copyfileobj(parts[0][0], file, 1 << 20)
        else:
            _join(arrow, parquet, [(scratch, writer.schema) for scratch, writer in parts], file)
    return count


def _table(arrow: Any, batch: Sequence[Row], start: int) -> Any:
    """Return a table of the union of the rows' columns, in the order in which they show."""
    names = list(dict.fromkeys(name for row in batch for name in row))
    columns = []
    for name in names:
        try:
            columns.append(arrow.array([row.get(name) for row in batch]))
        except (arrow.ArrowException, TypeError, OverflowError) as error:
            why = (str(error).splitlines() or [type(error).__name__])[0]
            where = f"rows {start + 1} to {start + len(batch)}"
            raise DataError(f"column {name!r} does not fit into Parquet ({where}): {why}; JSONL takes it") from None
    return arrow.table(columns, names=names)


def _join(arrow: Any, parquet: Any, parts: list[tuple[Any, Any]], file: BinaryIO) -> None:
    """Write the parts, (scratch file, schema) each, as one file."""
    try:
        schema = arrow.unify_schemas([schema for _, schema in parts], promote_options="permissive")
    except arrow.ArrowException as error:
        why = (str(error).splitlines() or ["types clash"])[0]
        raise DataError(f"a column's type changes between rows: {why}; JSONL takes it") from None
    with parquet.ParquetWriter(file, schema) as writer:
        for scratch, _ in parts:
            with parquet.ParquetFile(scratch) as part:
                for place in range(part.num_row_groups):
                    table = part.read_row_group(place)
                    for field in schema:
                        if field.name not in table.schema.names:
                            table = table.append_column(field, arrow.nulls(table.num_rows, field.type))
                    writer.write_table(table.select(schema.names).cast(schema))
