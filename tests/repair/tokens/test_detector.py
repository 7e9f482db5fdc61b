"""A detector of spans: what it learns, by which rule, and that it is kept whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pilotfish.errors import ConfigError, DataError, ModelError
from pilotfish.models.encoder import Encoder
from pilotfish.repair.tokens._task import BAG, Lesson, task
from pilotfish.repair.tokens.baselines import by_cosine, by_overlap, sentences_by_cosine, sentences_by_overlap
from pilotfish.repair.tokens.corrupted import corrupted
from pilotfish.repair.tokens.detector import FIT, SpanDetector
from pilotfish.repair.tokens.judged import Judged, best_threshold
from pilotfish.repair.tokens.report import area_gain, reported
from pilotfish.repair.tokens.rows import Answered, marked
from pilotfish.repair.tokens.windows import Cutter

NOUNS = ["cat", "dog", "bird", "refund", "card", "mat", "song", "sea"]


def made(count: int, seed: int, words: int = 4) -> list[Answered]:
    """Answers that name what the evidence names, but for one word in every second one."""
    dice = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        known = [str(one) for one in dice.choice(NOUNS, words, replace=False)]
        said = list(known)
        spans: tuple[tuple[int, int], ...] = ()
        if number % 2:
            at = int(dice.integers(words))
            said[at] = str(dice.choice([one for one in NOUNS if one not in known]))
            start = sum(len(one) + 1 for one in said[:at])
            spans = ((start, start + len(said[at])),)
        rows.append(Answered(" ".join(said), "the " + " and the ".join(known), "", spans, None, f"d{seed}-{number}"))
    return rows


@pytest.fixture(scope="module")
def detector(tiny_encoder: Encoder) -> SpanDetector:
    how = replace(FIT, epochs=6, rate=1e-3, batch_tokens=160)
    return SpanDetector(tiny_encoder, how, length=32).fit(made(60, 0), made(30, 1))


def test_it_finds_what_the_evidence_lacks(detector: SpanDetector) -> None:
    rows = made(40, 2)
    judged = detector.judge(rows)
    report = reported("ours", rows, judged, detector.threshold_, detector.answer_threshold_)
    assert report.word_area is not None
    assert report.word_area.value > 0.95
    assert report.span_f1 is not None
    assert report.span_f1.value > 0.85
    assert report.answer_area is not None
    assert report.answer_area.low <= report.answer_area.value <= report.answer_area.high
    assert (report.answers, report.documents, report.words) == (40, 40, 160)
    assert "span F1" in str(report)


def test_the_order_of_rows_and_what_is_batched_with_them_does_not_matter(detector: SpanDetector) -> None:
    rows = [*made(6, 3), Answered("cat dog " * 20, "the cat " * 40), Answered("", "the cat"), Answered("bird")]
    together = detector.judge(rows)
    for row, one in zip(rows, together, strict=True):
        assert np.allclose(detector.judge([row])[0].scores, one.scores, atol=1e-5)
    assert together[-2].most == 0
    assert together[-1].scores.shape == (1,)


def test_more_evidence_that_says_nothing_changes_nothing_but_the_number_of_windows(detector: SpanDetector) -> None:
    row = Answered("cat dog bird", "the cat and the dog and the bird")
    idle = " the exchange rate is wrong" * 30
    _, read = detector.read([row, replace(row, context=row.context + idle)])
    more, counts = read.joined()
    assert counts[0] > 5
    # Its first window has the same evidence with other words behind it; each word is judged by its best window.
    means, _ = read.joined(lambda table: table.mean(axis=0))
    assert (more <= means + 1e-9).all()
    assert more.tolist() == read.tables[0].min(axis=0).tolist()
    assert (detector.judged(read).scores <= detector.judged(read, lambda table: table.mean(axis=0)).scores).all()


def test_it_is_saved_and_read_again(detector: SpanDetector, tmp_path: Path) -> None:
    detector.save(tmp_path / "d")
    again = SpanDetector.load(tmp_path / "d")
    rows = made(8, 4)
    for a, b in zip(detector.judge(rows), again.judge(rows), strict=True):
        assert np.allclose(a.scores, b.scores, atol=1e-6)
    assert (again.threshold_, again.answer_threshold_, again.combined_) == (
        detector.threshold_,
        detector.answer_threshold_,
        detector.combined_,
    )
    assert not list((tmp_path / "d").rglob("*.pkl"))
    (tmp_path / "d" / "spans.json").unlink()
    with pytest.raises(ModelError, match="not a saved detector of spans"):
        SpanDetector.load(tmp_path / "d")


def test_the_loss_is_that_of_the_rule_answers_are_read_by(detector: SpanDetector) -> None:
    torch = pytest.importorskip("torch")
    rows = [
        replace(made(2, 5)[1], context="the cat and the sea " * 12),
        Answered("dog bird card", "the mat " * 30, spans=None, faulty=True),
        Answered("song", "", spans=()),
    ]
    cutter = Cutter(detector.encoder_.tokenizer, detector.length)
    lessons = []
    for row, pieces in zip(rows, cutter.cut(rows), strict=True):
        labels = marked(pieces.words, row.spans or ()).astype(np.int8)
        windows = tuple(one for some in pieces.windows for one in some)
        bag = row.spans is None
        lessons.append(Lesson(windows, np.full_like(labels, -1) if bag else labels, bag, 2.0 if bag else 0.5))
    body = detector.encoder_.model[0].auto_model
    weight, bias = torch.tensor(detector.weight_), detector.bias_
    module = task(body, lambda states: (states @ weight + bias)[:, None], 0, True)
    with torch.no_grad():
        batch = module.prepare(lessons, 0)
        total = float(module(batch)[0])
    told = [read.joined()[0] for read in detector.read(rows)]
    wanted = 0.0
    for lesson, logits in zip(lessons, told, strict=True):
        if lesson.bag:
            wanted += BAG * lesson.weight * np.logaddexp(0, -logits.max())
        else:
            wanted += lesson.weight * np.logaddexp(0, np.where(lesson.labels == 1, -logits, logits)).sum()
    assert total == pytest.approx(wanted, rel=1e-4)
    assert batch.count == pytest.approx(BAG * 2.0 + 0.5 * (len(told[0]) + 1))
    assert [lesson.count for lesson in lessons] == [4, 1, 1]
    assert lessons[0].emptied().count == 0
    assert len(lessons[0].windows) > 1


def test_answers_of_which_only_is_known_that_they_are_wrong_teach_too(tiny_encoder: Encoder) -> None:
    rows = [row if not row.spans else replace(row, spans=None, faulty=True) for row in made(60, 6)]
    how = replace(FIT, epochs=6, rate=1e-3, batch_tokens=160)
    taught = SpanDetector(tiny_encoder, how, length=32).fit(rows, made(30, 7))
    test = made(40, 8)
    report = reported("ours", test, taught.judge(test), taught.threshold_, taught.answer_threshold_)
    assert report.word_area is not None
    assert report.word_area.value > 0.8
    # Nobody said where in those that it is tuned by: answers are calibrated.
    bags = [row if not row.spans else replace(row, spans=None, faulty=True) for row in made(30, 9)]
    taught._tune(bags)
    assert 0 < taught.threshold_ < 1


def test_what_cannot_be_learnt_is_told(tiny_encoder: Encoder) -> None:
    right = [row for row in made(10, 0) if not row.spans]
    with pytest.raises(DataError, match="to learn from"):
        SpanDetector(tiny_encoder).fit(right, made(4, 0))
    with pytest.raises(DataError, match="to tune by"):
        SpanDetector(tiny_encoder).fit(made(4, 0), right)
    with pytest.raises(ConfigError, match="reads 64 tokens"):
        SpanDetector(tiny_encoder, length=128).fit(made(4, 0), made(4, 1))
    with pytest.raises(ConfigError, match="window"):
        SpanDetector(tiny_encoder, windows=0)


def test_spans_are_runs_of_words_and_thresholds_have_the_best_f1() -> None:
    judged = Judged(((0, 3), (4, 7), (8, 11), (12, 15)), np.array([0.9, 0.7, 0.1, 0.8]))
    assert judged.spans(0.5) == [(0, 7, 0.9), (12, 15, 0.8)]
    assert judged.spans(0.95) == []
    dice = np.random.default_rng(0)
    for _ in range(50):
        scores, faulty = dice.integers(0, 5, 12) / 5, dice.random(12) < 0.4
        best = best_threshold(scores, faulty)

        def f1(at: float, scores: np.ndarray = scores, faulty: np.ndarray = faulty) -> float:
            said = scores >= at
            return float(2 * (said & faulty).sum() / max(said.sum() + faulty.sum(), 1))

        if faulty.any():
            assert f1(best) == max(f1(one) for one in scores)


def test_what_needs_no_training(tiny_encoder: Encoder) -> None:
    row = Answered("The cat sat with 12 dogs", "the cat sat on the mat, it's 2024", "dogs?")
    (told,) = by_overlap([row])
    assert told.scores.tolist() == [0, 0, 0, 0.5, 1, 0]
    near, far = by_cosine([Answered("the cat", "the cat"), Answered("bird song", "the cat")], tiny_encoder)
    assert near.scores.max() < far.scores.max()
    assert near.scores[0] == pytest.approx(0.0, abs=1e-6)
    assert by_cosine([Answered("cat", "")], tiny_encoder)[0].scores.tolist() == [0.5]
    assert sentences_by_overlap([("a cat sat", "the cat ran")]).tolist() == [0.5]
    same, other = sentences_by_cosine([(["a bird", "the cat sat"], "the cat sat"), ([], "x")], tiny_encoder)
    assert same == pytest.approx(0.0, abs=1e-6)
    assert other == 0.5


def test_faults_are_made_where_they_are_said_to_be() -> None:
    documents = [
        "On Monday the mayor of Paris met Anna Smith and 35 guests. Later Bob Jones paid 120 euros for the red car.",
        "In winter the great river Danube froze near Vienna for 12 days. Nobody in Austria had seen such a thing.",
        "Too short. So is this.",
    ]
    rows = corrupted(documents, each=40, seed=1)
    assert rows == corrupted(documents, each=40, seed=1)
    assert len(rows) == 80
    faulty = [row for row in rows if row.spans]
    assert 25 < len(faulty) < 55
    assert any(row.answer == row.answer.lower() for row in rows)
    for row in rows:
        kept = row.answer
        for start, end in reversed(row.spans or ()):
            assert kept[start:end].strip()
            kept = kept[:start] + "\x00" + kept[end:]
        for part in kept.split("\x00"):
            # What is not marked stands in the document, sentence by sentence.
            assert all(word in row.context.lower() for word in part.lower().split(". ")), (kept, row.context)
    with pytest.raises(ConfigError, match="shares"):
        corrupted(documents, faulty=2)


def test_gains_are_paired_and_documents_drawn_together() -> None:
    dice = np.random.default_rng(0)
    faulty = dice.random(300) < 0.3
    good, bad = faulty + dice.normal(size=300) * 0.5, dice.normal(size=300)
    home = np.repeat(np.arange(60), 5)
    gain = area_gain(good, bad, faulty, home)
    assert gain.n == 60
    assert gain.low > 0.1
    assert area_gain(good, good, faulty, home).high == 0
    rows = made(10, 0)
    with pytest.raises(DataError, match="nothing to report"):
        reported("x", rows, [], 0.5, 0.5)
