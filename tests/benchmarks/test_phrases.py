"""What `benchmarks phrases` reads, forbids and measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks._phrase_sets import Judged, _plain, compounds, forbidden, mentions, sts, words
from benchmarks.phrases import mean_of_sets, near, replace_some
from scipy.stats import spearmanr

from tests.compete.phrases.test_measured import Given


def data(folder: Path) -> Path:
    for name in ("word_sim", "noun_compounds/instances_judgments", "stsb_en"):
        (folder / name).mkdir(parents=True)
    for file in ("SIMLEX-999", "SimVerb-3500", "WS-353-ALL", "MTurk-287", "RG-65", "YP-130", "VERB-143"):
        (folder / "word_sim" / f"EN-{file}.txt").write_text("Old\tnew\t1.5\n\ncar auto 9\n")
    judged = folder / "noun_compounds" / "instances_judgments" / "nonComp-judgments.csv"
    judged.write_text("academy award,1,1,1,1\naccess card,0,0,1,0\n")
    (folder / "stsb_en" / "stsb-en-test.csv").write_text('"A girl, styling.",A girl.,2.5\n')
    gold = folder / "wikigold" / "CONLL-format" / "data"
    gold.mkdir(parents=True)
    (gold / "wikigold.conll.txt").write_text("The O\nMad I-ORG\nCapsule I-ORG\nof O\nJapan I-LOC\nX I-ORG\n\nno O\n")
    return folder


def test_sets_are_read_as_they_are(tmp_path: Path) -> None:
    folder = data(tmp_path)
    found = words(folder)
    assert len(found) == 7 and found[0].pairs == [("Old", "new"), ("car", "auto")]
    assert found[0].people.tolist() == [1.5, 9.0]
    assert compounds(folder).people.tolist() == [0.0, 3.0]
    assert sts(folder).pairs == [("A girl, styling.", "A girl.")]
    assert [(span.phrase, kind) for span, kind in mentions(folder)] == [
        ("Mad Capsule", "ORG"),
        ("Japan", "LOC"),
        ("X", "ORG"),
    ]


def test_what_is_measured_on_is_forbidden(tmp_path: Path) -> None:
    folder = data(tmp_path)
    pairs, texts = forbidden([words(folder)[0], compounds(folder), sts(folder)])
    assert ("Old", "new") in pairs and ("A girl, styling.", "A girl.") in pairs
    assert {("academy award", "award"), ("academy award", "academy"), ("academy", "award")} <= set(pairs)
    assert texts == {"old", "new", "car", "auto", "academy award", "access card"}


def test_text_is_as_it_was() -> None:
    line = ' The " red @-@ tipped " claws ( 38 cm , 1 @,@ 000 or 0 @.@ 7 kg ) were not it . '
    assert _plain(line) == 'The "red-tipped" claws (38 cm, 1,000 or 0.7 kg) were not it.'


def test_a_compound_is_near_to_the_mean_of_its_words() -> None:
    table = {"hot dog": [0.0, 0, 1], "hot": [1.0, 0, 0], "dog": [0.0, 2, 0], "dog hot": [1.0, 1, 0]}
    found = near(Given(table), Judged("c", [("hot dog", ""), ("dog hot", "")], np.zeros(2), "compounds"))
    np.testing.assert_allclose(found, [0, 1], atol=1e-6)


def test_the_mean_of_sets_is_of_their_correlations() -> None:
    rng = np.random.default_rng(0)
    rows = np.stack([np.repeat([0.0, 1], 20), rng.normal(size=40), rng.normal(size=40)], axis=1)
    wanted = np.mean([spearmanr(rows[:20, 1:])[0], spearmanr(rows[20:, 1:])[0]])
    assert mean_of_sets(rows) == pytest.approx(wanted, abs=1e-9)
    one = Judged("x", [(str(i), "") for i in range(9)], np.arange(9.0), "words")
    some = replace_some(one, 4)
    assert [float(a) for a, _ in some.pairs] == some.people.tolist() == sorted(some.people.tolist())
