"""LocalModel as a Model: streaming, cancelling, loops and threads, and what cannot be loaded or asked."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotfish._sync import ask
from pilotfish.decode.strategy import Plain, Step
from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Model, Reply, Request, WhiteBoxModel
from pilotfish.models.local import LocalModel
from tests.asking import streamed, together
from tests.tiny import Cut, Family, write_encoder, write_lm

transformers = pytest.importorskip("transformers")

Folder = Callable[..., Path]
# The tiny model says no end token after this one for a long while.
PROMPT = "Where is my card?"


def test_a_reply_has_text_tokens_and_seconds(tiny_lm: LocalModel) -> None:
    reply = ask(tiny_lm, PROMPT, max_tokens=12)
    (call,) = reply.trace.calls
    assert (call.model, call.tokens_out, call.cost) == ("tiny", 12, 0.0)
    assert call.tokens_in == tiny_lm.count(tiny_lm.render(Request.of(PROMPT)))
    assert 0 < call.seconds < 30
    assert (reply.finish_reason, reply.logprobs, reply.choices) == ("length", None, ())
    assert isinstance(tiny_lm, Model)
    assert isinstance(tiny_lm, WhiteBoxModel)


def test_a_stream_is_the_reply_in_pieces_and_ends_with_it(tiny_lm: LocalModel) -> None:
    request = Request.of(PROMPT, max_tokens=12, logprobs=True)
    pieces = streamed(tiny_lm, request)
    assert [delta.reply is None for delta in pieces] == [True] * (len(pieces) - 1) + [False]
    last = pieces[-1].reply
    assert last is not None
    assert "".join(delta.text for delta in pieces) == last.text == ask(tiny_lm, request).text
    assert len(pieces) > 3
    assert last.logprobs is not None
    assert len(last.logprobs) == 12


def test_a_seed_gives_the_same_again_and_n_gives_different_ones(tiny_lm: LocalModel) -> None:
    def sampled(**settings: Any) -> Reply:
        return ask(tiny_lm, PROMPT, max_tokens=10, temperature=1.5, **settings)

    first = sampled(seed=3, n=3)
    texts = [first.text, *(choice.text for choice in first.choices)]
    assert len(set(texts)) == 3
    again = sampled(seed=3, n=3)
    assert [again.text, *(choice.text for choice in again.choices)] == texts
    assert sampled(seed=3).text == texts[0]
    assert sampled(seed=4).text == texts[1]
    assert len({sampled().text for _ in range(4)}) > 1
    # Every sample is paid for, once.
    assert len(first.trace.calls) == 3
    assert first.usage.tokens_out == sum(choice.usage.tokens_out for choice in first.choices) + (
        first.trace.calls[0].tokens_out
    )


def test_no_tokens_asked_is_an_empty_reply(tiny_lm: LocalModel) -> None:
    reply = ask(tiny_lm, PROMPT, max_tokens=0)
    assert (reply.text, reply.finish_reason, reply.usage.tokens_out) == ("", "length", 0)


def test_a_reply_ends_where_the_model_is_full(tiny_lm: LocalModel) -> None:
    used = tiny_lm.count(tiny_lm.render(Request.of("z" * 480)))
    reply = ask(tiny_lm, "z" * 480, max_tokens=500)
    assert used + reply.usage.tokens_out <= 512
    assert reply.finish_reason in ("length", "stop")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tools": ({"type": "function"},)}, "a tool must be"),
        ({"response_format": {"type": "jsn"}}, "response_format: no type .jsn."),
        ({"extra": {"topk": 9}}, "takes no topk; did you mean 'top_k'"),
        ({"extra": {"logit_bias": {"5000": 9}}}, "no token 5000"),
        ({"extra": {"top_k": -1}}, "top_k must be at least 0"),
        ({"temperature": -1.0}, "temperature must be at least 0"),
        ({"n": 0}, "n must be at least 1"),
    ],
)
def test_what_plain_generation_cannot_do_is_an_error(tiny_lm: LocalModel, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=f"tiny: .*{said}"):
        ask(tiny_lm, PROMPT, **settings)


def test_fields_that_change_no_answer_pass(tiny_lm: LocalModel) -> None:
    extra = {"user": "me", "store": False}
    assert ask(tiny_lm, PROMPT, max_tokens=2, extra=extra, response_format={"type": "text"}).usage.tokens_out == 2


def test_a_prompt_that_does_not_fit_is_one_line(tiny_lm: LocalModel) -> None:
    with pytest.raises(ModelError, match=r"tiny takes 512 tokens; the prompt alone has \d+: shorten it"):
        ask(tiny_lm, "z" * 600)
    with pytest.raises(ModelError, match="tiny takes 512 tokens at most"):
        tiny_lm.score([("z" * 600, "a")])
    with pytest.raises(ModelError, match="tiny takes 512 tokens at most"):
        tiny_lm.hidden(["z" * 600])
    (states,) = tiny_lm.hidden(["z" * 600], truncate=True)
    assert states.shape == (512, 32)


class Slow:
    """Makes each step take its time, and counts the tokens made and the rows that go together."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float = 0.02) -> None:
        self.tokens = self.steps = 0
        self.most = self.open = 0
        begin, step, end = Plain.begin, Plain.step, Plain.end

        def slow_begin(plain: Plain, jobs: Any) -> None:
            begin(plain, jobs)
            self.open += len(jobs)

        def slow_step(plain: Plain, jobs: Any) -> list[Step]:
            self.steps += 1
            self.tokens += len(jobs)
            self.most = max(self.most, len(jobs))
            time.sleep(seconds)
            return step(plain, jobs)

        def slow_end(plain: Plain, job: Any) -> Any:
            self.open -= job.row is not None
            return end(plain, job)

        monkeypatch.setattr(Plain, "begin", slow_begin)
        monkeypatch.setattr(Plain, "step", slow_step)
        monkeypatch.setattr(Plain, "end", slow_end)


def test_leaving_a_stream_early_stops_the_worker(tiny_lm: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(monkeypatch)

    async def leave() -> str:
        async for delta in tiny_lm.stream(Request.of(PROMPT, max_tokens=400)):
            if delta.text:
                return delta.text
        return ""

    assert asyncio.run(leave())
    made = slow.tokens
    assert made < 40
    time.sleep(0.15)
    assert (slow.tokens, slow.open) == (made, 0)
    assert ask(tiny_lm, PROMPT, max_tokens=2).usage.tokens_out == 2


def test_a_cancelled_request_stops_and_frees_its_row_and_the_others_go_on(
    tiny_lm: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)

    async def main() -> tuple[int, float]:
        first = asyncio.create_task(tiny_lm.reply(Request.of(PROMPT, max_tokens=400)))
        second = asyncio.create_task(tiny_lm.reply(Request.of(PROMPT, max_tokens=400)))
        while slow.tokens < 6:  # noqa: ASYNC110 the count comes from another thread
            await asyncio.sleep(0.01)
        assert slow.open == 2
        started = time.perf_counter()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        waited = time.perf_counter() - started
        assert not first.done()
        assert slow.open == 1
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return slow.tokens, waited

    made, waited = asyncio.run(main())
    assert waited < 1.0
    assert slow.open == 0
    time.sleep(0.15)
    assert (slow.tokens, slow.most) == (made, 2)


def test_one_that_waits_for_a_row_never_starts_if_cancelled(
    tiny_folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    lm = LocalModel(tiny_folder(), dtype="float32", device="cpu", max_rows=1)

    async def main() -> None:
        first = asyncio.create_task(lm.reply(Request.of(PROMPT, max_tokens=400)))
        while slow.tokens < 2:  # noqa: ASYNC110 the count comes from another thread
            await asyncio.sleep(0.01)
        second = asyncio.create_task(lm.reply(Request.of(PROMPT, max_tokens=400)))
        await asyncio.sleep(0.1)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert (slow.open, slow.most) == (1, 1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(main())
    assert slow.tokens == slow.steps


def test_requests_side_by_side_run_together_and_answer_as_they_would_alone(
    tiny_lm: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [PROMPT, "the cat", "refund", "Text: top up"] * 2
    settings: list[dict[str, Any]] = [{}] * 4 + [{"temperature": 1.3, "seed": seed} for seed in range(4)]
    requests = [Request.of(prompts[i], max_tokens=8 + 2 * i, **settings[i]) for i in range(8)]
    alone = [ask(tiny_lm, request).text for request in requests]
    slow = Slow(monkeypatch, 0.01)
    assert [reply.text for reply in together(tiny_lm, requests)] == alone
    assert slow.most == 8
    assert slow.steps < 40 < slow.tokens


def test_scoring_takes_turns_with_a_long_answer(tiny_lm: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [("the cat", " sat on the mat")]
    expected = tiny_lm.score(pairs)
    slow = Slow(monkeypatch, 0.01)

    async def main() -> int:
        answer = asyncio.create_task(tiny_lm.reply(Request.of(PROMPT, max_tokens=100)))
        while slow.tokens < 3:  # noqa: ASYNC110 the count comes from another thread
            await asyncio.sleep(0.01)
        assert await asyncio.to_thread(tiny_lm.score, pairs) == expected
        made = slow.tokens
        assert (await answer).usage.tokens_out == 100
        return made

    assert asyncio.run(main()) < 60


def test_one_model_serves_one_loop_after_another_and_loops_in_loops(tiny_lm: LocalModel) -> None:
    expected = ask(tiny_lm, PROMPT, max_tokens=5).text

    async def cell() -> str:
        return ask(tiny_lm, PROMPT, max_tokens=5).text

    assert asyncio.run(cell()) == expected
    assert asyncio.run(cell()) == expected
    assert ask(tiny_lm, PROMPT, max_tokens=5).text == expected


def test_an_error_while_generating_reaches_the_caller(tiny_lm: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise MemoryError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(Plain, "step", broken)
        with pytest.raises(MemoryError, match="no room"):
            ask(tiny_lm, PROMPT)
    assert ask(tiny_lm, PROMPT, max_tokens=2).usage.tokens_out == 2


def test_a_script_that_uses_a_model_exits_promptly(tiny_folder: Folder) -> None:
    script = (
        "import asyncio, sys, time\n"
        "from pilotfish._sync import ask\n"
        "from pilotfish.model import Request\n"
        "from pilotfish.models.local import LocalModel\n"
        "model = LocalModel(sys.argv[1], dtype='float32', device='cpu')\n"
        "ask(model, 'hi', max_tokens=2)\n"
        "async def late():\n"
        "    try:\n"
        "        await asyncio.wait_for(model.reply(Request.of('hi', max_tokens=400)), 0.01)\n"
        "    except TimeoutError:\n"
        "        print('late')\n"
        "asyncio.run(late())\n"
        "print(time.time(), flush=True)\n"
    )
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", script, str(tiny_folder())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    late, ended = done.stdout.split()
    assert late == "late"
    assert time.time() - float(ended) < 10
    assert "Traceback" not in done.stderr


def test_a_model_that_is_gone_takes_its_thread_with_it(tiny_folder: Folder) -> None:
    model = LocalModel(tiny_folder(), name="short-lived", dtype="float32", device="cpu")
    ask(model, "hi", max_tokens=1)
    assert any(thread.name.startswith("pilotfish-short-lived") for thread in threading.enumerate())
    del model
    ended = time.monotonic() + 10
    while any(thread.name.startswith("pilotfish-short-lived") for thread in threading.enumerate()):
        assert time.monotonic() < ended
        time.sleep(0.02)


def test_a_model_loads_once_and_knows_itself(tiny_folder: Folder) -> None:
    model = LocalModel(tiny_folder(), dtype="float32", device="cpu")
    assert (model.name, repr(model)) == (
        "llama-plain",
        f"LocalModel({str(tiny_folder())!r}, dtype='float32', device='cpu')",
    )
    loaded = model.load().model
    assert model.load().model is loaded
    assert (model.max_length, model.licence) == (512, "unknown")
    assert model.parameters == sum(weight.numel() for weight in loaded.parameters())
    assert model.count("the cat sat") == 3


def damaged(folder: Path, change: Callable[[Path], object]) -> LocalModel:
    write_lm(folder)
    change(folder)
    return LocalModel(folder, dtype="float32", device="cpu")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda f: (f / "model.safetensors").write_bytes(b"\x08" + b"\0" * 50),
            "not a causal language model that loads",
        ),
        (
            lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:9000]),
            "not a causal language model that loads",
        ),
        (lambda f: (f / "model.safetensors").unlink(), "not a causal language model that loads"),
        (lambda f: (f / "tokenizer.json").write_text("{"), "not a causal language model that loads"),
        (lambda f: (f / "config.json").write_text("[1"), "not a causal language model that loads"),
        (lambda f: (f / "config.json").unlink(), "a folder without config.json"),
    ],
)
def test_damaged_folders_are_one_line(tmp_path: Path, change: Callable[[Path], object], said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        damaged(tmp_path / "model", change).load()
    assert "\n" not in str(caught.value)


def test_an_encoder_is_not_taken_for_a_language_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"not a whole causal language model: its files lack \d+ weights"):
        LocalModel(write_encoder(tmp_path / "encoder"), device="cpu").load()


def test_settings_that_cannot_be_are_said_before_loading(tiny_folder: Folder) -> None:
    with pytest.raises(ConfigError, match="dtype must be one of auto, bfloat16, float16, float32, not 'int3'"):
        LocalModel("anything", dtype="int3")
    with pytest.raises(ConfigError, match="device 'cudaa' is not there"):
        LocalModel(tiny_folder(), device="cudaa").load()
    with pytest.raises(ConfigError, match="threads must be at least 1"):
        LocalModel(tiny_folder(), threads=0).load()
    with pytest.raises(ModelError, match="no model 'smollm2-135m-instrcut' in the catalog"):
        LocalModel("smollm2-135m-instrcut").load()


def test_bfloat16_is_near_float32(tiny_folder: Callable[[Family, Cut], Path]) -> None:
    pairs = [("the cat", " sat on the mat"), ("", "refund")]
    totals = [
        [one.total for one in LocalModel(tiny_folder("llama", "plain"), dtype=dtype, device="cpu").score(pairs)]
        for dtype in ("float32", "bfloat16")
    ]
    assert totals[0] != totals[1]
    assert totals[0] == pytest.approx(totals[1], rel=0.05)


@pytest.mark.models
def test_smollm2_answers(smollm2: LocalModel) -> None:
    reply = ask(smollm2, "What is the capital of France?", max_tokens=12, logprobs=True)
    assert "Paris" in reply.text
    assert reply.mean_logprob is not None
    assert reply.mean_logprob > -1
    assert smollm2.licence == "Apache-2.0"
