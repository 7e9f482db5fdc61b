"""Words that turn a sentence round though hardly a vector shows it: numbers, negations, opposites, who and whom.

An encoder puts "turn alerts on" and "turn alerts off" almost in one place. Two texts that differ in one of these words
do not ask the same, however near their vectors are. The lists are English; numbers count in any language.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter

__all__ = ["may_be_same"]

_WORD = re.compile(r"\d+(?:[.,:/]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?")
_NEGATIONS = re.findall(r"\S+", "no not never none nobody nothing nowhere neither nor cannot without hardly")
_BETWEEN = re.findall(r"\S+", "from to than before after over into for by with")  # who stands after one matters
_SMALL = re.findall(r"\S+", "a an the my your our his her their this that")
_PAIRS = """
on/off in/out up/down to/from before/after with/without more/less most/least above/below over/under first/last
open/close opened/closed start/stop started/stopped begin/end enable/disable enabled/disabled activate/deactivate
allow/forbid allowed/forbidden accept/reject accepted/rejected accept/decline accepted/declined add/remove
increase/decrease raise/lower higher/lower high/low big/small large/small long/short fast/slow hot/cold old/new
buy/sell deposit/withdraw lend/borrow send/receive sent/received give/take win/lose won/lost gain/loss profit/loss
true/false yes/no right/wrong correct/incorrect good/bad best/worst better/worse positive/negative safe/unsafe
safe/dangerous legal/illegal possible/impossible public/private internal/external import/export upload/download
encrypt/decrypt lock/unlock locked/unlocked connect/disconnect install/uninstall subscribe/unsubscribe
login/logout push/pull read/write minimum/maximum min/max ascending/descending left/right north/south east/west
man/woman male/female husband/wife mother/father morning/evening today/tomorrow today/yesterday day/night
always/never everyone/nobody all/none include/exclude included/excluded like/dislike love/hate agree/disagree
"""
_OPPOSITES: dict[str, set[str]] = {}
for _one, _other in re.findall(r"(\S+)/(\S+)", _PAIRS):
    _OPPOSITES.setdefault(_one, set()).add(_other)
    _OPPOSITES.setdefault(_other, set()).add(_one)


def may_be_same(one: str, other: str) -> bool:
    """Say that no number, negation, opposite or exchange of places keeps two texts from asking the same."""
    first, second = _words(one), _words(other)
    left, right = Counter(first), Counter(second)
    only_left, only_right = left - right, right - left
    if any(word[0].isdigit() for word in (*only_left, *only_right)):
        return False
    if _negated(left) != _negated(right):
        return False
    if any(_OPPOSITES.get(word, set()) & set(only_right) for word in only_left):
        return False
    return not _exchanged(first, second)


def _words(text: str) -> list[str]:
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]


def _negated(words: Counter[str]) -> bool:
    """Say whether the negations turn the sense round: two of them do not."""
    return sum(n for word, n in words.items() if word in _NEGATIONS or word.endswith("n't")) % 2 == 1


def _exchanged(first: list[str], second: list[str]) -> bool:
    """Say whether two words have changed places: "from A to B" and "from B to A"."""
    left, right = _followers(first), _followers(second)
    both = set(first) & set(second)
    return any(left[word] != right[word] and {left[word], right[word]} <= both for word in left.keys() & right.keys())


def _followers(words: list[str]) -> dict[str, str]:
    """Return the word that stands after each preposition, small words left out."""
    words = [word for word in words if word not in _SMALL]
    return {word: after for word, after in itertools.pairwise(words) if word in _BETWEEN}
