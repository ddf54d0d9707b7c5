"""Somebody who follows the tutorials in a real browser, and knows the truth of the images."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect
from scipy import ndimage

from tests.browser.harness import Server, click_pixel, viewport, wait_until_drawn

HERE = Path(__file__).parent
SAVED = ".vp[data-unsaved='0']"
ASKED_PER_IMAGE = 10

Pixel = tuple[int, int]


class Reader:
    """Somebody who follows a tutorial, and knows the truth of the images from their label files."""

    def __init__(self, page: Page, server: Server, files: Path) -> None:
        self.page, self.server, self.files = page, server, files
        self.numbers: dict[str, object] = {}
        page.set_default_timeout(60_000)

    def images(self, key: str) -> list[str]:
        """Paths of the images of a demo."""
        return sorted(str(path) for path in (self.files / key).iterdir())

    def truth(self, key: str, number: int) -> NDArray[np.uint8]:
        """(H, W) class ids of an image, counted from 0."""
        paths = sorted(path for path in (self.files / f"{key}_labels").iterdir() if path.suffix != ".csv")
        return np.asarray(Image.open(paths[number]))

    def rgb(self, key: str, number: int) -> NDArray[np.uint8]:
        """(H, W, 3) of an image, counted from 0."""
        return np.asarray(Image.open(self.images(key)[number]))

    def keep(self, name: str) -> None:
        """The screen as a picture of the tutorials."""
        wait_until_drawn(self.page)
        self.page.wait_for_timeout(900)  # fades and charts end
        shot = Image.open(io.BytesIO(self.page.screenshot()))
        shot.convert("RGB").save(HERE / f"{name}.webp", quality=80, method=6)

    def go(self, name: str) -> None:
        """Follow the link of a page in the navigation."""
        self.page.get_by_role("link", name=name, exact=True).first.click()
        self.page.wait_for_timeout(1500)
        wait_until_drawn(self.page)

    def new_project(
        self, name: str, classes: str, paths: list[str], *, picture: str = "", counts: bool = False
    ) -> None:
        """A project on the Projects page, with images of one's own."""
        self.go("Projects")
        self.page.get_by_role("button", name="New project").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("Name", exact=True).fill(name)
        if counts:
            dialog.get_by_text("Counting", exact=True).click()
            self.page.wait_for_timeout(700)
        typed = dialog.get_by_label("Classes", exact=True)
        typed.fill(classes)
        typed.press("Enter")
        self.page.wait_for_timeout(1500)
        if picture:
            self.keep(picture)
        dialog.get_by_role("button", name="Create").click()
        expect(dialog).to_have_count(0)
        self.page.get_by_text("Charts of the work come here").or_(
            self.page.get_by_text("no images yet")
        ).first.wait_for()
        self.page.wait_for_timeout(1500)
        wait_until_drawn(self.page)
        self.page.locator('input[type="file"]').first.set_input_files(paths)
        self.page.get_by_role("button", name="Start labelling").wait_for()

    def start_labelling(self) -> None:
        """From the images that came in to the Label page."""
        self.page.get_by_role("button", name="Start labelling").click()
        self.page.locator(".vp[data-ready='1']").wait_for()
        self.page.wait_for_timeout(1500)

    def click(self, key: str, pixels: list[Pixel]) -> None:
        """Choose a class by its key, and click pixels of it, one after another."""
        self.page.keyboard.press(key)
        for pixel in pixels:
            painted = viewport(self.page, "painted-seq")
            click_pixel(self.page, *pixel)
            self.page.wait_for_function(
                "before => document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot"
                ".querySelector('.vp').dataset.paintedSeq !== (before ?? undefined)",
                arg=painted,
            )
        self.saved()

    def saved(self) -> None:
        """Wait until every click is stored."""
        expect(self.page.locator(SAVED)).to_be_attached(timeout=60_000)

    def next_image(self, key: str = "Enter") -> None:
        """Go to the next image, and wait for it."""
        here = viewport(self.page, "image")
        self.page.keyboard.press(key)
        self.page.locator(f".vp[data-ready='1']:not([data-image='{here}'])").wait_for()
        self.page.wait_for_timeout(2500)  # its mask comes

    def answer(self, truth: NDArray[np.uint8], picture: str = "") -> None:
        """Suggest pixels: answer ten of them by the truth."""
        self.page.get_by_text("Mask up to date").first.wait_for()
        self.page.keyboard.press("q")
        here: str | None = None
        for number in range(ASKED_PER_IMAGE):
            after = "" if here is None else f":not([data-asked='{here}'])"
            self.page.locator(f".vp[data-asked]{after}").wait_for()
            here = viewport(self.page, "asked")
            if number == 2 and picture:
                self.keep(picture)
            row, col = map(int, str(here).split(","))
            self.page.keyboard.press(str(int(truth[row, col]) + 1))
        self.page.get_by_text(re.compile(r"\d+ pixels answered")).wait_for()
        self.saved()
        self.page.keyboard.press("Escape")
        self.page.wait_for_timeout(600)

    def pill(self, name: str) -> None:
        """Press a choice among several."""
        button = self.page.get_by_role("button", name=name, exact=True)
        button.or_(self.page.get_by_role("radio", name=name, exact=True)).click()
        self.page.wait_for_timeout(800)

    def slide(self, name: str, presses: str, times: int) -> None:
        """Move a slider by the keyboard."""
        thumb = self.page.get_by_role("slider", name=name)
        for _ in range(times):
            thumb.press(presses)
            self.page.wait_for_timeout(700)

    def export(self, picture: str) -> zipfile.ZipFile:
        """Press Export, keep the picture, and download."""
        self.page.get_by_role("button", name="Export", exact=True).click()
        link = self.page.get_by_role("link", name="Download")
        link.wait_for(timeout=120_000)
        self.page.mouse.move(200, 500)
        self.page.mouse.wheel(0, -3000)
        self.keep(picture)
        address = link.get_attribute("href") or ""
        answer = self.page.request.get(address if "://" in address else self.server.url + address)
        return zipfile.ZipFile(io.BytesIO(answer.body()))


def telling_pixels(rgb: NDArray[np.uint8], truth: NDArray[np.uint8]) -> tuple[Pixel, Pixel, Pixel, Pixel]:
    """The middle of the brightest nucleus and of the dimmest; the brightest ground, and that farthest from nuclei."""
    labels, n_objects = ndimage.label(truth == 1)
    light = rgb.mean(axis=2)
    order = np.argsort(ndimage.mean(light, labels, range(1, n_objects + 1))) + 1
    bright, dim = (spread_inside(labels == index, 1)[0] for index in (order[-1], order[0]))
    distance = ndimage.distance_transform_edt(truth == 0)
    glow = np.where((distance > 3) & (distance < 9), ndimage.gaussian_filter(light, 2), 0)
    near, far = (np.unravel_index(int(values.argmax()), truth.shape) for values in (glow, distance))
    return bright, dim, (int(near[0]), int(near[1])), (int(far[0]), int(far[1]))


def spread_inside(inside: NDArray[np.bool_], count: int) -> list[Pixel]:
    """Pixels deep inside an area, each far from those before."""
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    pixels: list[Pixel] = []
    while len(pixels) < count and depth.max() > 1:
        row, col = (int(place) for place in np.unravel_index(int(depth.argmax()), depth.shape))
        pixels.append((row, col))
        rows, cols = np.ogrid[: depth.shape[0], : depth.shape[1]]
        depth[(rows - row) ** 2 + (cols - col) ** 2 < 90**2] = 0
    return pixels


def nearest_inside(inside: NDArray[np.bool_], centre: NDArray[np.int64]) -> Pixel:
    """The pixel of an area that is nearest to its centre."""
    pixels = np.argwhere(inside)
    row, col = pixels[np.hypot(*(pixels - centre).T).argmin()]
    return int(row), int(col)


def iou(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Pixels that both have, divided by those that either has."""
    return float((mask & truth).sum() / max(1, (mask | truth).sum()))


def files_of(archive: zipfile.ZipFile, folder: str) -> list[NDArray[np.uint8]]:
    """The pictures in a folder of an archive, by name."""
    names = [name for name in sorted(archive.namelist()) if name.startswith(folder) and name.endswith((".png", ".tif"))]
    return [np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names]


def csv_rows(archive: zipfile.ZipFile, part: str) -> list[dict[str, str]]:
    """The rows of a table in an archive, by a part of its name."""
    name = next(name for name in archive.namelist() if part in name and name.endswith(".csv"))
    return list(csv.DictReader(io.StringIO(archive.read(name).decode())))
