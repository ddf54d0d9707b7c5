"""Query mode and the ranked strip, through a real browser, server and database."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import ImageState
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import add_points, points_of_image, set_image_state
from tests.browser.conftest import lab_of, project_with_photos
from tests.browser.harness import Server, click_pixel, open_label_page, viewport

SAVED = ".vp[data-unsaved='0']"
ASKED = ".vp[data-asked]"
CUP = [Point(180, 250, 1), Point(30, 570, 0)]


def with_a_mask(server: Server, name: str) -> tuple[Lab, int, list[int]]:
    """A project with two clicks on its first image."""
    lab = lab_of(server)
    project_id, image_ids = project_with_photos(lab, name)
    add_points(lab, CUP, image_id=image_ids[0], labeller="tester", source=PointSource.CLICK)
    return lab, project_id, image_ids


def asked_pixel(page: Page, *, after: str | None = None) -> str:
    """The pixel in the ring, once it is another than `after`."""
    page.locator(ASKED if after is None else f"{ASKED}:not([data-asked='{after}'])").wait_for(timeout=60_000)
    found = viewport(page, "asked")
    assert found is not None
    return found


def answers(lab: Lab, image_id: int, source: PointSource) -> dict[str, int]:
    """Class by "row,col" of the points from this source."""
    stored = points_of_image(lab, image_id=image_id)
    return {f"{one.point.row},{one.point.col}": one.point.class_id for one in stored if one.source is source}


def test_a_round_is_answered_by_keys_alone_and_stored_where_it_was_asked(page: Page, server: Server) -> None:
    lab, project_id, (first, *others) = with_a_mask(server, "round")
    open_label_page(page, server, project_id=project_id)
    page.locator(".vp").evaluate("element => { window.before = element; }")

    page.keyboard.press("q")
    wanted: dict[str, int] = {}
    here: str | None = None
    for number, key in enumerate(["1", "2", "s", "2", "u", "1", "2", "1", "2", "1"], start=1):
        here = asked_pixel(page, after=here)
        expect(page.get_by_text(f"{number} of 10")).to_be_visible()
        page.keyboard.press(key)
        if key.isdecimal():
            wanted[here] = int(key) - 1

    expect(page.get_by_text("8 pixels answered, 1 skipped, 1 unsure")).to_be_visible()
    expect(page.locator(SAVED)).to_be_attached()
    assert answers(lab, first, PointSource.QUERY) == wanted
    assert len(wanted) == 8
    assert page.locator(".vp").evaluate("element => element === window.before")  # nothing was built anew

    page.keyboard.press("m")
    again = asked_pixel(page)
    assert again not in wanted
    page.keyboard.press("s")
    for _ in range(9):
        again = asked_pixel(page, after=again)
        page.keyboard.press("s")
    page.keyboard.press("Enter")

    expect(page.locator(f".vp[data-image='{first}']")).to_have_count(0, timeout=30_000)
    asked_pixel(page)
    assert int(viewport(page, "image") or 0) in others
    page.keyboard.press("Escape")
    expect(page.locator(ASKED)).to_have_count(0)


def test_undo_goes_back_to_the_pixel_before_and_takes_its_answer_back(page: Page, server: Server) -> None:
    lab, project_id, (image_id, *_) = with_a_mask(server, "back")
    open_label_page(page, server, project_id=project_id)
    page.keyboard.press("q")
    first = asked_pixel(page)
    page.keyboard.press("1")
    second = asked_pixel(page, after=first)
    page.keyboard.press("s")
    third = asked_pixel(page, after=second)

    page.keyboard.press("z")
    assert asked_pixel(page, after=third) == second
    page.keyboard.press("z")
    assert asked_pixel(page, after=second) == first
    expect(page.locator(".vp[data-points='2']")).to_be_attached()
    page.keyboard.press("2")
    assert asked_pixel(page, after=first) == second

    expect(page.locator(SAVED)).to_be_attached()
    assert answers(lab, image_id, PointSource.QUERY) == {first: 1}


def test_answers_to_random_pixels_are_told_apart(page: Page, server: Server) -> None:
    lab, project_id, (image_id, *_) = with_a_mask(server, "random")
    open_label_page(page, server, project_id=project_id)
    page.keyboard.press("q")
    uncertain = asked_pixel(page)

    page.get_by_role("button", name="Random", exact=True).click()
    here = asked_pixel(page, after=uncertain)
    page.locator(".classes .class").nth(1).click()
    asked_pixel(page, after=here)

    expect(page.locator(SAVED)).to_be_attached()
    assert answers(lab, image_id, PointSource.RANDOM_QUERY) == {here: 1}
    assert answers(lab, image_id, PointSource.QUERY) == {}


def test_without_a_mask_pixels_are_drawn_at_random_and_clicks_add_nothing(page: Page, server: Server) -> None:
    lab = lab_of(server)
    project_id, (image_id, *_) = project_with_photos(lab, "blank")
    open_label_page(page, server, project_id=project_id)

    page.keyboard.press("q")
    here = asked_pixel(page)
    expect(page.get_by_text("No mask yet")).to_be_visible()
    page.wait_for_timeout(400)  # the picture has come to rest
    click_pixel(page, *map(int, here.split(",")))
    page.keyboard.press("2")
    asked_pixel(page, after=here)

    expect(page.locator(SAVED)).to_be_attached()
    assert answers(lab, image_id, PointSource.RANDOM_QUERY) == {here: 1}
    assert len(points_of_image(lab, image_id=image_id)) == 1


def test_the_strip_can_begin_with_what_promises_most_and_next_follows_it(page: Page, server: Server) -> None:
    lab, project_id, (first, second, third) = with_a_mask(server, "ranking")
    set_image_state(lab, image_id=second, state=ImageState.DONE, labeller="tester")
    open_label_page(page, server, project_id=project_id, image_id=first)

    page.get_by_role("button", name="Most informative").click()

    cells = page.locator(".cell")
    expect(page.locator(".cell[title*='gain']")).to_have_count(2, timeout=60_000)
    expect(page.locator(".ranking")).to_have_text("")
    by_place = sorted(cells.all(), key=lambda cell: (cell.bounding_box() or {"x": 0})["x"])
    order = [int(cell.get_attribute("data-image") or 0) for cell in by_place]
    assert sorted(order[:2]) == [first, third]
    assert order[2] == second
    gains = [float(re.findall(r"gain ([\d.]+)", cell.get_attribute("title") or "")[0]) for cell in by_place[:2]]
    assert gains[0] >= gains[1]
    expect(page.locator(".toolbar .place")).to_have_text(f"{order.index(first) + 1} / 3")
    if order[0] == first:
        page.keyboard.press("n")
        expect(page.locator(f".vp[data-image='{third}']")).to_be_attached(timeout=30_000)
        page.keyboard.press("n")
    else:
        page.keyboard.press("n")
    expect(page.locator(f".vp[data-image='{second}']")).to_be_attached(timeout=30_000)
