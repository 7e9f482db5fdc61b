"""The page in a real browser: opened from a file with every host unreachable, in light, dark and on a narrow screen."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pilotfish.measure.report import render_html

from .sample import report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="chromium is not on the path (Debian: apt-get install chromium)"),
]

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--v=0",
    "--virtual-time-budget=2000",
]


def shoot(folder: Path, size: str, *flags: str) -> tuple[NDArray[np.uint8], str]:
    image = pytest.importorskip("PIL.Image")
    page, picture = folder / "report.html", folder / "report.png"
    page.write_text(render_html(report()), encoding="utf-8")
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER,
            *FLAGS,
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={size}",
            f"--screenshot={picture}",
            *flags,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return np.asarray(image.open(picture).convert("RGB")), console


def pixels(picture: NDArray[np.uint8], colour: str) -> int:
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(picture.astype(int) - wanted).max(axis=2) <= 8).sum())


@pytest.mark.parametrize(
    ("flags", "paper", "series"),
    [
        ([], "#fdfcf9", ["#0069a8", "#b45309", "#047857"]),
        (["--blink-settings=preferredColorScheme=0"], "#14181c", ["#62b5ea", "#f2a14e", "#46cf9f"]),
    ],
    ids=["light", "dark"],
)
def test_it_opens_without_a_complaint_and_shows_its_plots(
    tmp_path: Path, flags: list[str], paper: str, series: list[str]
) -> None:
    picture, console = shoot(tmp_path, "900,5600", *flags)
    assert console == ""
    assert pixels(picture, paper) > 0.5 * picture.shape[0] * picture.shape[1]
    for colour in series:
        assert pixels(picture, colour) > 300, colour


def test_a_narrow_screen_keeps_its_margins(tmp_path: Path) -> None:
    picture, console = shoot(tmp_path, "500,6400")
    assert console == ""
    # Nothing runs over the page's own margin: what is too wide scrolls inside its own box.
    edge = picture[:, -10:, :].reshape(-1, 3)
    assert (np.abs(edge.astype(int) - np.array([0xFD, 0xFC, 0xF9])).max(axis=1) <= 3).all()
