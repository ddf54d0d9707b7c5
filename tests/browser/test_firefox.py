"""The way from a click to files, in Debian's Firefox: all other browser tests drive Chromium."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fcnlab.domain.events import Point
from fcnlab.services.labelling.events import points_of_image
from tests.browser.conftest import lab_of, project_with_photos
from tests.browser.harness import Server
from tests.support.firefox import Firefox, running_firefox

pytestmark = pytest.mark.firefox

CANVAS = "document.querySelector('[data-testid=stBidiComponentIsolated]')?.shadowRoot"
HEIGHT_WIDTH = (400, 600)
"""Of the photograph of a cup of coffee."""

CUP, TABLE = (180, 250), (30, 570)
TINTED = f"""(() => {{
  const pixels = (canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const isTinted = (canvas) => canvas.width > 0 && pixels(canvas).some((value, at) => at % 4 === 3 && value > 0);
  return [...{CANVAS}.querySelectorAll('.vp canvas')].some(isTinted);
}})()"""
"""Whether anything is painted over the picture."""


@pytest.fixture
def firefox(tmp_path: Path) -> Iterator[Firefox]:
    with running_firefox(tmp_path) as firefox:
        yield firefox


def test_clicks_make_a_mask_which_is_exported_and_downloaded(firefox: Firefox, server: Server, tmp_path: Path) -> None:
    lab = lab_of(server)
    project_id, (image_id,) = project_with_photos(lab, "in Firefox", ("coffee.png",))
    firefox.open(f"{server.url}/?project={project_id}&labeller=tester")
    firefox.wait_for(f"!!{CANVAS}?.querySelector('.vp[data-ready=\"1\"]')")
    firefox.press("2")
    firefox.click(*place_of(firefox, *CUP))
    firefox.press("1")
    firefox.click(*place_of(firefox, *TABLE))
    firefox.wait_for(f'!!{CANVAS}.querySelector(\'.vp[data-painted-seq="2"][data-unsaved="0"]\')')
    assert firefox.evaluate(TINTED)
    assert {near(labelled.point) for labelled in points_of_image(lab, image_id=image_id)} == {(CUP, 1), (TABLE, 0)}
    lab.close()

    press_link(firefox, "Export")
    press_button(firefox, "Export")
    press_link(firefox, "Download")

    with zipfile.ZipFile(downloaded(tmp_path / "downloads")) as archive:
        assert archive.testzip() is None
        assert [name for name in archive.namelist() if name.endswith("coffee.png")]


def place_of(firefox: Firefox, row: int, col: int) -> tuple[float, float]:
    """Where a pixel of the photograph is in the window."""
    box = json.loads(firefox.evaluate(f"JSON.stringify({CANVAS}.querySelector('.vp img').getBoundingClientRect())"))
    height, width = HEIGHT_WIDTH
    return box["x"] + (col + 0.5) * box["width"] / width, box["y"] + (row + 0.5) * box["height"] / height


def near(point: Point) -> tuple[tuple[int, int], int]:
    """Which of the two places was clicked, and in which class."""
    clicked = min((CUP, TABLE), key=lambda place: abs(point.row - place[0]) + abs(point.col - place[1]))
    assert abs(point.row - clicked[0]) <= 1
    assert abs(point.col - clicked[1]) <= 1
    return clicked, point.class_id


def press_button(firefox: Firefox, words: str) -> None:
    press(firefox, "[data-testid=stMain] button:not(:disabled)", words)


def press_link(firefox: Firefox, words: str) -> None:
    press(firefox, "a", words)


def press(firefox: Firefox, selector: str, words: str) -> None:
    """Click the middle of what these words stand on, once it is there and nothing moves any more."""
    of_words = f"[...document.querySelectorAll({selector!r})].find((at) => at.innerText.includes({words!r}))"
    still = "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"
    firefox.wait_for(f"{still} && !!{of_words}")
    x, y = json.loads(
        firefox.evaluate(
            f"(() => {{ const box = {of_words}.getBoundingClientRect();"
            " return JSON.stringify([box.x + box.width / 2, box.y + box.height / 2]); })()"
        )
    )
    firefox.click(x, y)


def downloaded(folder: Path) -> Path:
    """The one file that Firefox has saved whole."""
    deadline = time.monotonic() + 60
    while not (files := [file for file in folder.iterdir() if file.stat().st_size]) or any(
        file.suffix == ".part" for file in files
    ):
        assert time.monotonic() < deadline, f"nothing was downloaded: {sorted(folder.iterdir())}"
        time.sleep(0.1)
    (file,) = files
    return file
