"""The ways of answering that an advice tries: each a role of the survey, as tables of a collaboration file.

What is measured is built of the very tables that the output folder's file holds, so that what was measured is what is
served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pilotfish.compete.candidate import Family

if TYPE_CHECKING:
    from pilotfish.compete.advisor.task import AnswerTask

__all__ = ["EXAMPLES", "INDEX", "SCHEMA", "TAGGER", "TAUGHT", "TUNED", "Facts", "Tables", "Way", "ways_of"]

EXAMPLES = "examples.jsonl"
INDEX = "index"
SCHEMA = "fields.json"
TUNED, TAUGHT, TAGGER = "tuned", "taught", "tagger"
LONG = 300  # tokens of a prompt from which on it is worth making shorter
Tables = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Facts:
    """What is known of the models and the rows before anything is asked.

    Attributes:
        small, large: the names of the two models; `large` None where there is none.
        local: those of them whose weights are here.
        same_vocabulary: the two have the same tokens.
        causal: the small model can be trained here.
        prompt_tokens: the median of the small model's tokens a prompt, by which long ones are told.
        documents: there are some to look things up in.
        weights: the small model's, where they are here.
        encoder: weights of an encoder, for a tagger.
    """

    small: str
    large: str | None
    local: frozenset[str]
    same_vocabulary: bool
    causal: bool
    prompt_tokens: int
    documents: bool
    weights: str | None = None
    encoder: str = "all-minilm-l6-v2"


@dataclass(frozen=True)
class Way:
    """One way to answer.

    Attributes:
        key: a short name; the model's in the output file, too.
        title: what a reader sees.
        family: of the answers it belongs to.
        leaf: of the survey; "" of the two models by themselves.
        base: the key of the way that it is measured against.
        what: what is done, in a sentence for the report.
        tables: `[models]` tables by name; the one called `key` answers. None: a model of the user's own.
        needs: what must have been made: a student, or an index.
        same: it answers as its base does, only faster or shorter, so that a few rows do.
    """

    key: str
    title: str
    family: Family
    leaf: str = ""
    base: str = ""
    what: str = ""
    tables: Mapping[str, Mapping[str, Any]] | None = None
    needs: Literal["", "tuned", "taught", "tagger", "index"] = ""
    same: bool = field(default=False)


def ways_of(task: AnswerTask, facts: Facts, names: Mapping[str, str]) -> list[Way]:
    """Return the ways that the rows and the models allow, the two models by themselves first.

    Args:
        task: what is asked.
        facts: of models and rows.
        names: the models' names as a reader knows them, by their names in the file.
    """
    small, large = facts.small, facts.large
    found = [Way("small", names[small], "small")]
    if large is not None:
        found.append(Way("large", names[large], "large"))
    sides = [("small", small)] + ([("large", large)] if large is not None else [])
    examples = len(task.examples()) >= 8
    for side, model in sides:
        assert model is not None
        if examples:
            found.append(_shown(side, model, names[model]))
        if facts.documents:
            found.append(_reading(side, model, names[model]))
            if side == "small":
                found.append(_reading_less(model, names[model]))
        if side == "small" and (task.fields or task.kind == "generation"):
            found.append(_repaired(task, model, names[model]))
    if task.fields and examples:
        found.append(
            Way(
                "tagger",
                "tagger of words",
                "small",
                "entities",
                "small",
                "a small encoder, fine-tuned on the training rows, marks where the values stand",
                {"tagger": {"use": "classifier", "path": TAGGER}},
                "tagger",
            )
        )
    if facts.causal and examples:
        found.append(
            Way(
                "tuned",
                f"{names[small]}, fine-tuned on people's answers",
                "small",
                "",
                "small",
                "the small model fine-tuned (LoRA) on the training rows' right answers",
                {"tuned": {"use": "local", "weights": TUNED}},
                "tuned",
            )
        )
    if facts.causal and large is not None:
        found.append(
            Way(
                "taught",
                f"{names[small]}, taught by {names[large]}",
                "taught",
                "distil-black",
                "small",
                "the small model fine-tuned (LoRA) on what the large one answers to training rows",
                {"taught": {"use": "local", "weights": TAUGHT}},
                "taught",
            )
        )
    if large is not None:
        found += _with_both(task, facts, names)
    return found


def _shown(side: str, model: str, name: str) -> Way:
    table = {
        "use": "demonstrated",
        "model": model,
        "rows": EXAMPLES,
        "find": "words",
        "k": 4,
        "budget": 1200,
    }
    return Way(
        f"{side}-shown",
        f"{name} + solved examples",
        "small" if side == "small" else "large",
        "prompt-enhance",
        side,
        "the four training rows most like a question, by their words, stand solved before it",
        {f"{side}-shown": table},
    )


def _reading(side: str, model: str, name: str) -> Way:
    table = {"use": "retrieve", "model": model, "retriever": "both", "k": 8, "budget": 1000, "cite": "strip"}
    return Way(
        f"{side}-reading",
        f"{name} + passages",
        "small" if side == "small" else "large",
        "retrieve",
        side,
        "passages found by words and by meaning, joined by rank, stand before the question",
        {f"{side}-reading": table},
        "index",
    )


def _reading_less(model: str, name: str) -> Way:
    """Passages made shorter by what the question asks for."""
    table = {
        "use": "retrieve",
        "model": model,
        "retriever": "both",
        "k": 8,
        "budget": 400,
        "cite": "strip",
        "compress": {"by": "sentences"},
    }
    return Way(
        "small-reading-less",
        f"{name} + passages made shorter",
        "small",
        "prompt-compress",
        "small-reading",
        "of the passages found, the sentences nearest to the question, in two fifths of the room",
        {"small-reading-less": table},
        "index",
    )


def _repaired(task: AnswerTask, model: str, name: str) -> Way:
    plugins = (
        [{"use": "json", "schema_file": SCHEMA}]
        if task.fields
        else [
            {"use": "calculation"},
            {"use": "repetition"},
        ]
    )
    what = (
        "what is not quite JSON, or not of the schema, is mended"
        if task.fields
        else "sums are computed again, and what is said over and over is cut"
    )
    return Way(
        "small-repaired",
        f"{name} + plug-ins",
        "small",
        "plug-ins",
        "small",
        what,
        {"small-repaired": {"use": "repaired", "model": model, "plugins": plugins}},
    )


def _with_both(task: AnswerTask, facts: Facts, names: Mapping[str, str]) -> list[Way]:
    small, large = facts.small, facts.large
    assert large is not None
    found: list[Way] = []
    check = _check(task, facts)
    if check is not None:
        table = {"use": "verified", "model": small, "verify": [check[0]], "on_reject": "stop", "fallback": large}
        found.append(
            Way(
                "verified",
                f"{names[small]}, verified",
                "cascade",
                "verify",
                "small",
                f"the small model's answer stands where {check[1]}; else the large one is asked",
                {"verified": table},
            )
        )
    both_here = {small, large} <= facts.local
    if facts.prompt_tokens >= LONG:
        found.append(
            Way(
                "large-compressed",
                f"{names[large]}, prompts halved",
                "large",
                "prompt-compress",
                "large",
                "half of each prompt, what the small model would have foretold or the question least asks for, is cut",
                {"large-compressed": {"use": "compressed", "model": large, "rate": 0.5, **_shorter(facts)}},
            )
        )
    if large in facts.local:
        draft = small if both_here and facts.same_vocabulary else "prompt-lookup"
        who = "the small model" if draft == small else "the prompt's own words"
        found.append(
            Way(
                "large-drafted",
                f"{names[large]}, drafted",
                "large",
                "speculate",
                "large",
                f"the large model checks what {who} drafted: the same answers in fewer passes",
                {"large-drafted": {"use": "speculative", "target": large, "draft": draft}},
                same=True,
            )
        )
    if both_here and facts.same_vocabulary:
        found.append(
            Way(
                "contrasted",
                f"{names[large]} less {names[small]}",
                "large",
                "contrast",
                "large",
                "of the large model's likely tokens, those that the small one finds least likely",
                {"contrasted": {"use": "contrastive", "expert": large, "amateur": small}},
            )
        )
        if facts.causal:
            found.append(
                Way(
                    "steered",
                    f"{names[large]}, steered by the fine-tuned small model",
                    "large",
                    "adapt-white",
                    "large",
                    "the large model's logits plus what fine-tuning changed in the small one's (proxy-tuning)",
                    {
                        "steered": {
                            "use": "proxy-tuned",
                            "base": large,
                            "expert": "tuned",
                            "anti_expert": small,
                        },
                        "tuned": {"use": "local", "weights": TUNED},
                    },
                    "tuned",
                )
            )
    return found


def _shorter(facts: Facts) -> dict[str, Any]:
    """Return how prompts are made shorter: by the small model's perplexity, where its weights are here."""
    parts = ["context", "question"]
    if facts.weights is not None and facts.small in facts.local:
        return {"by": "perplexity", "weights": facts.weights, "one_pass": True, "parts": parts}
    return {"by": "sentences", "rank": "words", "parts": parts}


def _check(task: AnswerTask, facts: Facts) -> tuple[dict[str, Any], str] | None:
    """Return a check of answers that needs no right one, and when it lets one stand; None where none fits."""
    if task.fields:
        return {"by": "schema", "schema_file": SCHEMA}, "it is of the schema"
    if facts.documents:
        return {"by": "grounded"}, "its sentences stand in what was asked"
    right = [one["output"] for one in task.examples()]
    if right and sum(any(sign in one for sign in "=+×*/") for one in right) > len(right) / 2:
        return {"by": "sums", "needed": True}, "its sums are right"
    return None
