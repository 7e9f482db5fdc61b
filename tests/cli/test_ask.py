"""`pilotfish ask`: streaming, traces, JSON, and every kind of model that a file can hold."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pilotfish.retrieve.documents import Document
from pilotfish.retrieve.index import Index
from tests.cli.help import SECRET, error_of, pilotfish, remote, start, write_rows, write_toml
from tests.fakes import Answer, ScriptedUpstream, Seen, malformed
from tests.plugins import install

CASCADE = """
[models.assistant]
use = "cascade"
small = "small"
large = "large"
accept = { score = "mean-logprob", above = -0.25 }
"""


def test_the_answer_comes_piece_by_piece(tmp_path: Path) -> None:
    with ScriptedUpstream(Answer("one two three four five six", drip=0.3), key=SECRET) as upstream:
        write_toml(tmp_path / "c.toml", remote("m", upstream.url))
        process = start("ask", "c.toml", "count", cwd=tmp_path)
        first = process.stdout.read(3)
        # The first word is here while the rest is still being said.
        assert first == b"one"
        assert process.poll() is None
        assert upstream.active == 1
        out, err = process.communicate(timeout=20)
    assert first + out == b"one two three four five six\n"
    assert err == b""


def test_ctrl_c_ends_the_answer_at_once(tmp_path: Path) -> None:
    with ScriptedUpstream(Answer("one two three", drip=30), key=SECRET) as upstream:
        write_toml(tmp_path / "c.toml", remote("m", upstream.url))
        process = start("ask", "c.toml", "count", cwd=tmp_path)
        assert upstream.wait_for(lambda: upstream.active == 1, 20)
        asked = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 130
        assert err == b"stopped\n"
        assert time.monotonic() - asked < 10


def test_a_broken_answer_is_an_error_on_a_line_of_its_own(tmp_path: Path) -> None:
    with ScriptedUpstream(Answer("one two three four", drop_after=3), key=SECRET) as upstream:
        write_toml(tmp_path / "c.toml", remote("m", upstream.url))
        done = pilotfish("ask", "c.toml", "count", cwd=tmp_path)
        assert done.stdout.endswith("\n")
        error_of(done)
    with ScriptedUpstream(malformed(), key=SECRET) as upstream:
        write_toml(tmp_path / "c.toml", remote("m", upstream.url))
        error_of(pilotfish("ask", "c.toml", "count", cwd=tmp_path))


def test_settings_reach_the_model_and_json_tells_all(tmp_path: Path) -> None:
    with ScriptedUpstream(key=SECRET) as upstream:
        write_toml(tmp_path / "c.toml", remote("m", upstream.url, "price = { input = 1, output = 2.0 }"))
        arguments = ["--system", "Be brief.", "--max-tokens", "7", "--temperature", "0.5", "--seed", "3", "--json"]
        done = pilotfish("ask", "c.toml", "-", *arguments, cwd=tmp_path, stdin="héllo".encode())
        body = upstream.seen[0].body
    assert [message["content"] for message in body["messages"]] == ["Be brief.", "héllo"]
    assert (body["max_tokens"], body["temperature"], body["seed"]) == (7, 0.5, 3)
    shown = json.loads(done.stdout)
    assert shown["text"] == "echo: héllo"
    assert shown["trace"]["calls"][0]["model"] == "m"
    assert shown["trace"]["cost"] > 0


@pytest.mark.parametrize(
    ("stdin", "message"), [(b"", "the prompt is empty"), (b" \n", "the prompt is empty"), (b"\xff", "not UTF-8")]
)
def test_an_unfit_prompt_is_told_before_anything_is_asked(tmp_path: Path, stdin: bytes, message: str) -> None:
    write_toml(tmp_path / "c.toml", remote("m", "http://127.0.0.1:9/v1"))
    assert message in error_of(pilotfish("ask", "c.toml", "-", cwd=tmp_path, stdin=stdin))


def test_a_nested_cascade_over_two_endpoints_pays_for_every_attempt(tmp_path: Path) -> None:
    """Long answers of the scripted endpoint are less certain: -0.1 a token for each token before it."""
    outer = CASCADE.replace("assistant", "outer").replace('"small"', '"assistant"', 1).replace("-0.25", "1.0")

    def small(seen: Seen) -> Answer:
        return Answer("yes" if seen.prompt == "easy" else "well now that is a long story")

    with ScriptedUpstream(small, key=SECRET) as cheap, ScriptedUpstream(Answer("certainly"), key=SECRET) as dear:
        tables = [
            remote("small", cheap.url, "price = { input = 1.0, output = 1.0 }"),
            remote("large", dear.url, "price = { input = 100.0, output = 100.0 }"),
        ]
        write_toml(tmp_path / "c.toml", 'default = "assistant"', *tables, CASCADE, outer)
        easy = pilotfish("ask", "c.toml", "easy", "--trace", cwd=tmp_path)
        assert (easy.returncode, easy.stdout) == (0, "yes\n"), easy.stderr
        assert dear.calls == 0
        assert "assistant: accepted" in easy.stderr
        hard = pilotfish("ask", "c.toml", "hard", "--trace", cwd=tmp_path)
        assert hard.stdout == "certainly\n"
        assert (cheap.calls, dear.calls) == (2, 1)
        rows = [line.split() for line in hard.stderr.splitlines()]
        assert [row[0] for row in rows[:4]] == ["call", "small", "large", "all"]
        assert float(rows[3][-1]) == pytest.approx(float(rows[1][-1]) + float(rows[2][-1]))
        assert "assistant: deferred" in hard.stderr
        both = json.loads(pilotfish("ask", "c.toml", "hard", "-m", "outer", "--json", cwd=tmp_path).stdout)
    assert [call["model"] for call in both["trace"]["calls"]] == ["small", "large", "large"]
    assert [one["verdict"] for one in both["trace"]["decisions"]] == ["deferred", "deferred"]


def test_an_unknown_price_is_said_to_be_unknown(tmp_path: Path) -> None:
    with ScriptedUpstream(key=SECRET) as upstream:
        write_toml(tmp_path / "c.toml", remote("m", upstream.url))
        done = pilotfish("ask", "c.toml", "hi", "--trace", cwd=tmp_path)
    assert done.stderr.count("unknown") == 2


def test_recorded_answers_and_a_labeller_over_them(tmp_path: Path) -> None:
    write_rows(tmp_path / "log.jsonl", [{"question": "What is 2 + 2?", "reply": "4"}])
    write_rows(tmp_path / "shots.jsonl", [{"text": "My card is lost", "label": "card"}])
    with ScriptedUpstream(Answer("refund"), key=SECRET) as upstream:
        write_toml(
            tmp_path / "c.toml",
            '[models.old]\nuse = "recorded"\npath = "log.jsonl"\ncolumns = { prompt = "question" }',
            remote("m", upstream.url),
            '[models.sort]\nuse = "labeller"\nmodel = "m"\nlabels = ["card", "refund"]\nexamples = "shots.jsonl"',
        )
        assert pilotfish("ask", "c.toml", "What is 2 + 2?", "-m", "old", cwd=tmp_path).stdout == "4\n"
        assert "What is 2 + 2?" in error_of(pilotfish("ask", "c.toml", "What is 2 + 3?", "-m", "old", cwd=tmp_path))
        assert pilotfish("ask", "c.toml", "Money back!", "-m", "sort", cwd=tmp_path).stdout == "refund\n"
        assert any("My card is lost" in json.dumps(seen.body) for seen in upstream.seen)
    assert "say which with --model" in error_of(pilotfish("ask", "c.toml", "hi", cwd=tmp_path))


def test_a_saved_classifier_answers_from_a_file_and_by_its_folder(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    from pilotfish.models.classify import TextClassifier
    from pilotfish.models.classify.features import TfidfFeatures

    texts = ["where is my card", "my card is lost", "i want my money back", "refund me the money"]
    labels = ["card", "card", "refund", "refund"]
    TextClassifier(TfidfFeatures()).fit(texts, labels).save(tmp_path / "saved")
    write_toml(tmp_path / "c.toml", '[models.c]\nuse = "classifier"\npath = "saved"')
    shown = json.loads(pilotfish("ask", "c.toml", "a lost card", "--json", cwd=tmp_path).stdout)
    assert shown["text"] == "card"
    assert shown["mean_logprob"] < 0
    assert pilotfish("ask", "saved", "money", cwd=tmp_path).stdout == "refund\n"
    (tmp_path / "saved" / "classifier.json").unlink()
    assert "saved" in error_of(pilotfish("ask", "c.toml", "a lost card", cwd=tmp_path))


def test_a_local_model_by_the_files_own_catalog(tmp_path: Path) -> None:
    from tests.tiny import write_lm

    write_lm(tmp_path / "weights", "llama", "plain")
    entry = '[catalog.mine]\nkind = "causal-lm"\nlicence = "CC0-1.0"\nsource = "path:weights"'
    model = '[models.m]\nuse = "local"\nweights = "mine"\ndtype = "float32"\nmax_tokens = 3'
    write_toml(tmp_path / "c.toml", entry, model)
    done = pilotfish("ask", "c.toml", "hello", "--trace", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\nm " in done.stderr
    write_toml(tmp_path / "c.toml", entry, model.replace('"mine"', '"mime"'))
    assert "did you mean 'mine'?" in error_of(pilotfish("ask", "c.toml", "hello", cwd=tmp_path))


def test_a_package_of_others_brings_a_kind_of_its_own(tmp_path: Path) -> None:
    path = {"PYTHONPATH": str(install(tmp_path / "site"))}
    with ScriptedUpstream(Answer("hello"), key=SECRET) as upstream:
        write_toml(
            tmp_path / "c.toml",
            'default = "polly"',
            remote("m", upstream.url),
            '[models.polly]\nuse = "parrot"\nof = "m"\ntimes = 3',
        )
        assert pilotfish("ask", "c.toml", "hi", cwd=tmp_path, env=path).stdout == "hello hello hello\n"
        line = error_of(pilotfish("ask", "c.toml", "hi", cwd=tmp_path))
        assert "unknown use 'parrot'" in line
        write_toml(tmp_path / "c.toml", '[models.polly]\nuse = "parrot"')
        assert "a parrot needs `of`" in error_of(pilotfish("ask", "c.toml", "hi", cwd=tmp_path, env=path))
        write_toml(tmp_path / "c.toml", '[models.polly]\nuse = "torn"')
        line = error_of(pilotfish("ask", "c.toml", "hi", cwd=tmp_path, env=path))
        assert "the package pilotfish-parrot that brings it does not load" in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[models.m]\nuse = "lokal"\nweights = "x"', "unknown use 'lokal'; did you mean 'local'?"),
        ('[models.m]\nuse = "local"\nwieghts = "x"', "unknown key 'wieghts'; did you mean 'weights'?"),
        ('[models.m]\nuse = "local"', "the key 'weights' is missing"),
        ('[models.m]\nweights = "x"', "the key 'use' is missing"),
        ('[models.m]\nuse = "local"\nweights = 3', "weights: input should be a valid string"),
        ('[models.m]\nuse = "openai"\nmodel = "x"\napi_key = "sk-1"', "unknown key 'api_key'"),
        ('[model.m]\nuse = "local"\nweights = "x"', "unknown key 'model'; did you mean 'models'?"),
        (CASCADE, "small = 'small': no such model"),
        (CASCADE.replace('"small"', '"assistant"').replace('"large"', '"assistant"'), "assistant -> assistant"),
        ("[models.m\n", "not TOML"),
        ("", "no models in it"),
        (
            'default = "mm"\n[models.m]\nuse = "classifier"\npath = "x"',
            "default = 'mm': no such model; did you mean 'm'?",
        ),
        ('[models.m]\nuse = "encoder"\nweights = "all-minilm-l6-v2"', "is an encoder: it gives vectors, not answers"),
        ('[models.m]\nuse = "local"\nweights = "smollm2-135m-instrukt"', "did you mean 'smollm2-135m-instruct'?"),
        ('[models.m]\nuse = "recorded"\npath = "none.jsonl"', "none.jsonl: no such file"),
    ],
)
def test_a_faulty_file_is_one_line_that_says_where(tmp_path: Path, text: str, message: str) -> None:
    write_toml(tmp_path / "c.toml", text)
    line = error_of(pilotfish("ask", "c.toml", "hi", cwd=tmp_path))
    assert message in line
    assert "sk-1" not in line


def test_a_file_that_is_none_and_a_model_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("x")
    (tmp_path / "c.toml").write_bytes(b"\xff")
    assert "ends in .toml" in error_of(pilotfish("ask", "c.txt", "hi", cwd=tmp_path))
    assert "not UTF-8" in error_of(pilotfish("ask", "c.toml", "hi", cwd=tmp_path))
    assert "cannot be read" in error_of(pilotfish("ask", "none.toml", "hi", cwd=tmp_path))
    assert "no model 'gpt' in the catalog" in error_of(pilotfish("ask", "gpt", "hi", cwd=tmp_path))


def test_a_wrong_key_and_no_endpoint(tmp_path: Path) -> None:
    with ScriptedUpstream(key="another") as upstream:
        write_toml(tmp_path / "c.toml", remote("m", upstream.url))
        line = error_of(pilotfish("ask", "c.toml", "hi", cwd=tmp_path))
        assert "$TEST_KEY" in line
    assert "cannot be reached" in error_of(pilotfish("ask", "c.toml", "hi", cwd=tmp_path))


def test_without_the_extra_the_line_has_the_pip_command(tmp_path: Path) -> None:
    from tests.tiny import write_lm

    write_lm(tmp_path / "weights", "llama", "plain")
    done = pilotfish("ask", "./weights", "hi", cwd=tmp_path, before="import sys; sys.modules['torch'] = None")
    assert error_of(done) == "error: torch is not installed: pip install 'pilotfish[local]'"


def test_light_models_need_no_heavy_import(tmp_path: Path) -> None:
    """A remote model must not wait for torch."""
    with ScriptedUpstream(key=SECRET) as upstream:
        write_toml(tmp_path / "c.toml", remote("m", upstream.url))
        watch = "import sys, atexit\natexit.register(lambda: print(*[m for m in ('torch', 'transformers', 'sklearn', "
        watch += "'pyarrow', 'matplotlib') if m in sys.modules], 'end', file=sys.stderr))"
        done = pilotfish("ask", "c.toml", "hi", cwd=tmp_path, before=watch)
    assert done.stderr == "end\n"


def test_the_module_runs_as_the_script_does(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pilotfish.cli.main", "--version"], cwd=tmp_path, capture_output=True, check=True
    )
    assert done.stdout.startswith(b"pilotfish ")


def test_an_answer_from_passages_tells_what_it_stands_on(tmp_path: Path) -> None:
    with Index.create(tmp_path / "index") as index:
        index.add([Document("boat", "The boat sank in 1912."), Document("cat", "Cats sleep.")])
    table = """
        [indexes.docs]
        folder = "index"
        bm25 = {}
        [retrievers.words]
        use = "bm25"
        index = "docs"
        [models.rag]
        use = "retrieve"
        retriever = "words"
        model = "m"
        k = 1
        nli = "words"
    """
    with ScriptedUpstream(Answer("In 1912 [1]."), key=SECRET) as upstream:
        write_toml(tmp_path / "c.toml", remote("m", upstream.url), table)
        done = pilotfish("ask", "c.toml", "When did the boat sink?", "-m", "rag", "--trace", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "In 1912 [1].\n"), done.stderr
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("[1] boat") and lines[-1].endswith("(cited, supports 1.00)")
    assert "rag: answered from passages; 1 of its passages cited" in done.stderr
