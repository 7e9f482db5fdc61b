"""A model explained whole, and its page: what it says is what was found, and a browser has nothing to complain of."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from pilotfish.compete.explain.page import page
from pilotfish.compete.explain.rivals import is_transparent, table_rivals, targets_of, text_rivals
from pilotfish.compete.explain.text import Reads
from pilotfish.compete.explain.whole_table import TableWhole, explain_table
from pilotfish.compete.explain.whole_text import TextWhole, explain_texts
from pilotfish.compete.folder import plain
from pilotfish.errors import ConfigError, DataError
from pilotfish.measure.report import render_html, render_terminal
from tests.compete.explain.test_explain import fitted, task_of
from tests.compete.explain.text.help import LABELS, TEXTS, headed, table

if TYPE_CHECKING:
    from pilotfish.models.encoder import Encoder

NASTY = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def whole() -> TableWhole:
    """Trees, beside transparent models that were taught on the same rows."""
    task = task_of()
    model = fitted(task, "histogram")
    rivals = table_rivals(model, task.train, "t", ("linear", "rules"), again=2)
    found = explain_table(
        model,
        [{**row, "plan": NASTY} if i == 0 else row for i, row in enumerate(task.test)],
        name="trees",
        target="t",
        background=task.train,
        again=[fitted(task, "lightgbm", 1)],
        against={one.name: one.model for one in rivals},
        fixed=["plan"],
        shown=3,
    )
    return replace(found, rivals={one.name: one.stability for one in rivals if one.stability is not None})


@pytest.fixture(scope="module")
def texts(tiny_encoder: Encoder) -> TextWhole:
    """A head over a tiny encoder, beside a table of n-grams."""
    rivals = text_rivals(TEXTS, LABELS, again=1)
    return explain_texts(
        headed(tiny_encoder),
        [*TEXTS[:6], f"my card {NASTY} arrived"],
        name="the encoder",
        truth=[*LABELS[:6], "card"],
        known=TEXTS,
        again=[headed(tiny_encoder)],
        against={one.name: one.model for one in rivals},
        shown=2,
    )


def test_all_that_is_known_of_a_tables_model(whole: TableWhole) -> None:
    assert whole.told.residual < 1e-6 and whole.told.exact
    assert whole.shapes[0].column == "a" and len(whole.shapes) == 3
    assert whole.faithful.deletion_gain.low > 0
    assert whole.stability is not None and whole.stability.correlation > 0.9
    assert {one.name for one in whole.prices} == {"linear", "rules"} and whole.prices[0].opaque == "trees"
    assert set(whole.rivals) == {"linear", "rules"}
    for one in whole.shown:
        assert one.truth in ("a", "b") and one.adds[0][0] in ("a", "plan") and one.change is not None
        assert "plan" not in [name for name, _ in one.others]
    assert json.loads(json.dumps(plain(whole.to_json()), allow_nan=False))["kind"] == "Forest"


def test_all_that_is_known_of_a_classifier(texts: TextWhole) -> None:
    assert texts.way == "gradients" and set(texts.faithful) == {"gradients", "occlusion"}
    assert texts.residual is not None and texts.residual < 0.05
    # The same classifier taught anew: a head is fitted to the same numbers, so explanations are the same.
    assert texts.stability is not None and texts.stability.correlation == pytest.approx(1)
    (price,) = texts.prices
    assert price.name == "ngrams" and price.measure == "accuracy" and price.own.n == 7
    assert json.loads(json.dumps(plain(texts.to_json()), allow_nan=False))["way"] == "gradients"


def test_a_table_of_ngrams_shows_itself() -> None:
    found = explain_texts(table(), TEXTS, truth=LABELS)
    assert found.way == "exact" and found.ngrams > 10 and found.prices == ()
    assert found.table["card"][0][0] in ("card", "arrived", "where") and found.residual is not None
    assert found.residual < 1e-6
    two = explain_texts(table(classes=2), TEXTS, way="occlusion")
    assert list(two.table) == ["card", "cat"] and two.residual is None
    assert "Not measured" in render_html(page(two))


@pytest.mark.parametrize("target", ["three", "number"])
@pytest.mark.parametrize("kind", ["rules", "additive"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_kind_of_answer_has_a_page(target: str, kind: str) -> None:
    task = task_of(target)
    found = explain_table(fitted(task, kind), task.test, target="t", most=20, shown=2)
    html = render_html(page(found))
    assert html.count("<svg") >= 4
    assert ("The whole model." in html) == (kind == "rules")
    assert (found.shown[0].change is None) == (target == "number")


def test_what_is_shown_is_escaped(whole: TableWhole, texts: TextWhole) -> None:
    for found in (whole, texts):
        html = render_html(page(found))
        assert "<script" not in html
        render_terminal(page(found))
    assert "&lt;script&gt;" in render_html(page(explain_texts(table(), [f"card {NASTY} card"])))


def test_what_does_not_fit_is_told() -> None:
    task = task_of()
    model = fitted(task, "histogram")
    with pytest.raises(DataError, match="no rows"):
        explain_table(model, [])
    with pytest.raises(ConfigError, match="no column 'b'"):
        explain_table(model, task.test, fixed=["b"])
    with pytest.raises(ConfigError, match="foretells something else"):
        explain_table(model, task.test, target="t", against={"other": fitted(task_of("three"), "linear")})
    with pytest.raises(DataError, match="row 1: column 't': 'z' is none"):
        targets_of(model, [{**task.test[0], "t": "z"}], "t")
    with pytest.raises(DataError, match="is no number"):
        targets_of(fitted(task_of("number"), "linear"), [{**task.test[0], "t": "z"}], "t")
    with pytest.raises(ConfigError, match="transparent models of tables"):
        table_rivals(model, task.train, "t", ("lightgbm",))
    with pytest.raises(DataError, match="texts to explain"):
        explain_texts(table(), TEXTS, truth=["card"])
    with pytest.raises(ConfigError, match="other classes"):
        explain_texts(table(), TEXTS, truth=LABELS, against={"two": table(classes=2)})
    with pytest.raises(DataError, match="'dog' is none"):
        explain_texts(table(), TEXTS, truth=["dog"] * len(TEXTS), against={"x": opaque()})
    assert is_transparent(table()) and not is_transparent(model)


def opaque() -> Reads:
    """Return what reads texts and is no table."""
    inner = table()

    class Opaque:
        classes_ = inner.classes_

        def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
            return inner.predict_proba(texts)

    return Opaque()


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not on the path")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_and_axe_find_nothing_wrong(
    whole: TableWhole, texts: TextWhole, scheme: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests.serve.browser import opened

    spec = importlib.util.find_spec("axe_core_python")
    if spec is None or spec.origin is None:
        pytest.skip("axe-core is not installed: pip install axe-core-python")
    axe = Path(spec.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    folder = tmp_path_factory.mktemp("page")
    with opened(folder) as tab:
        tab.prefer(scheme)
        tab.size(1000, 1400)
        for name, found in (("table", whole), ("texts", texts)):
            file = folder / f"{name}.html"
            file.write_text(render_html(page(found)), encoding="utf-8")
            tab.go(file.as_uri())
            assert tab.value("document.querySelectorAll('svg').length") >= 1
            assert tab.complaints == []
            tab.value(axe + "; true")
            results = tab.value(
                "axe.run().then((r) => r.violations.map((v) => [v.id, v.impact, v.nodes.map((n) => n.html)]))"
            )
            assert results == []
