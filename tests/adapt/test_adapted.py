from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pilotfish import ask
from pilotfish.adapt.adapted import Adapted, online
from pilotfish.adapt.energy import Energy
from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.model import Request
from pilotfish.models.best_of import BestOfN
from pilotfish.models.encoder import Encoder
from pilotfish.train.settings import Fit
from tests.fakes import ScriptedModel


def goods(prompt: str, answers: Sequence[str]) -> list[float]:
    return [float(answer.count("good") - answer.count("bad")) for answer in answers]


def proposals(*sentences: str) -> ScriptedModel:
    """Proposes sentences by the number of the proposal and the step; DONE after two of them."""

    def said(request: Request) -> str:
        call = request.metadata["sample"]  # (step * beams + place) * proposals + number
        return "DONE" if call >= 2 * 2 * 3 else sentences[call % 3]

    return ScriptedModel(said, name="large")


def test_the_best_sentences_are_kept_at_each_step() -> None:
    model = proposals("bad.", "good.", "fine.")
    reply = ask(Adapted(model, goods, beams=2, proposals=3, steps=5), "q")
    assert reply.text == "good.\ngood." and reply.finish_reason == "stop"
    assert len(reply.trace.calls) == 3 + 6 + 6
    assert reply.trace.decisions[-1].score == 2.0
    assert model.requests[0].prompt == "q"
    assert "The answer so far:\n" in model.requests[3].prompt
    samples = [str(request.metadata["sample"]) for request in model.requests]
    assert len(set(samples)) == len(samples)  # a store of replies gives each its own


def test_beams_are_no_greedy_search() -> None:
    """The best first sentence leads nowhere: two beams find what one misses."""

    def said(request: Request) -> str:
        if "so far" not in request.prompt:
            return ("good start.", "plain start.")[request.metadata["sample"] % 2]
        if "\ngood good" not in request.prompt and "\nbad" not in request.prompt:
            return "bad bad bad." if "good start" in request.prompt else "good good good."
        return "DONE"

    one = ask(Adapted(ScriptedModel(said), goods, beams=1, proposals=2), "q")
    two = ask(Adapted(ScriptedModel(said), goods, beams=2, proposals=2), "q")
    assert "good start." in one.text and two.text == "plain start.\ngood good good."


def test_an_answer_without_an_end_is_told_as_cut() -> None:
    reply = ask(Adapted(ScriptedModel("good."), goods, beams=1, proposals=1, steps=3), "q")
    assert reply.text == "good.\ngood.\ngood." and reply.finish_reason == "length"


def test_done_behind_a_sentence_ends_the_answer_and_only_a_sentence_is_taken() -> None:
    reply = ask(Adapted(ScriptedModel("\n good. DONE\nbad."), goods, beams=1, proposals=1), "q")
    assert reply.text == "good." and reply.finish_reason == "stop"


def test_settings_and_energies_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="1 or more"):
        Adapted(ScriptedModel(), goods, beams=0)
    with pytest.raises(ModelError, match="the energy gave"):
        ask(Adapted(ScriptedModel("x"), lambda prompt, answers: [float("nan")] * len(answers)), "q")


class Says(ScriptedModel):
    """Answers right or wrong by the number of the draw."""

    def __init__(self) -> None:
        super().__init__(lambda request: ("please cat", "bad cat", "bad horse", "please saw")[(request.seed or 0) % 4])


def test_rounds_teach_an_energy_and_pay_for_each_answer_once(tiny_encoder: Encoder, tmp_path: Path) -> None:
    model = Says()
    prompts = [f"what is {i}" for i in range(12)]

    def made(number: int) -> Energy:
        return Energy(tiny_encoder, Fit(epochs=8, batch_tokens=1024, rate=1e-3, dtype="float32"), held_out=0.0)

    def right(at: int, text: str) -> bool:
        return text.startswith("please")

    energy, told = online(model, prompts, right, made, tmp_path, rounds=2, draws=4)
    assert model.calls == 2 * 4 * 12
    assert told[0].right == told[1].right == 0.5
    assert told[0].picked == 1.0  # the first draw, which happens to be right
    assert told[1].picked == 1.0 and told[1].rows >= told[0].rows == 24
    best = ask(BestOfN(Says(), energy, n=4), "what is 3", seed=1)
    assert best.text.startswith("please")
    again = Says()
    online(again, prompts, right, made, tmp_path, rounds=2, draws=4)
    assert again.calls == 0


def test_people_s_answers_stand_in_where_the_model_has_no_right_one(tiny_encoder: Encoder, tmp_path: Path) -> None:
    def made(number: int) -> Energy:
        return Energy(tiny_encoder, Fit(steps=1, batch_tokens=512, dtype="float32"), held_out=0.0)

    model = ScriptedModel(lambda request: f"bad {request.seed}")
    prompts = ["a", "b", "c"]
    with pytest.raises(DataError, match="fewer than two prompts"):
        online(model, prompts, lambda at, text: False, made, tmp_path / "a", rounds=1)
    _, told = online(
        model, prompts, lambda at, text: False, made, tmp_path / "b", rounds=1, given=["please a", None, "please c"]
    )
    assert told[0].rows == 2 and told[0].right == 0
    with pytest.raises(ConfigError, match="one round and two answers"):
        online(model, prompts, lambda at, text: True, made, tmp_path / "c", draws=1)


def test_a_place_in_a_question_is_no_place_of_the_prompt() -> None:
    model = proposals("good.", "good.", "good.")
    ask(Adapted(model, goods, beams=1, proposals=1, steps=3), "what is {so_far}?")
    assert "what is {so_far}?" in model.requests[1].prompt
