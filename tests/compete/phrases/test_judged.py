"""A large model's numbers, by probability and as an answer; its states as vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pilotfish.compete.phrases.hidden import ONE_WORD, Hidden
from pilotfish.compete.phrases.judged import LITERAL, judged
from pilotfish.errors import ConfigError, ModelError
from pilotfish.model import Message, Request
from pilotfish.models.local import LocalModel
from pilotfish.models.reader import Reader
from tests.fakes import ScriptedModel

if TYPE_CHECKING:
    from tests.conftest import TinyFolder

PAIRS = [("car", "auto"), ("car", "bread"), ("cat", "dog")]


def test_of_weights_that_are_here_the_expected_number_is_read(tiny_lm: LocalModel, tmp_path: Path) -> None:
    found = judged(tiny_lm, PAIRS, tmp_path / "j.sqlite", prompt="How near are {a} and {b}?")
    for (a, b), score in zip(PAIRS, found.scores, strict=True):
        context = tiny_lm.render(Request((Message("user", f"How near are {a} and {b}?"),)))
        logprobs = tiny_lm.choices([context], [str(number) for number in range(11)])[0]
        shares = np.exp(logprobs) / np.exp(logprobs).sum()
        assert score == pytest.approx(float(shares @ np.arange(11)), rel=1e-4)
    assert len(found.traces) == 3 and found.failed == 0 and found.bill.calls == 3
    assert found.traces[0].calls[0].tokens_in > 5 and not (tmp_path / "j.sqlite").exists()
    assert judged(tiny_lm, [], tmp_path / "j.sqlite").scores.shape == (0,)


def test_any_other_model_writes_a_number_once(tmp_path: Path) -> None:
    def says(request: Request) -> str | Exception:
        if "dog" in request.prompt:
            return ModelError("too long")
        return "9" if "auto" in request.prompt else "no idea"

    model = ScriptedModel(says)
    found = judged(model, PAIRS, tmp_path / "j.sqlite")
    np.testing.assert_array_equal(found.scores, [9, np.nan, np.nan])
    assert found.failed == 2 and len(found.traces) == 2 and "10 is the same" in model.requests[0].prompt
    assert judged(model, PAIRS[:2], tmp_path / "j.sqlite").bill == found.bill and len(model.requests) == 3
    literal = ScriptedModel("3")
    assert judged(literal, [("red tape", "")], tmp_path / "l.sqlite", prompt=LITERAL).scores.tolist() == [3.0]
    assert '"red tape"' in literal.requests[0].prompt.splitlines()[0]
    with pytest.raises(ConfigError):
        judged(model, PAIRS, tmp_path / "j.sqlite", prompt="how near?")


def test_states_are_the_model_s(tiny_folder: TinyFolder, tiny_lm: LocalModel) -> None:
    import torch

    reader = Reader(tiny_folder(), dtype="float32", device="cpu")
    phrases = ["the cat", "refund", "wrong rate"]
    mean, last = Hidden(reader), Hidden(reader, "last")
    assert last.form == ONE_WORD and mean.dimension == 32
    for form, hidden in ((mean.form, mean), (last.form, last)):
        for phrase, vector in zip(phrases, hidden.encode(phrases), strict=True):
            text = form.replace("{phrase}", phrase)
            # A first token is put before a text whose last state is read, as for its log-probabilities.
            ids = reader.ids(text) if hidden is last else reader.tokenizer(text)["input_ids"]
            with torch.inference_mode():
                states = tiny_lm.model.model(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0]
            wanted = states.mean(0) if hidden is mean else states[-1]
            np.testing.assert_allclose(vector, torch.nn.functional.normalize(wanted, dim=0).numpy(), atol=2e-4)
    centred = mean.centred(phrases)
    assert np.abs(centred.centre - mean.encode(phrases).mean(0)).max() < 1e-5
    np.testing.assert_allclose(np.linalg.norm(centred.encode(["cat"]), axis=1), 1, atol=1e-5)
    with pytest.raises(ConfigError):
        Hidden(reader, "first")  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        Hidden(reader, form="a phrase")
    assert mean.encode([]).shape == (0, 32)
