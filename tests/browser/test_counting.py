"""Counting objects, through a real browser, server and database."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from fcnlab.domain.counting import Task
from fcnlab.domain.events import Point, PointSource
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import points_of_image
from fcnlab.services.projects.projects import create_project, image, labels_of
from tests.browser.conftest import lab_of
from tests.browser.harness import Server, click_pixel, open_label_page, pixel_on_screen, viewport
from tests.support.worker_bench import eventually

SAVED = ".vp[data-unsaved='0']"
DISCS = [(row, col) for row in (30, 80, 130) for col in (40, 95, 150, 205)]
HEIGHT, WIDTH, RADIUS = 160, 250, 11


def discs_project(
    lab: Lab, server: Server, name: str, places: Sequence[Sequence[tuple[int, int]]] = (DISCS, ())
) -> tuple[int, list[int]]:
    """Images of bright discs on a dark ground, at first one with and one without any; a project that counts them."""
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    rng = np.random.default_rng(0)
    files = []
    for file, discs in zip(("discs.png", "empty.png"), places, strict=True):
        pixels = rng.normal(60, 6, (HEIGHT, WIDTH))
        for row, col in discs:
            pixels[(rows - row) ** 2 + (cols - col) ** 2 <= RADIUS**2] += 120
        path = server.data_dir / f"{name}-{file}"
        Image.fromarray(np.repeat(pixels.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)).save(path)
        files.append((file, path))
    project = create_project(lab, name=name, task=Task.COUNTS, labels=labels_of(["rest", "disc"]))
    return project.id, [step.image_id for step in import_files(lab, files, project_id=project.id) if step.image_id]


def n_objects(page: Page) -> int:
    return int(viewport(page, "objects") or 0)


def find_all(page: Page) -> None:
    """Click the first discs until the counter has found about as many as there are."""
    for row, col in (DISCS[0], DISCS[5]):
        click_pixel(page, row, col)
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    page.wait_for_function(
        "() => Number(document.querySelector('[data-testid=stBidiComponentIsolated]')"
        ".shadowRoot.querySelector('.vp').dataset.objects) >= 8",
        timeout=60_000,
    )


def aim_at(page: Page, place: tuple[int, int]) -> None:
    """Move the cursor to an object that was found there, until the page says so."""
    page.mouse.move(*pixel_on_screen(page, place[0] + 1, place[1] + 1))
    page.mouse.move(*pixel_on_screen(page, *place))
    expect(page.get_by_text("a accepts, d rejects").last).to_be_visible(timeout=10_000)


def points(lab: Lab, image_id: int) -> list[Point]:
    return [one.point for one in points_of_image(lab, image_id=image_id)]


def test_clicked_objects_find_others_and_keys_say_what_these_are(page: Page, server: Server) -> None:
    lab = lab_of(server)
    project_id, (image_id, empty_id) = discs_project(lab, server, "discs")
    open_label_page(page, server, project_id=project_id, image_id=image_id)
    tally = page.locator(".class[data-class='1'] .tally")
    expect(tally).to_have_text("0 marked")
    expect(page.get_by_role("button", name="Brush")).to_have_count(0)

    find_all(page)

    expect(tally).to_have_text(re.compile(r"^2 marked, \d+ counted"))
    aim_at(page, DISCS[2])
    page.keyboard.press("a")
    expect(tally).to_have_text(re.compile("^3 marked"))
    aim_at(page, DISCS[10])
    page.keyboard.press("d")
    expect(page.locator(".class[data-class='0'] .tally")).to_have_text("1 point")
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    accepted, rejected = (
        [one for one in points(lab, image_id) if abs(one.row - row) + abs(one.col - col) < RADIUS]
        for row, col in (DISCS[2], DISCS[10])
    )
    assert [one.class_id for one in accepted] == [1]
    assert [one.class_id for one in rejected] == [0]

    page.keyboard.press("z")
    expect(page.locator(".class[data-class='0'] .tally")).to_have_text("", timeout=30_000)

    expect(page.get_by_text("Count up to date")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="All marked").click()
    expect(page.locator(".vp[data-complete='false']")).to_be_attached()
    page.get_by_role("button", name="They are none").click()
    expect(page.get_by_text(re.compile(r"^discs.*: 3 objects\. \d+ more found .* not accepted"))).to_be_visible()
    expect(page.locator(".vp[data-complete='true']")).to_be_attached()
    expect(tally).to_have_text("3 marked, all")
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    page.reload()
    page.locator(".vp[data-ready='1'][data-complete='true']").wait_for(timeout=60_000)
    expect(tally).to_have_text("3 marked, all")
    expect(page.locator(f".cell[data-image='{image_id}'][data-state='done']")).to_be_attached()
    assert image(lab, image_id=image_id).is_complete

    page.keyboard.press("n")
    expect(page.locator(f".vp[data-image='{empty_id}']")).to_be_attached(timeout=30_000)
    page.keyboard.press("t")
    none = page.get_by_role("button", name=re.compile("(They are|It is) none"))
    expect(none.or_(page.locator(".vp[data-complete='true']")).first).to_be_attached(timeout=30_000)
    if viewport(page, "complete") != "true":  # something was found there: the page asks first
        none.click()
    expect(tally).to_have_text("none here")


def test_the_review_walks_from_the_least_sure_object_on(page: Page, server: Server) -> None:
    lab = lab_of(server)
    project_id, (image_id, *_) = discs_project(lab, server, "review")
    open_label_page(page, server, project_id=project_id, image_id=image_id)
    find_all(page)

    page.keyboard.press("q")
    expect(page.get_by_text("Is this: disc?")).to_be_visible(timeout=30_000)
    first = viewport(page, "asked")
    page.keyboard.press("a")
    page.locator(f".vp[data-asked]:not([data-asked='{first}'])").wait_for(timeout=30_000)
    second = viewport(page, "asked")
    page.keyboard.press("s")
    page.locator(f".vp[data-asked]:not([data-asked='{second}'])").wait_for(timeout=30_000)
    page.keyboard.press("z")
    page.locator(f".vp[data-asked='{second}']").wait_for(timeout=30_000)
    page.keyboard.press("z")
    page.locator(f".vp[data-asked='{first}']").wait_for(timeout=30_000)
    page.keyboard.press("d")
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    page.keyboard.press("Escape")
    expect(page.locator(".vp[data-asked]")).to_have_count(0)

    stored = points_of_image(lab, image_id=image_id)
    asked = [(one.point.class_id, one.source) for one in stored if one.source is PointSource.QUERY]
    assert asked == [(0, PointSource.QUERY)]


def n_open(page: Page, done: Locator) -> int:
    """Objects that were found and nobody accepted, by the words of the question that the button asks.

    A key pressed before may have asked it late, and the button then closes it: press again.
    """
    question = page.get_by_role("dialog").get_by_text(re.compile(r"^\d+ objects? found here"))
    for _ in range(5):
        done.click()
        try:
            expect(question).to_be_visible(timeout=5_000)
        except AssertionError:
            continue
        return int(question.inner_text().split()[0])
    raise AssertionError("the question was not asked")


@pytest.mark.parametrize("way", ["Enter", "t", "button"])
def test_no_way_to_say_all_marked_passes_over_what_was_found(page: Page, server: Server, way: str) -> None:
    lab = lab_of(server)
    project_id, image_ids = discs_project(lab, server, f"asks {way}")
    open_label_page(page, server, project_id=project_id, image_id=image_ids[0])
    find_all(page)
    expect(page.get_by_text("Count up to date")).to_be_visible(timeout=30_000)
    done = page.locator(".toolbar .done")
    assert "primary" not in (done.get_attribute("class") or "").split()

    for _ in range(5):  # whoever presses on without reading declares nothing
        if way == "button":
            done.click()
            page.keyboard.press("Enter")
        else:
            page.keyboard.press(way)
            page.keyboard.press("Enter")
    page.keyboard.press("Escape")  # a question that was asked late
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    assert not image(lab, image_id=image_ids[0]).is_complete
    assert viewport(page, "image") == str(image_ids[0])

    found = n_open(page, done)
    page.get_by_role("button", name="Review them").click()
    expect(page.get_by_text("Is this: disc?")).to_be_visible(timeout=30_000)
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    page.get_by_role("button", name=f"Accept all {found}").click()
    expect(page.locator(".class[data-class='1'] .tally")).to_have_text(f"{found + 2} marked, all")
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    assert len(points(lab, image_ids[0])) == found + 2
    assert image(lab, image_id=image_ids[0]).is_complete

    page.keyboard.press("z")

    expect(page.locator(".vp[data-points='2'][data-complete='false']")).to_be_attached(timeout=30_000)
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    assert (len(points(lab, image_ids[0])), image(lab, image_id=image_ids[0]).is_complete) == (2, False)


def test_an_image_with_found_objects_is_not_called_empty(page: Page, server: Server) -> None:
    lab = lab_of(server)
    project_id, (first, second) = discs_project(lab, server, "not empty", places=(DISCS, DISCS[:6]))
    open_label_page(page, server, project_id=project_id, image_id=first)
    find_all(page)
    page.keyboard.press("n")
    expect(page.locator(f".vp[data-image='{second}'][data-ready='1']")).to_be_attached(timeout=30_000)

    for _ in range(4):
        page.keyboard.press("Enter")

    eventually(lambda: n_objects(page) > 0)  # until then the status may be that of the image before
    expect(page.get_by_text("Count up to date")).to_be_visible(timeout=30_000)
    expect(page.locator(".toolbar .done")).to_have_accessible_name("All marked")
    page.keyboard.press("Escape")  # one of the keys may have opened the question already
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("not accepted, and none is marked"))).to_be_visible(timeout=30_000)
    page.keyboard.press("Escape")
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    assert not image(lab, image_id=second).is_complete
    assert viewport(page, "image") == str(second)


def test_a_second_click_on_a_marked_pixel_is_said_to_count_once(page: Page, server: Server) -> None:
    lab = lab_of(server)
    project_id, (image_id, *_) = discs_project(lab, server, "twice")
    open_label_page(page, server, project_id=project_id, image_id=image_id)
    for _ in range(2):
        click_pixel(page, *DISCS[0])

    expect(page.get_by_text("This pixel is marked already: it counts once.")).to_be_visible()
    expect(page.locator(".class[data-class='1'] .tally")).to_have_text(re.compile("^1 marked"))
    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    assert len(points(lab, image_id)) == 1
