"""What brush and eraser do, through a real browser, server and database."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from fcnlab.core.images.painting import pixels_of
from fcnlab.domain.events import Stroke
from fcnlab.lab import Lab
from fcnlab.services.export.exporting import ExportSpec, export_project
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.storage.database.engine import reading
from fcnlab.storage.database.repository_strokes import strokes_of_image
from tests.browser.conftest import lab_of, project_with_photos
from tests.browser.harness import Server, click_pixel, open_label_page, pixel_on_screen

SAVED = ".vp[data-unsaved='0']"
START, END = (60, 480), (100, 560)
"""Row and column of a stroke over wood: background, whatever the learner says."""

SHOWN = """([row, col]) => {
  const root = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot;
  const fill = root.querySelector('.fill'), box = root.querySelector('.picture');
  const at = [col * fill.width / box.naturalWidth, row * fill.height / box.naturalHeight].map(Math.floor);
  return [...fill.getContext('2d').getImageData(...at, 1, 1).data];
}"""
"""Page script: red, green, blue and opacity of the overlay at a pixel of the image."""

WATCH = """([row, col]) => {
  const root = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot;
  const fill = root.querySelector('.fill'), box = root.querySelector('.picture');
  window.seen = [];
  const look = () => {
    const at = [col * fill.width / box.naturalWidth, row * fill.height / box.naturalHeight].map(Math.floor);
    window.seen.push(fill.getContext('2d').getImageData(...at, 1, 1).data[3]);
    requestAnimationFrame(look);
  };
  look();
}"""
"""Page script: `seen` gets the opacity of the overlay at a pixel, frame by frame."""


def drag(page: Page, start: tuple[int, int], end: tuple[int, int], *, steps: int = 12, up: bool = True) -> None:
    page.mouse.move(*pixel_on_screen(page, *start))
    page.mouse.down()
    page.mouse.move(*pixel_on_screen(page, *end), steps=steps)
    if up:
        page.mouse.up()


def opacity(page: Page, row: int, col: int) -> int:
    return int(page.evaluate(SHOWN, [row, col])[3])


def covered(page: Page, seq: int) -> None:
    expect(page.locator(f".vp[data-painted-seq='{seq}']")).to_be_attached(timeout=60_000)


def stored(lab: Lab, image_id: int) -> list[Stroke]:
    with reading(lab.sessions) as session:
        return [one.stroke for one in strokes_of_image(session, image_id=image_id)]


def with_mask(page: Page, server: Server, name: str) -> tuple[Lab, int, int]:
    """A project whose first image has a mask of two clicks, on the label page."""
    lab = lab_of(server)
    project_id, (image_id, *_) = project_with_photos(lab, name)
    open_label_page(page, server, project_id=project_id)
    page.keyboard.press("2")
    click_pixel(page, 180, 250)
    page.keyboard.press("1")
    click_pixel(page, 30, 570)
    covered(page, 2)
    page.keyboard.press("2")
    return lab, project_id, image_id


def test_a_stroke_is_seen_at_once_stays_without_flicker_and_lands_in_database_and_export(
    page: Page, server: Server, tmp_path: Path
) -> None:
    lab, project_id, image_id = with_mask(page, server, "paint")
    middle = (80, 520)
    assert opacity(page, *middle) == 0
    page.keyboard.press("b")
    expect(page.get_by_role("group", name="Brush", exact=True)).to_be_visible()

    drag(page, START, END)
    page.wait_for_timeout(50)
    page.evaluate(WATCH, middle)
    covered(page, 3)
    page.wait_for_timeout(200)

    seen = page.evaluate("seen")
    assert len(seen) > 3
    assert set(seen) == {255}
    (stroke,) = stored(lab, image_id)
    rows, cols = np.nonzero(pixels_of(stroke))
    assert stroke.class_id == 1
    assert abs(rows.mean() + stroke.top - 80) < 1.5
    assert abs(cols.mean() + stroke.left - 520) < 1.5
    page.reload()
    page.locator(".vp[data-ready='1']").wait_for(timeout=60_000)
    page.wait_for_function(f"({SHOWN})([80, 520])[3] === 255", timeout=60_000)
    mask = exported(lab, project_id, tmp_path)
    assert (mask[rows + stroke.top, cols + stroke.left] == 1).all()
    assert mask[20, 480] == 0


def exported(lab: Lab, project_id: int, folder: Path) -> np.ndarray:
    learner = ProjectLearner(lab, PictureStore(lab), project_id=project_id)
    to = folder / "out.zip"
    list(export_project(lab, lambda work: work(learner), project_id=project_id, spec=ExportSpec(), to=to))
    with zipfile.ZipFile(to) as archive, archive.open("masks/coffee.png") as file:
        return np.asarray(Image.open(file))


def test_undo_takes_a_stroke_off_the_overlay_and_redo_puts_it_back(page: Page, server: Server) -> None:
    lab, _, image_id = with_mask(page, server, "undo a stroke")
    page.keyboard.press("b")
    drag(page, START, END)
    covered(page, 3)

    page.keyboard.press("z")
    covered(page, 4)
    assert opacity(page, 80, 520) == 0
    assert stored(lab, image_id) == []
    page.keyboard.press("Shift+Z")
    covered(page, 5)

    assert opacity(page, 80, 520) == 255
    assert len(stored(lab, image_id)) == 1


def test_the_eraser_gives_pixels_back_to_the_predicted_mask(page: Page, server: Server) -> None:
    lab, _, image_id = with_mask(page, server, "erase")
    was = [page.evaluate(SHOWN, [180, col]) for col in range(230, 270, 5)]
    assert was[4][3] == 255
    page.keyboard.press("b")
    page.keyboard.press("1")
    drag(page, (180, 230), (180, 270))
    covered(page, 3)
    assert opacity(page, 180, 250) == 0

    page.keyboard.press("e")
    drag(page, (180, 220), (180, 280))
    covered(page, 4)

    assert [page.evaluate(SHOWN, [180, col]) for col in range(230, 270, 5)] == was
    assert [one.class_id for one in stored(lab, image_id)] == [0, None]


def test_while_painting_space_moves_the_picture_wheel_and_keys_change_the_brush_and_escape_ends_it(
    page: Page, server: Server
) -> None:
    lab, _, image_id = with_mask(page, server, "brush")
    page.keyboard.press("b")
    bar = page.get_by_role("group", name="Brush", exact=True)
    size = bar.locator(".size")
    first = size.inner_text()
    page.keyboard.press("]")
    larger = size.inner_text()
    page.keyboard.press("[")
    page.mouse.move(*pixel_on_screen(page, 200, 300))
    page.keyboard.down("Shift")
    page.mouse.wheel(0, 120)
    page.keyboard.up("Shift")
    expect(size).not_to_have_text(first)
    smaller = size.inner_text()
    before = pixel_on_screen(page, 200, 300)
    page.keyboard.down(" ")
    page.mouse.down()
    page.mouse.move(before[0] + 60, before[1] + 30, steps=4)
    page.mouse.up()
    page.keyboard.up(" ")
    after = pixel_on_screen(page, 200, 300)
    drag(page, START, END, up=False)
    page.keyboard.press("Escape")  # ends the stroke
    page.mouse.up()
    expect(bar).to_be_visible()
    page.keyboard.press("Escape")
    expect(bar).to_be_hidden()
    click_pixel(page, 100, 300)

    expect(page.locator(f"{SAVED}[data-points='3']")).to_be_attached()
    numbers = [int(text.removesuffix(" px")) for text in (smaller, first, larger)]
    assert numbers == sorted(set(numbers))
    assert after == pytest.approx((before[0] + 60, before[1] + 30), abs=1)
    assert stored(lab, image_id) == []


def test_a_reload_in_the_middle_of_painting_keeps_every_stroke_also_before_anything_is_learned(
    page: Page, server: Server
) -> None:
    lab = lab_of(server)
    project_id, (image_id, *_) = project_with_photos(lab, "reload strokes")
    open_label_page(page, server, project_id=project_id)
    page.keyboard.press("2")
    page.keyboard.press("b")
    for number in range(5):
        drag(page, (40 + 30 * number, 60), (40 + 30 * number, 160), steps=4)
    page.wait_for_timeout(30)
    assert opacity(page, 100, 110) == 255

    page.reload()
    page.locator(".vp[data-ready='1']").wait_for(timeout=60_000)

    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    page.wait_for_function(f"({SHOWN})([100, 110])[3] === 255", timeout=60_000)
    assert len(stored(lab, image_id)) == 5
    page.get_by_role("button", name="Remove all points and strokes of this image").click()
    expect(page.locator(f"{SAVED}[data-strokes='0']")).to_be_attached()
    assert stored(lab, image_id) == []


def test_a_stroke_does_not_land_on_an_image_that_was_opened_while_it_was_drawn(page: Page, server: Server) -> None:
    lab = lab_of(server)
    project_id, (first, second, _) = project_with_photos(lab, "two images")
    open_label_page(page, server, project_id=project_id)
    page.keyboard.press("b")
    drag(page, (60, 60), (100, 160), up=False)
    page.keyboard.press("n")
    expect(page.locator(f".vp[data-image='{second}'][data-ready='1']")).to_be_attached(timeout=30_000)

    page.mouse.up()
    page.wait_for_timeout(300)

    expect(page.locator(f"{SAVED}[data-strokes='0']")).to_be_attached()
    assert stored(lab, first) == stored(lab, second) == []


def test_a_done_image_cannot_be_painted_on(page: Page, server: Server) -> None:
    lab, _, image_id = with_mask(page, server, "done strokes")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    expect(page.locator(".vp[data-points='0'][data-ready='1']")).to_be_attached(timeout=30_000)
    page.keyboard.press("p")
    expect(page.get_by_text("This image is done")).to_be_visible(timeout=30_000)

    drag(page, START, END)
    page.wait_for_timeout(200)

    expect(page.get_by_role("group", name="Brush", exact=True)).to_be_hidden()
    assert stored(lab, image_id) == []
