"""Lines and boxes drawn on the scribble page, through a real browser and streamlit-drawable-canvas."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from fcnlab.domain.events import PointSource
from fcnlab.services.labelling.events import points_of_image
from tests.browser.conftest import lab_of, project_with_photos
from tests.browser.harness import Server


def test_a_line_and_a_box_become_points_where_they_were_drawn_and_one_undo_takes_them_back(
    page: Page, server: Server
) -> None:
    lab = lab_of(server)
    project_id, (image_id, *_) = project_with_photos(lab, "scribbles", ("coffee.png",))
    page.goto(f"{server.url}/scribble?project={project_id}&labeller=tester")
    canvas = page.locator("canvas.upper-canvas")
    canvas.wait_for(timeout=60_000)
    page.wait_for_timeout(500)
    box = canvas.bounding_box()
    assert box is not None
    scale = box["width"] / 600

    def drag(start: tuple[int, int], end: tuple[int, int]) -> None:
        """From one row and column of the image to another."""
        page.mouse.move(box["x"] + start[1] * scale, box["y"] + start[0] * scale)
        page.mouse.down()
        page.mouse.move(box["x"] + end[1] * scale, box["y"] + end[0] * scale, steps=10)
        page.mouse.up()

    drag((200, 150), (200, 350))
    expect(page.get_by_text("From 1 shape:")).to_be_visible(timeout=20_000)
    page.get_by_text("Box", exact=True).click()
    expect(page.get_by_text("Drag a box over an area")).to_be_visible()
    page.wait_for_timeout(1500)  # the canvas hears of its new tool after the page
    drag((20, 450), (80, 550))
    expect(page.get_by_text("From 2 shapes:")).to_be_visible(timeout=20_000)

    page.get_by_role("button", name=re.compile(r"Save \d+ points")).click()

    expect(page.get_by_text(re.compile(r"\d+ points saved"))).to_be_visible(timeout=20_000)
    points = [one.point for one in points_of_image(lab, image_id=image_id)]
    assert {one.source for one in points_of_image(lab, image_id=image_id)} == {PointSource.SCRIBBLE}
    line = [one for one in points if one.row > 100]
    area = [one for one in points if one.row <= 100]
    assert len(line) >= 15
    assert all(abs(one.row - 200) <= 2 and 147 <= one.col <= 353 for one in line)
    assert len(area) >= 30
    assert all(18 <= one.row <= 82 and 447 <= one.col <= 553 for one in area)
    page.get_by_role("button", name="Undo", exact=True).first.click()
    expect(page.get_by_text("Taken back.")).to_be_visible(timeout=20_000)
    assert points_of_image(lab, image_id=image_id) == ()
