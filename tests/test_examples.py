"""The embedded support data is what its README says: complete, varied, noisy on purpose, and free to use."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SUPPORT = Path(__file__).parents[1] / "examples" / "support"


@cache
def rows(name: str) -> tuple[dict[str, Any], ...]:
    lines = (SUPPORT / name).read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines)


def labelled() -> tuple[dict[str, Any], ...]:
    return rows("labelled.jsonl")


def unlabelled() -> tuple[dict[str, Any], ...]:
    return rows("unlabelled.jsonl")


def words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def trigrams(text: str) -> frozenset[str]:
    plain = " ".join(words(text))
    return frozenset(plain[i : i + 3] for i in range(max(1, len(plain) - 2)))


@cache
def near_pairs(name: str, threshold: float = 0.6) -> tuple[tuple[int, int], ...]:
    """Every pair (later, earlier) of rows whose character trigrams have a Jaccard similarity of `threshold` or more."""
    grams = [trigrams(row["text"]) for row in rows(name)]
    found = []
    for later, mine in enumerate(grams):
        for earlier, other in enumerate(grams[:later]):
            short, long = sorted((len(mine), len(other)))
            if short < threshold * long:
                continue
            shared = len(mine & other)
            if shared >= threshold * (short + long - shared):
                found.append((later, earlier))
    return tuple(found)


def test_there_are_enough_rows_with_exactly_the_fields_promised() -> None:
    assert len(labelled()) >= 700
    assert len(unlabelled()) >= 320
    assert all(set(row) == {"id", "text", "intent"} for row in labelled())
    assert all(set(row) == {"id", "text"} for row in unlabelled())


def test_ids_are_unique_across_both_files() -> None:
    ids = [row["id"] for row in (*labelled(), *unlabelled())]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[su]\d{4}", id_) for id_ in ids)


def test_texts_are_strings_without_blanks_around_them() -> None:
    for row in (*labelled(), *unlabelled()):
        assert isinstance(row["text"], str), row
        assert row["text"].strip() == row["text"] != "", row
        assert len(words(row["text"])) <= 85, row


def test_intents_are_many_and_none_is_rare_or_dominant() -> None:
    counts = Counter(row["intent"] for row in labelled())
    assert len(counts) >= 14
    assert min(counts.values()) >= 35
    assert max(counts.values()) <= 0.1 * len(labelled())
    assert max(counts.values()) >= 1.3 * min(counts.values()), "classes should be somewhat unbalanced"


def test_rows_are_shuffled() -> None:
    intents = [row["intent"] for row in labelled()]
    same_as_next = sum(a == b for a, b in itertools.pairwise(intents))
    assert same_as_next < 0.15 * len(intents)


def test_the_readme_states_the_true_counts() -> None:
    readme = (SUPPORT / "README.md").read_text(encoding="utf-8")
    stated = {name: int(n) for name, n in re.findall(r"^\| `([\w.]+)` \| (\d+) \|", readme, flags=re.MULTILINE)}
    intents = Counter(row["intent"] for row in labelled())
    assert stated == {**intents, "labelled.jsonl": len(labelled()), "unlabelled.jsonl": len(unlabelled())}
    lengths = sorted(len(row["text"].split()) for row in labelled())
    assert f"{lengths[0]} to {lengths[-1]} words, median {lengths[len(lengths) // 2]}" in readme


def test_no_opening_dominates() -> None:
    for part in (labelled(), unlabelled()):
        openings = Counter(tuple(words(row["text"])[:2]) for row in part)
        opening, count = openings.most_common(1)[0]
        assert count <= 0.05 * len(part), opening


@pytest.mark.parametrize(("name", "least"), [("labelled.jsonl", 0.04), ("unlabelled.jsonl", 0.03)])
def test_some_messages_are_near_duplicates(name: str, least: float) -> None:
    share = len({later for later, _ in near_pairs(name)}) / len(rows(name))
    assert least <= share <= 0.1


def test_near_duplicates_never_disagree_about_the_intent() -> None:
    data = labelled()
    for later, earlier in near_pairs("labelled.jsonl"):
        assert data[later]["intent"] == data[earlier]["intent"], (data[later], data[earlier])


def test_a_handful_of_messages_stand_twice_word_for_word() -> None:
    counts = Counter(row["text"] for row in labelled())
    assert sum(count > 1 for count in counts.values()) == 6


def test_no_unlabelled_text_is_nearly_a_labelled_one() -> None:
    known = [trigrams(row["text"]) for row in labelled()]
    for row in unlabelled():
        mine = trigrams(row["text"])
        assert all(len(mine & other) < 0.6 * len(mine | other) for other in known), row


def test_lengths_run_from_a_few_words_to_long_stories() -> None:
    lengths = [len(row["text"].split()) for row in labelled()]
    assert sum(n <= 4 for n in lengths) >= 20
    assert sum(n >= 40 for n in lengths) >= 20


def test_the_noise_of_real_messages_is_there() -> None:
    texts = [row["text"] for row in labelled()]
    assert sum(text[0].islower() for text in texts) >= 0.15 * len(texts), "lower-case openings"
    assert sum(text.isupper() for text in texts) >= 5, "all capitals"
    assert sum(bool(re.search(r"[\U0001F300-\U0001FAFF]", text)) for text in texts) >= 5, "emoji"
    assert sum("\n" in text for text in texts) >= 2, "line breaks"
    assert sum(bool(re.search(r"[áéíóúñçãõäöüß¿]", text)) for text in texts) >= 0.02 * len(texts), "other languages"


def test_contact_details_are_of_the_kinds_reserved_for_examples() -> None:
    for row in (*labelled(), *unlabelled()):
        for domain in re.findall(r"\S@([\w.-]+)", row["text"]):
            assert domain.rstrip(".") == "example.com", row
        for number in re.findall(r"\b\d{3}-\d{4}\b", row["text"]):
            assert re.fullmatch(r"555-01\d\d", number), row
        assert not re.search(r"\d{7,}|https?://", row["text"]), row


def test_the_licence_is_cc0() -> None:
    assert "SPDX-License-Identifier: CC0-1.0" in (SUPPORT / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.models
def test_the_decoding_example_answers_and_drafting_changes_nothing() -> None:
    from pilotfish import ask
    from pilotfish.assemble import Collaboration

    models = Collaboration.load(Path(__file__).parents[1] / "examples" / "decode" / "decode.toml")
    prompt = "Copy this line twice: the pilot fish swims with the shark."
    texts = {}
    for name in ("small", "quick", "factual", "quick-factual", "faithful"):
        models.check(name)
        reply = ask(models.model(name), prompt, max_tokens=24)
        texts[name] = reply.text
        assert reply.text.strip() and reply.trace.calls[0].tokens_out > 0
    assert texts["quick"] == texts["small"]
    assert texts["quick-factual"] == texts["factual"]
