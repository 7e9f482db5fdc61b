"""Capturing a teacher: what is stored is what the whole model says, whatever the batch, the mask and the death."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish.distill.cache import TopKCache, _teacher, capture, example_key
from pilotfish.distill.cache._teacher import fingerprint
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.head import Head
from pilotfish.models.local import LocalModel
from tests.forks import forked
from tests.tiny import Family

torch = pytest.importorskip("torch")

TINY = 6e-3  # eight bits over the spread of a tiny model's 16 likeliest tokens, weighted by their probability
Some = list[tuple[list[int], Any]]


def some(count: int = 24, seed: int = 0, longest: int = 40) -> Some:
    """Examples of ids at random, the padding id 0 often among them, with masks of all kinds."""
    random = np.random.default_rng(seed)
    made: Some = []
    for i in range(count):
        ids = random.integers(0, 400, size=int(random.integers(2, longest)))
        ids[random.random(len(ids)) < 0.1] = 0
        flags = random.random(len(ids) - 1) < 0.5
        made.append((ids.tolist(), [None, flags, flags.tolist(), len(ids) // 2 + 1][i % 4]))
    return made


def model(folder: Path) -> LocalModel:
    return LocalModel(folder, name="tiny", dtype="float32", device="cpu").load()


def whole(lm: LocalModel, ids: list[int], temperature: float = 1.0, vocabulary: int | None = None) -> Any:
    """Log-probabilities after every token but the last by the model's own forward pass: (len(ids) - 1, vocabulary)."""
    with torch.inference_mode():
        logits = lm.model(input_ids=torch.tensor([ids])).logits[0, :-1, :vocabulary].double()
    return (logits / temperature).log_softmax(-1).numpy()


def flags(ids: list[int], loss: Any) -> Any:
    if loss is None:
        return np.ones(len(ids) - 1, bool)
    return np.arange(1, len(ids)) >= loss if isinstance(loss, int) else np.asarray(loss)


def check(lm: LocalModel, cache: TopKCache, examples: Some, bound: float = TINY, **how: Any) -> None:
    """Hold the cache against the whole model: the k likeliest, their probabilities, the tail."""
    for ids, loss in examples:
        wanted = whole(lm, ids, **how)[flags(ids, loss)]
        found_ids, found = cache.get(example_key(ids, loss))
        assert found_ids.shape == found.shape == (len(wanted), cache.manifest.k)
        for row, row_ids, row_logs in zip(wanted, found_ids, found, strict=True):
            least = np.sort(row)[-cache.manifest.k]
            assert (row[row_ids] >= least - 1e-4).all()  # near ties may go either way
            p = np.exp(row[row_ids])
            assert (p * np.abs(row_logs - row[row_ids])).sum() < bound
            assert 1 - np.exp(row_logs.astype(float)).sum() == pytest.approx(1 - p.sum(), abs=2e-3)


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3", "gemma3", "mistral"])
def test_the_cache_holds_what_the_whole_model_says(
    tiny_folder: Callable[[Family], Path], tmp_path: Path, family: Family
) -> None:
    lm = model(tiny_folder(family))
    examples = some()
    report = capture(lm, examples, tmp_path / "cache", k=16, batch_tokens=100, progress=False)
    cache = TopKCache(tmp_path / "cache")
    check(lm, cache, examples)
    tokens = sum(int(flags(*one).sum()) for one in examples)
    assert (report.examples, report.present, report.tokens, cache.tokens) == (24, 0, tokens, tokens)
    tails = [1 - np.exp(np.sort(whole(lm, ids)[flags(ids, loss)])[:, -16:]).sum(1) for ids, loss in examples]
    assert report.tail == pytest.approx(float(np.concatenate(tails).mean()), abs=1e-5)
    assert report.tokens_per_second > 0
    assert report.record_bytes == cache.record_bytes
    assert (cache.manifest.vocabulary, cache.manifest.k, cache.manifest.bits) == (400, 16, 8)
    assert (cache.manifest.teacher, cache.manifest.dtype, cache.manifest.temperature) == ("tiny", "float32", 1.0)


def test_temperature_divides_the_logits(tiny_lm: LocalModel, tmp_path: Path) -> None:
    examples = some(8)
    capture(tiny_lm, examples, tmp_path, k=16, temperature=3.0, progress=False)
    check(tiny_lm, TopKCache(tmp_path), examples, temperature=3.0)
    assert TopKCache(tmp_path).manifest.temperature == 3.0


def test_all_tokens_leave_no_tail(tiny_lm: LocalModel, tmp_path: Path) -> None:
    examples = some(4)
    assert capture(tiny_lm, examples, tmp_path, k=1000, progress=False).tail == pytest.approx(0, abs=1e-6)
    cache = TopKCache(tmp_path)
    assert cache.manifest.k == 400
    ids, logs = cache.get(example_key(*examples[0]))
    assert (ids == np.arange(400)).all()
    np.testing.assert_allclose(np.exp(logs).sum(1), 1, atol=1e-5)


def test_a_smaller_familys_rows_are_those_of_a_smaller_vocabulary(tiny_lm: LocalModel, tmp_path: Path) -> None:
    examples = [([i % 350 for i in ids], loss) for ids, loss in some(8)]
    capture(tiny_lm, examples, tmp_path, k=16, vocabulary=350, progress=False)
    cache = TopKCache(tmp_path)
    check(tiny_lm, cache, examples, vocabulary=350)
    assert cache.manifest.vocabulary == 350
    with pytest.raises(DataError, match="with vocabulary 350, not 400"):
        capture(tiny_lm, examples, tmp_path, k=16, progress=False)


def _altered(folder: Path, out: Path, **settings: Any) -> LocalModel:
    """The tiny model with other settings, written and loaded again."""
    lm = model(folder)
    for key, value in settings.items():
        setattr(lm.model.config, key, value)
    lm.model.save_pretrained(out)
    lm.tokenizer.save_pretrained(out)
    return model(out)


def test_a_capped_head_is_captured_as_capped(tiny_folder: Callable[[Family], Path], tmp_path: Path) -> None:
    plain = model(tiny_folder("gemma3"))
    capped = _altered(tiny_folder("gemma3"), tmp_path / "model", final_logit_softcapping=4.0)
    examples = some(6)
    assert np.abs(whole(plain, examples[0][0]) - whole(capped, examples[0][0])).max() > 0.5
    capture(capped, examples, tmp_path / "cache", k=16, temperature=2.0, progress=False)
    check(capped, TopKCache(tmp_path / "cache"), examples, temperature=2.0)


def test_a_scaled_head_is_captured_as_scaled(tiny_folder: Callable[[Family], Path], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    kinds = {
        "granite": transformers.GraniteConfig(vocab_size=400, logits_scaling=0.25, **sizes),
        "cohere": transformers.CohereConfig(vocab_size=400, logit_scale=3.0, pad_token_id=0, **sizes),
    }
    for name, config in kinds.items():
        made = transformers.AutoModelForCausalLM.from_config(config)
        made.save_pretrained(tmp_path / name)
        model(tiny_folder("llama")).tokenizer.save_pretrained(tmp_path / name)
        lm = model(tmp_path / name)
        examples = some(4)
        capture(lm, examples, tmp_path / f"{name}-cache", k=16, progress=False)
        check(lm, TopKCache(tmp_path / f"{name}-cache"), examples)


def test_a_head_that_is_not_understood_is_refused(
    tiny_folder: Callable[[Family], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = model(tiny_folder("llama"))
    plain = lm.model.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        out = plain(*args, **kwargs)
        out.logits = out.logits * 1.1
        return out

    monkeypatch.setattr(lm.model, "forward", forward)
    with pytest.raises(ModelError, match="more than its hidden states"):
        capture(lm, some(2), tmp_path, k=4, progress=False)


def test_dropout_is_off_and_the_model_is_left_as_it_was(tiny_folder: Callable[[Family], Path], tmp_path: Path) -> None:
    lm = model(tiny_folder("gpt2"))
    examples = some(4)
    capture(lm, examples, tmp_path / "a", k=4, progress=False)
    lm.model.train()  # GPT-2 has dropout of a tenth
    capture(lm, examples, tmp_path / "b", k=4, progress=False)
    assert lm.model.training
    assert (tmp_path / "a/shard-00000.records").read_bytes() == (tmp_path / "b/shard-00000.records").read_bytes()
    assert all(weight.grad is None for weight in lm.model.parameters())


def test_logits_are_made_in_chunks(tiny_lm: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = some(6)
    monkeypatch.setattr(_teacher, "_CHUNK_BYTES", 7 * 400 * 4)
    made: list[int] = []
    plain = Head.raw

    def raw(self: Any, hidden: Any, rows: int, out: Any) -> Any:
        made.append(len(hidden))
        return plain(self, hidden, rows, out)

    monkeypatch.setattr(Head, "raw", raw)
    capture(tiny_lm, examples, tmp_path, k=16, progress=False)
    assert max(made) <= 7 and sum(made[1:]) == sum(int(flags(*one).sum()) for one in examples)
    check(tiny_lm, TopKCache(tmp_path), examples)


def test_only_what_is_missing_is_captured(tiny_lm: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[capture.__module__], "_WINDOW", 5)
    examples = some(12)
    first = capture(tiny_lm, examples[:7], tmp_path, k=4, progress=False)
    assert (first.examples, first.present) == (7, 0)
    # In another order, with repeats, as a stream whose length is not known.
    again = capture(tiny_lm, iter([*examples[::-1], *examples[:3]]), tmp_path, k=4, progress=False)
    assert (again.examples, again.present) == (12, 7)
    assert again.tokens == sum(int(flags(*one).sum()) for one in examples[7:])
    third = capture(tiny_lm, examples, tmp_path, k=4, progress=False)
    assert (third.examples, third.present, third.tokens, third.tail) == (12, 12, 0, 0.0)
    check(tiny_lm, TopKCache(tmp_path), examples, 2e-2)


def test_examples_without_a_loss_are_there_and_empty(tiny_lm: LocalModel, tmp_path: Path) -> None:
    examples: Some = [([5], None), ([], None), ([1, 2, 3], [False, False]), ([1, 2, 4], 3), ([7, 8], [True])]
    report = capture(tiny_lm, examples, tmp_path, k=4, progress=False)
    cache = TopKCache(tmp_path)
    assert report.tokens == 1 and len(cache) == 5
    assert [cache.count(example_key(*one)) for one in examples] == [0, 0, 0, 0, 1]
    assert cache.get(example_key(*examples[0]))[0].shape == (0, 4)


def test_another_teacher_or_setting_is_refused(tiny_folder: Callable[[Family], Path], tmp_path: Path) -> None:
    lm, examples = model(tiny_folder("llama")), some(3)
    capture(lm, examples, tmp_path, k=4, progress=False)
    for settings, said in [({"k": 5}, "with k 4, not 5"), ({"k": 4, "temperature": 2.0}, "with temperature 1.0")]:
        with pytest.raises(DataError, match=said):
            capture(lm, examples, tmp_path, progress=False, **settings)  # type: ignore[arg-type]
    before = fingerprint(lm.model)
    with torch.no_grad():
        lm.model.model.layers[1].mlp.up_proj.weight.mul_(1.001)  # as training would
    assert fingerprint(lm.model) != before
    with pytest.raises(DataError, match="other weights"):
        capture(lm, examples, tmp_path, k=4, progress=False)


def test_what_makes_no_sense_names_the_example(tiny_lm: LocalModel, tmp_path: Path) -> None:
    good = ([1, 2, 3], None)
    for bad, said in [
        (([1, 2, 400], None), "example 2 has an id that is not from 0 to 399"),
        (([1, -1], None), "example 2 has an id"),
        (([1, 2, 3], [True]), "example 2: 3 tokens need 2 flags"),
        (([1] * 600, None), "example 2 has 600 tokens; the teacher takes 512"),
    ]:
        with pytest.raises(DataError, match=said):
            capture(tiny_lm, [good, bad], tmp_path, k=4, progress=False)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"temperature": 0}, "temperature"),
        ({"k": 0}, "at least 1"),
        ({"vocabulary": 401}, "400"),
    ]
    for settings, said in wrong:
        with pytest.raises(ConfigError, match=said):
            capture(tiny_lm, [good], tmp_path, progress=False, **settings)


def test_a_model_that_gives_nan_is_refused(tiny_folder: Callable[[Family], Path], tmp_path: Path) -> None:
    lm = model(tiny_folder("llama"))
    with torch.no_grad():
        lm.model.model.embed_tokens.weight[300] = torch.nan
    with pytest.raises(ModelError, match="NaN"):
        capture(lm, [([1, 2, 3, 300, 4, 5], None)], tmp_path, k=4, progress=False)
    assert len(TopKCache(tmp_path)) == 0


def test_progress_counts_all_examples(tiny_lm: LocalModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples = some(9)
    capture(tiny_lm, examples[:4], tmp_path, k=4, progress=False)
    assert capsys.readouterr().err == ""
    capture(tiny_lm, [*examples, examples[0]], tmp_path, k=4)
    assert "examples: 10 of 10" in capsys.readouterr().err


CAPTURE = """
import sys
from pathlib import Path
from pilotfish.distill.cache import capture
from tests.distill.cache.test_capture import model, some
capture(model(Path(sys.argv[1])), some(600), sys.argv[2], k=16, batch_tokens=40, progress=False)
"""


def test_a_killed_capture_goes_on_where_it_was(tiny_folder: Callable[[Family], Path], tmp_path: Path) -> None:
    folder = tiny_folder("llama")
    index = tmp_path / "cache" / "shard-00000.index"
    with forked(CAPTURE, folder, tmp_path / "cache") as child:
        while child.poll() is None and not (index.exists() and index.stat().st_size > 1000):
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
    held = len(TopKCache(tmp_path / "cache"))
    assert 0 < held < 600
    lm, examples = model(folder), some(600)
    check(lm, TopKCache(tmp_path / "cache"), [one for one in examples if example_key(*one) in _keys(tmp_path)][:20])
    report = capture(lm, examples, tmp_path / "cache", k=16, progress=False)
    assert report.present == held
    check(lm, TopKCache(tmp_path / "cache"), examples[::30])


def _keys(tmp_path: Path) -> TopKCache:
    return TopKCache(tmp_path / "cache")


@pytest.mark.models
def test_of_a_real_model_little_is_lost(smollm2: LocalModel, tmp_path: Path) -> None:
    text = "The ship left the harbour at dawn, and by noon the coast was a thin grey line behind it."
    ids = list(smollm2.tokenizer(text)["input_ids"])
    report = capture(smollm2, [(ids, None)], tmp_path, progress=False)
    cache = TopKCache(tmp_path)
    assert (report.record_bytes, cache.manifest.k, cache.manifest.bits) == (300, 128, 8)
    assert report.tail < 0.15
    found_ids, found = cache.get(example_key(ids))
    wanted = np.take_along_axis(whole(smollm2, ids), found_ids, axis=1)
    p, q = np.exp(wanted), np.exp(found.astype(float))
    tails = 1 - p.sum(1), 1 - q.sum(1)
    lost = (p * (wanted - found)).sum(1) + tails[0] * np.log(tails[0] / tails[1])
    assert np.abs(wanted - found).max() < 0.06
    assert lost.mean() < 1e-4  # the divergence of what is read from what the teacher said, in nats a token
