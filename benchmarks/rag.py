"""RAG end to end: Qwen2.5-Coder-1.5B (int8) on XQuAD and PubMedQA, closed-book, with passages, and where it is unsure.

XQuAD's 240 English paragraphs are the documents, and 100 of its questions, drawn with a seed, are asked: exact match
and F1 of words. PubMedQA's 1,000 contexts (abstracts without their conclusions) are the documents, and 100 of the
official test questions are asked: the share whose first word is the right one of yes, no and maybe. A hybrid of BM25
and MiniLM finds three paragraphs, or two abstracts; the model is shown 700 tokens of them at most. Adaptive: passages
are looked up where the closed-book answer's mean log-probability lies below a threshold, chosen on 40 other questions
so that it is right most often (of equal ones the one that looks least). "Not in the documents": a threshold of MiniLM's
best cosine that promises to refuse at most a tenth of what can be answered (nine of ten times), found on 200 other
questions; then the 100 questions over an index without their own paragraphs. Tokens in and out and dollars at the
prices of a small hosted model (0.15 and 0.60 a million) count every attempt. Answers are kept (`.bench/rag`). `--quick`
has SmolLM2-135M answer a few questions about made-up boats.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._result import Cases, estimated
from pilotfish.infer.accept import Above
from pilotfish.measure.extractive import exact_match, word_f1
from pilotfish.measure.intervals import bootstrap, paired_bootstrap, wilson
from pilotfish.model import Model, Price, Reply, Request
from pilotfish.models.encoder import Encoder
from pilotfish.models.local import LocalModel
from pilotfish.retrieve._ways import Encoders
from pilotfish.retrieve.documents import Document
from pilotfish.retrieve.found import Retriever
from pilotfish.retrieve.hybrid import Hybrid
from pilotfish.retrieve.index import Index
from pilotfish.retrieve.rag import NOT_FOUND, EnoughByScore, Retrieving, Sure
from pilotfish.retrieve.rag.enough import threshold_of
from pilotfish.rows._row import Row
from pilotfish.rows.run import read_output, run
from pilotfish.rows.stage import AsyncStage

RUNS = Path(__file__).resolve().parents[1] / ".bench" / "rag"
MODEL, SMALL, ENCODER = "qwen2.5-coder-1.5b-instruct", "smollm2-135m-instruct", "all-minilm-l6-v2"
ASKED, CHOSEN_ON, PROMISED_ON, BUDGET = 100, 40, 200, 700
PRICE = Price(0.15, 0.60)
SHORT = "\n\nAnswer with a few words and nothing else."
WORD = "\n\nAnswer with one word: yes, no or maybe."
Floats = NDArray[np.float64]
Score = Callable[[str, Sequence[str]], float]


@dataclass(frozen=True)
class Question:
    """A question, what answers it, and the document that it is of."""

    text: str
    truths: tuple[str, ...]
    document: str


@dataclass(frozen=True)
class Task:
    """A set: documents, questions to be asked, and others to choose by.

    Attributes:
        name: in cases.
        documents: all of them.
        asked: the questions that are measured.
        others: questions for thresholds.
        suffix: what a question ends with.
        k: passages.
        tokens: of an answer.
        scores: of an answer, by their names; the first one chooses thresholds.
    """

    name: str
    documents: list[Document]
    asked: list[Question]
    others: list[Question]
    suffix: str
    k: int
    tokens: int
    scores: dict[str, Score]


class Asking(AsyncStage):
    """Asks a model, and keeps its answer with what it took."""

    def __init__(self, model: Model, tokens: int, concurrency: int = 8) -> None:
        self.model, self.tokens, self.concurrency = model, tokens, concurrency

    @property
    def title(self) -> str:
        """The model's name."""
        return f"Asking({self.model.name})"

    async def each(self, row: Row) -> Row:
        """Return the answer, its tokens, what was decided, and which sources it was given."""
        reply = await self.model.reply(
            Request.of(row["question"], temperature=0.0, max_tokens=self.tokens, logprobs=row["logprobs"])
        )
        return {"number": row["number"], **told_of(reply)}


def told_of(reply: Reply) -> Row:
    """Return what is kept of a reply."""
    return {
        "text": reply.text.strip(),
        "logprob": reply.mean_logprob,
        "in": reply.usage.tokens_in,
        "out": reply.usage.tokens_out,
        "looked": any(call.role == "retriever" for call in reply.trace.calls),
        "sources": [source.document for source in reply.trace.sources],
        "refused": reply.text.startswith(NOT_FOUND.rstrip(".")),
    }


def main(quick: bool, data: Path | None) -> dict[str, Any]:
    """Return accuracy, tokens and dollars of each way, and what is refused."""
    if data is None and not quick:
        return {"name": "rag", "peer": "needs --data: the folder of data sets", "cases": []}
    cases = Cases("rag", quick=quick)
    model = LocalModel(SMALL if quick else MODEL, quantize="int8")
    encoder = Encoder(ENCODER)
    for task in [boats()] if quick or data is None else [xquad(data), pubmedqa(data)]:
        cases.add(of_task(task, model, encoder, RUNS / ("quick" if quick else "whole") / task.name))
    return {"name": "rag", "peer": "the model without passages", "cases": cases.found}


def xquad(data: Path) -> Task:
    """Return XQuAD: short answers that stand in a paragraph."""
    articles = json.loads((data / "xquad_en" / "xquad.en.json").read_text(encoding="utf-8"))["data"]
    documents, questions = [], []
    for article in articles:
        for number, paragraph in enumerate(article["paragraphs"]):
            id = f"{article['title']}-{number}"
            documents.append(Document(id, paragraph["context"], article["title"].replace("_", " ")))
            for one in paragraph["qas"]:
                truths = tuple(dict.fromkeys(answer["text"] for answer in one["answers"]))
                questions.append(Question(one["question"], truths, id))
    random.Random(0).shuffle(questions)
    scores: dict[str, Score] = {"exact match": exact_match, "F1": word_f1}
    return Task("XQuAD", documents, questions[:ASKED], questions[ASKED:], SHORT, 3, 24, scores)


def pubmedqa(data: Path) -> Task:
    """Return PubMedQA: yes, no or maybe by an abstract without its conclusion."""
    rows = json.loads((data / "pubmedqa" / "ori_pqal.json").read_text(encoding="utf-8"))
    official = json.loads((data / "pubmedqa" / "test_ground_truth.json").read_text(encoding="utf-8"))
    documents = [Document(id, "\n".join(row["CONTEXTS"])) for id, row in rows.items()]
    found = {id: Question(row["QUESTION"], (row["final_decision"],), id) for id, row in rows.items()}
    asked, others = [found[id] for id in official], [one for id, one in found.items() if id not in official]
    for some in (asked, others):
        random.Random(0).shuffle(some)
    return Task("PubMedQA", documents, asked[:ASKED], others, WORD, 2, 8, {"accuracy": first_word})


def boats() -> Task:
    """Return made-up boats, whose numbers nobody knows."""
    dice = random.Random(0)
    names = ["Alba", "Boreas", "Cygnet", "Dorado", "Egret", "Fulmar", "Gannet", "Heron", "Ibis", "Jacana", "Kestrel"]
    years = {name: str(dice.randint(1820, 1990)) for name in names}
    documents = [Document(name, f"The boat {name} was built in {year}.", name) for name, year in years.items()]
    questions = [Question(f"In which year was the boat {name} built?", (year,), name) for name, year in years.items()]
    scores: dict[str, Score] = {"exact match": exact_match, "F1": word_f1}
    return Task("boats", documents, questions[:4], questions[4:] * 10, SHORT, 2, 12, scores)


def first_word(answer: str, truths: Sequence[str]) -> float:
    """Return 1 where the first word is the right one."""
    words = answer.casefold().replace(",", " ").replace(".", " ").split()
    return float(bool(words) and words[0] in truths)


def of_task(task: Task, model: LocalModel, encoder: Encoder, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the cases of a set."""
    documents = {question.document for question in task.asked}
    with indexed(task.documents, encoder, folder / "index") as index:
        found = over(index)
        chosen, promised = task.others[:CHOSEN_ON], task.others[CHOSEN_ON:][:PROMISED_ON]
        rag = Retrieving(found, model, task.k, BUDGET, cite="no", name="rag")
        closed = answers(model, task, task.asked, folder / "closed", logprobs=True)
        looked = answers(rag, task, task.asked, folder / "rag")
        above = threshold(
            task,
            answers(model, task, chosen, folder / "closed-others", logprobs=True),
            answers(rag, task, chosen, folder / "rag-others"),
            chosen,
        )
        yield {
            "case": f"{task.name}: threshold of the mean log-probability",
            "value": above,
            "unit": "nats",
            "n": len(chosen),
        }
        adaptive = replace(rag, whether=Sure(model, Above("mean-logprob", above)), name="adaptive")
        unsure = answers(adaptive, task, task.asked, folder / f"adaptive-{above:.6g}")
        ways = {"closed-book": closed, "RAG": looked, "adaptive RAG": unsure}
        hits = [question.document in row["sources"] for question, row in zip(task.asked, looked, strict=True)]
        yield estimated(f"{task.name}: its own document is among the passages", wilson(sum(hits), len(hits)), "share")
        yield from compared(task, ways)
        best = [hits[0].score for hits in index.retriever("dense").search([one.text for one in promised], 1)]
        enough = threshold_of(best, promise=0.1)
        yield {
            "case": f"{task.name}: threshold of the best cosine",
            "value": enough.above,
            "unit": "cosine",
            "n": len(best),
        }
        careful = replace(rag, retriever=index.retriever("dense"), enough=EnoughByScore(enough.above), name="careful")
        there = answers(careful, task, task.asked, folder / f"careful-{enough.above:.6g}")
    with indexed([one for one in task.documents if one.id not in documents], encoder, folder / "without") as index:
        careful = replace(careful, retriever=index.retriever("dense"))
        gone = answers(careful, task, task.asked, folder / f"without-{enough.above:.6g}")
        without = answers(replace(rag, retriever=over(index)), task, task.asked, folder / "rag-without")
    for title, rows in (("the document is there", there), ("the document is not there", gone)):
        share = wilson(sum(row["refused"] for row in rows), len(rows))
        yield estimated(f"{task.name}: refused by evidence, {title}", share, "share")
    for title, rows in (("the document is there", looked), ("the document is not there", without)):
        share = wilson(sum(row["refused"] for row in rows), len(rows))
        yield estimated(f"{task.name}: refused by the model's own word, {title}", share, "share")


def indexed(documents: Sequence[Document], encoder: Encoder, folder: Path) -> Index:
    """Return an index of documents as they are, by words and by vectors."""
    index = Index.create(folder, ("bm25", "dense"), encoders=Encoders(dense=encoder))
    index.add(documents, progress=False)
    return index


def over(index: Index) -> Retriever:
    """Return the hybrid of both ways."""
    return Hybrid([index.retriever("bm25"), index.retriever("dense")])


def answers(
    model: Model, task: Task, questions: Sequence[Question], folder: Path, *, logprobs: bool = False
) -> list[Row]:
    """Return what a model says to questions; each is asked once."""
    rows: list[Row] = [
        {"number": number, "question": one.text + task.suffix, "logprobs": logprobs}
        for number, one in enumerate(questions)
    ]
    run(rows, Asking(model, task.tokens), folder)
    return sorted(read_output(folder), key=lambda row: int(row["number"]))


def scored(task: Task, rows: Sequence[Row], questions: Sequence[Question], name: str) -> Floats:
    """Return a score of each answer."""
    score = task.scores[name]
    return np.array([score(row["text"], one.truths) for row, one in zip(rows, questions, strict=True)])


def threshold(task: Task, closed: Sequence[Row], looked: Sequence[Row], questions: Sequence[Question]) -> float:
    """Return above which mean log-probability the closed-book answer stays, so that most are right."""
    name = next(iter(task.scores))
    mine, theirs = scored(task, closed, questions, name), scored(task, looked, questions, name)
    logs = np.array([row["logprob"] for row in closed])
    tried = [*sorted(set(logs.tolist())), 1.0]  # at 1 all are looked up
    # Of equal ones the lowest: it looks least.
    return float(max(tried, key=lambda above: (np.where(logs >= above, mine, theirs).mean(), -above)))


def compared(task: Task, ways: dict[str, list[Row]]) -> Iterator[dict[str, Any]]:
    """Yield each way's scores, its difference to the closed-book one, its tokens and dollars."""
    for name in task.scores:
        base = scored(task, ways["closed-book"], task.asked, name)
        for way, rows in ways.items():
            mine = scored(task, rows, task.asked, name)
            yield estimated(f"{task.name}, {way}: {name}", bootstrap(mine), name)
            if way != "closed-book":
                gain = paired_bootstrap(mine, base)
                yield estimated(f"{task.name}, {way}: {name} over closed-book", gain, f"difference of {name}")
        above = paired_bootstrap(
            scored(task, ways["adaptive RAG"], task.asked, name), scored(task, ways["RAG"], task.asked, name)
        )
        yield estimated(f"{task.name}, adaptive RAG: {name} over RAG", above, f"difference of {name}")
    for way, rows in ways.items():
        tokens = np.array([[row["in"], row["out"]] for row in rows], np.float64)
        yield estimated(f"{task.name}, {way}: tokens in", bootstrap(tokens[:, 0]), "tokens a question")
        yield estimated(f"{task.name}, {way}: tokens out", bootstrap(tokens[:, 1]), "tokens a question")
        dollars = np.array([1000 * PRICE.cost(int(one), int(other)) for one, other in tokens])
        yield estimated(f"{task.name}, {way}: cost", bootstrap(dollars), "dollars a thousand questions")
        looked = wilson(sum(row["looked"] for row in rows), len(rows))
        yield estimated(f"{task.name}, {way}: looked up", looked, "share")
