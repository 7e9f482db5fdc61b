"""`pilotfish score`: files of lines and of rows, every metric, and mistakes on one line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.help import error_of, pilotfish, read_rows, write_rows

MINE = "the cat sat on the mat\na dog\n\n"
THEIRS = "the cat lay on a mat\nthe dog did not sing\nwhere is my card\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "hyp.txt").write_text(MINE)
    (tmp_path / "ref.txt").write_text(THEIRS)
    return tmp_path


def test_lines_by_several_metrics(files: Path, tiny_encoder_folder: Path) -> None:
    model = ["--model", str(tiny_encoder_folder)]
    metrics = ["--metric", "rougeL", "--metric", "bertscore", "--metric", "chrf++"]
    done = pilotfish("score", "hyp.txt", "ref.txt", *metrics, *model, "--out", "out.jsonl", cwd=files)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["rougeL", "bertscore", "chrf++"]
    rows = read_rows(files / "out.jsonl")
    assert len(rows) == 3 and rows[0]["rougeL"] == pytest.approx(4 / 6)
    assert rows[0]["reference"] == ["the cat lay on a mat"] and rows[2]["bertscore"] == 0
    assert lines[0].startswith(f"rougeL     {sum(row['rougeL'] for row in rows) / 3:.3f} [")
    assert "bertscore: the candidate is empty: 1 of 3 rows" in done.stderr
    same = pilotfish("score", "hyp.txt", "hyp.txt", "--metric", "bertscore", *model, "--json", cwd=files)
    assert json.loads(same.stdout)["bertscore"]["value"] == pytest.approx(2 / 3, abs=1e-5)


def test_standard_input_several_references_and_settings(files: Path, tiny_encoder_folder: Path) -> None:
    given = ["score", "-", "ref.txt", "hyp.txt", "--metric", "bertscore", "--json", "--model", str(tiny_encoder_folder)]
    plain = json.loads(pilotfish(*given, cwd=files, stdin=MINE.encode()).stdout)["bertscore"]
    assert plain["odd"]["the candidate is empty"] == 1
    told = pilotfish(*given, "--layer", "1", "--idf", "--rescale", cwd=files, stdin=MINE.encode())
    other = json.loads(told.stdout)["bertscore"]
    assert other["metric"].startswith("bertscore (") and "layer 1, idf, rescaled" in other["metric"]
    assert other["value"] != plain["value"]


def test_a_mark_at_the_beginning_a_gz_and_carriage_returns_change_nothing(files: Path) -> None:
    given = ["score", "hyp.txt", "ref.txt", "--metric", "rougeL", "--json"]
    plain = pilotfish(*given, cwd=files).stdout
    (files / "hyp.txt").write_bytes(gzip.compress(b"\xef\xbb\xbf" + MINE.replace("\n", "\r\n").encode()))
    assert pilotfish(*given, cwd=files).stdout == plain


def test_rows_with_groups(tmp_path: Path) -> None:
    rows = [{"answer": f"a b {n}", "reference": ["a b", f"c {n}"], "doc": n // 2} for n in range(8)]
    write_rows(tmp_path / "rows.jsonl", rows)
    given = ["score", "rows.jsonl", "--metric", "rouge1", "--json"]
    plain = json.loads(pilotfish(*given, cwd=tmp_path).stdout)["rouge1"]
    grouped = json.loads(pilotfish(*given, "--group-by", "doc", cwd=tmp_path).stdout)["rouge1"]
    assert (plain["n"], grouped["n"]) == (8, 4) and plain["value"] == grouped["value"]
    named = [{"said": row["answer"], "right": row["reference"]} for row in rows]
    write_rows(tmp_path / "named.jsonl", named)
    told = pilotfish(
        "score",
        "named.jsonl",
        "--metric",
        "rouge1",
        "--json",
        "--candidate",
        "said",
        "--reference",
        "right",
        cwd=tmp_path,
    )
    assert json.loads(told.stdout)["rouge1"]["value"] == plain["value"]


def test_a_page_and_the_metrics_of_a_file(files: Path, tiny_encoder_folder: Path) -> None:
    table = f'[metrics.near]\nuse = "bertscore"\nmodel = "{tiny_encoder_folder}"\nlayer = 1\n'
    (files / "c.toml").write_text(table)
    given = ["score", "hyp.txt", "ref.txt", "--metric", "near", "--metric", "rouge1", "--file", "c.toml"]
    done = pilotfish(*given, "--report", "page.html", "--worst", "2", cwd=files)
    assert done.returncode == 0, done.stderr
    page = (files / "page.html").read_text()
    assert page.count('<figure class="pair">') == 4 and "Row 3: 0.000" in page and "layer 1" in page
    told = pilotfish(*given, "--report", "figures.json", "--json", cwd=files)
    assert json.loads(told.stdout) == json.loads((files / "figures.json").read_text())
    assert "near: the candidate is empty: 1 of 3 rows" in told.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hyp.txt", "ref.txt", "--metric", "rougel"], "no metric is called 'rougel'; did you mean 'rougeL'?"),
        (["hyp.txt", "two.txt", "--metric", "bleu"], "hyp.txt has 3 lines, two.txt has 2"),
        (["hyp.txt", "none.txt", "--metric", "bleu"], "none.txt: no such file"),
        (["hyp.txt", "--metric", "bleu"], "a file of lines needs one of references"),
        (["-", "-", "--metric", "bleu"], "only one of the files"),
        (["latin.txt", "latin.txt", "--metric", "bleu"], "name its --encoding"),
        (["rows.jsonl", "--metric", "bleu"], "no column 'reference'"),
        (
            ["rows.jsonl", "--metric", "bleu", "--reference", "n"],
            "column 'n' must be a text or a list of texts, not int",
        ),
        (["hyp.txt", "ref.txt", "--metric", "bertscore", "--model", "all-minilm"], "no model 'all-minilm'"),
        (["hyp.txt", "ref.txt", "--metric", "bleu", "--group-by", "doc"], "not every row has the column 'doc'"),
    ],
)
def test_mistakes_are_one_line(files: Path, arguments: list[str], message: str) -> None:
    (files / "two.txt").write_text("a\nb")
    (files / "latin.txt").write_bytes("café\n".encode("latin-1"))
    write_rows(files / "rows.jsonl", [{"answer": "a", "n": 1}])
    assert message in error_of(pilotfish("score", *arguments, cwd=files))
