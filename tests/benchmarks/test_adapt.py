"""The adaptation benchmark's own arithmetic, on tiny models: every way is scored as its lockstep would be alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from benchmarks._steering import MEMBERS, Ways, only, rules, shares
from benchmarks._steering_task import ASKED, LABELS, label_scores, questions, said_of_labels, texts
from benchmarks._steering_text import losses

from pilotfish.decode.fit import Fit
from pilotfish.decode.lockstep import Lockstep
from pilotfish.decode.rules import product, proxy_tuning
from pilotfish.models._decoded_scoring import score_ids

if TYPE_CHECKING:
    from pilotfish.decode.decoder import Decoder
    from pilotfish.decode.lockstep import Rule
    from pilotfish.models.local import LocalModel
    from tests.conftest import TinyFolder

WEIGHTS = (0.7, 0.5, -0.3)
IDS = [[5, 9, 11, 4, 7], [8, 3], [6, 6, 12]]


def alone(models: list[LocalModel], rule: Rule) -> Decoder:
    return Lockstep([model.decoder() for model in models], rule, tokenizers=[model.tokenizer for model in models])


def expected(decoder: Decoder, rows: list[tuple[list[int], int]]) -> list[float]:
    out = []
    for row, split in rows:
        opened, first = decoder.start([[row[:split]] * decoder.members])
        logits = [first, *(decoder.feed(opened, [row[split:-1]]) if len(row) - split > 1 else [])]
        told = [part.log_softmax(-1) for part in logits]
        lines = [line for part in told for line in part]
        out.append(sum(float(line[token]) for line, token in zip(lines, row[split:], strict=True)))
        decoder.close(opened[0])
    return out


@pytest.fixture(scope="module")
def models(tiny_lm: LocalModel, tiny_folder: TinyFolder) -> list[LocalModel]:
    from pilotfish.models.local import LocalModel

    others = [LocalModel(tiny_folder(family), dtype="float32", device="cpu") for family in ("qwen2", "mistral")]
    return [tiny_lm, *others]


def test_one_pass_scores_every_way_as_its_own_lockstep_does(models: list[LocalModel]) -> None:
    fit = Fit("product", WEIGHTS, ())
    found = losses(Ways(models, rules(fit)), IDS)
    ways: dict[str, Rule] = {
        "steered, alpha 0.5": partial(proxy_tuning, alphas=(0.5,)),
        "steered, alpha 1.0": proxy_tuning,
        "steered, weights fitted: 0.70, 0.50, -0.30": partial(product, weights=WEIGHTS),
    }
    assert set(found) == {*MEMBERS, *ways}
    rows = [(ids, 1) for ids in IDS]
    for name, rule in ways.items():
        assert found[name] == pytest.approx([-each for each in expected(alone(models, rule), rows)], abs=1e-4)
    for name, model in zip(MEMBERS, models, strict=True):
        scored = score_ids(model.decoder(), rows, batch_tokens=64)
        assert found[name] == pytest.approx([-sum(one.logprobs) for one in scored], abs=1e-4)


def test_labels_of_several_tokens_are_summed(models: list[LocalModel]) -> None:
    labels = [[4], [7, 5], [9, 4, 8]]
    found = label_scores(Ways(models, rules(Fit("product", WEIGHTS, ()))), IDS, labels)
    for row, ids in enumerate(IDS):
        wanted = expected(alone(models, proxy_tuning), [(ids + label, len(ids)) for label in labels])
        assert found["steered, alpha 1.0"][row] == pytest.approx(wanted, abs=1e-4)
    base = label_scores(Ways(models[:1], only("direct")), IDS, labels)["direct"]
    assert base == pytest.approx(found["base"], abs=1e-4)


def test_weights_hear_of_the_labels_alone(models: list[LocalModel]) -> None:
    evidence = said_of_labels(models, [(IDS[0], [4]), (IDS[1], [7, 5])])
    assert evidence.targets.tolist() == [4, 7, 5]
    rows = [([*IDS[0], 4], len(IDS[0])), ([*IDS[1], 7, 5], len(IDS[1]))]
    for model, gold in zip(models, evidence.gold, strict=True):
        each = [value for one in score_ids(model.decoder(), rows, batch_tokens=64) for value in one.logprobs]
        assert gold.tolist() == pytest.approx(each, abs=1e-4)


def test_a_share_is_of_the_direct_gain_and_of_no_other() -> None:
    random = np.random.default_rng(0)
    base = random.uniform(1, 2, 60)
    gain = random.uniform(0.3, 0.6, 60)
    (case,) = shares("t", "u", base, base - gain, {"way": base - 0.25 * gain})
    assert case["value"] == pytest.approx(0.25)
    assert case["low"] <= case["value"] <= case["high"]
    assert case["n"] == 60
    assert shares("t", "u", base, base + random.normal(0, 1, 60), {"way": base}) == []


def test_the_task_keeps_its_test_apart(tmp_path: Path) -> None:
    folder = tmp_path / "sent_conv"
    folder.mkdir()
    lines = [f"{number % 6} What is number {number} ?" for number in range(40)]
    known = [*lines, lines[3], "3 Who knows caf\u00e9s ?"]
    (folder / "TREC.train.all").write_text("\n".join(known) + "\n", encoding="latin-1")
    (folder / "TREC.test.all").write_text(f"{lines[7]}\n4 Where is Zürich ?\n", encoding="utf-8")
    tuned_on = texts(tmp_path)
    assert len(tuned_on) == len(set(tuned_on)) == 40
    assert f"Who knows cafés ?{ASKED} {LABELS[3]}" in tuned_on
    assert questions(tmp_path) == [(f"Where is Zürich ?{ASKED}", 4)]
    assert not any(lines[7][2:] in text for text in tuned_on)
    assert texts(tmp_path) == tuned_on
