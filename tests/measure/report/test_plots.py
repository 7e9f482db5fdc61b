from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotfish.errors import DataError
from pilotfish.measure.frontier import Frontier, Point
from pilotfish.measure.intervals import Interval
from pilotfish.measure.metrics import confusion
from pilotfish.measure.report import WeighedText
from pilotfish.measure.report._canvas import SERIES, WIDTH, Box
from pilotfish.measure.report._labels import _box, _overlap, place, shorten, spread, width
from pilotfish.measure.report._scales import CostScale, money
from pilotfish.measure.report.plots import (
    Curve,
    bars_plot,
    calibration_plot,
    confusion_plot,
    curve_plot,
    forest_plot,
    frontier_plot,
    histogram_plot,
    shape_plot,
)

from .sample import NASTY, about, adds, amounts, calibrations, curves, frontier, plots, some_confusion

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("index", range(10))
def test_a_plot_follows_the_page(index: int) -> None:
    svg = plots()[index].svg
    root = ET.fromstring(svg)
    assert root.get("role") == "img" and root[0].tag == f"{SVG}title" and root[1].tag == f"{SVG}desc"
    assert len(root[1].text or "") > 60
    colours = {node.get(key) for node in root.iter() for key in ("fill", "stroke")} - {None, "none"}
    assert all(c == "currentColor" or (c or "").startswith("var(--") for c in colours), colours
    assert len(colours) >= 4 or index == 4  # the bars have one colour
    assert "style=" not in svg and "<style" not in svg and "metadata" not in svg and "font-family" not in svg
    assert not re.search(r"\d\d:\d\d:\d\d|matplotlib", svg)
    assert "<script" not in svg


def test_the_same_input_gives_the_same_bytes_in_another_process() -> None:
    code = "from tests.measure.report.sample import *; print(frontier_plot(frontier(), chosen='cascade'))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == frontier_plot(frontier(), chosen="cascade")


def test_no_pyplot_and_no_change_of_matplotlib_settings() -> None:
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy()\n"
        "from tests.measure.report.sample import *; plots()\n"
        "changed = {key for key in before if key != 'backend' and before[key] != matplotlib.rcParams[key]}\n"
        "assert 'matplotlib.pyplot' not in sys.modules and not changed, changed"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_plots_does_not_import_matplotlib() -> None:
    code = "import sys, pilotfish.measure.report.plots; assert not {'matplotlib', 'jinja2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_frontier_names_every_point() -> None:
    shown = texts(frontier_plot(frontier(), chosen="cascade"))
    for point in frontier().points:
        assert any(text.startswith(shorten(point.name)) for text in shown)
    assert "majority class (6%, off the scale)" in shown
    assert "0" in shown and "Cost, USD per 1,000 requests (log scale)" in shown


@pytest.mark.parametrize(
    "points",
    [
        [("only", 0.0, 0.5)],
        [("a", 0.0, 0.5), ("b", 0.0, 0.5)],
        [("a", 1.0, 0.5), ("b", 1.1, 0.6)],
        [("a", 1e-6, 0.5), ("b", 1e4, 0.6)],
        [(f"system number {i}", 1.0 + i / 100, 0.8 + i / 1000) for i in range(12)],
        [("a", 0.0, 12.0), ("b", 3.0, 40.0), ("c", 3.0, 41.0)],
    ],
)
def test_odd_frontiers_draw(points: list[tuple[str, float, float]]) -> None:
    drawn = frontier_plot(Frontier([Point(n, c, about(q) if q < 1 else Interval(q, q, q)) for n, c, q in points]))
    shown = texts(drawn)
    assert all(any(text.startswith(name) for text in shown) for name, _, _ in points)
    assert "nan" not in drawn and "inf" not in re.sub("<desc.*?</desc>", "", drawn)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=8), st.booleans())
def test_the_cost_scale_rises_and_inverts(costs: list[float], zero: bool) -> None:
    scale = CostScale(costs + [0.0] * zero)
    ordered = sorted({*costs, *([0.0] if zero else [])})
    places = [scale.at(cost) for cost in ordered]
    assert places == sorted(places)
    assert all(scale.low <= at <= scale.high for at in places)
    for cost, at in zip(ordered, places, strict=True):
        assert scale.cost(at) == pytest.approx(cost, rel=1e-6, abs=1e-12 * max(1.0, scale.least))
    assert 2 <= len(scale.ticks) <= 16
    assert all(scale.low <= scale.at(tick) <= scale.high + 1e-9 for tick in scale.ticks)


def test_ticks_have_no_exponents() -> None:
    assert [money(c) for c in (0, 0.0001, 0.5, 3, 10, 20000)] == ["0", "0.0001", "0.5", "3", "10", "20,000"]


def test_the_curve_labels_lines_and_ticks() -> None:
    svg = curve_plot(curves(), crossover=(21, "small overtakes large at 21 labels"), all_labels=480)
    shown = texts(svg)
    assert {"8", "32", "128", "all (480)", "small overtakes large at 21 labels", shorten(NASTY, 26)} <= set(shown)
    for index in range(5):
        assert f"var(--series-{index + 1},{SERIES[index]})" in svg
    assert "large zero-shot" in texts(curve_plot([Curve("large zero-shot", [(0, about(0.5))])]))
    with pytest.raises(DataError, match="1 to 8 curves"):
        curve_plot([])


def test_few_classes_are_a_map_and_many_are_pairs() -> None:
    few = texts(confusion_plot(some_confusion(10)))
    assert "(no answer)" in few and "Predicted" in few
    many = some_confusion(40)
    pairs = [text for text in texts(confusion_plot(many)) if "→" in text][1:]
    assert len(pairs) == 20
    true, guess, count = many.most_confused(1)[0]
    assert pairs[0] == f"{shorten(str(true), 26)} → {shorten(str(guess), 26)}" and count > 0
    names = [f"c{i}" for i in range(20)]
    assert "no row was confused" in texts(confusion_plot(confusion(names, names)))


def test_calibration_and_forest_show_numbers() -> None:
    tables = calibrations()
    assert f"encoder + head, ECE {tables[0][1].ece:.3f}" in texts(calibration_plot(tables))
    assert "92.0% [90.8%, 93.2%]" in texts(forest_plot([("a", about(0.92))]))
    assert "−2.0% [−3.2%, −0.8%]" in texts(forest_plot([("a", about(-0.02))], reference=0))
    with pytest.raises(DataError, match="1 to 4"):
        calibration_plot([])
    with pytest.raises(DataError, match="at least one row"):
        forest_plot([])


@given(st.lists(st.floats(0, 300), max_size=12))
def test_spread_keeps_a_gap_and_the_order(wanted: list[float]) -> None:
    placed = spread(wanted, 16, 0, 300)
    ordered = np.array(placed)[np.argsort(wanted, kind="stable")]
    gap = min(16.0, 300 / max(1, len(wanted) - 1))
    assert (np.diff(ordered) >= gap - 1e-6).all()
    assert all(-1e-6 <= y <= 300 + 1e-6 for y in placed)


def test_spread_moves_nothing_that_has_room() -> None:
    assert spread([10.0, 100.0, 50.0], 16, 0, 300) == [10.0, 100.0, 50.0]


@given(st.integers(0, 1_000), st.integers(1, 9))
def test_labels_do_not_overlap_one_another(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    points = [(float(x), float(y)) for x, y in rng.uniform((80, 60), (WIDTH - 80, 330), (count, 2))]
    names = [f"system {i}" for i in range(count)]
    inside = Box(0, 0, WIDTH, 400)
    boxes = [_box(x, y, width(n), a) for (x, y, a), n in zip(place(points, names, inside), names, strict=True)]
    for i, box in enumerate(boxes):
        assert box.left >= 0 and box.right <= WIDTH and box.top >= 0 and box.bottom <= 400
        assert all(_overlap(box, other) == 0 for other in boxes[:i])


def test_shorten_and_width() -> None:
    assert shorten("a\n b") == "a b" and shorten("x" * 40, 10) == "x" * 9 + "…"
    assert width("你好") > width("ab") > width("il")


def test_a_histogram_names_its_systems_and_tells_what_it_shows() -> None:
    svg = histogram_plot(amounts(), means=[about(0.7), about(0.6)], quality="bertscore")
    shown = texts(svg)
    assert "small" in shown and shorten(NASTY, 24) in shown and "bertscore" in shown
    told = ET.fromstring(svg)[1].text or ""
    assert "small: 500 values from" in told and "mean 0.70" in told
    alone = texts(histogram_plot([("x", [0.1, 0.2, 0.9])]))
    assert "rows" in alone and "x" not in alone


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5, 0.5], [-1e9, 1e9], [0.0] * 100 + [1.0], list(range(3000))])
def test_odd_histograms_draw(values: list[float]) -> None:
    drawn = re.sub("<desc.*?</desc>", "", histogram_plot([("a", values), ("b", [0.0])]))
    assert "nan" not in drawn and "inf" not in drawn


def test_a_histogram_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="at least one value"):
        histogram_plot([])
    with pytest.raises(DataError, match="at least one value"):
        histogram_plot([("a", [])])
    with pytest.raises(DataError, match="finite"):
        histogram_plot([("a", [1.0, float("nan")])])


def test_bars_say_which_side_they_are_of() -> None:
    svg = bars_plot(adds(), quality="log-odds", sides=("speaks against", "speaks for it"))
    shown = texts(svg)
    assert {"← speaks against", "speaks for it →", "1.2", "−0.7", "log-odds"} <= set(shown)
    told = ET.fromstring(svg)[1].text or ""
    assert "area = north: 0" in told and NASTY in told
    assert texts(bars_plot([("x", 0.0)], quality="y"))
    with pytest.raises(DataError):
        bars_plot([], quality="y")
    with pytest.raises(DataError):
        bars_plot([("x", float("inf"))], quality="y")


@pytest.mark.parametrize("step", [False, True])
def test_a_shape_tells_its_values(step: bool) -> None:
    svg = shape_plot([0.5, 10.0], [-1.0, 2.0], name="age", quality="log-odds", step=step)
    assert "0.5: -1, 10: 2" in (ET.fromstring(svg)[1].text or "") and "age" in texts(svg)
    named = texts(shape_plot(["a", "b"], [0.0, 1.0], name="plan", quality="log-odds"))
    assert {"a", "b", "log-odds"} <= set(named)
    with pytest.raises(DataError):
        shape_plot([], [], name="x", quality="y")
    with pytest.raises(DataError):
        shape_plot([1.0], [1.0], [(0, 1), (0, 1)], name="x", quality="y")


@given(st.lists(st.tuples(st.text(max_size=8), st.floats(-1e6, 1e6)), max_size=12))
def test_weighed_text_is_whole_and_shaded_by_size(pieces: list[tuple[str, float]]) -> None:
    shades = WeighedText("x", pieces).shades()
    assert "".join(piece for piece, _ in shades) == "".join(piece for piece, _ in pieces)
    for (_, shade), (_, weight) in zip(shades, pieces, strict=True):
        assert -3 <= shade <= 3 and shade * weight >= 0
    if any(weight for _, weight in pieces):
        assert max(abs(shade) for _, shade in shades) == 3
