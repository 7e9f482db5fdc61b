"""The page: nothing in a text gets out of its place, and each part says what it is about."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from pilotfish.evaluate.judged import Judged, against, judged
from pilotfish.evaluate.lexical import Rouge
from pilotfish.evaluate.metric import over_columns
from pilotfish.evaluate.page import page_of
from pilotfish.measure.report import render_html
from pilotfish.rows._row import Row

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

BAD = '<script>alert(1)</script><img src=x onerror="alert(2)">'


def of(system: str, answers: list[str]) -> Judged:
    metric = over_columns(Rouge("rougeL"), "answer", "reference", name="rougeL")
    rows: list[Row] = [{"answer": one, "reference": "مرحبا the cat sat"} for one in answers]
    return judged(metric, metric(rows), rows, system=system, worst=3)


@pytest.fixture(scope="module")
def page() -> str:
    one = of("one", ["the cat sat", BAD, "", "\u202e cat \x00\ud800", "cat"])
    other = of(BAD, ["the cat sat", "the cat", "the", "cat", "sat"])
    keys = [bytes([n]) for n in range(5)]
    pair = against(one, other, (keys, keys))
    assert pair is not None
    return render_html(page_of([one, other], [pair], title=BAD))


def test_texts_are_shown_and_never_run(page: str) -> None:
    tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            assert not any(name.startswith("on") or name in ("src", "style") for name, _ in attrs)

    Reader().feed(page)
    assert "script" not in tags and "img" not in tags and "&lt;script&gt;" in page
    assert not re.findall(r"(?:src|href)=\"(?!#)", page) and "http-equiv" in page
    assert page.encode("utf-8") and "\ufffd" in page and "\x00" not in page and "␀" in page


def test_it_has_what_it_is_for(page: str) -> None:
    assert '<p class="said" dir="auto">' in page
    assert '<mark class="m3">' in page and "the candidate is empty" in page
    assert page.count("<svg") == 1 and "How the scores by rougeL spread" in page
    assert "one, row 3: 0.000" in page and "paired, 95%" in page


def test_one_system_alone() -> None:
    report = page_of([of("", ["the cat", "cat"])])
    html = render_html(report)
    assert report.verdict == "2 rows by 1 metric." and "Row 2: " in html and "System" not in html


def test_more_systems_than_a_plot_holds_are_told() -> None:
    html = render_html(page_of([of(f"system {n}", ["the cat", "cat"]) for n in range(9)]))
    assert "The first 8 of 9 systems." in html and "system 8, row 2" in html
