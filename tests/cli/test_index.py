"""`pilotfish index`, `search` and `evaluate retrieval`: from documents to figures, and mistakes on one line."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.help import command, environment, error_of, pilotfish, write_rows
from tests.retrieve.made import DOCUMENTS

pytest.importorskip("bm25s")
pytest.importorskip("Stemmer")

TOPICS = "<top><num>7</num><title>sails in the wind</title></top>\n<top><num>9</num><title>hot bread</title></top>\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_rows(tmp_path / "docs.jsonl", [{"id": one.id, "title": one.title, "text": one.text} for one in DOCUMENTS])
    (tmp_path / "topics.xml").write_text(TOPICS)
    (tmp_path / "qrels.txt").write_text("1 0 boats 1\n2 0 bread 1\n3 0 sea 1\n")
    return tmp_path


def test_from_documents_to_figures(files: Path, tiny_encoder_folder: Path) -> None:
    done = pilotfish(
        "index", "docs.jsonl", "--out", "ix", "--encoder", tiny_encoder_folder, "--chunk", "40w", cwd=files
    )
    assert done.returncode == 0 and "6 documents new, 0 changed, 0 as they were; 6 passages" in done.stderr, done.stderr
    again = pilotfish(
        "index", "docs.jsonl", "--out", "ix", "--encoder", tiny_encoder_folder, "--chunk", "40w", cwd=files
    )
    assert "0 documents new, 0 changed, 6 as they were" in again.stderr

    found = pilotfish("search", "ix", "sails", "--way", "bm25", cwd=files)
    assert found.stdout.startswith("1. boats  ") and "A boat with a sail" in found.stdout and "2." not in found.stdout
    told = pilotfish("search", "ix", "hot bread", "wind", "-k", "2", "--json", cwd=files)
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert [line["query"] for line in lines] == ["hot bread", "wind"] and len(lines[0]["hits"]) == 2
    assert set(lines[0]["hits"][0]["parts"]) <= {"bm25", "dense"} and lines[0]["hits"][0]["text"]

    write_rows(files / "more.jsonl", [{"id": "bread", "text": "Rye."}, {"id": "tea", "text": "Tea is hot."}])
    assert "1 documents new, 1 changed" in pilotfish("index", "add", "ix", "more.jsonl", cwd=files).stderr
    assert (
        "1 documents (1 passages) deleted; 6 passages left"
        in pilotfish("index", "delete", "ix", "sea", cwd=files).stderr
    )
    info = json.loads(pilotfish("index", "info", "ix", "--json", cwd=files).stdout)
    assert (info["passages"], info["deleted"], info["chunks"]["size"]) == (6, 2, 40)
    shown = pilotfish("index", "info", "ix", cwd=files).stdout
    assert "6 (40 words" in shown and str(tiny_encoder_folder) in shown


def test_figures_with_every_query_accounted_for(files: Path) -> None:
    pilotfish("index", "docs.jsonl", "--out", "ix", "--ways", "bm25", cwd=files)
    given = ["evaluate", "retrieval", "ix", "topics.xml", "qrels.txt", "--ordinal", "--metric", "mrr@10"]
    done = pilotfish(*given, "--way", "bm25", "--run", "run.txt", cwd=files)
    assert done.returncode == 0, done.stderr
    assert "1.000 [1.000, 1.000]" in done.stdout and "1 judged queries were not asked: 3" in done.stderr
    assert (files / "run.txt").read_text().startswith("1 Q0 boats 1 ")
    (told,) = json.loads(pilotfish(*given, "--json", cwd=files).stdout)
    assert told["by_query"] == {"1": {"mrr@10": 1.0}, "2": {"mrr@10": 1.0}}


def test_several_ways_are_compared(files: Path, tiny_encoder_folder: Path) -> None:
    pilotfish("index", "docs.jsonl", "--out", "ix", "--encoder", tiny_encoder_folder, cwd=files)
    done = pilotfish("evaluate", "retrieval", "ix", "topics.xml", "qrels.txt", "--ordinal", cwd=files)
    assert done.returncode == 0, done.stderr
    for said in ("bm25", "dense", "bm25+dense", "above bm25", "ndcg@10", "recall@100"):
        assert said in done.stdout


def test_a_file_says_it_all(files: Path) -> None:
    (files / "find.toml").write_text(
        '[indexes.docs]\nfolder = "ix"\ndocuments = "docs.jsonl"\nbm25 = {}\n\n'
        '[retrievers.words]\nuse = "bm25"\nindex = "docs"\n'
    )
    done = pilotfish("index", "find.toml", cwd=files)
    assert "6 documents new" in done.stderr, done.stderr
    assert pilotfish("search", "find.toml", "sails", cwd=files).stdout.startswith("1. boats")
    told = pilotfish("evaluate", "retrieval", "find.toml", "topics.xml", "qrels.txt", "--ordinal", cwd=files)
    assert "words" in told.stdout, told.stderr
    assert "--ways: find.toml says how" in error_of(pilotfish("index", "find.toml", "--ways", "bm25", cwd=files))


def test_bad_rows_are_rejected_and_told(files: Path) -> None:
    with (files / "docs.jsonl").open("a") as file:
        file.write('{"id": "x", "text": ""}\nnot json\n')
    given = ["index", "docs.jsonl", "--out", "ix", "--ways", "bm25"]
    done = pilotfish(*given, "--rejects", "bad.jsonl", cwd=files)
    assert done.returncode == 0 and "6 documents new" in done.stderr and "2 " in done.stderr
    assert len((files / "bad.jsonl").read_text().splitlines()) == 2
    strict = pilotfish("index", "docs.jsonl", "--out", "other", "--ways", "bm25", "--strict", cwd=files)
    assert "docs.jsonl, row 7: no text in 'text'" in error_of(strict)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["index", "docs.jsonl"], "--out is missing"),
        (["index", "docs.jsonl", "--out", "ix", "--ways", "bm2"], "no way is called 'bm2'; did you mean 'bm25'"),
        (["index", "docs.jsonl", "--out", "ix", "--ways", "sparse"], "'sparse' needs a model"),
        (["index", "docs.jsonl", "--out", "ix", "--ways", "bm25", "--chunk", "ten"], "--chunk is a number and"),
        (["index", "docs.jsonl", "--out", "ix", "--ways", "bm25", "--overlap", "3"], "--overlap is of --chunk"),
        (["index", "docs.jsonl", "--out", "ix", "--ways", "bm25", "--text", "texts"], "texts"),
        (["index", "none.jsonl", "--out", "ix", "--ways", "bm25"], "none.jsonl: no such file"),
        (["search", "none", "query"], "not a saved index"),
        (["index", "delete", "none", "x"], "not a saved index"),
        (["search", "none", "query", "--retriever", "x"], "--retriever is of a file"),
        (["evaluate", "retrieval", "none", "topics.xml", "none.txt"], "none.txt: cannot be read"),
    ],
)
def test_mistakes_are_one_line(files: Path, given: list[str], said: str) -> None:
    assert said in error_of(pilotfish(*given, cwd=files))


def test_a_build_that_was_killed_goes_on(files: Path) -> None:
    write_rows(files / "many.jsonl", [{"id": f"d{n}", "text": f"number {n} of kind {n % 9}"} for n in range(6000)])
    given = ["index", "many.jsonl", "--out", "ix", "--ways", "bm25"]
    with subprocess.Popen(command(*given), cwd=files, env=environment(), stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 60
        while time.monotonic() < end and not (files / "ix" / "bm25" / "committed.json").exists():
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    done = pilotfish(*given, cwd=files)
    assert done.returncode == 0 and "6,000 in ix" in done.stderr, done.stderr
    assert "0 as they were" not in done.stderr  # some were there already
    found = json.loads(pilotfish("search", "ix", "5999", "--json", cwd=files).stdout)
    assert [hit["id"] for hit in found["hits"]] == ["d5999"]


def test_an_index_mirrors_its_source(files: Path) -> None:
    made = ("index", "docs.jsonl", "--out", "ix", "--ways", "bm25")
    assert pilotfish(*made, cwd=files).returncode == 0
    rows = [{"id": one.id, "text": one.text} for one in DOCUMENTS[:2]]
    write_rows(files / "docs.jsonl", [*rows, {"id": "new"}])
    done = pilotfish(*made, "--mirror", cwd=files)
    assert "nothing was taken out: a row that could not be read" in done.stderr, done.stderr
    assert json.loads(pilotfish("index", "info", "ix", "--json", cwd=files).stdout)["passages"] == 6
    write_rows(files / "docs.jsonl", [*rows, {"id": "new", "text": "A new one."}])
    done = pilotfish(*made, "--mirror", cwd=files)
    assert "1 documents new, 0 changed" in done.stderr and "4 documents (4 passages) taken out" in done.stderr
    assert json.loads(pilotfish("index", "info", "ix", "--json", cwd=files).stdout)["passages"] == 3
    assert pilotfish("index", "add", "ix", "docs.jsonl", "--mirror", cwd=files).stderr.endswith("taken out\n")
