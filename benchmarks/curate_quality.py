"""The hashed quality classifier against fastText, and document rules against datatrove's.

Good texts are paragraphs of WikiText-2's articles, their tokens put together again. Bad ones: other paragraphs with
words exchanged (signs stay where they are), with characters noised, inside HTML and menus; what SmolLM2-135M writes of
the articles' titles; lines of other data sets. The split is by article. fastText gets the settings that are best for it
on a part of the training rows. Bars: area under the ROC curve not below fastText's, texts a second at least as many.
Rules: the same decisions as datatrove's on the same words, but for the differences that are counted.
"""

from __future__ import annotations

import csv
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._peer import Peer
from benchmarks._result import Cases, estimated
from benchmarks._wikitext import articles
from pilotfish.curate import Dropped
from pilotfish.curate.quality import HashedClassifier, QualityClassifier, StaticClassifier, TunedClassifier
from pilotfish.curate.rules import C4, FineWeb, GopherQuality, GopherRepetition
from pilotfish.curate.rules.fineweb import ends_sentence
from pilotfish.measure.curve import area, area_interval, precision_interval
from pilotfish.measure.intervals import paired_bootstrap
from pilotfish.rows.split import split

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "benchmarks" / "peers"
HINT = "python -m venv .bench/{0} && .bench/{0}/bin/pip install -r benchmarks/peers/{0}.txt"
ONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
WRITTEN = ROOT / ".bench" / "curate-quality-written.json"
TRIES = ((5, 0.1), (25, 0.1), (25, 0.5), (50, 0.5))  # fastText: epochs and learning rate
BARS = {"area, ours minus fastText, lower end": -0.005, "texts a second": 1.0}
NAV = "Home About Contact Login Share Search Menu Next Previous Subscribe Cart News Sports Help Archive".split()  # noqa: SIM905
_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z\"'(])")
_CORE = re.compile(r"\w(?:.*\w)?")


@dataclass(frozen=True)
class Doc:
    """A text, its kind ("good" or how it is bad), and the article or the lines it comes from."""

    text: str
    kind: str
    group: str


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return areas, precision, texts a second, and how rules agree."""
    if data is None:
        return {"name": "curate-quality", "peer": "needs --data: the folder of data sets", "cases": []}
    python = {name: ROOT / ".bench" / name / "bin" / "python" for name in ("fasttext", "datatrove")}
    missing = [HINT.format(name) for name, path in python.items() if not path.exists()]
    if missing:
        return {"name": "curate-quality", "peer": f"not installed: {' and '.join(missing)}", "cases": []}
    cases = Cases("curate-quality", quick=quick)
    docs = documents(data, written(data, 12 if quick else 150))
    parts = split(len(docs), {"train": 0.6, "choose": 0.1, "test": 0.3}, 0, group=[doc.group for doc in docs])
    train, choose, test = ([docs[i] for i in parts[name]] for name in ("train", "choose", "test"))
    print(f"{len(train)} texts to learn from, {len(choose)} to choose by, {len(test)} to test on", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(python["fasttext"], PEERS / "fasttext_worker.py", HINT.format("fasttext"), ONE)
        theirs = FastText(peer, Path(folder), train, choose)
        scores = {"fastText": np.array(theirs.scores(test))}
        ours = HashedClassifier().fit(*lesson([*train, *choose]), groups=[doc.group for doc in [*train, *choose]])
        scores["hashed"] = ours.score([doc.text for doc in test])
        for name, other in {} if quick else others():
            other.fit(*lesson([*train, *choose]), groups=[doc.group for doc in [*train, *choose]])
            scores[name] = other.score([doc.text for doc in test])
        for name, found in scores.items():
            cases.add(told(name, found, test))
        cases.add(beside(scores["hashed"], scores["fastText"], test))
        cases.add([speed(ours, theirs, test, rounds=2 if quick else 9)])
        peer.close()
        cases.add(rules(python["datatrove"], data, docs, Path(folder), rounds=1 if quick else 3, quick=quick))
    return {
        "name": "curate-quality",
        "peer": "fastText and datatrove, see benchmarks/peers/fasttext.txt and datatrove.txt",
        "bars": BARS,
        "fasttext": {"epoch": theirs.best[0], "lr": theirs.best[1]},
        "cases": cases.found,
    }


def others() -> Iterator[tuple[str, QualityClassifier]]:
    """Yield the slower kinds, over all-MiniLM-L6-v2."""
    from pilotfish.models.encoder import Encoder

    encoder = Encoder("all-minilm-l6-v2", threads=1)
    yield "static", StaticClassifier(encoder)
    yield "tuned", TunedClassifier(encoder, epochs=2)


def lesson(docs: Sequence[Doc]) -> tuple[list[str], list[bool]]:
    """Return texts, and which of them are good."""
    return [doc.text for doc in docs], [doc.kind == "good" for doc in docs]


class FastText:
    """fastText, fitted with each setting and chosen by the area on rows that it has not seen."""

    def __init__(self, peer: Peer, folder: Path, train: Sequence[Doc], choose: Sequence[Doc]) -> None:
        self.peer, self.folder = peer, folder
        found = []
        for setting in TRIES:
            self._fit(train, setting)
            found.append(area(self.scores(choose), [doc.kind == "good" for doc in choose]))
        self.best = TRIES[int(np.argmax(found))]
        self._fit([*train, *choose], self.best)

    def _fit(self, docs: Sequence[Doc], setting: tuple[int, float]) -> None:
        good = [doc.kind == "good" for doc in docs]
        job = {"do": "fit", "texts": self.file(docs), "good": good, "epoch": setting[0], "lr": setting[1]}
        self.peer.ask(job)

    def scores(self, docs: Sequence[Doc]) -> list[float]:
        """Return the chance of being good."""
        return list(self.peer.ask({"do": "score", "texts": self.file(docs)})["scores"])

    def seconds(self, docs: Sequence[Doc], times: int) -> float:
        """Return the time of `predict` alone, the texts prepared."""
        return float(self.peer.ask({"do": "time", "texts": self.file(docs), "times": times})["seconds"])

    def file(self, docs: Sequence[Doc]) -> str:
        """Write the texts, prepared, and return where."""
        path = self.folder / f"texts-{len(docs)}.json"
        made = [" ".join(re.findall(r"\w+|[^\w\s]", doc.text.lower())) for doc in docs]
        path.write_text(json.dumps(made), encoding="utf-8")
        return str(path)


def told(name: str, scores: np.ndarray[Any, Any], test: Sequence[Doc]) -> Iterator[dict[str, Any]]:
    """Yield the area and the average precision, and the area beside each kind of bad text."""
    good = np.array([doc.kind == "good" for doc in test])
    yield estimated(f"{name}: area under the ROC curve", area_interval(scores, good), "area")
    average = precision_interval(scores, good)
    yield estimated(f"{name}: average precision", average, "precision")
    for kind in sorted({doc.kind for doc in test} - {"good"}):
        some = np.array([doc.kind in ("good", kind) for doc in test])
        yield estimated(f"{name}: area, good against {kind}", area_interval(scores[some], good[some]), "area")


def beside(ours: np.ndarray[Any, Any], peer: np.ndarray[Any, Any], test: Sequence[Doc]) -> Iterator[dict[str, Any]]:
    """Yield the difference of the areas, articles drawn together."""
    good = np.array([doc.kind == "good" for doc in test], np.float64)
    groups = np.unique([doc.group for doc in test], return_inverse=True)[1]
    sides = [np.stack([scores, good], axis=1) for scores in (ours, peer)]
    found = paired_bootstrap(
        sides[0],
        sides[1],
        lambda rows: area(rows[:, 0], rows[:, 1] > 0),
        resamples=2000,
        method="percentile",
        groups=groups,
    )
    yield estimated("area, ours minus fastText", found, "area")


def speed(ours: HashedClassifier, theirs: FastText, test: Sequence[Doc], *, rounds: int) -> dict[str, Any]:
    """Return texts a second in turn: ours from the text as it is, fastText's `predict` on prepared ones."""
    texts = [doc.text for doc in test]
    times = 10
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        start = time.perf_counter()
        for _ in range(times):
            for at in range(0, len(texts), 256):
                ours.score(texts[at : at + 256])
        seconds[0].append(time.perf_counter() - start)
        seconds[1].append(theirs.seconds(test, times))
    kept = [side[1:] for side in seconds]  # the first round warms up
    ratios = [b / a for a, b in zip(*kept, strict=True)]
    count = len(texts) * times
    return {
        "case": "texts a second against fastText's predict",
        "ours": count / statistics.median(kept[0]),
        "peer": count / statistics.median(kept[1]),
        "unit": "texts/s",
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "parity": 0.0,
        "n": len(ratios),
    }


def rules(
    python: Path, data: Path, docs: Sequence[Doc], folder: Path, *, rounds: int, quick: bool
) -> Iterator[dict[str, Any]]:
    """Yield, of each rule set, how many decisions differ from datatrove's on the same words, and the time of both."""
    texts = hard(data, [doc.text for doc in docs])[:: 8 if quick else 1]
    file = folder / "rules.json"
    file.write_text(json.dumps(texts), encoding="utf-8")
    peer = Peer(python, PEERS / "datatrove_rules_worker.py", HINT.format("datatrove"), ONE)
    ours = {
        "gopher_repetition": GopherRepetition(),
        "gopher_quality": GopherQuality(),
        "fineweb": FineWeb(max_duplicate_line_characters=0.01, max_newlines_a_word=0.3),
        "c4": C4(),
    }
    for name, rule in ours.items():
        rule.judge(texts[:50])  # what is remembered of words and signs is there, as it is on the other side
        same: dict[str, list[str]] = {}
        for words in ("space", "spacy"):
            mine: list[str] = []
            ratios, here, there = [], [], []
            for _ in range(rounds):
                start = time.perf_counter()
                found = [one for at in range(0, len(texts), 256) for one in rule.judge(texts[at : at + 256])]
                here.append(time.perf_counter() - start)
                told = peer.ask({"texts": str(file), "rule": name, "words": words})
                there.append(told["seconds"])
                ratios.append(told["seconds"] / here[-1])
                mine = [one.reason.partition(":")[0] if isinstance(one, Dropped) else "" for one in found]
                same[words] = told["reasons"]
            differ = [(a, b, text) for a, b, text in zip(mine, same[words], texts, strict=True) if bool(a) != bool(b)]
            yield {
                "case": f"{name} against datatrove, words by {words}",
                "ours": statistics.median(here),
                "peer": statistics.median(there),
                "unit": "seconds",
                "ratio": statistics.median(ratios),
                "ratio_min": min(ratios),
                "ratio_max": max(ratios),
                "parity": len(differ) / len(texts),
                "n": len(texts),
            }
            if words == "space":
                known = sum(explained(name, a, b, text) for a, b, text in differ)
                case = f"{name}: decisions that differ on the same words, and not as listed"
                yield {"case": case, "value": len(differ) - known, "unit": "texts", "n": len(texts)}
    peer.close()


def explained(rule: str, ours: str, peer: str, text: str) -> bool:
    """Say whether a difference is one of those that the rules' modules tell."""
    if rule == "gopher_repetition" and re.fullmatch(r"top_\d_gram", peer):
        words, n = text.split(), int(peer[4])
        grams = [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]
        return len(set(grams)) == len(grams)  # none stands twice: no repetition
    if rule == "fineweb" and peer == "line_punct_ratio":
        # White space behind a full stop hides it there: by that count the text goes here too.
        lines = [line for line in text.split("\n") if line.strip()]
        return sum(ends_sentence(line[-1]) for line in lines) / len(lines) < 0.12
    # Sentences are counted by another rule; symbols are told from words by another list.
    return "c4.sentences" in (ours, peer) or peer == "too_few_sentences" or ours == "gopher_quality.words"


def hard(data: Path, texts: list[str]) -> list[str]:
    """Return texts that rules bite on: lines and words that repeat, bullets, teasers, tags."""
    dice = random.Random(1)
    found = list(texts)
    for article in articles(data):
        lines = [line.strip() for line in article.split("\n") if line.strip()]
        words = article.split()
        found += [article, article[:3000], "\n\n".join(lines[:20]), "- " + "\n- ".join(lines[:30])]
        found.append("\n".join(lines + dice.choices(lines, k=len(lines) // dice.choice([2, 4, 8]))))
        found.append(" ".join(dice.choices(words[: dice.choice([20, 60, 200])], k=300)))
        found.append("\n".join(line[:40] + dice.choice(["...", "…", ".", "#", ""]) for line in lines))
        found.append(" ".join(word + dice.choice(["", "", "#", "..."]) for word in words[:200]))
    return found


def documents(data: Path, generated: Sequence[tuple[str, str]]) -> list[Doc]:
    """Return all texts."""
    dice = random.Random(0)
    spoil = {"exchanged": exchanged, "noised": noised, "html": html, "menu": menu}
    found = []
    for article in articles(data):
        group = title(article)
        for place, text in enumerate(paragraphs(article)):
            kind = "good" if place % 2 == 0 else dice.choice(sorted(spoil))
            found.append(Doc(text if kind == "good" else spoil[kind](text, dice), kind, group))
    found += [Doc(text, "written by SmolLM2", group) for group, text in generated]
    return found + list(lines(data, dice))


def title(article: str) -> str:
    """Return an article's heading."""
    return article.split("\n", 1)[0].strip(" =")


def paragraphs(article: str) -> list[str]:
    """Return whole sentences, some 50 words together; those with a word that WikiText left out are left out."""
    found = []
    for line in article.split("\n"):
        part: list[str] = []
        if line.strip().startswith("="):
            continue
        for sentence in _SENTENCE.split(line.strip()):
            if "<unk>" in sentence or len(sentence) < 20:
                continue
            part.append(joined(sentence))
            if sum(len(one.split()) for one in part) >= 45:
                found.append(" ".join(part))
                part = []
        if sum(len(one.split()) for one in part) >= 25:
            found.append(" ".join(part))
    return found


def joined(text: str) -> str:
    """Return a text with WikiText's tokens put together again."""
    for mark in "-,.":
        text = text.replace(f" @{mark}@ ", mark)
    text = re.sub(r" ([.,;:!?)\]%])", r"\1", re.sub(r"([(\[$]) ", r"\1", text))
    return re.sub(r'" ([^"]*?) "', r'"\1"', re.sub(r" ' s\b", "'s", text)).strip()


def exchanged(text: str, dice: random.Random) -> str:
    """Return the words in another order; signs and the case of the first letters stay at their places."""
    words = text.split()
    cores = [found[0] for word in words if (found := _CORE.search(word))]
    dice.shuffle(cores)
    rest = iter(cores)

    def other(word: str) -> str:
        return _CORE.sub(lambda found: cased(next(rest), found[0]), word, count=1) if _CORE.search(word) else word

    return " ".join(map(other, words))


def cased(word: str, like: str) -> str:
    """Return a word with its first letter as another's."""
    return word[0].upper() + word[1:] if like[0].isupper() else word[0].lower() + word[1:]


def noised(text: str, dice: random.Random) -> str:
    """Return a text in which one character in twelve is gone, another, or there twice."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    kinds = (lambda _: "", lambda _: dice.choice(letters), lambda one: one * 2)
    return "".join(dice.choice(kinds)(one) if dice.random() < 1 / 12 else one for one in text)


def html(text: str, dice: random.Random) -> str:
    """Return half of a text inside a page's markup."""
    links = "".join(f'<li><a href="/{dice.randrange(999)}">{name}</a></li>' for name in dice.sample(NAV, 6))
    return (
        f'<div class="nav"><ul>{links}</ul></div><p>{half(text)}</p><div id="footer">&copy; All rights reserved</div>'
    )


def menu(text: str, dice: random.Random) -> str:
    """Return half of a text with a page's menus around it."""
    return " | ".join(dice.sample(NAV, 6)) + f"\n{half(text)}\n" + "\n".join(dice.sample(NAV, 5))


def half(text: str) -> str:
    """Return the first half of the words."""
    words = text.split()
    return " ".join(words[: len(words) // 2])


def lines(data: Path, dice: random.Random) -> Iterator[Doc]:
    """Yield lines of other data sets, eight a text."""
    with (data / "banking77" / "test.csv").open(encoding="utf-8", newline="") as file:
        questions = [row["text"] for row in csv.DictReader(file)]
    dice.shuffle(questions)
    tables = next(path for path in sorted((data / "titanic").iterdir()) if path.suffix == ".csv")
    for name, rows in (("questions", questions[:1200]), ("tables", tables.read_text("utf-8").splitlines()[1:])):
        for at in range(0, len(rows) - 8, 8):
            yield Doc("\n".join(rows[at : at + 8]), name, f"{name} {at}")


def written(data: Path, count: int) -> list[tuple[str, str]]:
    """Return (article's title, what SmolLM2-135M writes of it); kept, so that later runs have the same."""
    there = json.loads(WRITTEN.read_text(encoding="utf-8")) if WRITTEN.exists() else []
    if len(there) < count:
        import asyncio

        from pilotfish.model import Request
        from pilotfish.models.local import LocalModel

        model = LocalModel("smollm2-135m-instruct", threads=1)
        names = sorted({title(article) for article in articles(data)})
        wanted = [names[i % len(names)] for i in range(len(there), count)]

        async def all_of() -> list[str]:
            asked = [
                Request.of(
                    f"Write a paragraph of an encyclopedia about {name}.", max_tokens=90, temperature=1.0, seed=i
                )
                for i, name in enumerate(wanted, len(there))
            ]
            return [reply.text for reply in await asyncio.gather(*(model.reply(one) for one in asked))]

        there += [list(one) for one in zip(wanted, asyncio.run(all_of()), strict=True)]
        WRITTEN.parent.mkdir(exist_ok=True)
        WRITTEN.write_text(json.dumps(there, ensure_ascii=False), encoding="utf-8")
    return [(name, " ".join(text.split())) for name, text in there[:count] if text.strip()]
