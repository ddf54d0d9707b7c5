"""The first minute: from `fcnlab app` on an empty data folder to a page with a mask, pages by address, page changes.

    .venv/bin/python benchmarks/first_mask.py [--runs 5] [--json out.json]

Each run starts the program anew, in a folder and a browser of its own, on an installed machine. Reported are medians in
seconds, and the slowest run: until the first page shows a mask of the demo; of every page, until it stands when it is
opened by its address; until the next page stands when its link is clicked; and the way from the start page over *New
project* to the first mask on twelve images of one's own, 1.2 megapixels each, by a hand as slow as the keystroke-level
model (Card, Moran and Newell 1980, doi:10.1145/358886.358895) has it: 1.35 s to think and 1.1 s to point before every
press, 0.2 s a key. And, without a browser: a new image of 1024x768 of a project that has learned, from the moment it
is opened to its mask, while the other images are ranked.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

sys.path.insert(0, str(Path(__file__).parents[1]))

from fcnlab.commands.app import server_environment
from fcnlab.core.simulation.cells import CellsSpec, draw_cells
from fcnlab.domain.events import Point, PointSource
from fcnlab.lab import open_lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.projects.projects import create_project
from fcnlab.settings import Settings
from tests.browser.harness import click_pixel, free_port, running_browser

PAGES = ("Projects", "Label", "Train", "Models", "Compare", "Export")
N_OWN, OWN_HW = 12, (1024, 1152)
N_RANKED, N_NEW, NEW_HW, RANKED_S = 60, 10, (768, 1024), 2.0
THINK_S, POINT_S, KEY_S = 1.35, 1.1, 0.2
STANDS = '[data-testid="stApp"][data-test-script-state="notRunning"]'
TIMEOUT_MS = 60_000


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--new-images", action="store_true", help="only those, in this process")
    options = parser.parse_args()
    if options.new_images:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(masks_of_new_images(Path(folder))))
        return
    seconds: dict[str, list[float]] = {}
    with running_browser() as browser:
        for _ in range(options.runs):
            with tempfile.TemporaryDirectory() as folder, started(Path(folder)) as (url, since):
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                page.goto(url)
                page.get_by_text("Mask up to date").first.wait_for(timeout=TIMEOUT_MS)
                seconds.setdefault("from the command to a mask", []).append(time.monotonic() - since)
                for name in PAGES:
                    address = f"{url}/{'' if name == 'Label' else name.lower()}"
                    seconds.setdefault("page by address", []).append(opened(page, address))
                for name in PAGES:
                    seconds.setdefault("page change", []).append(changed(page, name))
                page.close()
                images = own_images(Path(folder) / "own")
                seconds.setdefault("own images to a mask", []).append(first_own_mask(browser, url, images))
            command = [sys.executable, __file__, "--new-images"]
            told = subprocess.run(command, env=server_environment(), check=True, stdout=subprocess.PIPE).stdout
            seconds.setdefault("a new image to its mask", []).extend(json.loads(told))
    figures = {
        case: {"median_s": round(median(each), 2), "slowest_s": round(max(each), 2)} for case, each in seconds.items()
    }
    for case, values in figures.items():
        print(case, values)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


def own_images(folder: Path) -> list[Path]:
    """Twelve drawn pictures of cells as PNG files."""
    folder.mkdir()
    spec = CellsSpec(hw=OWN_HW, count=100)
    paths = [folder / f"own_{number:02}.png" for number in range(N_OWN)]
    for number, path in enumerate(paths):
        Image.fromarray(draw_cells(spec, seed=number).rgb).save(path)
    return paths


def first_own_mask(browser: Browser, url: str, images: list[Path]) -> float:
    """Seconds from the start page to a mask on the first of these images, as a person would go."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(url)
    page.locator(STANDS).wait_for(timeout=TIMEOUT_MS)

    def press(target: Locator) -> None:
        target.wait_for(timeout=TIMEOUT_MS)
        page.wait_for_timeout(1000 * (THINK_S + POINT_S))
        target.click()

    since = time.monotonic()
    press(page.get_by_role("link", name="Projects", exact=True))
    press(page.get_by_role("button", name="New project"))
    dialog = page.get_by_role("dialog")
    field = dialog.get_by_label("Name", exact=True)
    press(field)
    field.press_sequentially("My cells", delay=1000 * KEY_S)
    press(dialog.get_by_role("button", name="Create"))
    dialog.wait_for(state="hidden", timeout=TIMEOUT_MS)
    page.wait_for_timeout(1000 * (2 * THINK_S + 4 * POINT_S))  # the window in which files are chosen
    page.locator('input[type="file"]').first.set_input_files(images)
    press(page.get_by_role("button", name="Start labelling"))
    page.get_by_text("click a pixel of each class to start").wait_for(timeout=TIMEOUT_MS)
    page.wait_for_timeout(1000 * (THINK_S + POINT_S))
    click_pixel(page, 512, 576)
    name = page.get_by_role("dialog").get_by_label("Your name")  # asked once, after the first stored click
    name.wait_for(timeout=TIMEOUT_MS)
    page.wait_for_timeout(1000 * THINK_S)
    name.press_sequentially("Ada", delay=1000 * KEY_S)
    name.press("Enter")
    name.wait_for(state="hidden", timeout=TIMEOUT_MS)
    page.wait_for_timeout(1000 * (THINK_S + KEY_S + POINT_S))
    page.keyboard.press("1")
    click_pixel(page, 30, 30)
    page.locator('.vp[data-painted-seq="2"]').wait_for(timeout=TIMEOUT_MS)
    passed = time.monotonic() - since
    page.close()
    return passed


def masks_of_new_images(folder: Path) -> list[float]:
    """Seconds until each of some images, which nobody expects, has a mask after it was opened."""
    lab = open_lab(Settings(data_dir=folder))
    project = create_project(lab, name="cells")
    spec = CellsSpec(hw=NEW_HW, count=100)
    files = [(f"cells_{number:02}.png", png_bytes(draw_cells(spec, seed=number).rgb)) for number in range(N_RANKED)]
    ids = [step.image_id for step in import_files(lab, files, project_id=project.id) if step.image_id]
    points = [Point(384, 512, 1), Point(5, 5, 0)]
    add_points(lab, points, image_id=ids[0], labeller="ada", source=PointSource.CLICK)
    jobs = Jobs(lab)
    try:
        opened_until_masked(jobs, project.id, ids[0])
        jobs.gains.ranking(project.id)
        time.sleep(RANKED_S)
        return [opened_until_masked(jobs, project.id, image_id) for image_id in ids[: -N_NEW - 1 : -1]]
    finally:
        jobs.close()
        lab.close()


def opened_until_masked(jobs: Jobs, project_id: int, image_id: int) -> float:
    """Seconds from the opening of an image to its first mask."""
    since = time.monotonic()
    jobs.opened(project_id, image_id)
    while jobs.overlay_store.overlay(image_id) is None:
        if time.monotonic() - since > TIMEOUT_MS / 1000:
            raise TimeoutError(jobs.overlay_store.status(image_id).message)
        time.sleep(0.002)
    return time.monotonic() - since


def png_bytes(rgb: NDArray[np.uint8]) -> bytes:
    """A picture as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


@contextmanager
def started(data_dir: Path) -> Iterator[tuple[str, float]]:
    """The program on an empty data folder: its address, once it answers, and when the command was given."""
    port = free_port()
    environment = {**os.environ, "FCNLAB_DATA_DIR": str(data_dir), "FCNLAB_DEVICE": "cpu"}
    since = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "fcnlab", "app", "--port", str(port), "--no-open"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield wait_for(f"http://localhost:{port}"), since
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def wait_for(url: str) -> str:
    """The address, once somebody answers there."""
    until = time.monotonic() + TIMEOUT_MS / 1000
    while True:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return url


def opened(page: Page, address: str) -> float:
    """Open a page by its address; seconds until it stands."""
    since = time.monotonic()
    page.goto(address)
    page.locator(STANDS).wait_for(timeout=TIMEOUT_MS)
    return time.monotonic() - since


def changed(page: Page, name: str) -> float:
    """Go to another page by its link; seconds until it stands."""
    since = time.monotonic()
    page.get_by_role("link", name=name, exact=True).first.click()
    expect(page).to_have_title(re.compile(f"^{name} · "), timeout=TIMEOUT_MS)
    page.locator(STANDS).wait_for(timeout=TIMEOUT_MS)
    return time.monotonic() - since


if __name__ == "__main__":
    main()
