"""How far metrics by small models judge as people do, and whether one that was taught on one set holds on another.

Sets: SummEval (1,600 summaries, four dimensions), QAGS on CNN/DailyMail (235 summaries, sentences that people find
borne out), UniEval's Topical-Chat (360 replies), SFRES (1,181 texts from data, with references), HaluEval (as many
answers with as without made-up parts), XSum (summaries without their articles: the scores that its authors give stand
beside what can be told from the text alone). Of yes and no pairwise accuracy is the area under the ROC curve. Items are
drawn again, for all metrics at once.

By MiniLM: BERTScore and MoverScore by source or reference. By SmolLM2-135M: BARTScore and perplexity on part of the
rows (BARTScore reads each source again for each text). Evaluators are taught here: ridge regression over overlaps and
BERTScores with no weight below 0, on one set, tested on another that it has seen nothing of; and on all others
together. Scores are kept (`.bench/meta`). `--quick` takes a tenth.
"""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import Cases, estimated
from pilotfish.evaluate.bertscore import BertScore
from pilotfish.evaluate.estimator import Estimator
from pilotfish.evaluate.fluency import Perplexity
from pilotfish.evaluate.lexical import Bleu, Chrf, Rouge
from pilotfish.evaluate.likelihood import BartScore, Continues
from pilotfish.evaluate.meta import Meta, meta
from pilotfish.evaluate.mover import MoverScore
from pilotfish.models.encoder import Encoder
from pilotfish.models.reader import Reader
from pilotfish.rows._atomic import atomic
from pilotfish.rows.read import read

OUT = Path(__file__).resolve().parents[1] / ".bench" / "meta"
ENCODER, MODEL = "all-minilm-l6-v2", "smollm2-135m-instruct"
RESAMPLES, READ = 500, 160  # draws; rows of each set that BARTScore reads
SYSTEMS = {"bert_withckpt": "BERTS2S", "bert_nockpt": "TranS2S", "tconvs2s": "TConvS2S", "ptgen": "PtGen"}
# What a taught evaluator sees: of each metric by source its score and parts.
SEEN = ("rouge1.precision", "rouge2.precision", "rougeL.precision", "bertscore.precision", "bertscore.recall")
Column = NDArray[np.float64]


@dataclass(frozen=True)
class Set:
    """Texts with people's scores.

    Attributes:
        name: in titles.
        texts: that are judged.
        sources: what they go by; None where the set has none.
        references: likewise.
        people: dimension -> scores.
        items, systems: of rows; see `meta`.
        given: scores that the set's authors give.
        main: the dimension that an evaluator learns.
    """

    name: str
    texts: list[str]
    people: dict[str, Column]
    main: str
    sources: list[str] | None = None
    references: list[str | list[str]] | None = None
    items: list[str] | None = None
    systems: list[str] | None = None
    given: dict[str, Column] | None = None

    def take(self, rows: Sequence[int]) -> Set:
        """Return some rows."""

        def of(column: Any) -> Any:
            return None if column is None else [column[i] for i in rows]

        return replace(
            self,
            texts=of(self.texts),
            people={name: column[list(rows)] for name, column in self.people.items()},
            sources=of(self.sources),
            references=of(self.references),
            items=of(self.items),
            systems=of(self.systems),
            given=None if self.given is None else {name: one[list(rows)] for name, one in self.given.items()},
        )


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return each metric's agreement with people on each set, and that of taught evaluators on sets unseen."""
    if data is None:
        return {"name": "meta", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("meta", quick=quick)
    encoder, reader = Encoder(ENCODER), Reader(MODEL)
    sets = [one.take(range(0, len(one.texts), 10)) if quick else one for one in every(data)]
    kept = OUT / ("quick" if quick else "whole")
    scores = {one.name: held(kept / f"{one.name}.json", partial(scored, one, encoder)) for one in sets}
    cases.add(taught(sets, scores))
    for one in sets:
        for dimension in one.people:
            cases.add(told(one, dimension, scores[one.name]))
        if one.sources is not None:
            rows = some_of(one, READ // 10 if quick else READ)
            more = held(kept / f"{one.name}-read.json", partial(likely, one.take(rows), reader))
            cases.add(
                of_likelihoods(one.take(rows), {name: column[rows] for name, column in scores[one.name].items()} | more)
            )
    return {"name": "meta", "peer": "ROUGE-L, and BERTScore as it is", "cases": cases.found}


def held(path: Path, make: Callable[[], dict[str, Column]]) -> dict[str, Column]:
    """Return scores that were found before, or find them and keep them: a run that is stopped goes on."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        found = {name: np.asarray(column).tolist() for name, column in make().items()}
        with atomic(path) as file:
            file.write(json.dumps(found).encode())
    return {name: np.array(column) for name, column in json.loads(path.read_bytes()).items()}


def some_of(one: Set, count: int) -> list[int]:
    """Return so many rows, drawn at random."""
    drawn = np.random.default_rng(0).permutation(len(one.texts))[:count]
    return sorted(int(row) for row in drawn)


def likely(one: Set, reader: Reader) -> dict[str, Column]:
    """Return what SmolLM2 makes of texts: after their sources, and by themselves."""
    assert one.sources is not None
    return {
        "bartscore": BartScore(Continues(reader))([cut(text) for text in one.sources], one.texts).values,
        "perplexity": -Perplexity(reader)(one.texts).parts["nll"],
    }


def scored(one: Set, encoder: Encoder) -> dict[str, Column]:
    """Return metric -> scores of a set's rows, with the parts that evaluators learn from."""
    found: dict[str, Column] = {**(one.given or {})}
    found["length"] = -np.array([float(len(text.split())) for text in one.texts])
    by: dict[str, Sequence[Any]] = {"source": one.sources or [], "reference": one.references or []}
    metrics: dict[str, Callable[..., Any]] = {kind: Rouge(kind) for kind in ("rouge1", "rouge2", "rougeL")}
    metrics |= {"bertscore": BertScore(encoder), "moverscore": MoverScore(encoder)}
    for name, columns in by.items():
        if not columns:
            continue
        more: dict[str, Callable[..., Any]] = {"bleu": Bleu(), "chrf": Chrf()} if name == "reference" else {}
        for title, metric in {**metrics, **more}.items():
            got = metric(one.texts, columns)
            found[f"{title} by {name}"] = got.values
            found |= {f"{title}.{part} by {name}": column for part, column in got.parts.items()}
    return found


def told(one: Set, dimension: str, scores: dict[str, Column]) -> Iterator[dict[str, Any]]:
    """Yield a set's agreements with one dimension, on all levels."""
    shown = {name: column for name, column in scores.items() if "recall" not in name and "rouge1" not in name}
    found = meta(one.people[dimension], shown, items=one.items, systems=one.systems, resamples=RESAMPLES)
    for agreement in found:
        binary = len(np.unique(one.people[dimension])) == 2
        for statistic in ("pairwise",) if binary else ("pearson", "spearman", "kendall"):
            name = "AUROC" if binary else statistic
            title = f"{one.name}, {dimension}, by {agreement.level}: {agreement.metric}"
            yield estimated(title, getattr(agreement, statistic), name)


def of_likelihoods(one: Set, scores: dict[str, Column]) -> Iterator[dict[str, Any]]:
    """Yield BARTScore's agreement on some rows, beside ROUGE-L's and BERTScore's on the same."""
    columns = {name: scores[name] for name in ("bartscore", "perplexity", "rougeL by source", "bertscore by source")}
    found = meta(one.people[one.main], columns, items=one.items, resamples=RESAMPLES)
    title = f"{one.name}, {one.main}, {len(one.texts)} rows"
    for name in columns:
        yield estimated(f"{title}: {name}", found.of(name).spearman, "spearman")
    gap = found.above("bartscore", "bertscore by source", "spearman")
    yield estimated(f"{title}: bartscore above bertscore", gap, "spearman")


def cut(text: str, words: int = 300) -> str:
    """Return a text's beginning, so that it fits beside an answer."""
    return " ".join(text.split()[:words])


def taught(sets: Sequence[Set], scores: dict[str, dict[str, Column]]) -> Iterator[dict[str, Any]]:
    """Yield what evaluators taught on one set, or on all others, agree on each, beside what was taught nothing."""
    able = [one for one in sets if one.sources is not None]
    rows = {one.name: features(one, scores[one.name]) for one in able}
    for test in able:
        found = {
            f"taught on {one.name}": learnt(one, rows[one.name])(rows[test.name]).values
            for one in able
            if one is not test
        }
        others = [one for one in able if one is not test]
        together = [row for one in others for row in rows[one.name]]
        groups = [f"{one.name} {item}" for one in others for item in (one.items or range(len(one.texts)))]
        # Each set's scores on one scale: people were asked otherwise.
        liked = np.concatenate([scale(one.people[one.main]) for one in others])
        mixed = Estimator(numbers=SEEN, positive=True).fit(together, liked, groups)
        found["taught on all others"] = mixed(rows[test.name]).values
        plain = ["rougeL by source", "bertscore by source"]
        plain += [name for name in ("rougeL by reference", "bertscore by reference") if name in scores[test.name]]
        found |= {name: scores[test.name][name] for name in plain}
        told_of = meta(test.people[test.main], found, items=test.items, resamples=2 * RESAMPLES)
        yield from _beside(test, told_of, plain)


def _beside(test: Set, found: Meta, plain: Sequence[str]) -> Iterator[dict[str, Any]]:
    binary = len(np.unique(test.people[test.main])) == 2
    statistic, unit = ("pairwise", "AUROC") if binary else ("pearson", "pearson")
    for name in found.metrics:
        yield estimated(
            f"taught, tested on {test.name} ({test.main}): {name}", getattr(found.of(name), statistic), unit
        )
    for name in found.metrics:
        for other in plain if name not in plain else ():
            title = f"taught, tested on {test.name} ({test.main}): {name} above {other}"
            yield estimated(title, found.above(name, other, statistic), unit)


def features(one: Set, scores: dict[str, Column]) -> list[dict[str, Any]]:
    """Return rows of the numbers that evaluators see."""
    return [{name: float(scores[f"{name} by source"][i]) for name in SEEN} for i in range(len(one.texts))]


def learnt(one: Set, rows: Sequence[dict[str, Any]]) -> Estimator:
    """Return an evaluator that was taught on a set."""
    return Estimator(numbers=SEEN, positive=True).fit(rows, scale(one.people[one.main]), one.items)


def scale(column: Column) -> Column:
    """Return scores with mean 0 and spread 1."""
    return np.asarray((column - column.mean()) / column.std())


def every(data: Path) -> list[Set]:
    """Return all sets."""
    return [summeval(data), qags(data), chats(data), sfres(data), halueval(data), xsum(data)]


def summeval(data: Path) -> Set:
    """Return SummEval."""
    articles = json.loads((data / "bartscore_human" / "summeval.json").read_text(encoding="utf-8"))
    rows = [(key, one, name, each) for key, one in articles.items() for name, each in one["sys_summs"].items()]
    dimensions = list(rows[0][3]["scores"])
    return Set(
        "SummEval",
        [each["sys_summ"] for *_, each in rows],
        {name: np.array([each["scores"][name] for *_, each in rows], float) for name in dimensions},
        "consistency",
        [one["src"] for _, one, *_ in rows],
        [one["ref_summ"] for _, one, *_ in rows],
        [key for key, *_ in rows],
        [name for _, _, name, _ in rows],
    )


def qags(data: Path) -> Set:
    """Return QAGS: of each summary the mean over its sentences of what most workers say."""
    rows = list(read(data / "qags" / "mturk_cnndm.jsonl"))
    liked = []
    for row in rows:
        votes = [Counter(one["response"] for one in part["responses"]) for part in row["summary_sentences"]]
        liked.append(float(np.mean([vote["yes"] > vote["no"] for vote in votes])))
    return Set(
        "QAGS",
        [" ".join(part["sentence"] for part in row["summary_sentences"]) for row in rows],
        {"borne out": np.array(liked)},
        "borne out",
        [row["article"] for row in rows],
        items=[row["article"] for row in rows],
    )


def chats(data: Path) -> Set:
    """Return UniEval's Topical-Chat: a reply by the fact that it was to hold and the talk before it."""
    rows = json.loads((data / "unieval" / "dialogue" / "topical_chat.json").read_text(encoding="utf-8"))
    dimensions = [name for name in rows[0]["scores"] if name != "overall"]
    return Set(
        "Topical-Chat",
        [row["system_output"].strip() for row in rows],
        {name: np.array([row["scores"][name] for row in rows], float) for name in dimensions},
        "groundedness",
        [f"{row['context'].strip()}\n{row['source'].strip()}" for row in rows],
        items=[row["source"] for row in rows],
        systems=[row["system_id"] for row in rows],
    )


def sfres(data: Path) -> Set:
    """Return SFRES: a sentence by the data that it was to say, and by a reference."""
    rows = json.loads((data / "unieval" / "data2text" / "sfres.json").read_text(encoding="utf-8"))
    return Set(
        "SFRES",
        [row["system_output"].strip() for row in rows],
        {name: np.array([row["scores"][name] for row in rows], float) for name in ("informativeness", "naturalness")},
        "informativeness",
        [row["source"].replace("_", " ") for row in rows],
        [row["reference"] for row in rows],
        items=[str(row["doc_id"]) for row in rows],
    )


def halueval(data: Path) -> Set:
    """Return HaluEval: as many answers without made-up parts as with."""
    lines = (data / "halueval_general" / "general_data.json").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    wrong = [row for row in rows if row["hallucination"] == "yes"]
    right = [row for row in rows if row["hallucination"] == "no"]
    picked = np.random.default_rng(0).choice(len(right), len(wrong), replace=False)
    both = [row for pair in zip(wrong, (right[i] for i in sorted(picked)), strict=True) for row in pair]
    return Set(
        "HaluEval",
        [row["chatgpt_response"] for row in both],
        {"nothing made up": np.array([float(row["hallucination"] == "no") for row in both])},
        "nothing made up",
        [row["user_query"] for row in both],
    )


def xsum(data: Path) -> Set:
    """Return XSum's annotated summaries; the articles are not among the data."""
    folder = data / "xsum_hallucination"
    votes: dict[tuple[str, str], list[float]] = defaultdict(list)
    texts: dict[tuple[str, str], str] = {}
    with (folder / "factuality_annotations_xsum_summaries.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = row["system"].casefold(), row["bbcid"]
            texts[key] = row["summary"]
            if row["is_factual"] in ("yes", "no"):
                votes[key].append(float(row["is_factual"] == "yes"))
    with (folder / "eval_scores_xsum_summaries.csv").open(encoding="utf-8") as file:
        given = {_key(row["system_bbcid"]): row for row in csv.DictReader(file)}
    keys = [key for key in texts if votes[key] and key in given]
    names = {"rougeL by reference": "RL", "bertscore by reference": "BERTScore", "entailment": "Entailment"}
    return Set(
        "XSum",
        [texts[key] for key in keys],
        {
            "factual": np.array([float(np.mean(votes[key]) > 0.5) for key in keys]),
            "faithful": np.array([float(given[key]["Faithful"]) for key in keys]),
        },
        "factual",
        items=[bbcid for _, bbcid in keys],
        systems=[system for system, _ in keys],
        given={f"{name} (given)": np.array([float(given[k][column]) for k in keys]) for name, column in names.items()},
    )


def _key(told_as: str) -> tuple[str, str]:
    system, _, bbcid = told_as.rpartition("_")
    return SYSTEMS[system].casefold(), bbcid
