"""From the start page to a first mask on images of one's own: five actions and two clicks."""

from __future__ import annotations

from pathlib import Path

import skimage.data
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server
from tests.browser.harness import click_pixel

MOST_ACTIONS = 5


def test_five_actions_and_two_clicks_lead_to_a_first_mask(page: Page, server: Server) -> None:
    photos = [str(Path(skimage.data.__file__).parent / name) for name in ("coins.png", "camera.png")]
    page.goto(f"{server.url}/?labeller=ann")
    actions = 0

    def act() -> None:
        nonlocal actions
        actions += 1

    page.get_by_role("link", name="Projects", exact=True).click()
    act()
    page.get_by_role("button", name="New project").click()
    act()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("Mine")
    dialog.get_by_role("button", name="Create").click()
    act()
    expect(dialog).to_have_count(0, timeout=30_000)
    page.locator('input[type="file"]').first.set_input_files(photos)
    act()
    page.get_by_role("button", name="Start labelling").click(timeout=60_000)
    act()
    page.get_by_text("click a pixel of each class to start").wait_for(timeout=30_000)
    page.keyboard.press("2")
    click_pixel(page, 60, 60)
    page.keyboard.press("1")
    click_pixel(page, 5, 5)
    expect(page.locator(".vp")).to_have_attribute("data-painted-seq", "2", timeout=60_000)

    assert actions <= MOST_ACTIONS
