"""What a labeller's clicks do, through a real browser, server and database."""

from __future__ import annotations

import re
import time
from pathlib import Path

from playwright.sync_api import Page, expect

from fcnlab.domain.images import ImageState
from fcnlab.services.labelling.events import points_of_image, points_of_project
from fcnlab.services.projects import projects
from tests.browser.conftest import lab_of, project_with_photos
from tests.browser.harness import Server, click_pixel, open_label_page, pixel_on_screen

SAVED = ".vp[data-unsaved='0']"


def test_two_clicks_make_a_mask_and_are_stored_where_they_were_clicked(page: Page, server: Server) -> None:
    lab = lab_of(server)
    project_id, (image_id, *_) = project_with_photos(lab, "mask")
    open_label_page(page, server, project_id=project_id)

    page.keyboard.press("2")
    click_pixel(page, 180, 250)
    page.keyboard.press("1")
    click_pixel(page, 30, 570)

    expect(page.locator(".vp[data-painted-seq='2']")).to_be_attached(timeout=60_000)
    stored = {(one.point.row, one.point.col, one.point.class_id) for one in points_of_image(lab, image_id=image_id)}
    assert len(stored) == 2
    for row, col, class_id in ((180, 250, 1), (30, 570, 0)):
        assert any(abs(row - r) <= 1 and abs(col - c) <= 1 and class_id == k for r, c, k in stored)


def test_one_click_shows_a_first_guess_and_the_background_alone_says_what_is_missing(
    page: Page, server: Server
) -> None:
    project_id, _ = project_with_photos(lab_of(server), "one class")
    open_label_page(page, server, project_id=project_id)

    click_pixel(page, 180, 250)
    expect(page.get_by_text(re.compile("A first guess: click a pixel of"))).to_be_visible(timeout=60_000)
    expect(page.locator(".vp[data-painted-seq='1']")).to_be_attached(timeout=60_000)
    page.keyboard.press("z")
    page.keyboard.press("1")
    click_pixel(page, 30, 570)

    expect(page.get_by_text(re.compile("Only .* so far: click a pixel of"))).to_be_visible(timeout=60_000)


def test_right_click_removes_the_point_under_it_and_undo_brings_it_back(page: Page, server: Server) -> None:
    lab = lab_of(server)
    project_id, (image_id, *_) = project_with_photos(lab, "remove")
    open_label_page(page, server, project_id=project_id)
    click_pixel(page, 100, 100)
    click_pixel(page, 200, 400)
    expect(page.locator(SAVED)).to_be_attached()

    click_pixel(page, 300, 300, button="right")  # far from both: nothing
    click_pixel(page, 102, 101, button="right")
    expect(page.locator(".vp[data-points='1']")).to_be_attached()
    page.keyboard.press("z")

    expect(page.locator(".vp[data-points='2']")).to_be_attached()
    expect(page.locator(SAVED)).to_be_attached()
    assert len(points_of_image(lab, image_id=image_id)) == 2


def test_ten_clicks_a_second_with_undo_and_image_switches_lose_and_double_nothing(page: Page, server: Server) -> None:
    lab = lab_of(server)
    project_id, image_ids = project_with_photos(lab, "fast")
    open_label_page(page, server, project_id=project_id)
    wanted: dict[int, int] = dict.fromkeys(image_ids, 0)

    shown = image_ids[0]
    for number in range(40):
        started = time.perf_counter()
        click_pixel(page, 20 + 6 * number, 40 + 5 * number)
        wanted[shown] += 1
        if number % 7 == 6:
            page.keyboard.press("z")
            wanted[shown] -= 1
        if number % 10 == 9:
            page.keyboard.press("n")
            shown = image_ids[(image_ids.index(shown) + 1) % 3] if shown != image_ids[-1] else shown
            expect(page.locator(f".vp[data-image='{shown}'][data-ready='1']")).to_be_attached()
        page.wait_for_timeout(max(0.0, 100 - (time.perf_counter() - started) * 1000))

    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    stored = points_of_project(lab, project_id=project_id)
    assert {one: sum(point.image_id == one for point in stored) for one in image_ids} == wanted


def test_a_reload_in_the_middle_of_clicking_keeps_every_click(page: Page, server: Server) -> None:
    lab = lab_of(server)
    project_id, (image_id, *_) = project_with_photos(lab, "reload")
    open_label_page(page, server, project_id=project_id)
    for number in range(10):
        click_pixel(page, 30 + 20 * number, 50)
    page.reload()
    page.locator(".vp[data-ready='1']").wait_for(timeout=60_000)

    click_pixel(page, 40, 300)

    expect(page.locator(SAVED)).to_be_attached(timeout=30_000)
    assert len(points_of_image(lab, image_id=image_id)) == 11


def test_killing_the_server_loses_no_click_and_the_tab_sends_the_rest(page: Page, own_server: Server) -> None:
    lab = lab_of(own_server)
    project_id, (image_id, *_) = project_with_photos(lab, "kill")
    open_label_page(page, own_server, project_id=project_id)
    for number in range(6):
        click_pixel(page, 30 + 20 * number, 50)
    expect(page.locator(SAVED)).to_be_attached()
    acknowledged = len(points_of_image(lab, image_id=image_id))
    x, y = pixel_on_screen(page, 200, 300)

    own_server.stop(kill=True)
    after_kill = len(points_of_image(lab, image_id=image_id))
    for number in range(4):
        page.mouse.click(x + 12 * number, y)
    own_server.start()

    expect(page.locator(SAVED)).to_be_attached(timeout=90_000)
    assert acknowledged == after_kill == 6
    assert len(points_of_image(lab, image_id=image_id)) == 10


def test_enter_marks_the_image_done_and_its_mask_stays_until_it_is_reopened(page: Page, server: Server) -> None:
    lab = lab_of(server)
    project_id, (first, second, _) = project_with_photos(lab, "done")
    open_label_page(page, server, project_id=project_id)
    page.keyboard.press("2")
    click_pixel(page, 180, 250)
    page.keyboard.press("1")
    click_pixel(page, 30, 570)
    expect(page.locator(".vp[data-painted-seq='2']")).to_be_attached(timeout=60_000)

    page.keyboard.press("Enter")

    expect(page.locator(f".vp[data-image='{second}'][data-ready='1']")).to_be_attached(timeout=30_000)
    assert projects.image(lab, image_id=first).state is ImageState.DONE
    masks = wait_for_masks(server, count=1)
    kept = masks[0].read_bytes()
    click_pixel(page, 200, 300)  # the model changes
    expect(page.locator(SAVED)).to_be_attached()
    page.keyboard.press("p")
    expect(page.get_by_text("This image is done")).to_be_visible(timeout=30_000)
    click_pixel(page, 100, 100)  # refused
    expect(page.locator(SAVED)).to_be_attached()
    assert len(points_of_image(lab, image_id=first)) == 2
    assert masks[0].read_bytes() == kept
    page.get_by_role("button", name="Reopen").first.click()
    expect(page.get_by_text("This image is done")).to_be_hidden()
    expect(page.locator(SAVED)).to_be_attached()
    assert projects.image(lab, image_id=first).state is ImageState.IN_PROGRESS


def wait_for_masks(server: Server, *, count: int) -> list[Path]:
    """The mask files of done images, once there are `count`."""
    for _ in range(300):
        found = sorted((server.data_dir / "masks").rglob("*.png"))
        if len(found) == count:
            return found
        time.sleep(0.1)
    raise AssertionError(f"no {count} masks were stored:\n{server.log[-2000:]}")


def test_another_site_may_not_read_a_picture(page: Page, server: Server) -> None:
    lab = lab_of(server)
    project_id, (image_id, *_) = project_with_photos(lab, "origin")
    key = projects.project(lab, project_id=project_id).key
    address = f"{server.url}/fcnlab/{key}/image/{image_id}"

    own = page.request.get(address)
    foreign = page.request.get(address, headers={"Origin": "http://evil.example"})
    guessed = page.request.get(f"{server.url}/fcnlab/{'0' * 32}/image/{image_id}")

    assert (own.status, foreign.status, guessed.status) == (200, 403, 410)
