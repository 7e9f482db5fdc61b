"""The page in a real browser: by mouse, by keyboard, in light and dark, on narrow screens."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotfish.serve.keys import Keys, new_key
from pilotfish.serve.log import DecisionLog

from .browser import BROWSER, Tab, opened
from .gateways import Running
from .pages import EVIL, gateway, visit

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="chromium is not on the path (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, DecisionLog | None]]:
    with gateway(tmp_path_factory.mktemp("page")) as found:
        yield found


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with opened(tmp_path_factory.mktemp("browser")) as found:
        yield found


def test_it_opens_without_a_complaint(tab: Tab, filled: tuple[Running, Any]) -> None:
    visit(tab, filled[0])
    assert tab.text("#state") == "Live"
    assert "against large alone" in tab.text("#tiles")
    assert tab.value("document.querySelectorAll('#timeline rect').length") > 30
    assert tab.complaints == []


def test_words_of_users_stay_words(tab: Tab, filled: tuple[Running, Any]) -> None:
    visit(tab, filled[0])
    filled[0].chat(EVIL, "small")
    buttons = "[...document.querySelectorAll('#requests button')]"
    tab.until(f"{buttons}.some((b) => b.innerText.startsWith('<img'))")
    tab.value("[...document.querySelectorAll('#requests button')].find((b) => b.innerText.startsWith('<img')).click()")
    tab.until("document.querySelector('#detail').open && document.querySelector('#detail pre')")
    assert EVIL in tab.text("#detail-body")
    assert tab.value("document.querySelectorAll('#requests img, #detail img, body script').length") == 0
    assert tab.value("document.title") == "Pilotfish gateway"
    tab.press("Escape", 27)
    tab.until("!document.querySelector('#detail').open")
    assert tab.complaints == []


def test_the_slider_by_keyboard(tab: Tab, filled: tuple[Running, Any]) -> None:
    visit(tab, filled[0])
    at = "Number(document.querySelector('#threshold').value)"
    shown = "document.querySelector('#outcome tbody tr:nth-child(2) td').innerText"
    before, share = tab.value(at), float(tab.value(shown).rstrip("%"))
    assert 25 < share < 50  # begins where the threshold was
    tab.value("document.querySelector('#threshold').focus()")
    for _ in range(10):
        tab.press("ArrowRight", 39)
    assert tab.value(at) == before + 10
    assert float(tab.value(shown).rstrip("%")) == pytest.approx(share + 10, abs=1.5)
    assert "deferred" in tab.value("document.querySelector('#threshold').getAttribute('aria-valuetext')")
    tab.press("End", 35)
    assert tab.value(shown) == "100.0%"
    assert "deferred" in tab.text("#what-said")


def test_new_requests_come_by_themselves(tab: Tab, filled: tuple[Running, Any]) -> None:
    visit(tab, filled[0])
    filled[0].chat("a brand new question", "assistant")
    tab.until("document.querySelector('#requests tbody tr').innerText.includes('a brand new question')")
    tab.value("document.querySelector('#pause').click()")
    filled[0].chat("while it is paused", "assistant")
    time.sleep(0.4)
    assert "while it is paused" not in tab.text("#requests")
    assert tab.value("document.querySelector('#pause').getAttribute('aria-pressed')") == "true"


def test_where_no_stream_can_be_had_it_asks(tab: Tab, filled: tuple[Running, Any]) -> None:
    tab.send("Network.setBlockedURLs", urls=["*/live/events*"])
    try:
        tab.go(filled[0].url)
        tab.until("document.querySelector('#state').innerText === 'Asking every few seconds'")
        filled[0].chat("asked for by polling", "assistant")
        tab.until("document.querySelector('#requests').innerText.includes('asked for by polling')")
    finally:
        tab.send("Network.setBlockedURLs", urls=[])


def test_the_playground_streams_and_shows_the_trace(tab: Tab, filled: tuple[Running, Any]) -> None:
    visit(tab, filled[0])
    tab.value("document.querySelector('#play-prompt').focus()")
    tab.type("Is it so?")
    tab.value("document.querySelector('#play-send').focus()")
    tab.press("Enter", 13, "\r")
    tab.until("document.querySelector('#answer').innerText === 'Large says so.'")
    tab.until("document.querySelector('#trace table')")
    trace = tab.text("#trace")
    assert "small" in trace
    assert "large" in trace
    assert "assistant: deferred, score -0.9" in trace
    assert "answered by large" in tab.text("#answer-said")
    assert tab.complaints == []


def test_light_dark_and_the_switch(tab: Tab, filled: tuple[Running, Any]) -> None:
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    visit(tab, filled[0], "dark")
    assert tab.value(paper) == "rgb(20, 24, 28)"
    choose = "const s = document.querySelector('#theme'); s.value = '{}'; s.dispatchEvent(new Event('change'))"
    tab.value("{ " + choose.format("light") + " }")
    assert tab.value(paper) == "rgb(253, 252, 249)"
    tab.go(filled[0].url)  # it is remembered
    assert tab.value(paper) == "rgb(253, 252, 249)"
    tab.value("{ " + choose.format("") + " }")
    assert tab.value(paper) == "rgb(20, 24, 28)"
    assert tab.complaints == []


@pytest.mark.parametrize("width", [320, 390, 768])
def test_narrow_screens_scroll_down_only(tab: Tab, filled: tuple[Running, Any], width: int) -> None:
    visit(tab, filled[0], size=(width, 800))
    assert tab.value("document.documentElement.scrollWidth") <= width


def test_the_keyboard_reaches_everything(tab: Tab, filled: tuple[Running, Any]) -> None:
    visit(tab, filled[0])
    tab.value("document.body.focus()")
    seen = []
    for _ in range(40):
        tab.press("Tab", 9)
        seen.append(tab.value("document.activeElement.id || document.activeElement.className"))
    assert seen[0] == "skip"
    for name in ("window", "theme", "what-model", "threshold", "drift-model", "pause"):
        assert name in seen
    ring = "getComputedStyle(document.activeElement).outlineStyle"
    tab.value("document.querySelector('#pause').focus()")
    assert tab.value(ring) != "none"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 900), (360, 800)], ids=["wide", "narrow"])
def test_axe_finds_no_violation(tab: Tab, filled: tuple[Running, Any], scheme: str, size: tuple[int, int]) -> None:
    found = importlib.util.find_spec("axe_core_python")
    if found is None or found.origin is None:
        pytest.skip("axe-core is not installed: pip install axe-core-python")
    visit(tab, filled[0], scheme, size)
    tab.value("[...document.querySelectorAll('#requests button')].at(1).click()")
    tab.until("document.querySelector('#detail').open")
    tab.value(Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8") + "; true")
    for view in ("dialog", "page"):
        if view == "page":
            tab.value("document.querySelector('#detail').close()")
        results = tab.value(
            "axe.run().then((r) => r.violations.map((v) => [v.id, v.impact, v.nodes.map((n) => n.html)]))"
        )
        assert results == [], (view, results)
    assert tab.complaints == []


def test_a_key_is_asked_for(tab: Tab, tmp_path: Path) -> None:
    (admin, admin_hash), (user, user_hash) = new_key(), new_key()
    tables: list[dict[str, Any]] = [
        {"name": "root", "sha256": admin_hash, "admin": True},
        {"name": "ann", "sha256": user_hash},
    ]
    with gateway(tmp_path, Keys(tables)) as (running, _):
        tab.go(running.url)
        tab.until("document.querySelector('#state').innerText.startsWith('Give a key')")
        assert tab.value("document.querySelector('#tiles').checkVisibility()") is False
        for key, says in ((user, "playground"), (admin, "Live")):
            tab.value("document.querySelector('#key').focus()")
            tab.type(key)
            tab.press("Enter", 13, "\r")
            tab.until(f"document.querySelector('#state').innerText.includes('{says}')")
        tab.until("document.querySelectorAll('#tiles div').length === 8")
        assert admin not in tab.value("document.documentElement.outerHTML")
        tab.value("sessionStorage.clear()")


def test_drift_is_told(tab: Tab, tmp_path: Path) -> None:
    with gateway(tmp_path, drifts=True) as (running, _):
        visit(tab, running)
        assert tab.text("#drift-said").startswith("The scores have drifted")


def test_a_gateway_that_is_gone_is_told(tab: Tab, tmp_path: Path) -> None:
    with gateway(tmp_path) as (running, _):
        visit(tab, running)
    tab.until("document.querySelector('#state').innerText === 'The gateway does not answer'")
