"""The draft's length is the one that pays, by measured times; drafting stops where none does, and is tried again."""

from __future__ import annotations

import io
import random

import pytest

from pilotfish.decode.sampler import Sampler, Sampling
from pilotfish.decode.speculative import Auto, Fixed, LookupDraft, Plan, Seat, SpeculativeReport, Tree
from pilotfish.decode.speculative.curve import Curve
from pilotfish.decode.speculative.policy import Round
from pilotfish.decode.strategy import Job


class Machine:
    """Plays rounds against a policy: target passes of `base + slope * tokens` seconds, draft passes of `draft`."""

    def __init__(
        self, base: float, slope: float, draft: float, alpha: float, noise: float = 0.0, rows: int = 1
    ) -> None:
        self.base, self.slope, self.draft, self.alpha, self.noise, self.rows = base, slope, draft, alpha, noise, rows
        self.dice = random.Random(1)
        self.tokens, self.seconds = 0, 0.0
        self.lengths: list[int] = []
        self.arms: list[str] = []

    def time(self, seconds: float) -> float:
        # Interrupted now and then by something else.
        return seconds * (1 + self.noise * self.dice.random()) * (20 if self.noise and self.dice.random() < 0.02 else 1)

    def play(self, policy: Auto, rounds: int) -> None:
        for _ in range(rounds):
            arm, longest, tree = policy.choose(self.rows)
            judged, drafted, steps, gained = [], 0, 0, 0
            for _row in range(self.rows):
                length, survival = 0, 1.0
                while length < longest:
                    survival *= policy.chance(3)
                    if not policy.goes_on(survival, paid=True):
                        break
                    length += 1
                    if not policy.goes_on(survival, paid=False):
                        break
                alpha = self.alpha if tree is None else min(1.0, self.alpha * 1.2)
                accepted = 0
                while accepted < length and self.dice.random() < alpha:
                    accepted += 1
                judged += [(3, i < accepted) for i in range(min(accepted + 1, length))]
                nodes = length if tree is None else tree.size
                drafted, steps, gained = drafted + nodes, max(steps, length), gained + accepted + 1
                self.lengths.append(length)
            fed = drafted + self.rows
            target, draft = self.time(self.base + self.slope * fed), self.time(self.draft) * steps
            policy.learn(Round(arm, self.rows, gained, fed, target, draft, steps, judged))
            self.tokens, self.seconds = self.tokens + gained, self.seconds + target + draft
            self.arms.append(arm if length or arm == "plain" else "nothing")

    @property
    def plain(self) -> float:
        """Tokens a second without a draft."""
        return self.rows / (self.base + self.slope * self.rows)

    def best(self) -> tuple[int, float]:
        """The best constant length and its tokens a second, by Leviathan et al. 2023, theorem 3.8."""

        def rate(k: int) -> float:
            said = self.rows * (1 - self.alpha ** (k + 1)) / (1 - self.alpha)
            return said / (self.base + self.slope * self.rows * (k + 1) + k * self.draft)

        return max(((k, rate(k)) for k in range(13)), key=lambda pair: pair[1])


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("alpha", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("draft", [0.02, 0.1, 0.3])
def test_the_length_is_about_the_best_one(alpha: float, draft: float, rows: int) -> None:
    machine = Machine(1.0, 0.03, draft, alpha, noise=0.0, rows=rows)
    policy = Auto()
    machine.play(policy, 400)
    k, rate = machine.best()
    assert machine.tokens / machine.seconds > 0.9 * max(rate, machine.plain)
    if rate > 1.3 * machine.plain:
        settled = sum(machine.lengths[-200:]) / 200
        assert abs(settled - k) <= 2.5
        assert machine.arms.count("plain") < 10


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize(("draft", "alpha", "slope"), [(0.9, 0.5, 0.01), (0.1, 0.02, 0.1), (0.3, 0.4, 0.9)])
def test_it_stops_where_drafting_does_not_pay(draft: float, alpha: float, slope: float, noise: float) -> None:
    machine = Machine(1.0, slope, draft, alpha, noise)
    policy = Auto()
    machine.play(policy, 1500)
    assert machine.arms[-600:].count("chain") < 60
    if not noise:
        assert machine.tokens / machine.seconds > 0.95 * machine.plain
    assert policy.speedup is not None
    assert policy.state.startswith(("off", "on"))


def test_it_starts_again_where_drafting_begins_to_pay() -> None:
    machine = Machine(1.0, 0.05, 0.2, 0.1)
    policy = Auto(rest=32, rest_most=64)
    machine.play(policy, 300)
    assert "off" in policy.state
    machine.alpha = 0.9
    machine.play(policy, 800)
    assert "on" in policy.state
    assert machine.arms[-100:].count("chain") > 90


def test_the_tree_is_used_where_it_is_faster() -> None:
    for slope, wanted in (
        (0.003, "tree"),
        (0.1, "chain"),
    ):  # a pass that is nearly free of its size, and one that is not
        machine = Machine(1.0, slope, 0.01, 0.6)
        machine.play(policy := Auto(4, Tree((3, 2, 1, 1)), low=0.0, high=0.0), 600)
        assert machine.arms[-100:].count(wanted) > 80, policy.state


def test_a_curve_goes_by_medians() -> None:
    curve = Curve()
    assert curve.at(3) == 0.0
    for seconds in (1.0, 1.1, 50.0, 0.9, 1.0):
        curve.add(1, seconds)
    assert curve.at(1) == 1.0
    for _ in range(3):
        curve.add(5, 3.0)
    assert curve.at(3) == pytest.approx(2.0)  # between
    assert curve.at(9) == pytest.approx(5.0)  # beyond
    assert curve.known(5)
    assert not curve.known(9)


def test_the_report_answers_the_usual_questions() -> None:
    report = SpeculativeReport(
        tokens=30, rounds=10, drafts=10, drafted=40, judged=28, accepted=20, overlap=21.0, overlaps=28,
        target_seconds=12.0, draft_seconds=4.0, verify_seconds=12.0, plain_total=10.0, plain_rounds=10, draft_steps=40,
    )  # fmt: skip
    report.lengths.update([2] * 10)
    assert report.acceptance == 0.5
    assert report.mean_length == 3.0
    assert report.alpha == 0.75
    assert report.cost_ratio == pytest.approx(0.1)
    assert report.predicted == pytest.approx((1 - 0.75**5) / (0.25 * (4 * 0.1 + 1.2)))
    assert report.measured == pytest.approx(30 / 16)
    twice = report + report
    assert (twice.tokens, twice.lengths[2], twice.acceptance, twice.plain_seconds) == (60, 20, 0.5, 1.0)
    assert report.to_json()["lengths"] == {"2": 10}
    assert "accepted 20 of 40" in report.summary()
    assert SpeculativeReport().summary() == "not drafted"
    from rich.console import Console

    console = Console(width=100, record=True, file=io.StringIO())
    console.print(report.table())
    assert "mean accepted length" in console.export_text()


def test_a_fixed_length_may_measure_plain_steps_first() -> None:
    policy = Fixed(3, baseline=True)
    arms = []
    for _ in range(5):
        arm, length, _ = policy.choose(2)
        arms.append((arm, length))
        policy.learn(Round(arm, 2, 2, 2 * (1 + length), 1.0))
    assert arms == [("plain", 0)] * 3 + [("chain", 3)] * 2


def test_rounds_without_a_proposal_do_not_stop_a_draft_that_is_free() -> None:
    policy = Auto()
    for _ in range(300):
        arm, _, _ = policy.choose(1)
        policy.learn(Round(arm, 1, 1, 1, 1.0, 1e-6, 1))
    assert policy.state == "on"
    for _ in range(20):  # and then one that fits
        policy.choose(1)
        policy.learn(Round("chain", 1, 6, 6, 1.2, 1e-6, 1, [(14, True)] * 5))
    assert policy.speedup is not None
    assert policy.speedup > 3


def test_one_pass_measured_in_a_bad_moment_does_not_end_a_draft_that_is_free() -> None:
    policy = Auto()
    drafted: list[int] = []
    for _ in range(300):
        arm, longest, _ = policy.choose(1)
        length, survival = 0, 1.0
        while arm == "chain" and length < longest:
            survival *= policy.chance(3, 0.9)
            if not policy.goes_on(survival, paid=False):
                break
            length += 1
        # The first pass that verifies is interrupted; every token is right, and a pass hardly grows by it.
        seconds = 1.0 + 0.03 * length if any(drafted) or not length else 60.0
        judged = [(3, True)] * length
        policy.learn(Round(arm, 1, 1 + length, 1 + length, seconds, 1e-6, int(arm == "chain"), judged))
        drafted.append(length)
    assert max(drafted[4:30]) == 0
    assert sum(drafted[-100:]) > 1000, policy.state


def test_the_chance_of_a_token_begins_where_its_draft_says() -> None:
    policy = Auto()
    assert policy.chance(5, 0.2) == pytest.approx(0.2)
    policy.learn(Round("chain", 1, 5, 5, 1.0, 0.1, 4, [(5, True)] * 4))
    assert policy.chance(5, 0.2) == pytest.approx(0.6, abs=0.01)
    assert policy.chance(6) == pytest.approx(0.7)


def seat(prompt: list[int], *tokens: int) -> Seat:
    return Seat(Job([[0]], Sampler(Sampling(), 20), 9), [prompt], list(tokens))


def test_long_matches_are_trusted_apart_from_short_ones() -> None:
    prompt = [1, 2, 3, 4, 5]
    draft = LookupDraft()
    seats = [seat(prompt, 9, 1, 2, 3), seat(prompt, 9, 3), seat(prompt, 9)]
    long, short, none = draft.propose(seats, [Plan(2)] * 3, Fixed()).proposals
    assert (long.tokens, short.tokens, none.tokens) == ([4, 5], [4, 5], [])
    assert not set(long.signs) & set(short.signs)


def test_where_the_places_disagree_less_is_drafted() -> None:
    policy = Auto()
    for fed in (1, 1, 1, 13, 13, 13):  # a token more adds a tenth of a pass, and drafting is as fast as not
        policy.learn(Round("plain", 1, 1, fed, 1.0 + 0.1 * (fed - 1)))
    sure, unsure = seat([7, 1, 2, 3, 4], 9, 1), seat([5, 1, 2, 6, 1, 3, 7, 1, 4, 8, 1, 11, 3, 1, 12, 2, 1, 13, 2], 9, 1)
    plans = [Plan(4), Plan(4)]
    certain, doubtful = LookupDraft().propose([sure, unsure], plans, policy).proposals
    assert certain.tokens == [2, 3, 4, 9]
    assert len(doubtful.tokens) < 4
    assert len(LookupDraft().propose([sure, unsure], plans, Fixed()).proposals[1].tokens) == 4
