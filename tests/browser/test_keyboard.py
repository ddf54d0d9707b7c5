"""The canvas without a mouse: by the keyboard alone, and by a finger."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from fcnlab.domain.events import Point, PointSource
from fcnlab.services.labelling.events import add_points, points_of_image
from tests.browser.conftest import lab_of, project_with_photos
from tests.browser.harness import Server, open_label_page, pixel_on_screen, viewport
from tests.browser.test_counting import discs_project

SAVED = ".vp[data-unsaved='0']"
FINGER_PX = 44

SMALL_TARGETS = """() => {
  const root = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot;
  const targets = 'button, a, [role=radio], [role=option], input:not([type=checkbox]), label:has(input)';
  const shown = [...root.querySelectorAll(targets)].filter((element) => element.checkVisibility());
  const small = shown.map((element) => [element.getAttribute('aria-label') || element.textContent || element.title,
    element.getBoundingClientRect()]).filter(([, { width, height }]) => width < 44 || height < 44);
  return { n: shown.length, small: small.map(([name, { width, height }]) => `${name}: ${width} x ${height}`) };
}"""
"""Page script: how many targets of the canvas are shown, and those that are too small for a finger."""

OUTLINES = """() => {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  if (!element?.closest('.fcnlab')) return null;
  const style = getComputedStyle(element), edge = getComputedStyle(element, '::after');
  const isVp = element.classList.contains('vp');
  const [width, colour] = isVp ? [edge.borderTopWidth, edge.borderTopColor] : [style.outlineWidth, style.outlineColor];
  const name = isVp ? 'picture' : element.getAttribute('aria-label') || element.textContent.trim();
  return { name, isVisible: element.matches(':focus-visible'), isLine: isVp || style.outlineStyle === 'solid',
    width: parseFloat(width), colour, paper: getComputedStyle(element.closest('.fcnlab')).backgroundColor };
}"""
"""Page script: what marks the element of the canvas that has the focus; null when it is elsewhere."""


def spoken(page: Page) -> Any:
    return expect(page.locator(".spoken"))


def luminance(colour: str) -> float:
    channels = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_points_are_set_and_removed_and_images_chosen_without_a_mouse(page: Page, server: Server) -> None:
    lab = lab_of(server)
    project_id, image_ids = project_with_photos(lab, "keyboard")
    open_label_page(page, server, project_id=project_id, image_id=image_ids[0])
    picture = page.get_by_role("application")
    expect(picture).to_have_accessible_name(re.compile(r"^Image coffee\.png\. Press k .*Space sets a point"))
    hint = page.locator(".hint")
    expect(hint).to_contain_text("Click inside: object", timeout=30_000)

    page.get_by_role("radio", checked=True).focus()
    page.keyboard.press("Tab")  # what changes the class, then what adds one, then the first steps
    while page.evaluate(OUTLINES)["name"] != "picture":
        page.keyboard.press("Tab")
    expect(page.locator(".vp[data-crosshair]")).to_be_attached()
    row, col = map(int, (viewport(page, "crosshair") or "").split(","))
    page.keyboard.press("Space")
    spoken(page).to_have_text(f"Row {row}, column {col}: object")
    page.keyboard.press("1")
    spoken(page).to_have_text("Class background")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("+")
    page.keyboard.press("Space")
    expect(page.locator(".vp[data-painted-seq='2']")).to_be_attached(timeout=60_000)
    expect(hint).to_be_hidden()
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    stored = {found.point.class_id: found.point for found in points_of_image(lab, image_id=image_ids[0])}
    assert (stored[1].row, stored[1].col) == (row, col)
    assert stored[0].row < row
    assert stored[0].col == col

    page.keyboard.press("Delete")
    spoken(page).to_have_text(f"Row {stored[0].row}, column {col}: background removed")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")  # the arrows mean the images again
    expect(page.locator(f".vp[data-image='{image_ids[1]}'][data-ready='1']")).to_be_attached(timeout=30_000)
    page.get_by_role("listbox", name="Images").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator(f".vp[data-image='{image_ids[2]}'][data-ready='1']")).to_be_attached(timeout=30_000)
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    assert [len(points_of_image(lab, image_id=image_id)) for image_id in image_ids] == [1, 0, 0]
    page.reload()
    page.locator(f".vp[data-image='{image_ids[2]}'][data-ready='1']").wait_for(timeout=60_000)
    expect(page.locator(".learner")).not_to_have_text("Waiting for the learner", timeout=30_000)
    expect(hint).to_be_hidden()  # a mask was seen in this browser


def test_in_a_project_that_counts_the_cursor_marks_objects_too(page: Page, server: Server) -> None:
    lab = lab_of(server)
    project_id, (image_id, *_) = discs_project(lab, server, "counting keyboard")
    open_label_page(page, server, project_id=project_id, image_id=image_id)

    page.keyboard.press("k")
    page.keyboard.press("ArrowDown")
    row, col = map(int, (viewport(page, "crosshair") or "").split(","))
    page.keyboard.press("Space")

    spoken(page).to_have_text(f"Row {row}, column {col}: disc")
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    stored = {(found.point.row, found.point.col) for found in points_of_image(lab, image_id=image_id)}
    assert (row, col) in stored


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_whatever_has_the_focus_is_seen_to_have_it(browser: Browser, server: Server, scheme: Any) -> None:
    project_id, image_ids = project_with_photos(lab_of(server), f"focus {scheme}")
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    open_label_page(page, server, project_id=project_id, image_id=image_ids[0])
    page.get_by_role("button", name="Remove single points").focus()
    seen = []

    while (mark := page.evaluate(OUTLINES)) is not None and len(seen) < 60:
        seen.append(mark)
        page.keyboard.press("Tab")

    context.close()
    assert {"picture", "Images", "Mouse and keys", "Opacity of the overlay"} <= {mark["name"] for mark in seen}
    for mark in seen:
        dark, bright = sorted([luminance(mark["colour"]), luminance(mark["paper"])])
        assert mark["isVisible"], mark
        assert mark["isLine"], mark
        assert mark["width"] >= 2, mark
        assert (bright + 0.05) / (dark + 0.05) >= 3, mark


@pytest.fixture(params=[(390, 844), (820, 1180)], ids=["phone", "tablet"])
def touched(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=True, is_mobile=True)
    yield context.new_page()
    context.close()


def too_small(page: Page) -> list[str]:
    measured = page.evaluate(SMALL_TARGETS)
    assert measured["n"] > 20
    return list(measured["small"])


def test_a_finger_removes_one_point_and_finds_every_target(touched: Page, server: Server) -> None:
    lab = lab_of(server)
    page, width = touched, touched.viewport_size["width"]  # type: ignore[index]
    project_id, image_ids = project_with_photos(lab, f"finger {width}")
    points = [Point(60, 100, 1), Point(300, 400, 0)]
    add_points(lab, points, image_id=image_ids[0], labeller="tester", source=PointSource.CLICK)
    open_label_page(page, server, project_id=project_id, image_id=image_ids[0])
    expect(page.locator(".vp[data-points='2']")).to_be_attached()
    assert too_small(page) == []

    page.get_by_role("button", name="Remove single points").tap()
    expect(page.get_by_text("Each click on a point removes it")).to_be_visible()
    x, y = pixel_on_screen(page, 60, 100)
    page.touchscreen.tap(x + 9, y + 9)  # fingers are not exact
    expect(page.locator(".vp[data-points='1']")).to_be_attached()
    page.touchscreen.tap(*pixel_on_screen(page, 200, 200))  # where no point is
    expect(page.get_by_text("There is no point.")).to_be_visible()
    assert too_small(page) == []
    page.get_by_role("button", name="Stop", exact=True).tap()
    page.touchscreen.tap(*pixel_on_screen(page, 200, 200))  # a tap is a point again
    expect(page.locator(".vp[data-points='2']")).to_be_attached()
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    stored = {(found.point.row, found.point.col) for found in points_of_image(lab, image_id=image_ids[0])}
    assert (300, 400) in stored
    assert (60, 100) not in stored

    small = []
    for key in ("b", "q"):  # as somebody with a keyboard beside the tablet does
        page.keyboard.press(key)
        page.locator(".brushbar, .prompt").filter(visible=True).wait_for()
        small += too_small(page)
    page.keyboard.press("Escape")
    page.locator(".class[aria-checked='true'] + .edit").tap()
    page.get_by_role("dialog", name="Class object").wait_for()
    small += too_small(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Brightness, contrast").tap()
    page.get_by_role("dialog", name="Display").wait_for()
    small += too_small(page)
    assert small == []
    wide = page.locator(".toolbar, .side, .strip, .statusbar, .vp").evaluate_all(
        "parts => parts.filter((part) => part.getBoundingClientRect().right > innerWidth).map((part) => part.className)"
    )
    assert wide == []
    controls = page.locator(".toolbar :is(button, input)").filter(visible=True).all()
    boxes = [control.bounding_box() for control in controls]
    assert max(box["x"] + box["width"] for box in boxes if box) <= width
