from __future__ import annotations

import html.parser
import io
import re
import shutil

import pytest
from rich.console import Console

from pilotfish.compete.advise import Advice, Settings, advise
from pilotfish.compete.page import cost_of, digits, dollars, page
from pilotfish.compete.task import text_task
from pilotfish.measure.report import render_html, render_terminal
from pilotfish.measure.report.document import Figure, Table
from pilotfish.model import Price
from pilotfish.models.encoder import Encoder
from tests.compete.help import made_rows, oracle, scored, truth_of

NASTY = ["<script>alert(1)</script>", '"&quot;" `code`', "$x^2$ \n new line"]
SECTIONS = [
    "The candidates",
    "Cost and quality",
    "What an error costs you",
    "How many labels it takes",
    "Using both models",
    "Where the choice is wrong",
    "Every role of small models",
    "Hard gates",
    "The data and the method",
]


class Checker(html.parser.HTMLParser):
    """Collects tags, and complains about ends that match no beginning."""

    VOID = frozenset({"meta", "link", "br", "hr", "img", "input", "path", "use", "rect", "circle", "line", "wbr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        assert self.open and self.open.pop() == tag, f"</{tag}> ends nothing"


@pytest.fixture(scope="module")
def advice(encoder: Encoder) -> Advice:
    rows = made_rows(360, hard=0.3, labels=NASTY)
    model = oracle(truth_of(rows), silent=0.1, price=Price(2, 8), name="<big> & co")
    return advise(text_task(rows, text="text", label="label"), encoder, model, Settings(seeds=1, counts=(0, 8)))


@pytest.fixture(scope="module")
def alone(encoder: Encoder) -> Advice:
    rows = made_rows(200)
    return advise(text_task(rows, text="text", label="label"), encoder, None, Settings(seeds=1, counts=(0, 8)))


def test_every_section_is_there(advice: Advice, alone: Advice) -> None:
    assert [section.title for section in page(advice).sections] == SECTIONS
    assert [section.title for section in page(alone).sections] == [s for s in SECTIONS if s != "Using both models"]
    assert all(section.blocks for section in page(advice).sections)


def test_the_page_is_well_formed_and_escapes_labels_and_names(advice: Advice) -> None:
    text = render_html(page(advice))
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    assert "script" not in checker.seen
    assert "&lt;script&gt;" in text and "&lt;big&gt; &amp; co" in text
    assert "<big>" not in text
    for title in SECTIONS:
        assert f"{title}</h2>" in text
    assert len(re.findall("<svg ", text)) == 5  # forest, frontier, curve, confusion, calibration


def test_the_terminal_shows_it_too(advice: Advice, alone: Advice) -> None:
    for one in (advice, alone):
        shown = io.StringIO()
        render_terminal(page(one), Console(file=shown, width=100))
        assert " ".join(one.verdict.flip.split()[1:4]) in " ".join(shown.getvalue().split())


def tables(advice: Advice) -> dict[str, Table]:
    blocks = [block for section in page(advice).sections for block in section.blocks]
    blocks += [block.data for block in blocks if isinstance(block, Figure) and block.data]
    return {block.caption: block for block in blocks if isinstance(block, Table)}


def test_each_candidate_has_a_row_and_the_choice_is_marked(advice: Advice) -> None:
    for caption, table in tables(advice).items():
        if caption.startswith(("Every candidate", "What each candidate")):
            assert [row[0] for row in table.rows] == [one.title for one in advice.candidates]
            assert table.chosen is not None
            assert advice.candidates[table.chosen] is advice.verdict.chosen
            assert len(table.columns) <= 7, "wider than the page"


def test_parse_failures_have_a_column_only_where_answers_are_parsed(advice: Advice, alone: Advice) -> None:
    def titles(one: Advice) -> list[str]:
        return next([c.title for c in t.columns] for name, t in tables(one).items() if name.startswith("Every"))

    assert "No label" in titles(advice)
    assert "No label" not in titles(alone)


def test_titles_are_different_and_none_is_long(advice: Advice) -> None:
    titles = [one.title for one in advice.candidates]
    assert len(set(titles)) == len(titles)
    assert all(len(one.title) < 60 for one in advice.candidates if one.family != "baseline")


def test_the_distilled_student_its_twin_and_what_its_teacher_took_are_told(advice: Advice) -> None:
    assert advice.distilled is not None
    shown = io.StringIO()
    render_terminal(page(advice), Console(file=shown, width=100))
    text = " ".join(shown.getvalue().split())
    lesson = advice.distilled.lesson
    assert f"the large model labelled {lesson.taught:,} texts, all of them training rows, once, for $" in text
    assert f"{advice.distilled.gain.value * 100:+.1f} points of accuracy" in text
    assert "USD for the first 10,000 rows" in text
    rows = tables(advice)["What the large model's labels are worth to the same student."].rows
    assert [row[1:3] for row in rows] == [[0, lesson.taught], [lesson.people, 0], [lesson.people, lesson.taught]]


def test_a_teachers_answers_count_in_full_for_the_first_rows() -> None:
    one = scored("taught", [1.0], dollars=0.0, seconds=0.002, teacher_seconds=30.0)
    one.once = 2.5
    assert cost_of(one, 10_000, priced=True) == 2.5
    assert cost_of(one, 10_000, priced=False) == pytest.approx(50.0)
    one.once = None
    assert cost_of(one, 10_000, priced=True) is None


def test_numbers_are_never_in_powers_of_ten() -> None:
    assert [digits(value) for value in (0, 0.0001, 0.0123, 1.26, 9.96, 12.4, 123456.7)] == [
        "0",
        "< 0.001",
        "0.012",
        "1.3",
        "10",
        "12",
        "123,457",
    ]
    assert digits(None) is None
    assert digits(0.5, 1000) == "500"
    assert [dollars(a_row) for a_row in (0.0, 0.0000012, 0.00021, 1.5)] == ["$0.00", "$0.0012", "$0.21", "$1,500.00"]


def test_a_sentence_for_each_kind_of_crossing(advice: Advice) -> None:
    from pilotfish.compete.curve import Crossover
    from pilotfish.compete.evidence import _crossing_text

    inf = float("inf")
    texts = [
        _crossing_text("It", one)
        for one in (
            Crossover(0, 0, 0, 1),
            Crossover(8, 8, 8, 1, first=8),
            Crossover(20.4, 11.2, inf, 0.9),
            Crossover(20.4, 11.2, 40, 1),
            Crossover(inf, inf, inf, 0.02),
        )
    ]
    assert "without a single label" in texts[0]
    assert "from 8 labels a class on, the fewest measured" in texts[1]
    assert "at about 20 labels a class (95% interval 11 to more than there are" in texts[2]
    assert "11 to 40" in texts[3]
    assert "does not overtake" in texts[4] and "2%" in texts[4]


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not on the path")
def test_it_opens_in_a_browser_without_a_complaint(advice: Advice, tmp_path_factory: pytest.TempPathFactory) -> None:
    import subprocess

    folder = tmp_path_factory.mktemp("page")
    file = folder / "report.html"
    file.write_text(render_html(page(advice)), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    done = subprocess.run(
        [
            "chromium",
            *flags,
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={folder / 'profile'}",
            "--enable-logging=stderr",
            "--v=0",
            "--dump-dom",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count("<svg") == 5
