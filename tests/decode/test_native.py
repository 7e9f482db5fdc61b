"""The native decoder beyond what every decoder must do: equal to the last bit, quantised, reusing what it computed."""

from __future__ import annotations

import copy
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from pilotfish.decode._arch_read import read
from pilotfish.decode.arch import Architecture
from pilotfish.decode.native import build
from pilotfish.decode.native import decoder as native
from pilotfish.decode.native.build import NativeUnavailable
from pilotfish.decode.native.decoder import NativeDecoder
from pilotfish.errors import ConfigError, ModelError
from tests.decode.tinies import tiny

if TYPE_CHECKING:
    from pilotfish.models.local import LocalModel

PROMPT = [5, 17, 300, 42, 9, 8, 7, 211, 12, 13, 14, 15, 16, 77, 78, 90, 91, 92, 93, 94, 95]


def arch(dtype: torch.dtype = torch.float32, family: Any = "llama") -> Architecture:
    made = read(copy.deepcopy(tiny(family=family)).to(dtype))
    assert made is not None
    return made


FORMS = {
    "float32": (torch.float32, "none"),
    "bfloat16": (torch.bfloat16, "none"),
    "lossless": (torch.bfloat16, "lossless"),
    "int8": (torch.bfloat16, "int8"),
    "int4": (torch.float32, "int4"),
}


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Architecture, Any]:
    monkeypatch.setattr("pilotfish.decode.native.pack._WORTH", 9999)  # rows of these models are shorter than a block
    dtype, quantize = FORMS[request.param]
    return arch(dtype), quantize


class Watched(NativeDecoder):
    """Counts the tokens that were run."""

    ran = 0

    def _call(self, rows: Any, logits: Any, early: Any) -> None:
        self.ran += sum(row.n for row in rows)
        super()._call(rows, logits, early)


def test_together_is_one_by_one_to_the_last_bit(form: tuple[Architecture, Any]) -> None:
    decoder = NativeDecoder(*form)
    more = [(31 * i) % 390 for i in range(60)]
    [row], _ = decoder.start([[PROMPT]])
    whole = decoder.feed([row], [more])[0]
    decoder.rollback(row, 0)
    assert torch.equal(torch.cat([decoder.feed([row], [[token]])[0] for token in more]), whole)
    [other, third], _ = decoder.start([[PROMPT[:3]], [PROMPT]])
    beside = decoder.feed([other, third], [[1, 2, 3], more[:7]])
    assert torch.equal(beside[1], whole[:7])


def test_a_tree_is_its_paths_to_the_last_bit(form: tuple[Architecture, Any]) -> None:
    decoder = NativeDecoder(*form)
    [row, plain], _ = decoder.start([[PROMPT], [PROMPT]])
    [tree] = decoder.feed([row], [[50, 51, 52, 53, 54, 55]], [[-1, 0, 0, -1, 2, 4]])
    [path] = decoder.feed([plain], [[50, 52, 54, 55]])
    assert torch.equal(tree[[0, 2, 4, 5]], path)
    decoder.keep(row, [0, 2, 4])
    decoder.rollback(plain, 3)
    assert torch.equal(decoder.feed([row], [[60, 61]])[0], decoder.feed([plain], [[60, 61]])[0])


def test_threads_change_nothing(form: tuple[Architecture, Any]) -> None:
    logits = [NativeDecoder(*form, threads=threads).start([[PROMPT], [[4, 5]]])[1] for threads in (1, 2, 3)]
    assert torch.equal(logits[0], logits[1])
    assert torch.equal(logits[0], logits[2])


def test_long_prompts_run_in_chunks(form: tuple[Architecture, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [[[(7 * i) % 390 for i in range(90)]], [[3] * 20], [[(11 * i) % 390 for i in range(45)]]]
    rows, whole = NativeDecoder(*form).start(prompts)
    assert len(rows) == 3
    monkeypatch.setattr(native, "CHUNK", 16)
    assert torch.equal(NativeDecoder(*form).start(prompts)[1], whole)


@pytest.mark.parametrize("quantize", ["int8", "int4"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_quantised_is_near(quantize: Any, family: Any) -> None:
    whole = NativeDecoder(arch(family=family))
    less = NativeDecoder(arch(family=family), quantize)
    theirs, ours = whole.start([[PROMPT]])[1], less.start([[PROMPT]])[1]
    correlation = torch.corrcoef(torch.stack([theirs[0], ours[0]]))[0, 1]
    assert correlation > (0.999 if quantize == "int8" else 0.9)
    assert less.weight_bytes < whole.weight_bytes / (3 if quantize == "int8" else 4)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_lossless_computes_the_same(family: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilotfish.decode.native.pack._WORTH", 9999)
    made = arch(torch.bfloat16, family)
    whole, less = NativeDecoder(made), NativeDecoder(made, "lossless")
    theirs, ours = whole.start([[PROMPT]])[1], less.start([[PROMPT]])[1]
    # A weight whose exponent is rare is multiplied apart: the order of a sum, not its terms.
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)
    assert less.weight_bytes != whole.weight_bytes


def test_lossless_leaves_float32_and_what_would_not_shrink_as_they_are() -> None:
    plain = NativeDecoder(arch(torch.bfloat16))
    assert NativeDecoder(arch(torch.bfloat16), "lossless").weight_bytes <= plain.weight_bytes
    whole, same = NativeDecoder(arch()), NativeDecoder(arch(), "lossless")
    assert same.weight_bytes == whole.weight_bytes
    assert torch.equal(same.start([[PROMPT]])[1], whole.start([[PROMPT]])[1])


def test_half_precision_modules_run_in_float32() -> None:
    decoder = NativeDecoder(arch(torch.float16))
    reference = copy.deepcopy(tiny()).half().float()
    with torch.inference_mode():
        theirs = reference(torch.tensor([PROMPT])).logits[0, -1]
    assert (decoder.start([[PROMPT]])[1][0] - theirs).abs().max() < 1e-4 * theirs.std()


def test_weights_lie_where_they_lay() -> None:
    made = arch()
    decoder = NativeDecoder(made)
    assert decoder.weights.layers[0].up.w == made.layers[0].up.weight.data_ptr()
    assert NativeDecoder(decoder.weights, layers=1).weights is decoder.weights
    assert NativeDecoder(decoder.weights, layers=1).weight_bytes < decoder.weight_bytes


def test_a_closed_row_serves_those_that_begin_like_it() -> None:
    made = arch()
    decoder, fresh = Watched(made), Watched(made)
    [row], _ = decoder.start([[PROMPT]])
    decoder.feed([row], [[1, 2, 3]])
    decoder.close(row)
    decoder.ran = 0
    prompt = [*PROMPT, 1, 2, 9, 9]
    [again], logits = decoder.start([[prompt]])
    assert decoder.ran == 2  # all but what the closed row held: the prompt, 1, 2
    [other], expected = fresh.start([[prompt]])
    assert torch.equal(logits, expected)
    assert torch.equal(decoder.feed([again], [[7, 8]])[0], fresh.feed([other], [[7, 8]])[0])
    decoder.ran = 0
    decoder.start([[PROMPT]])  # nothing is left to run, but the last token's logits are wanted
    assert decoder.ran == 1


def test_an_open_row_serves_too_but_never_its_tree() -> None:
    made = arch()
    decoder = Watched(made)
    [row], _ = decoder.start([[PROMPT]])
    decoder.feed([row], [[1, 2, 3]], [[-1, -1, 1]])
    decoder.ran = 0
    _, logits = decoder.start([[[*PROMPT, 1, 2, 3]]])
    assert decoder.ran == 3
    assert torch.equal(logits, Watched(made).start([[[*PROMPT, 1, 2, 3]]])[1])
    decoder.close(row)
    _, logits = decoder.start([[[*PROMPT, 1, 2, 3, 4]]])
    assert torch.equal(logits, Watched(made).start([[[*PROMPT, 1, 2, 3, 4]]])[1])


def test_prompts_of_one_call_share_their_beginning() -> None:
    made = arch()
    system = [(13 * i) % 390 for i in range(100)]
    prompts = [[[*system, *tail]] for tail in ([1, 2], [3], [4, 5, 6])]
    decoder = Watched(made)
    rows, logits = decoder.start(prompts)
    assert decoder.ran == 102 + 1 + 3
    alone = [Watched(made).start([prompt])[1] for prompt in prompts]
    assert torch.equal(logits, torch.cat(alone))
    assert [row.prompt for row in rows] == prompts


def test_closed_rows_are_few() -> None:
    decoder = NativeDecoder(arch())
    for i in range(12):
        rows, _ = decoder.start([[[i, *PROMPT]]])
        decoder.close(rows[0])
    assert len(decoder._reuse._closed) <= 4


def test_ids_out_of_range_are_refused() -> None:
    decoder = NativeDecoder(arch())
    for bad in (-1, decoder.vocabulary):
        with pytest.raises(ModelError, match="token ids"):
            decoder.start([[[1, bad]]])
    with pytest.raises(ConfigError, match="layers"):
        NativeDecoder(arch(), layers=3)


def test_turned_off_or_without_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PILOTFISH_NATIVE", "0")
    with pytest.raises(NativeUnavailable, match="turned off"):
        build.library.__wrapped__()
    monkeypatch.delenv("PILOTFISH_NATIVE")
    monkeypatch.setenv("PILOTFISH_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(NativeUnavailable, match="no-such-compiler is not on the path"):
        build.library.__wrapped__()
    broken = tmp_path / "cc"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && echo broken 1.0 && exit\necho "error: no luck" >&2; exit 1\n')
    broken.chmod(0o700)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(NativeUnavailable, match="no luck"):
        build.library.__wrapped__()
    assert not list((tmp_path / "native").glob("*.so"))
    assert not list((tmp_path / "native").glob(".build-*"))


def test_compiled_once_and_kept_to_oneself(tmp_path: Path) -> None:
    first = build.compile_library(["-O0"], folder=tmp_path / "native")
    written = first.stat().st_mtime_ns
    assert build.compile_library(["-O0"], folder=tmp_path / "native") == first
    assert first.stat().st_mtime_ns == written
    assert build.compile_library(["-O0", "-DANOTHER"], folder=tmp_path / "native") != first
    assert stat.S_IMODE((tmp_path / "native").stat().st_mode) == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(NativeUnavailable, match="cannot be kept"):
        build.compile_library(["-O0"], folder=tmp_path / "file" / "native")


@pytest.mark.models
def test_greedy_tokens_are_those_of_transformers(smollm2: LocalModel) -> None:
    module = smollm2.model
    made = read(module)
    assert made is not None
    decoder = NativeDecoder(made)
    ids = smollm2.tokenizer("The history of the city of Paris begins with")["input_ids"]
    with torch.inference_mode():
        theirs = module.generate(torch.tensor([ids]), max_new_tokens=64, do_sample=False)[0, len(ids) :].tolist()
    [row], logits = decoder.start([[ids]])
    ours = [int(logits[0].argmax())]
    while len(ours) < len(theirs):
        ours.append(int(decoder.feed([row], [[ours[-1]]])[0][-1].argmax()))
    assert ours == theirs
