from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from pilotfish.errors import DataError
from pilotfish.measure.intervals import Interval
from pilotfish.measure.report import Column, Figure, MarkedText, Paragraph, Report, Section, Svg, Table, render_html
from pilotfish.measure.report.html import _cell, _prose

from .sample import NASTY, pair, plots, report

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Collects tags and attributes, and checks that elements nest."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def source() -> str:
    return render_html(report())


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_elements_nest_and_nothing_runs(page: Page, source: str) -> None:
    assert page.open == []
    assert not page.all("script") and not page.all("iframe") and not page.all("link") and not page.all("img")
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "<script" not in source.lower()


def test_user_text_arrives_whole_and_escaped(page: Page, source: str) -> None:
    text = "".join(page.words)
    assert text.count(NASTY) >= 8
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; " in source


def test_the_page_asks_for_nothing(page: Page, source: str) -> None:
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "data", "poster"):
            assert (attributes.get(name) or "#").startswith("#")
    # The name spaces of SVG are the only addresses, and they are names, not requests.
    assert set(re.findall(r"https?://[^\"'\s<)]+", source)) == {"http://www.w3.org/2000/svg"}
    assert "@import" not in source and "url(" not in re.sub(r"url\(#[\w-]+\)", "", source)


def test_the_policy_allows_only_this_style_sheet(page: Page, source: str) -> None:
    policy = next(m["content"] or "" for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    style = re.search(r"<style>(.*?)</style>", source, re.S)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert source.count("<style") == 1 and not any("style" in attributes for _, attributes in page.tags)


def test_ids_are_unique_and_every_reference_lands(page: Page, source: str) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {reference for _, a in page.tags for reference in (a.get("aria-labelledby") or "").split()}
    wanted |= {(a.get("href") or "")[1:] for _, a in page.tags if "href" in a}
    wanted |= set(re.findall(r"url\(#([\w-]+)\)", source))
    assert wanted <= set(ids)


def test_one_plot_shown_twice_keeps_ids_apart() -> None:
    figure = plots()[0]
    twice = Page(render_html(Report("t", "v", [Section("s", [figure, figure])])))
    ids = [attributes["id"] for _, attributes in twice.tags if "id" in attributes]
    assert len(ids) == len(set(ids)) > 4


def test_it_reads_without_eyes(page: Page, source: str) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert [tag for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)] == ["h1"] + ["h2"] * 5
    assert source.index('href="#evidence"') < source.index("<header>")
    assert len(page.all("table")) == len(page.all("caption")) == 2
    assert {cell["scope"] for cell in page.all("th")} == {"col", "row"}
    for svg in page.all("svg"):
        assert svg["role"] == "img" and svg["aria-labelledby"]
    assert all(word in "".join(page.words) for word in ("Pass", "Warn", "Fail", "(best)", "chosen"))


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_colours_have_a_contrast_of_at_least_4_5_in_light_and_dark(source: str) -> None:
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})(?![0-9a-f])", part))
        for part in source.split("prefers-color-scheme: dark", 1)
    )
    names = ["ink", "muted", "accent", "pass", "warn", "fail", *(f"series-{i}" for i in range(1, 9))]
    for theme in (light, dark):
        for name in names:
            for ground in ("paper", "raised", "chosen") if name in ("ink", "muted", "accent") else ("paper",):
                pair = sorted([luminance(theme[name]), luminance(theme[ground])])
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (name, ground)
        for shade in ("mark-1", "mark-2", "mark-3"):
            pair = sorted([luminance(theme["ink"]), luminance(theme[shade])])
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 7, shade


def test_cells_are_set_with_care() -> None:
    assert str(_cell(Interval(0.925, 0.917, 0.933), ".1%")) == (
        '<span class="value">92.5%</span> <span class="range">91.7–93.3</span>'
    )
    assert "−0.010 to 0.020" in _cell(Interval(0.005, -0.01, 0.02))
    assert _cell(-3.5) == "−3.5" and _cell(None) == "–" and _cell(12345) == "12,345" and _cell(True) == "yes"
    assert _prose("run `a <b>` & go") == "run <code>a &lt;b&gt;</code> &amp; go"


def test_best_marks_ties_and_skips_gaps() -> None:
    table = Table([Column("a", best="max"), Column("b", best="min")], [[1, 2.0], [3, None], [3, 2.0]], "t")
    assert table.best_rows(0) == {1, 2} and table.best_rows(1) == {0, 2}
    with pytest.raises(DataError, match="row 0 has 1 cells, not 2"):
        Table([Column("a"), Column("b")], [[1]], "t")


def test_an_empty_report_and_foreign_markup() -> None:
    assert Page(render_html(Report("Title", "Verdict."))).open == []
    with pytest.raises(DataError, match="an `Svg` made by"):
        Figure("<svg onload=alert(1)>", "x")  # type: ignore[arg-type]
    assert isinstance(plots()[0].svg, Svg)


def test_titles_in_other_scripts_get_anchors() -> None:
    page = Page(render_html(Report("t", "v", [Section("结果", [Paragraph("x")]), Section("结果", [])])))
    assert [h["id"] for h in page.all("h2")] == ["s1", "s2"]


def test_texts_side_by_side_are_shaded_by_what_was_not_found(page: Page, source: str) -> None:
    assert [mark["class"] for mark in page.all("mark")] == ["m3", "m1", "f3", "a3", "f2", "a2", "a1"]
    assert re.search(r'<mark class="m3">made up</mark><mark class="m1"> مرحبا␀␛</mark>', source)
    assert all(text["dir"] == "auto" for text in page.all("p") if text.get("class") == "said")
    assert "(empty)" in "".join(page.words)


def test_a_long_text_is_cut_and_told() -> None:
    text = MarkedText("t", [("a" * 8, 1.0), ("b" * 8, 0.0), ("c" * 8, 0.0)])
    assert text.text == "a" * 8 + "b" * 8 + "c" * 8
    assert text.shades(24) == [("a" * 8, 0), ("b" * 8 + "c" * 8, 3)]
    assert text.shades(10) == [("a" * 8, 0), ("bb", 3), (" … (14 more characters)", 0)]
    assert pair().texts[1].shades(10) == []
    shares = [1.0, 0.6, 0.59, 0.41, 0.39, 0.21, 0.19, 0.0, -1.0]
    each = [MarkedText("t", [("x", share)]).shades(9)[0][1] for share in shares]
    assert each == [0, 0, 1, 1, 2, 2, 3, 3, 3]
