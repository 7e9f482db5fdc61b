"""Document rules: each drops what it should, with its value and its bound; the fast counts are the plain ones."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.curate import Dropped, Sift
from pilotfish.curate.rules import C4, RULES, FineWeb, GopherQuality, GopherRepetition
from pilotfish.curate.rules._repeats import Grams, repeated

SENTENCES = [
    "The harbour of the old town has to be seen from the hill that stands above it.",
    "Fishermen came back with the tide, and people waited to buy what they had brought.",
    "Nobody knew how the great fire of that year began, but everyone had a story of it.",
    "A ship of the northern line lay at anchor for weeks because its papers were lost.",
    "In the evening lamps were lit along the quay, one after another, until it was dark.",
    "Children with nothing else to do counted masts and gave each one of them a name.",
]
GOOD = "\n".join(SENTENCES)


def reason(rule: Sift, text: str) -> str:
    found = rule.judge([text])[0]
    assert isinstance(found, Dropped), found
    return found.reason


@pytest.mark.parametrize("name", RULES)
def test_prose_passes_and_an_empty_text_does_not(name: str) -> None:
    rule: Sift = RULES[name]()
    kept = rule.judge([GOOD])[0]
    assert not isinstance(kept, Dropped)
    for nothing in ("", " \n\t\n "):
        assert isinstance(rule.judge([nothing])[0], Dropped)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("too short to be of use", "gopher_quality.words: 6 against at least 50"),
        ("a b c d " * 20, "gopher_quality.mean_word_length: 1 against at least 3"),
        ("incomprehensibilities " * 60, "gopher_quality.mean_word_length: 21 against at most 10"),
        (GOOD + " #tag" * 20, "gopher_quality.hash_ratio: 0.1709 against at most 0.1"),
        (GOOD + " wait..." * 20, "gopher_quality.ellipsis_ratio: 0.1709 against at most 0.1"),
        ("- " + "\n- ".join(SENTENCES), "gopher_quality.bullet_lines: 1 against at most 0.9"),
        (GOOD.replace(".\n", "…\n") + "…", "gopher_quality.ellipsis_lines: 1 against at most 0.3"),
        (GOOD + " 1234" * 60, "gopher_quality.alphabetic_words: 0.6178 against at least 0.8"),
        ("Schiffe lagen lange Zeit draußen " * 12, "gopher_quality.stop_words: 0 against at least 2"),
    ],
)
def test_gopher_quality_tells_the_rule_the_value_and_the_bound(text: str, why: str) -> None:
    assert reason(GopherQuality(), text) == why


def test_a_bound_of_none_is_not_looked_at() -> None:
    assert GopherQuality(min_words=None, min_stop_words=None).judge(["three words here"]) == [{}]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("\n".join([*SENTENCES, *SENTENCES[:4]]), "gopher_repetition.duplicate_lines"),
        ("\n\n".join([*SENTENCES, *SENTENCES[:4]]), "gopher_repetition.duplicate_paragraphs"),
        ("\n".join([*"abcdef", GOOD.replace("\n", " "), *["x" * 200] * 2]), "gopher_repetition.duplicate_line_char"),
        (GOOD + " buy now" * 30, "gopher_repetition.top_2_gram"),
        (GOOD.replace("\n", " ") + " so " + GOOD.replace("\n", " "), "gopher_repetition.duplicate_5_gram"),
    ],
)
def test_gopher_repetition(text: str, kind: str) -> None:
    assert reason(GopherRepetition(), text).startswith(kind)


def test_a_text_is_judged_alone_whatever_stands_beside_it() -> None:
    texts = [GOOD, GOOD, "", "one", GOOD + " buy now" * 30, *SENTENCES]
    for rule in (GopherRepetition(), GopherQuality()):
        assert rule.judge(texts) == [rule.judge([text])[0] for text in texts]
        assert rule.judge([]) == []


def plain_again(words: list[str], n: int) -> int:
    """Count as datatrove does, from left to right."""
    seen, place, found = set(), 0, 0
    while place <= len(words) - n:
        gram = tuple(words[place : place + n])
        if gram in seen:
            found += sum(map(len, gram))
            place += n
        else:
            seen.add(gram)
            place += 1
    return found


def plain_top(words: list[str], n: int) -> int:
    grams = Counter(" ".join(words[at : at + n]) for at in range(len(words) - n + 1))
    top, count = grams.most_common(1)[0] if grams else ("", 0)
    return len(top) * count if count > 1 else 0


@given(st.lists(st.lists(st.sampled_from(["a", "bb", "ccc", "d", "ee"]), max_size=30), max_size=5))
def test_n_grams_are_counted_as_plain_loops_count_them(texts: list[list[str]]) -> None:
    grams = Grams(texts)
    for n in (1, 2, 3, 5):
        assert grams.top(n).tolist() == [plain_top(words, n) for words in texts]
        again = [plain_again(words, n) for words in texts]
        assert [grams.again(place, n) for place in range(len(texts))] == again
        assert all(twice or not count for twice, count in zip(grams.any_twice(n), again, strict=True))


@given(st.lists(st.sampled_from(["", "x", "yy", "zzz"]), min_size=1))
def test_copies_of_parts(parts: list[str]) -> None:
    seen: set[str] = set()
    copies = [part for part in parts if part in seen or seen.add(part)]  # type: ignore[func-returns-value]
    assert repeated(parts) == (len(copies), sum(map(len, copies)))


def test_c4_takes_lines_out_and_drops_pages() -> None:
    menu = (
        "Home\nAbout us\n" + GOOD + "[12]\nPlease enable JavaScript to see this page.\nWe have a privacy policy here."
    )
    assert C4().judge([menu]) == [{"text": GOOD}]
    assert reason(C4(), GOOD + "\nif (x) { y } is a line of code.") == "c4.curly_bracket: has '{'"
    assert reason(C4(), GOOD + "\nLorem ipsum dolor sit amet.") == "c4.lorem_ipsum: has 'lorem ipsum'"
    assert reason(C4(), SENTENCES[0]) == "c4.sentences: 1 against at least 5"
    assert C4(min_sentences=None).judge(["Long words are cut out of " + "x" * 1001 + "."]) == [{"text": ""}]


def test_bad_words_are_whole_words_of_the_users_own_list() -> None:
    rule = C4(bad_words=("lamp", "great fire"))
    assert reason(rule, GOOD) == "c4.bad_word: has 'great fire'"
    assert not isinstance(C4(bad_words=("lamp",)).judge([GOOD])[0], Dropped), "lamps is another word"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\n".join(f"Menu entry number {i}" for i in range(30)), "fineweb.punctuated_lines: 0 against at least 0.12"),
        ("\n".join(f"Entry {i}." for i in range(30)), "fineweb.short_lines: 1 against at most 0.67"),
        ("\n".join([*SENTENCES, SENTENCES[0]]), "fineweb.duplicate_line_characters: 0.1383 against at most 0.1"),
    ],
)
def test_fineweb(text: str, why: str) -> None:
    assert reason(FineWeb(), text) == why


def test_fineweb_knows_the_ends_of_sentences_of_other_scripts_and_of_windows() -> None:
    for end in ("。", "？", "।", "؟", ".", ".\r", ". "):
        assert FineWeb().judge([f"{'x' * 40}{end}\n{'y' * 40}{end}"]) == [{}]


def test_a_row_without_a_text_is_bad_and_not_dropped() -> None:
    found = FineWeb().process([{"text": None}, {"words": 1}, {"text": 7}, {"text": GOOD}])
    assert [getattr(one, "reason", "") for one in found] == [
        "no text: 'text' is null",
        "no text: 'text' is missing",
        "no text: 'text' is int",
        "",
    ]
    assert not any(isinstance(one, Dropped) for one in found)


def test_half_a_surrogate_pair_stops_nothing() -> None:
    text = GOOD + " \ud83d"
    random.Random(0).shuffle(texts := [text, GOOD])
    for rule in RULES.values():
        assert all(not isinstance(one, Dropped) for one in rule().judge(texts))
