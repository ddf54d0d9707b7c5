"""From the start page to a first mask on images of one's own, and to its export, which stays in view."""

from __future__ import annotations

from pathlib import Path

import skimage.data
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server
from tests.browser.harness import click_pixel


def test_five_actions_and_two_clicks_lead_to_a_first_mask_and_its_export_stays_in_view(
    page: Page, server: Server
) -> None:
    photos = [str(Path(skimage.data.__file__).parent / name) for name in ("coins.png", "camera.png")]
    page.goto(f"{server.url}/?labeller=ann")
    page.get_by_role("link", name="Projects", exact=True).click()  # 1
    page.get_by_role("button", name="New project").click()  # 2
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("Mine")  # 3, with the button
    dialog.get_by_role("button", name="Create").click()
    expect(dialog).to_have_count(0, timeout=30_000)
    page.locator('input[type="file"]').first.set_input_files(photos)  # 4
    page.get_by_role("button", name="Start labelling").click(timeout=60_000)  # 5
    page.get_by_text("click a pixel of each class to start").wait_for(timeout=30_000)
    page.keyboard.press("2")
    click_pixel(page, 60, 60)
    page.keyboard.press("1")
    click_pixel(page, 5, 5)
    expect(page.locator(".vp")).to_have_attribute("data-painted-seq", "2", timeout=60_000)

    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_role("link", name="Export", exact=True).click()
    button = page.get_by_role("button", name="Export", exact=True)
    button.click(timeout=30_000)
    download = page.get_by_role("link", name="Download")
    expect(download).to_be_in_viewport(timeout=60_000)
    page.get_by_text("Keep together").or_(page.get_by_text("Split into train, val and test")).first.hover()
    page.mouse.wheel(0, 2000)
    page.wait_for_timeout(500)
    expect(button).to_be_in_viewport()
    expect(download).to_be_in_viewport()
