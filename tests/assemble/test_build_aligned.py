"""Models that small ones align from behind, by a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilotfish import ask
from pilotfish.assemble import Collaboration
from pilotfish.decode.lockstep_model import LockstepModel
from pilotfish.errors import ConfigError, ModelError
from pilotfish.models.encoder import Encoder
from pilotfish.serve.from_file import gateway_of
from pilotfish.supervise.aligner import Aligned
from pilotfish.supervise.reward import BestOfN, Pair, RewardModel
from pilotfish.train.settings import Fit

LEAF = {"use": "recorded", "path": "log.jsonl"}


@pytest.fixture
def folder(tmp_path: Path, tiny_encoder: Encoder) -> Path:
    log = ['{"prompt": "a", "reply": "b"}'] * 3 + ['{"prompt": "mend: b", "reply": "c"}']
    (tmp_path / "log.jsonl").write_text("\n".join(log) + "\n")
    how = Fit(steps=1, batch_tokens=256, dtype="float32")
    RewardModel(tiny_encoder, how).fit([Pair(f"p{i}", "good", f"bad {i}") for i in range(12)]).save(tmp_path / "judge")
    return tmp_path


def file(folder: Path, **models: Any) -> Collaboration:
    return Collaboration({"models": {"x": LEAF, "judge": {"use": "reward", "path": "judge"}, **models}}, folder=folder)


def test_a_corrector_and_the_best_by_a_reward_model(folder: Path) -> None:
    models = file(
        folder,
        best={"use": "best-of-n", "model": "x", "reward": "judge", "n": 3},
        mended={"use": "aligned", "model": "best", "corrector": "x", "template": "mend: {answer}"},
    )
    mended = models.model("mended")
    assert isinstance(mended, Aligned)
    assert isinstance(mended.model, BestOfN)
    assert isinstance(mended.model.reward, RewardModel)
    reply = ask(mended, "a")
    assert reply.text == "c"
    assert reply.usage.calls == 4
    assert [one.verdict for one in reply.trace.decisions] == ["best of 3", "corrected"]


def test_reward_guided_search_goes_by_it_too(folder: Path, tiny_folder: Any) -> None:
    models = file(
        folder,
        base={"use": "local", "weights": str(tiny_folder()), "dtype": "float32"},
        guided={"use": "reward-guided", "base": "base", "reward": "judge", "k": 2, "max_tokens": 3},
    )
    guided = models.model("guided")
    assert isinstance(guided, LockstepModel)
    assert isinstance(ask(guided, "the cat").text, str)


def test_a_reward_model_gives_no_answers_and_is_not_served(folder: Path) -> None:
    models = file(folder, best={"use": "best-of-n", "model": "x", "reward": "judge"})
    with pytest.raises(ConfigError, match="is a reward model: it scores answers"):
        models.model("judge")
    gateway_of(models)
    alone = {"models": {"judge": {"use": "reward", "path": "judge"}}, "serve": {"models": ["judge"]}}
    with pytest.raises(ConfigError, match="is a reward model"):
        gateway_of(Collaboration(alone, folder=folder))


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"use": "best-of-n", "model": "x", "reward": "judge", "temperature": 0}, "all answers are the same"),
        ({"use": "best-of-n", "model": "x", "reward": "x"}, "'x' is no reward"),
        ({"use": "best-of-n", "model": "x", "reward": "judge", "label": "good"}, "a label belongs to a classifier"),
        ({"use": "aligned", "model": "x", "corrector": "x", "template": "no answer"}, "template"),
        ({"use": "aligned", "model": "x", "corrector": "y"}, "no such model"),
    ],
)
def test_what_is_wrong_is_told(folder: Path, table: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        file(folder, z=table).model("z")


def test_a_folder_without_one_is_told(folder: Path) -> None:
    with pytest.raises(ModelError, match="not a saved reward model"):
        file(folder, other={"use": "reward", "path": "."}).part("other")
