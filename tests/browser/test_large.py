"""A large image in a real browser: only the tiles on the screen are sent, and a click lands where it was made."""

from __future__ import annotations

import cv2
import numpy as np
import skimage.data
from playwright.sync_api import Page, expect

from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import points_of_image
from fcnlab.services.projects import projects
from tests.browser.conftest import lab_of
from tests.browser.harness import Server, click_pixel, open_label_page, pixel_on_screen

WIDTH, HEIGHT = 5201, 3899


def photograph() -> bytes:
    rgb = np.asarray(cv2.resize(skimage.data.astronaut(), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR))
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()


def test_only_what_is_on_the_screen_is_sent_and_clicks_land_where_they_were_made(page: Page, server: Server) -> None:
    lab = lab_of(server)
    project = projects.create_project(lab, name="large")
    step = next(iter(import_files(lab, [("large.jpg", photograph())], project_id=project.id)))
    assert step.image_id is not None
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "/tile/" in request.url else None)

    open_label_page(page, server, project_id=project.id, image_id=step.image_id)
    assert sent == []
    page.mouse.move(*pixel_on_screen(page, 1000, 1200))
    for _ in range(8):
        page.mouse.wheel(0, -400)
    expect(page.locator("canvas.tiles[data-level='0'][data-missing='0']")).to_be_attached(timeout=30_000)

    assert 1 <= len({url for url in sent if f"/tile/{step.image_id}/0/" in url}) <= 20 < 11 * 8
    click_pixel(page, 1000, 1200)
    expect(page.locator(".vp[data-unsaved='0'][data-points='1']")).to_be_attached(timeout=30_000)
    (stored,) = points_of_image(lab, image_id=step.image_id)
    assert abs(stored.point.row - 1000) <= 1
    assert abs(stored.point.col - 1200) <= 1
    lab.close()
