"""The student's own answers: how they are cut and seeded, what is learnt from them, and the policy gradient's sign."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilotfish.distill.divergence import ForwardKL, ReverseKL
from pilotfish.distill.sampling import Sampling
from pilotfish.errors import ConfigError
from pilotfish.models.local import LocalModel
from pilotfish.train.examples import Example
from pilotfish.train.loop import fit
from pilotfish.train.settings import Fit
from tests.tiny import write_lm

torch = pytest.importorskip("torch")

from pilotfish.distill.mixture import Mixture  # noqa: E402 needs torch
from pilotfish.distill.onpolicy import OnPolicy, rewards_to_go  # noqa: E402
from pilotfish.distill.whitebox import Weighing  # noqa: E402
from pilotfish.train.batch import rows_of  # noqa: E402

PROMPTS = [Example((5, 6, 7, 9, 9, 9), 3, row=0), Example((8, 9, 10, 11, 12, 4), 5, weight=2.0, row=1)]


@pytest.fixture
def models(tmp_path: Path) -> tuple[LocalModel, LocalModel]:
    def local(name: str, seed: int) -> LocalModel:
        return LocalModel(write_lm(tmp_path / name, "llama", seed=seed), dtype="float32", device="cpu").load()

    return local("student", 1), local("teacher", 2)


def task(models: tuple[LocalModel, LocalModel], **settings: Any) -> OnPolicy:
    sampling = Sampling(**{"share": 1.0, "max_tokens": 6, **settings})
    student, teacher = models
    return OnPolicy(student.model, teacher.model, Weighing(ForwardKL(), 0.5), sampling, sorted(student.ends))


def test_answers_keep_their_prompts_and_end_once(models: tuple[LocalModel, LocalModel]) -> None:
    one = task(models, max_tokens=40)
    one.ends = tuple(range(0, 400, 3))  # many ends, so that answers end at different places
    torch.manual_seed(0)
    rows = one.answered(PROMPTS * 8)
    assert len({len(row.ids) for row in rows}) > 2
    for row, prompt in zip(rows, PROMPTS * 8, strict=True):
        assert row.ids[: row.start] == prompt.ids[: prompt.start] and row.start == prompt.start
        assert 1 <= row.count <= 40 and (row.weight, row.row) == (prompt.weight, prompt.row)
        said = row.ids[row.start :]
        assert not any(token in one.ends for token in said[:-1])
        assert said[-1] in one.ends or row.count == 40


def test_the_count_is_of_the_tokens_that_were_said(models: tuple[LocalModel, LocalModel]) -> None:
    one = task(models)
    one.train()
    rows = one.prepare(PROMPTS, 0)
    assert rows.sampled
    assert rows.count == sum(row.weight * row.count for row in rows.examples) == float(rows.weights.sum())


def test_samples_follow_the_seed_and_the_student_s_distribution(models: tuple[LocalModel, LocalModel]) -> None:
    one = task(models, max_tokens=1)
    one.ends = ()
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append([row.ids for row in one.answered(PROMPTS * 3)])
    assert drawn[0] == drawn[1]
    torch.manual_seed(0)
    first = [row.ids[-1] for row in one.answered([PROMPTS[0]] * 4000)]
    logits = models[0].model(input_ids=torch.tensor([PROMPTS[0].ids[:3]])).logits[0, -1].detach()
    assert_drawn_from(first, logits.softmax(-1))


def assert_drawn_from(drawn: list[int], wanted: Any) -> None:
    """See that the ten likeliest tokens come as often as they should, within 4.5 standard errors."""
    for token in wanted.topk(10).indices.tolist():
        share = float(wanted[token])
        error = (share * (1 - share) / len(drawn)) ** 0.5
        assert drawn.count(token) / len(drawn) == pytest.approx(share, abs=4.5 * error)


def test_a_model_s_own_generation_settings_do_not_bend_its_samples(models: tuple[LocalModel, LocalModel]) -> None:
    models[0].model.generation_config.update(repetition_penalty=50.0, top_k=1, top_p=0.1, min_p=0.9, temperature=0.01)
    one = task(models, max_tokens=1)
    one.ends = ()
    torch.manual_seed(0)
    drawn = [row.ids[-1] for row in one.answered([PROMPTS[0]] * 4000)]
    logits = models[0].model(input_ids=torch.tensor([PROMPTS[0].ids[:3]])).logits[0, -1].detach()
    assert_drawn_from(drawn, logits.softmax(-1))


def test_the_teacher_has_its_share_in_the_samples(models: tuple[LocalModel, LocalModel]) -> None:
    one = task(models, max_tokens=1, how="minillm", mixed=0.4)
    one.ends = ()
    torch.manual_seed(0)
    drawn = [row.ids[-1] for row in one.answered([PROMPTS[0]] * 4000)]
    both = [
        model.model(input_ids=torch.tensor([PROMPTS[0].ids[:3]])).logits[0, -1].detach().softmax(-1) for model in models
    ]
    assert_drawn_from(drawn, 0.6 * both[0] + 0.4 * both[1])


def test_a_mixture_reads_each_prompt_as_if_it_stood_alone(models: tuple[LocalModel, LocalModel]) -> None:
    student, teacher = (model.model for model in models)
    prompts, said = [[5, 6, 7], [8, 9, 10, 11, 12]], [[20, 21, 22], [30, 31, 32]]
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(one)) + one for one in prompts])
    mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in prompts])
    mixture = Mixture(teacher, 0.3, mask)
    with torch.no_grad():
        for step in range(4):
            so_far = torch.cat([ids, torch.tensor(said)[:, :step]], dim=1)
            alone = [torch.tensor([one + more[:step]]) for one, more in zip(prompts, said, strict=True)]
            p, q = (torch.cat([model(input_ids=one).logits[:, -1] for one in alone]) for model in (student, teacher))
            wanted = (0.7 * p.softmax(-1) + 0.3 * q.softmax(-1)).log()
            torch.testing.assert_close(mixture(so_far, p), wanted, rtol=1e-4, atol=1e-4)


def test_own_answers_are_no_example_to_imitate(models: tuple[LocalModel, LocalModel]) -> None:
    one = task(models)
    rows = rows_of(PROMPTS, "cpu", sampled=True)
    total, figures = one(rows)
    assert set(figures) == {"divergence"}
    assert total.item() == pytest.approx(float(figures["divergence"]), rel=1e-5)


def test_share_and_looks(models: tuple[LocalModel, LocalModel]) -> None:
    one = task(models, share=0.5)
    one.train()
    torch.manual_seed(0)
    sampled = [one.prepare(PROMPTS, step).sampled for step in range(40)]
    assert 8 <= sum(sampled) <= 32
    one.eval()
    assert not any(one.prepare(PROMPTS, step).sampled for step in range(10))
    one.train()
    texts = [Example((1, 2, 3, 4), 1)]
    assert not any(one.prepare(texts, step).sampled for step in range(10))


def test_rewards_are_what_follows_over_how_much_follows() -> None:
    rewards = torch.tensor([1.0, 2.0, 6.0, 10.0, 5.0])
    assert rewards_to_go(rewards, [4, 1]).tolist() == [6.0, 8.0, 10.0, 0.0, 0.0]


def minillm_rows(one: OnPolicy) -> Any:
    """Return the prompts with their answers, as if the student had just said them."""
    one.answered = list  # type: ignore[method-assign,assignment]
    one.train()
    return one.prepare(PROMPTS, 0)


@pytest.mark.parametrize("mixed", [0.0, 0.3])
def test_minillm_s_gradient_is_that_of_its_formula(models: tuple[LocalModel, LocalModel], mixed: float) -> None:
    one = task(models, how="minillm", mixed=mixed)
    one.eval()
    rows = minillm_rows(one)
    one.zero_grad()
    one(rows)[0].backward()
    student, teacher = (model.model for model in models)
    mine = {name: weight.grad.clone() for name, weight in student.named_parameters()}
    one.zero_grad()
    total = 0.0
    for row in PROMPTS:
        ids, labels = torch.tensor([row.ids]), torch.tensor(row.ids[row.start :])
        p, q = (model(input_ids=ids).logits[0, row.start - 1 : -1].log_softmax(-1) for model in (student, teacher))
        q = q.detach()
        said, judged = (one.gather(1, labels[:, None])[:, 0] for one in (p, q))
        rewards = (judged - said).detach()
        ours = said.detach().exp()
        weights = row.weight * ours / ((1 - mixed) * ours + mixed * judged.exp())
        for t in range(row.count):
            total = total + weights[t] * (p[t].exp() * (p[t] - q[t])).sum()
            if t + 1 < row.count:
                total = total - weights[t] * rewards[t + 1 :].mean() * said[t]
    total.backward()  # type: ignore[attr-defined]
    for name, weight in student.named_parameters():
        torch.testing.assert_close(mine[name], weight.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("how", ["gkd", "minillm"])
def test_a_student_learns_from_what_it_says(models: tuple[LocalModel, LocalModel], tmp_path: Path, how: str) -> None:
    student, teacher = models
    sampling = Sampling(share=1.0, max_tokens=8, how=how)  # type: ignore[arg-type]
    one = OnPolicy(student.model, teacher.model, Weighing(ReverseKL(), 1.0), sampling, sorted(student.ends))
    before = one.looked(PROMPTS)["divergence"]
    settings = Fit(steps=25, batch_tokens=300, rate=1e-2, dtype="float32")
    done = fit(one, PROMPTS * 6, PROMPTS, settings, tmp_path / "run", "id", progress=False)
    assert done.looks[25]["divergence"] < 0.9 * before


def test_settings_are_checked() -> None:
    mixed: list[dict[str, Any]] = [
        {"mixed": 0.2},
        {"mixed": 1.0, "how": "minillm"},
        {"mixed": 0.2, "how": "minillm", "temperature": 0.8},
    ]
    plain: list[dict[str, Any]] = [{"share": 0.0}, {"temperature": 0.0}, {"max_tokens": 0}, {"how": "ppo"}]
    for wrong in plain + mixed:
        with pytest.raises(ConfigError, match="on-policy"):
            Sampling(**wrong)
