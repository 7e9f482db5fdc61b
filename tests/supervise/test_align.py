"""The faces of alignment at inference against the papers' algorithms, written token by token."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch

from pilotfish import ask
from pilotfish.decode import rules
from pilotfish.decode.search import ChunkBeamSearch
from pilotfish.errors import ConfigError, ModelError
from pilotfish.infer import Cascade, Verdict
from pilotfish.model import Request
from pilotfish.models.local import LocalModel
from pilotfish.supervise import Nudged, RewardGuided, WeakToStrongSearch
from tests.asking import are_answers_alone, streamed
from tests.decode.tinies import greedy, last_logits, local, shown
from tests.fakes import ScriptedModel

ASKED = Request.of("Where is my card?", max_tokens=14)


def test_nudging_by_tokens_is_the_rule() -> None:
    models = [local(1), local(2)]
    gamma = 0.35
    tokens, _ = greedy(partial(rules.nudging, gamma=gamma), models, [one.prompt_ids(ASKED) for one in models], 14)
    reply = ask(Nudged(*models, gamma=gamma, unit="token"), ASKED)
    assert reply.text == shown(models[0], tokens)
    assert [call.role for call in reply.trace.calls] == ["base", "nudging"]


def nudged_by_hand(base: LocalModel, nudge: LocalModel, gamma: float, limit: int) -> list[int]:
    """Fei et al. 2025, algorithm 1, greedy, on texts; every distribution from a whole forward pass."""
    prompts = base.prompt_ids(ASKED), nudge.prompt_ids(ASKED)
    said: list[int] = []
    while len(said) < limit:
        p = last_logits(base, [*prompts[0], *said]).softmax(-1)
        text = shown(base, said)
        if float(p.max()) >= gamma or text.endswith("\ufffd"):
            token = int(p.argmax())
            if token in base.ends:
                break
            said.append(token)
            continue
        stands = nudge.tokenizer(text, add_special_tokens=False)["input_ids"]
        word: list[int] = []
        ended = False
        for _ in range(12):
            token = int(last_logits(nudge, [*prompts[1], *stands, *word]).argmax())
            if token in nudge.ends:
                ended = True
                break
            word.append(token)
            if re.match(r"\s*\S+\s", shown(nudge, word)):
                break
        more = shown(nudge, word)
        found = re.match(r"\s*\S+(?=\s)", more)
        more = found.group() if found else more
        if not more and ended:
            break
        if not more or "\ufffd" in more:
            token = int(p.argmax())
            if token in base.ends:
                break
            said.append(token)
            continue
        said += base.tokenizer(more, add_special_tokens=False)["input_ids"]
    return said[:limit]


@pytest.mark.parametrize("gamma", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("cut", ["plain", "melting"])
def test_nudging_by_words_is_the_papers_algorithm(gamma: float, cut: Any) -> None:
    base, nudge = local(1), local(2, cut)
    wanted = nudged_by_hand(base, nudge, gamma, 40)
    model = Nudged(base, nudge, gamma=gamma)
    reply = ask(model, ASKED.with_(max_tokens=40))
    assert reply.text == shown(base, wanted)
    (decision,) = reply.trace.decisions
    assert decision.verdict == "nudged" and decision.score is not None
    assert (decision.score == 0) == (gamma == 0)
    assert [(call.model, call.role) for call in reply.trace.calls] == [("tiny-1", "base"), ("tiny-2", "nudging")]


def test_nudged_answers_together_are_answers_alone() -> None:
    model = Nudged(local(1), local(2, "melting"), gamma=0.5)
    texts = ["the dog", "Where is it? I want", "x"]
    requests = [Request.of(text, max_tokens=16, temperature=t, seed=5) for text in texts for t in (0.0, 0.8)]
    are_answers_alone(model, requests)


def test_nudged_logprobs_are_the_bases() -> None:
    base = local(1)
    reply = ask(Nudged(base, local(2, "melting"), gamma=0.5), ASKED.with_(logprobs=True, max_tokens=20))
    wanted = nudged_by_hand(base, local(2, "melting"), 0.5, 20)
    assert reply.logprobs is not None and len(reply.logprobs) == len(wanted)
    prompt = base.prompt_ids(ASKED)
    for i, (token, shown_as) in enumerate(zip(wanted, reply.logprobs, strict=True)):
        logprob = last_logits(base, [*prompt, *wanted[:i]]).log_softmax(-1)[token]
        assert shown_as.logprob == pytest.approx(float(logprob), abs=1e-3)


def longer_is_better(prompt: str, answers: Sequence[str]) -> list[float]:
    assert prompt == "Where is my card?"
    return [float(len(answer) % 7) for answer in answers]


def args_by_hand(weight: float, k: int, limit: int) -> str:
    model = local(1)
    prompt = model.prompt_ids(ASKED)
    tokens: list[int] = []
    while len(tokens) < limit:
        logits = last_logits(model, [*prompt, *tokens])
        best = torch.topk(logits, k).indices.tolist()
        scores = [float(logits[v]) + weight * (len(shown(model, [*tokens, v])) % 7) for v in best]
        token = best[scores.index(max(scores))]
        if token in model.ends:
            break
        tokens.append(token)
    return shown(model, tokens)


@pytest.mark.parametrize(("weight", "k"), [(2.0, 10), (0.3, 3), (0.0, 5)])
def test_args_is_the_papers_algorithm(weight: float, k: int) -> None:
    model = RewardGuided(local(1), longer_is_better, weight=weight, k=k)
    reply = ask(model, ASKED)
    assert reply.text == args_by_hand(weight, k, 14)
    base, reward = reply.trace.calls
    assert (base.role, reward.role, reward.model) == ("base", "reward", "longer_is_better")
    # The base is fed all tokens but the last; a token has k candidates.
    assert reward.why == f"{k * (base.tokens_out + 1)} candidates"


def test_sampled_args_draws_from_the_candidates_by_their_scores() -> None:
    model = RewardGuided(local(1), lambda prompt, answers: [float(len(a)) for a in answers], weight=0.5, k=4)
    request = ASKED.with_(max_tokens=1, temperature=2.0, n=4000, seed=1)
    reply = ask(model, request)
    logits = last_logits(local(1), local(1).prompt_ids(ASKED))
    best = torch.topk(logits, 4).indices.tolist()
    texts = [shown(local(1), [v]) for v in best]
    scores = torch.tensor([float(logits[v]) + 0.5 * len(t) for v, t in zip(best, texts, strict=True)]) / 2
    counts = dict.fromkeys(texts, 0.0)
    for one in (reply, *reply.choices):
        counts[one.text] += 1
    wanted: dict[str, float] = dict.fromkeys(texts, 0.0)
    for text, p in zip(texts, scores.softmax(-1).tolist(), strict=True):
        wanted[text] += 4000 * p
    chi = sum((counts[text] - wanted[text]) ** 2 / wanted[text] for text in wanted)
    assert chi < 22  # 0.9999 quantile of chi-square with 3 degrees of freedom: 21.1


def test_the_implicit_reward_is_a_rule_in_lockstep() -> None:
    models = [local(1), local(2), local(3)]
    prompts = [one.prompt_ids(ASKED) for one in models]
    model = RewardGuided(models[0], tuned=models[1], reference=models[2], weight=0.8, k=6)
    reply = ask(model, ASKED)
    prompt_tokens: list[int] = []
    while len(prompt_tokens) < 14:
        base, tuned, reference = (
            last_logits(one, [*ids, *prompt_tokens]) for one, ids in zip(models, prompts, strict=True)
        )
        best = torch.topk(base, 6).indices
        score = base + 0.8 * (tuned.log_softmax(-1) - reference.log_softmax(-1))
        token = int(best[score[best].argmax()])
        if token in models[0].ends:
            break
        prompt_tokens.append(token)
    assert reply.text == shown(models[0], prompt_tokens)
    assert model.decoder().members == 3


class Labels:
    """A classifier, as far as a reward needs it."""

    classes_ = ("bad", "good")

    def predict_proba(self, texts: Sequence[str]) -> list[list[float]]:
        return [[0.25, 0.75] if "a" in text else [0.9, 0.1] for text in texts]


class LabelModel(ScriptedModel):
    def __init__(self) -> None:
        super().__init__(name="tone")
        self.classifier = Labels()


def test_a_classifiers_log_odds_are_a_reward() -> None:
    model = RewardGuided(local(1), LabelModel(), label="good")
    assert model.reward is not None
    assert list(model.reward("", ["cat", "dog"])) == pytest.approx([math.log(3), math.log(1 / 9)])
    assert ask(model, ASKED).trace.calls[1].model == "tone"
    with pytest.raises(ConfigError, match="say which label is the good one: bad, good"):
        RewardGuided(local(1), LabelModel())
    with pytest.raises(ConfigError, match="did you mean 'good'"):
        RewardGuided(local(1), LabelModel(), label="goood")
    with pytest.raises(ConfigError, match="'scripted' is no reward"):
        RewardGuided(local(1), ScriptedModel())
    with pytest.raises(ModelError, match="1 rewards for 10 texts"):
        ask(RewardGuided(local(1), lambda prompt, answers: [0.0]), ASKED)


def judged(models: Sequence[LocalModel], tokens: Sequence[int]) -> float:
    """Log π_tuned - log π_ref of an answer, by whole forward passes."""
    totals = []
    for model in models:
        prompt = model.prompt_ids(ASKED)
        totals.append(
            sum(
                float(last_logits(model, [*prompt, *tokens[:i]]).log_softmax(-1)[token])
                for i, token in enumerate(tokens)
            )
        )
    return totals[0] - totals[1]


class Watched(ChunkBeamSearch):
    """Checks every selection against whole forward passes."""

    small: Sequence[LocalModel] = ()
    selections = 0
    best: list[int] | None = None

    def _select(self, jobs: Any) -> None:
        before = {id(job): [(list(b.tokens), b.score) for b in job.state.beams] for job in jobs}
        super()._select(jobs)
        for job in jobs:
            candidates = before[id(job)]
            for tokens, score in candidates:
                assert score == pytest.approx(judged(self.small, tokens), abs=2e-3)
            best = sorted(candidates, key=lambda found: -found[1])[: self.beams]
            kept = {tuple(beam.tokens) for beam in job.state.beams}
            assert kept == {tuple(tokens) for tokens, _ in best}
            Watched.selections += 1
            Watched.best = best[0][0]


@pytest.mark.parametrize(
    ("beams", "successors", "chunk"), [(2, 3, 3), (1, 4, 0), (3, 1, 2), (1, 1, 5)], ids=["cbs", "best", "beams", "one"]
)
def test_the_search_keeps_the_best_of_every_chunk(
    monkeypatch: pytest.MonkeyPatch, beams: int, successors: int, chunk: int
) -> None:
    Watched.small, Watched.selections = [local(2), local(3)], 0
    monkeypatch.setattr("pilotfish.decode.search.ChunkBeamSearch", Watched)
    model = WeakToStrongSearch(
        local(1), local(2), local(3), beams=beams, successors=successors, chunk=chunk, temperature=1.0
    )
    reply = ask(model, ASKED.with_(max_tokens=8, seed=4, logprobs=True))
    assert Watched.selections >= 1
    assert [call.role for call in reply.trace.calls] == ["base", "tuned", "reference"]
    assert reply.logprobs is not None
    # The tokens are not shown, but their log-probabilities are those of the best continuation's own passes.
    assert Watched.best is not None
    tokens = [token for token in Watched.best if token not in local(1).ends]
    prompt = local(1).prompt_ids(ASKED)
    assert len(reply.logprobs) == len(tokens) and reply.text == shown(local(1), tokens)
    for i, one in enumerate(reply.logprobs):
        wanted = last_logits(local(1), [*prompt, *tokens[:i]]).log_softmax(-1)[tokens[i]]
        assert one.logprob == pytest.approx(float(wanted), abs=1e-3)


def test_a_search_streams_what_it_will_not_take_back() -> None:
    model = WeakToStrongSearch(local(1), local(2), local(3), beams=2, successors=2, chunk=3, temperature=0.6)

    for seed in range(6):
        request = ASKED.with_(max_tokens=20, seed=seed)
        text = ask(model, request).text
        pieces = streamed(model, request)
        assert "".join(delta.text for delta in pieces) == text
        assert pieces[-1].reply is not None and pieces[-1].reply.text == text


def test_one_beam_streams_chunk_by_chunk() -> None:
    model = WeakToStrongSearch(local(1), local(2), local(3), beams=1, successors=3, chunk=2, temperature=1.0)

    pieces = streamed(model, ASKED.with_(max_tokens=12, seed=1))
    assert sum(bool(delta.text) for delta in pieces) > 3


def test_a_greedy_search_is_the_base_alone() -> None:
    model = WeakToStrongSearch(local(1), local(2), local(3))
    assert ask(model, ASKED.with_(temperature=0.0)).text == ask(local(1), ASKED).text


def test_a_search_scores_higher_than_drawing_once() -> None:
    def score(model: WeakToStrongSearch, seed: int) -> float:
        decisions = ask(model, ASKED.with_(max_tokens=12, seed=seed, temperature=1.0)).trace.decisions
        assert decisions[0].score is not None
        return decisions[0].score

    searching = WeakToStrongSearch(local(1), local(2), local(3), beams=2, successors=4, chunk=3)
    once = WeakToStrongSearch(local(1), local(2), local(3), beams=1, successors=1)
    gained = [score(searching, seed) - score(once, seed) for seed in range(12)]
    assert sum(gained) / 12 > 3


def test_searches_together_are_searches_alone() -> None:
    model = WeakToStrongSearch(local(1), local(2), local(3), beams=2, successors=2, chunk=2, temperature=1.0)
    requests = [Request.of(text, max_tokens=9, seed=2) for text in ("the dog", "Where is it? I want", "x")]
    are_answers_alone(model, requests)


def test_judges_of_another_vocabulary_read_the_text() -> None:
    base, tuned, reference = local(1), local(2, "melting"), local(3, "melting")
    model = WeakToStrongSearch(base, tuned, reference, beams=2, successors=2, chunk=4, temperature=1.0)
    reply = ask(model, ASKED.with_(max_tokens=12, seed=3))
    totals = []
    for one in (tuned, reference):
        prompt = one.prompt_ids(ASKED)
        ids = one.tokenizer(reply.text, add_special_tokens=False)["input_ids"]
        if reply.finish_reason == "stop":
            ids = [*ids, one.tokenizer.eos_token_id]
        totals.append(sum(float(last_logits(one, [*prompt, *ids[:i]]).log_softmax(-1)[t]) for i, t in enumerate(ids)))
    if "\ufffd" not in reply.text:
        assert reply.trace.decisions[0].score == pytest.approx(totals[0] - totals[1], abs=5e-3)


def test_formats_hold() -> None:
    form = {"type": "regex", "pattern": "(refund|cat|dog)"}
    for model in (
        Nudged(local(1), local(2, "melting"), gamma=1.0),
        RewardGuided(local(1), longer_is_better),
        RewardGuided(local(1), tuned=local(2), reference=local(3)),
        WeakToStrongSearch(local(1), local(2), local(3), beams=2, successors=2, chunk=2, temperature=1.0),
    ):
        assert ask(model, ASKED.with_(response_format=form)).text in ("refund", "cat", "dog")


def test_what_has_no_next_token_is_no_part_of_a_lockstep() -> None:
    for model in (
        WeakToStrongSearch(local(1), local(2), local(3)),
        Nudged(local(1), local(2)),
        RewardGuided(local(1), longer_is_better),
    ):
        with pytest.raises(ConfigError, match="gives no next-token logits"):
            Nudged(model, local(2), unit="token")
        with pytest.raises(ConfigError, match="gives no next-token logits"):
            model.decoder()
    assert isinstance(Nudged(Nudged(local(1), local(2), unit="token"), local(3)), Nudged)


def test_they_nest_under_other_collaborations() -> None:
    cascade = Cascade(
        WeakToStrongSearch(local(1), local(2), local(3), beams=1, successors=2),
        ScriptedModel("large"),
        lambda request, reply: Verdict(False, 0.0),
    )
    reply = ask(cascade, ASKED.with_(max_tokens=4))
    assert reply.text == "large" and len(reply.trace.calls) == 4


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Nudged(local(1), ScriptedModel()), "nudged: nudging: 'scripted'"),
        (lambda: Nudged(local(1), local(2), gamma=2), "gamma is a probability"),
        (lambda: Nudged(local(1), local(2), unit="line"), "not 'line'"),  # type: ignore[arg-type]
        (lambda: RewardGuided(local(1)), "give a reward, or"),
        (lambda: RewardGuided(local(1), tuned=local(2)), "give a reward, or"),
        (lambda: RewardGuided(local(1), longer_is_better, k=0), "k must be at least 1"),
        (lambda: RewardGuided(local(1), longer_is_better, label="good"), "a label belongs to a classifier"),
        (lambda: WeakToStrongSearch(local(1), local(2), ScriptedModel()), "weak-to-strong-search: reference"),
        (lambda: WeakToStrongSearch(local(1), local(2), local(3), beams=0), "not 0, 4, 5"),
    ],
)
def test_settings_that_cannot_be(make: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()
