from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotfish.errors import ConfigError, DataError
from pilotfish.rows._row import Rows, need_columns
from pilotfish.rows.read import read
from pilotfish.rows.rejects import Rejects


def rows_of(path: Path, **options: Any) -> Rows:
    return list(read(path, **options))


def put(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def rejected(path: Path, **options: Any) -> tuple[Rows, list[dict[str, Any]]]:
    """Return the rows and the lines of the rejects file."""
    where = path.with_name("rejects.jsonl")
    rows = list(read(path, rejects=where, **options))
    return rows, [json.loads(line) for line in where.read_text().splitlines()] if where.exists() else []


class Stdin:
    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


# --- formats -----------------------------------------------------------------------------------------------------


def test_jsonl(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jsonl", '{"a": 1}\n\n{"a": "ü", "b": [1, null]}')
    assert rows_of(path) == [{"a": 1}, {"a": "ü", "b": [1, None]}]


@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_json_lines_under_a_json_name_and_a_byte_order_mark(tmp_path: Path, ending: str) -> None:
    path = put(tmp_path / f"a.{ending}", b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n')
    assert rows_of(path) == [{"a": 1}, {"a": 2}]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=300), st.lists(st.floats(0, 1)))
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([None, 1, 2]),
)
def test_a_json_array_gives_what_json_gives(tmp_path_factory: pytest.TempPathFactory, rows: Rows, indent: Any) -> None:
    text = json.dumps(rows, ensure_ascii=False, indent=indent)
    try:
        data = text.encode()
    except UnicodeEncodeError:
        data = json.dumps(rows, indent=indent).encode()
        if any("\ud800" <= char <= "\udfff" for char in str(rows)):
            return
    path = put(tmp_path_factory.mktemp("array") / "a.json", data)
    assert rows_of(path) == rows


def test_a_json_array_is_read_in_pieces_with_line_numbers(tmp_path: Path) -> None:
    rows = [{"n": n, "text": "x" * 500} for n in range(1000)]
    path = put(tmp_path / "a.json", json.dumps(rows, indent=1)[:-2] + ",\n7]")
    good, bad = rejected(path)
    assert good == rows
    assert [(entry["line"], entry["reason"].split(":")[0]) for entry in bad] == [(4002, "not an object")]


@pytest.mark.parametrize("text", ['[{"a": 1}', '[{"a": 1} {"a": 2}]', '[{"a": }]', "[", '[{"a": 1},]x'])
def test_a_malformed_json_array_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="malformed JSON"):
        rows_of(put(tmp_path / "a.json", text))


def test_csv_with_quotes_and_line_ends_in_them(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", 'text,label\r\n"one\r\ntwo, ""three""",x\r\n\r\nplain,y\r\n')
    assert rows_of(path) == [{"text": 'one\r\ntwo, "three"', "label": "x"}, {"text": "plain", "label": "y"}]


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t")])
@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(*[st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)] * 3),
        min_size=1,
        max_size=8,
    )
)
def test_what_csv_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, delimiter: str, rows: list[tuple[str, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / name
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerow(["one", "two", "three"])
        writer.writerows(rows)
    assert [tuple(row.values()) for row in read(path)] == rows


def test_csv_line_numbers_are_those_of_the_records_first_line(tmp_path: Path) -> None:
    text = 'a,b\n"1\n2\n3",x\n\nshort\n"4\n5",y,z\nlast,w\n'
    good, bad = rejected(put(tmp_path / "a.csv", text))
    assert good == [{"a": "1\n2\n3", "b": "x"}, {"a": "last", "b": "w"}]
    assert [(entry["line"], entry["reason"].split(":")[0]) for entry in bad] == [
        (6, "wrong number of fields"),
        (7, "wrong number of fields"),
    ]
    assert bad[1]["raw"] == '"4\n5",y,z'


def test_a_quote_that_never_closes_costs_one_row_only(tmp_path: Path) -> None:
    good, bad = rejected(put(tmp_path / "a.csv", 'a,b\n1,x\n"2,y\n3,z\n4,w\n'))
    assert [row["a"] for row in good] == ["1", "3", "4"]
    assert [(entry["line"], entry["raw"]) for entry in bad] == [(3, '"2,y')]
    assert "never closes" in bad[0]["reason"]


def test_text_after_a_closing_quote_is_rejected_not_guessed(tmp_path: Path) -> None:
    good, bad = rejected(put(tmp_path / "a.csv", 'a,b\n"1"x,y\n2,z\n'))
    assert [row["a"] for row in good] == ["2"]
    assert bad[0]["line"] == 2


def test_tsv_takes_quotes_that_do_not_pair_up_literally(tmp_path: Path) -> None:
    path = put(tmp_path / "a.tsv", 'text\tlabel\n"Heat" is long\t1\n"open\t0\n"a ""quoted"" one"\t1\n')
    assert rows_of(path, strict=True) == [
        {"text": '"Heat" is long', "label": "1"},
        {"text": '"open', "label": "0"},
        {"text": 'a "quoted" one', "label": "1"},
    ]


def test_a_field_longer_than_the_csv_modules_own_limit(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", f"a,b\n{'x' * 300_000},1\n")
    assert len(rows_of(path)[0]["a"]) == 300_000


@pytest.mark.parametrize(
    ("header", "names"), [("a,,c", ["a", "column_2", "c"]), (" a , b ", ["a", "b"]), ('"a\nb",c', ["a\nb", "c"])]
)
def test_csv_headers(tmp_path: Path, header: str, names: list[str]) -> None:
    cells = ",".join("x" for _ in names)
    assert list(rows_of(put(tmp_path / "a.csv", f"{header}\n{cells}\n"))[0]) == names


def test_a_column_named_twice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'a' twice"):
        rows_of(put(tmp_path / "a.csv", "a,b,a\n1,2,3\n"))


def test_text_lines(tmp_path: Path) -> None:
    assert rows_of(put(tmp_path / "a.txt", "one\n\n  two \n")) == [{"text": "one"}, {"text": "two"}]


def test_labelled_lines_are_sniffed_where_the_lines_look_so(tmp_path: Path) -> None:
    path = put(tmp_path / "t.train", "".join(f"{n % 3} question {n} ?\n" for n in range(40)))
    assert rows_of(path)[4] == {"label": "1", "text": "question 4 ?"}
    bare = put(tmp_path / "b.train", "".join(f"{n % 3} question {n} ?\n" for n in range(40)) + "1\n")
    assert len(rows_of(bare)) == 40
    prose = put(tmp_path / "p.train", "".join(f"word{n} goes on\n" for n in range(40)))
    assert rows_of(prose)[4] == {"text": "word4 goes on"}


def test_fasttext_labels(tmp_path: Path) -> None:
    path = put(tmp_path / "a.txt", "__label__sports He won.\n__label__x __label__y Two.\n__label__z\n")
    good, bad = rejected(path, format="labelled-lines")
    assert good == [{"label": "sports", "text": "He won."}]
    assert [entry["line"] for entry in bad] == [2, 3]
    assert rows_of(put(tmp_path / "b.txt", "__label__sports He won.\n")) == good


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz", "misnamed.jsonl"])
def test_gzip_goes_by_its_bytes(tmp_path: Path, name: str) -> None:
    data = b"a\n1\n" if "csv" in name else b'{"a": "1"}\n'
    assert rows_of(put(tmp_path / name, gzip.compress(data))) == [{"a": "1"}]


@pytest.mark.parametrize("cut", [slice(0, -9), slice(0, 20)])
def test_damaged_gzip_is_one_clear_error(tmp_path: Path, cut: slice) -> None:
    data = gzip.compress("".join(f'{{"a": {n}}}\n' for n in range(99)).encode())
    with pytest.raises(DataError, match="damaged gzip"):
        rows_of(put(tmp_path / "a.jsonl.gz", data[cut]))


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b'{"a": "1"}\n', [{"a": "1"}]),
        (b'[{"a": "1"}]', [{"a": "1"}]),
        (b"text,label\nhi,x\n", [{"text": "hi", "label": "x"}]),
        (b"text\tlabel\nhi\tx\n", [{"text": "hi", "label": "x"}]),
        (gzip.compress(mtime=0, data=b'{"a": "1"}\n'), [{"a": "1"}]),
    ],
)
def test_standard_input_is_sniffed(monkeypatch: pytest.MonkeyPatch, data: bytes, rows: Rows) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(data))
    assert list(read("-")) == rows


def test_standard_input_that_does_not_tell_asks_for_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(b"Hello there, you.\n"))
    with pytest.raises(DataError, match="--format"):
        list(read("-"))
    monkeypatch.setattr(sys, "stdin", Stdin(b"Hello there, you.\n"))
    assert list(read("-", format="text")) == [{"text": "Hello there, you."}]


# --- encodings ---------------------------------------------------------------------------------------------------


def test_a_line_that_is_not_utf8_is_rejected_with_its_number_and_escapes(tmp_path: Path) -> None:
    good, bad = rejected(put(tmp_path / "a.jsonl", b'{"a": 1}\n{"a": "caf\xe9"}\n{"a": 3}\n'))
    assert good == [{"a": 1}, {"a": 3}]
    assert bad == [
        {
            "source": str(tmp_path / "a.jsonl"),
            "line": 2,
            "reason": "not UTF-8: byte 0xe9 at column 11; if the file is Latin-1, use --encoding latin-1",
            "raw": '{"a": "caf\\xe9"}',
        }
    ]
    assert rows_of(tmp_path / "a.jsonl", encoding="latin-1")[1] == {"a": "café"}


def test_a_csv_record_that_is_not_utf8_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    good, bad = rejected(put(tmp_path / "a.csv", b'a,b\n1,x\n"caf\xe9\nbar",y\n3,z\n'))
    assert [row["a"] for row in good] == ["1", "3"]
    assert bad[0]["line"] == 3
    assert "not UTF-8" in bad[0]["reason"]


def test_a_csv_record_that_is_neither_utf8_nor_csv_is_named_for_its_bytes(tmp_path: Path) -> None:
    good, bad = rejected(put(tmp_path / "a.csv", b'a,b\n"caf\xe9"x,y\n3,z\n'))
    assert [row["a"] for row in good] == ["3"]
    assert [entry["reason"].split(":")[0] for entry in bad] == ["not UTF-8"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252", "utf-8-sig"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    path = put(tmp_path / "a.csv", 'text,label\n"é\nü",€\n'.encode(encoding))
    assert rows_of(path, encoding=encoding) == [{"text": "é\nü", "label": "€"}]


def test_utf16_without_the_flag_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--encoding utf-16"):
        rows_of(put(tmp_path / "a.csv", "a,b\n1,2\n".encode("utf-16")))


def test_an_unknown_encoding(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown encoding 'utf-9'"):
        read(put(tmp_path / "a.txt", "x"), encoding="utf-9")


# --- bad rows ----------------------------------------------------------------------------------------------------


def test_bad_json_lines_go_to_the_rejects_with_reasons(tmp_path: Path) -> None:
    lines = [
        '{"a": 1}',
        '{"a": ',
        "[1, 2]",
        '{"a": "\x00"}',
        "[" * 100_000,
        '{"a": "\\ud83d"}',
        '{"a": ' + "1" * 5000 + "}",
        '{"a": "\\ud83d\\ude00"}',
    ]
    good, bad = rejected(put(tmp_path / "a.jsonl", "\n".join(lines)))
    assert good == [{"a": 1}, {"a": "😀"}]
    assert [(entry["line"], entry["reason"].split(":")[0]) for entry in bad] == [
        (2, "malformed JSON"),
        (3, "not an object"),
        (4, "NUL byte"),
        (5, "malformed JSON"),
        (6, "half a surrogate pair"),
        (7, "malformed JSON"),
    ]


def test_strict_stops_at_the_first_bad_row(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jsonl", '{"a": 1}\n{"a"\n')
    rows = read(path, strict=True)
    assert next(rows) == {"a": 1}
    with pytest.raises(DataError, match=r"a\.jsonl, line 2: malformed JSON"):
        next(rows)


def test_without_a_place_for_rejects_a_warning_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = put(tmp_path / "a.jsonl", '{"a": 1}\n{"a"\n')
    with caplog.at_level(logging.WARNING):
        assert len(rows_of(path)) == 1
    assert "1 row rejected (1 malformed JSON)" in caplog.text
    caplog.clear()
    list(read(path, rejects=Rejects()))
    assert not caplog.text


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt"])
def test_a_50_mb_line_is_rejected_without_being_held(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.write({"a.jsonl": b'{"a": 1}\n', "a.csv": b"a\n1\n", "a.txt": b"1\n"}[name])
        for _ in range(50):
            file.write(b"x" * (1 << 20))
        file.write({"a.jsonl": b'\n{"a": 2}\n', "a.csv": b"\n2\n", "a.txt": b"\n2\n"}[name])
    tracemalloc.start()
    good, bad = rejected(path, max_row_bytes=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(good) == 2
    assert bad[0]["line"] == (3 if name == "a.csv" else 2)
    assert bad[0]["reason"].startswith("row too long: 52,428,80")
    assert len(bad[0]["raw"]) < 300
    assert peak < 6 << 20


def test_a_record_of_many_lines_is_held_to_the_limit_too(tmp_path: Path) -> None:
    good, bad = rejected(put(tmp_path / "a.csv", 'a,b\n"' + "line\n" * 1000 + '",x\n2,y\n'), max_row_bytes=1000)
    assert {"a": "2", "b": "y"} in good
    assert bad[0]["line"] == 2
    assert bad[0]["reason"].startswith("row too long")


def test_memory_stays_constant_over_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("w") as file:
        for n in range(30_000):
            file.write(f'{{"n": {n}, "text": "{"x" * 700}"}}\n')
    tracemalloc.start()
    count = sum(1 for _ in read(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 30_000
    assert path.stat().st_size > 20 << 20
    assert peak < 1 << 20


# --- the source as a whole ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jsonl", b"", "the file is empty"),
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"\n \n", "the file is empty"),
        ("a.csv", b"a,b\n", "no rows in it"),
        ("a.jsonl", b"{\n", "no usable row, all 1 were rejected; line 1: malformed JSON"),
        ("a.jsonl.gz", gzip.compress(b"", mtime=0), "the file is empty"),
        ("a.parquet", b"PAR1 is not enough", "not a Parquet file"),
        ("a.arrow", b"neither", "not an Arrow file"),
        ("a.json", b'{\n "a": 1\n}', "one JSON object over many lines"),
        ("a.xyz", b"What is this?", "cannot tell the format"),
    ],
)
def test_useless_files_are_one_clear_line(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        rows_of(put(tmp_path / name, data))
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_errors_of_the_source_are_raised_at_the_call(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "absent.csv")
    with pytest.raises(DataError, match=r"a folder, but not one that datasets\.save_to_disk wrote"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="did you mean 'jsonl'"):
        read(put(tmp_path / "a", "x"), format="json-l")
    with pytest.raises(ConfigError, match="--split"):
        read(tmp_path / "a", split="train")


def test_columns_are_chosen_and_a_missing_one_names_the_nearest(tmp_path: Path) -> None:
    path = put(tmp_path / "a.jsonl", '{"text": "x", "label": 1, "id": 2}\n{"text": "y", "id": 3}\n')
    good, bad = rejected(path, columns=["label", "text"])
    assert good == [{"label": 1, "text": "x"}]
    assert bad[0]["reason"] == "missing column: 'label'"
    with pytest.raises(DataError, match=r"no column 'lable'; did you mean 'label'\?"):
        rows_of(path, columns=["lable"])


def test_need_columns() -> None:
    need_columns({"a": 1, "b": 2}, "b", "a")
    with pytest.raises(DataError, match=r"^f\.csv: no column 'txt'; did you mean 'text'\?$"):
        need_columns(["text", "label"], "txt", source="f.csv")
