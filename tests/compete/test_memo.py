from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from pilotfish.compete.memo import CHUNK, Memo, identity
from pilotfish.compete.purse import Purse
from pilotfish.compete.watch import Budget
from pilotfish.errors import DataError
from pilotfish.infer import Above, Cascade
from pilotfish.model import Price, Request, WholeReplies
from pilotfish.models.classify import Labeller
from pilotfish.models.local import LocalModel
from pilotfish.models.recorded import RecordedModel
from pilotfish.models.remote import RemoteModel
from tests.compete.label_run import LABELS, texts
from tests.fakes import ScriptedModel
from tests.forks import forked, module


def echo(request: Request) -> str:
    return request.prompt


class WhiteBox(WholeReplies):
    """Scores labels by how often their letters stand in the question; counts what it is asked."""

    name = "white"
    max_length = 100_000

    def __init__(self) -> None:
        self.calls = 0

    def render(self, request: Request) -> str:
        return request.prompt

    def count(self, text: str) -> int:
        return len(text)

    def choices(self, contexts: list[str], choices: list[str], **_: object) -> NDArray[np.float64]:
        self.calls += len(contexts)
        return -np.array([[1.0 + abs(hash_of(context) - hash_of(c)) % 7 for c in choices] for context in contexts])


def hash_of(text: str) -> int:
    return sum(ord(char) * (i + 1) for i, char in enumerate(text))


def test_nothing_is_asked_twice_in_one_run_or_the_next(tmp_path: Path) -> None:
    model = ScriptedModel(echo, price=Price(1, 1))
    path = tmp_path / "work" / "large.jsonl"
    rows = texts(70)
    first = Memo(path).predict(Labeller(model, LABELS), [*rows, *rows[:5]], "m")
    assert model.calls == 70
    again = Memo(path).predict(Labeller(model, LABELS), [*rows, *rows[:5]], "m")
    assert model.calls == 70
    assert again.labels == first.labels == [LABELS[i % 2] for i in [*range(70), *range(5)]]
    assert [trace.cost for trace in again.traces] == [trace.cost for trace in first.traces]


def test_progress_adds_up_with_and_without_kept_answers(tmp_path: Path) -> None:
    memo = Memo(tmp_path / "m.jsonl")
    for rows in (texts(40), texts(60), [*texts(60), *texts(10)]):
        done: list[int] = []
        memo.predict(Labeller(ScriptedModel(echo), LABELS), rows, "m", done.append)
        assert sum(done) == len(rows)


def test_a_torn_last_line_is_asked_again_and_the_next_one_does_not_join_it(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    Memo(path).predict(Labeller(ScriptedModel(echo), LABELS), texts(10), "m")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    model = ScriptedModel(echo)
    Memo(path).predict(Labeller(model, LABELS), texts(12), "m")
    assert model.calls == 3
    later = ScriptedModel(echo)
    assert len(Memo(path)) == 12
    Memo(path).predict(Labeller(later, LABELS), texts(12), "m")
    assert later.calls == 0


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe not text",
        b"null",
        b"[1, 2]",
        b'{"key": "k"}',
        b'{"key": "k", "label": 3, "logprobs": null, "calls": [], "truncated": false}',
        b'{"key": "k", "label": "a", "logprobs": [NaN], "calls": [], "truncated": false}',
        b'{"key": "k", "label": "a", "logprobs": null, "calls": [{"odd": 1}], "truncated": false}',
    ],
)
def test_lines_that_are_no_answers_are_passed_over(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(line + b"\n")
    assert len(Memo(path)) == 0
    model = ScriptedModel(echo)
    Memo(path).predict(Labeller(model, LABELS), texts(3), "m")
    assert (model.calls, len(Memo(path))) == (3, 3)


def test_another_model_prompt_or_set_of_labels_is_asked_anew(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    model = ScriptedModel(echo)
    Memo(path).predict(Labeller(model, LABELS), texts(4), "m")
    for labeller, name in (
        (Labeller(model, LABELS), "another"),
        (Labeller(model, [*LABELS, "cat"]), "m"),
        (Labeller(model, LABELS[::-1]), "m"),
        (Labeller(model, LABELS, names={"card": "where is it"}), "m"),
        (Labeller(model, LABELS, examples=[("x", "card")]), "m"),
        (Labeller(model, LABELS, instruction="Sort."), "m"),
    ):
        before = model.calls
        Memo(path).predict(labeller, texts(4), name)
        assert model.calls == before + 4


def test_what_is_kept_is_before_the_correction_of_the_labels_bias(tmp_path: Path) -> None:
    path, model = tmp_path / "m.jsonl", WhiteBox()
    plain = Labeller(model, LABELS)
    raw = Memo(path).predict(plain, texts(20), "m").logprobs
    assert raw is not None
    assert model.calls == 20
    corrected = Labeller(model, LABELS)
    corrected.prior_ = np.array([-0.2, -5.0])
    found = Memo(path).predict(corrected, texts(20), "m")
    assert model.calls == 20
    assert found.logprobs is not None
    np.testing.assert_allclose(found.logprobs, corrected.corrected(raw), atol=1e-5)
    assert found.labels == [LABELS[i] for i in corrected.corrected(raw).argmax(axis=1)]
    # Asking anew with the correction set keeps uncorrected answers too.
    fresh = Memo(tmp_path / "n.jsonl")
    fresh.predict(corrected, texts(20), "m")
    again = fresh.predict(plain, texts(20), "m").logprobs
    assert again is not None
    np.testing.assert_allclose(again, raw, atol=1e-5)
    assert corrected.prior_ is not None


def test_a_purse_ends_the_answer_after_as_many_of_the_first_texts_as_it_pays_for() -> None:
    model = ScriptedModel(echo, price=Price(1000, 1000))
    memo, budget = Memo(None), Budget(max_cost=1.0)
    found = memo.predict(Labeller(model, LABELS), texts(200), "m", purse=Purse(model, budget))
    assert 0 < len(found.labels) < 200
    assert found.labels == [LABELS[i % 2] for i in range(len(found.labels))]
    assert 0.5 < budget.spent <= 1.0
    assert model.calls == len(found.labels)


def test_kept_answers_count_towards_the_budget_once(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    model = ScriptedModel(echo, price=Price(1000, 1000))
    paid = Budget(max_cost=100.0)
    Memo(path).predict(Labeller(model, LABELS), texts(20), "m", purse=Purse(model, paid))
    resumed = Budget(max_cost=100.0)
    purse, memo = Purse(model, resumed), Memo(path)
    for _ in range(2):
        memo.predict(Labeller(model, LABELS), texts(20), "m", purse=purse)
    assert resumed.spent == pytest.approx(paid.spent)
    assert paid.spent > 0


def test_a_file_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot keep the model's answers"):
        Memo(tmp_path / "file" / "m.jsonl").predict(Labeller(ScriptedModel(echo), LABELS), texts(2), "m")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="cannot read"):
        Memo(tmp_path / "folder")


def test_identities_tell_models_apart(tmp_path: Path, tiny_folder: object) -> None:
    url = "http://localhost:1/v1"
    same = {identity(RemoteModel("a", url, key_env=None, timeout=t, concurrency=c)) for t, c in ((5, 1), (6, 2))}
    assert len(same) == 1
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "model.safetensors").write_bytes(b"1")
    before = identity(LocalModel(weights))
    (weights / "model.safetensors").write_bytes(b"22")
    record = tmp_path / "r.jsonl"
    record.write_text('{"prompt": "a", "reply": "b"}\n')
    recorded = identity(RecordedModel(record))
    record.write_text('{"prompt": "a", "reply": "cc"}\n')
    a, b = RemoteModel("a", url, key_env=None), RemoteModel("b", url, key_env=None)
    different = [
        *same,
        identity(b),
        identity(RemoteModel("a", "http://localhost:2/v1", key_env=None)),
        identity(RemoteModel("a", url, key_env=None, extra={"reasoning": "low"})),
        before,
        identity(LocalModel(weights)),
        identity(LocalModel(weights, dtype="float32")),
        recorded,
        identity(RecordedModel(record)),
        identity(ScriptedModel(name="a")),
        identity(Cascade(a, b, Above("confidence", 0.5))),
        identity(Cascade(b, a, Above("confidence", 0.5))),
        identity(Cascade(a, b, Above("confidence", 0.6))),
    ]
    assert len(set(different)) == len(different)


@pytest.fixture
def upstream() -> Iterator[str]:
    with forked(module("tests.fakes"), "--port", "0", "--delay", "0.02") as served:
        yield served.stdout.readline().decode().strip()
        served.terminate()


def asked(url: str) -> dict[str, int]:
    counts = httpx.get(url.removesuffix("/v1") + "/_calls").json()["prompts"]
    return {str(prompt).removeprefix("Text: "): int(count) for prompt, count in counts.items()}


@pytest.mark.parametrize("cache", ["cache", "none"])
def test_kill_9_repeats_no_finished_row(upstream: str, tmp_path: Path, cache: str) -> None:
    rows = 150
    command = (module("tests.compete.label_run"), upstream, str(tmp_path), str(rows), cache)
    with forked(*command) as run:
        # In the middle of a chunk: the first one is kept, the upstream has seen a part of a later one.
        deadline = time.monotonic() + 30
        while len(asked(upstream)) < CHUNK + 12 and time.monotonic() < deadline:
            time.sleep(0.01)
        run.kill()
    kept = (tmp_path / "large.jsonl").read_bytes().count(b"\n")
    seen = asked(upstream)
    assert CHUNK <= kept < rows
    out, _ = forked(*command).communicate(timeout=60)
    assert out.decode().split() == [str(rows // 2)] * 2
    counts = asked(upstream)
    assert set(counts) == set(texts(rows))
    finished = texts(rows)[:kept]
    assert all(counts[text] == 1 for text in finished)
    repeated = sum(count - 1 for count in counts.values())
    # With a cache only what was in flight is asked again, else at most the chunk.
    assert repeated <= (8 if cache == "cache" else CHUNK)
    assert len(seen) < rows
    lines = (tmp_path / "large.jsonl").read_text(encoding="utf-8").splitlines()
    assert len({json.loads(line)["key"] for line in lines}) == len(lines) == rows
