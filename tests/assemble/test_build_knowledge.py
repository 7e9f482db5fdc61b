"""Knowledge cards and energies, by a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilotfish import ask
from pilotfish.adapt.adapted import Adapted
from pilotfish.adapt.energy import Energy, Ranked
from pilotfish.adapt.knowledge import AskedCards, Brevity, Factuality, Knowing, NearestCards, Relevance
from pilotfish.assemble import Collaboration
from pilotfish.assemble._build_knowledge import Entails
from pilotfish.errors import ConfigError, ModelError
from pilotfish.models.best_of import BestOfN
from pilotfish.models.encoder import Encoder
from pilotfish.serve.from_file import gateway_of
from pilotfish.train.settings import Fit

NOTE = "The cat sat. The dog did not."
TOLD = "Knowledge: - The cat sat. The dog did not.\nWho sat?"


@pytest.fixture
def folder(tmp_path: Path, tiny_encoder: Encoder, tiny_encoder_folder: Path) -> Path:
    log = [
        {"prompt": "About: Who sat?", "reply": NOTE},
        *[{"prompt": "Who sat?", "reply": "the dog"}] * 2,
        {"prompt": TOLD, "reply": "the cat"},
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, log)) + "\n")
    how = Fit(steps=1, batch_tokens=256, dtype="float32")
    rows = [Ranked(f"p{i}", "good", (f"bad {i}",)) for i in range(12)]
    Energy(tiny_encoder, how).fit(rows).save(tmp_path / "energy")
    return tmp_path


def file(folder: Path, encoder: Path, **models: Any) -> Collaboration:
    shared = {
        "x": {"use": "recorded", "path": "log.jsonl"},
        "card": {"use": "recorded", "path": "log.jsonl"},
        "e": {"use": "encoder", "weights": str(encoder)},
        "energy": {"use": "energy", "path": "energy"},
    }
    return Collaboration({"models": {**shared, **models}}, folder=folder)


CARD = {"model": "card", "prompt": "About: {question}", "domain": "cats"}
KNOWS = {"use": "knowledge", "model": "x", "cards": [CARD], "prompt": "Knowledge: {knowledge}\n{question}"}


def test_cards_selectors_and_routes(folder: Path, tiny_encoder_folder: Path) -> None:
    select = [
        {"by": "relevance", "encoder": "e", "keep": 2},
        {"by": "brevity", "encoder": "e", "words": 40},
        {"by": "factuality", "nli": "words", "keep": 1, "seed": 3},
    ]
    models = file(
        folder,
        tiny_encoder_folder,
        plain=KNOWS,
        all=KNOWS | {"select": select, "route": {"by": "nearest", "encoder": "e", "most": 2}},
        asked=KNOWS | {"route": {"by": "asked", "model": "x"}},
    )
    assert ask(models.model("plain"), "Who sat?").text == "the cat"
    every = models.model("all")
    assert isinstance(every, Knowing) and isinstance(every.route, NearestCards)
    relevance, brevity, factuality = every.select
    assert isinstance(relevance, Relevance) and relevance.keep == 2
    assert isinstance(brevity, Brevity) and brevity.words == 40
    assert isinstance(factuality, Factuality) and factuality.seed == 3
    assert ask(every, "Who sat?").text == "the cat"
    asked = models.model("asked")
    assert isinstance(asked, Knowing) and isinstance(asked.route, AskedCards)


def test_an_energy_picks_and_steers(folder: Path, tiny_encoder_folder: Path) -> None:
    models = file(
        folder,
        tiny_encoder_folder,
        best={"use": "best-of-n", "model": "x", "reward": "energy", "n": 2},
        steered={"use": "adapted", "model": "x", "energy": "energy", "beams": 1, "proposals": 2, "steps": 1},
    )
    best, steered = models.model("best"), models.model("steered")
    assert isinstance(best, BestOfN) and isinstance(best.reward, Energy)
    assert ask(best, "Who sat?").text == "the dog"
    assert isinstance(steered, Adapted) and steered.proposals == 2
    assert ask(steered, "Who sat?").text == "the dog"
    with pytest.raises(ConfigError, match="is an energy: it scores answers"):
        models.model("energy")
    gateway_of(models)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"cards": []}, "cards"),
        ({"cards": [CARD, CARD]}, "two cards have one name"),
        ({"cards": [{"model": "y"}]}, "no such model"),
        ({"select": [{"by": "relevance"}]}, "needs `encoder`"),
        ({"select": [{"by": "brevity", "encoder": "e", "keep": 2}]}, "takes no `keep`"),
        ({"select": [{"by": "factuality", "nli": "words", "encoder": "f"}]}, "takes no `encoder`"),
        ({"route": {"by": "asked", "encoder": "e"}}, "needs `model`"),
        ({"prompt": "{question}"}, "needs the place {knowledge}"),
        ({"card": []}, "did you mean 'cards'"),
    ],
)
def test_what_does_not_fit_is_told(folder: Path, tiny_encoder_folder: Path, changed: Any, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        file(folder, tiny_encoder_folder, m=KNOWS | changed).model("m")
    assert told in str(caught.value)


def test_a_folder_without_an_energy_is_told(folder: Path, tiny_encoder_folder: Path) -> None:
    models = file(
        folder,
        tiny_encoder_folder,
        other={"use": "energy", "path": "nowhere"},
        m={"use": "adapted", "model": "x", "energy": "other"},
    )
    with pytest.raises(ModelError, match="energy model"):
        models.model("m")


def test_evidence_counts_that_a_model_reads_only_piece_by_piece() -> None:
    def nli(pairs: list[tuple[str, str]]) -> np.ndarray:
        """Reads twelve words of a premise, and no more."""
        seen = ["sank" in " ".join(premise.split()[:12]) for premise, _ in pairs]
        return np.array([[0.9, 0.1, 0.0] if one else [0.1, 0.9, 0.0] for one in seen])

    plain = [f"This is sentence number {number}." for number in range(20)]
    # Pieces have five sentences and begin three behind one another: the ninth begins one.
    late = " ".join([*plain[:9], "The boat sank.", *plain[10:]])
    supports = Entails(nli)  # type: ignore[arg-type]
    assert supports([(late, "It sank."), (" ".join(plain), "It sank.")]) == pytest.approx([0.9, 0.1])
