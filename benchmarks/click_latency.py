"""From mouse button up to the new mask painted, in a real browser against a real server.

    .venv/bin/python benchmarks/click_latency.py [--case small] [--clicks 200] [--link 50] [--json out.json]

The cases: one 1024x768 photograph with up to 50 points (200 clicks after 20 of warm-up; each round undoes its
points); the same in a project with 5,000 points in 500 images; one 12-megapixel photograph (time to the first mask,
then per click); one of 108, shown whole, and zoomed in until three of its pixels are one of the screen; a project of 20
further images, before and while a worker trains FCN-8s on it, while 1,000 images are imported into another project, and
while masks are exported; 512x512 pixels with 200 cells in a project that counts. `--link` puts a proxy in between that
holds everything back for half of so many milliseconds each way.

Reports medians and 95th percentiles in milliseconds, how much of the overlay is sent per click, medians of the parts on
the server (wait, read, encode, samples, fit, score, walk, refine, paint, publish), and one time line of a click in
browser and server: both are on this machine, so that their clocks agree.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parents[1]))

from fcnlab.core.tiling.tiles import Box
from fcnlab.domain.counting import Task
from fcnlab.domain.events import Event, EventBatch, EventKind
from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.domain.training import TrainingSpec, TrainingState
from fcnlab.lab import open_lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import apply_events
from fcnlab.services.projects.projects import create_project
from fcnlab.services.training.trainings import cancel_training, start_training
from fcnlab.services.training.trainings import training as training_of
from fcnlab.services.training.workers import ensure_worker
from fcnlab.settings import Settings
from tests.browser.harness import WATCH_CLICKS, open_label_page, pixel_on_screen, running_browser, running_server
from tests.support.paths import ROOT
from tests.support.slow_link import slow_link

ROUND = 48
"""Clicks before the points are taken back, so that an image never holds more than 50."""


def photograph(width: int, height: int) -> bytes:
    """A JPEG of the astronaut at any size."""
    grown = cv2.resize(skimage.data.astronaut(), (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", cv2.cvtColor(grown, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


def cells(width: int, height: int) -> bytes:
    """A PNG of 200 blurred cells on a dark ground."""
    rng = np.random.default_rng(0)
    spots = np.zeros((height, width))
    spots[rng.integers(0, height, 200), rng.integers(0, width, 200)] = 1
    grown = cv2.GaussianBlur(spots, (0, 0), 5.0)
    noisy = 30 + 180 * np.minimum(1, grown / grown.max() * 1.5) + rng.normal(0, 8, (height, width))
    return cv2.imencode(".png", noisy.clip(0, 255).astype(np.uint8))[1].tobytes()


def make_project(data_dir: Path, *, width: int, height: int, other_images: int, task: Task) -> tuple[int, int]:
    """A project with one picture to click on and `other_images` small ones of ten points each."""
    lab = open_lab(Settings(data_dir=data_dir, demo=False))
    project = create_project(lab, name="latency", task=task)
    picture = ("cells.png", cells(width, height)) if task is Task.COUNTS else ("photo.jpg", photograph(width, height))
    step = next(iter(import_files(lab, [picture], project_id=project.id)))
    assert step.image_id is not None
    rng = np.random.default_rng(0)
    base = cv2.resize(skimage.data.astronaut(), (256, 192), interpolation=cv2.INTER_AREA)

    def small() -> list[tuple[str, bytes]]:
        return [
            (f"{n:04}.png", cv2.imencode(".png", np.roll(base, (n * 7, n * 3), (0, 1)) // 2 + n % 120)[1].tobytes())
            for n in range(other_images)
        ]

    for index, other in enumerate(import_files(lab, small(), project_id=project.id)):
        events = tuple(
            Event(
                k + 1,
                EventKind.ADD,
                int(other.image_id or 0),
                {"row": int(rng.integers(192)), "col": int(rng.integers(256)), "class_id": int(k % 2)},
            )
            for k in range(10)
        )
        apply_events(lab, EventBatch(f"seed-{index:06}", events), project_id=project.id, labeller="seed")
    lab.close()
    return project.id, step.image_id


WATCH_BYTES = """() => {
  window.overlayBytes = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries())
      if (entry.name.includes('/overlay/')) window.overlayBytes += entry.encodedBodySize;
  }).observe({ type: 'resource' });
}"""


def click_round(
    page: Page, count: int, rng: np.random.Generator, part: Box, parts: list[dict[str, float]]
) -> list[float]:
    """Click `count` times at random places of a part of the image, classes in turn, each after the last mask; ms.

    `parts` gets what each click took, part by part: the server's, and the browser's since the button came up.
    """
    times = []
    for index in range(count):
        page.keyboard.press(str(1 + index % 2))
        row, col = rng.uniform(part.top, part.bottom), rng.uniform(part.left, part.right)
        x, y = pixel_on_screen(page, row, col)
        n_before = page.evaluate("window.clickTimes.length")
        page.mouse.click(x, y)
        page.wait_for_function(f"window.clickTimes.length > {n_before}", timeout=60_000)
        times.append(float(page.evaluate("window.clickTimes.at(-1)")))
        spans, made = page.evaluate("[window.viewport().dataset.spans ?? '{}', window.viewport().dataset.published]")
        parts.append({**json.loads(spans), "made": float(made)})
    return times


@contextmanager
def training(data_dir: Path, project_id: int) -> Iterator[None]:
    """A worker trains a network of the project while the block runs."""
    lab = open_lab(Settings(data_dir=data_dir, demo=False))
    queued = start_training(
        lab,
        project_id=project_id,
        network=NetworkSpec(NetworkName.FCN8S, 2),
        training=TrainingSpec(epochs=100_000, minutes=600),
        labeller="bench",
    )
    ensure_worker(lab, project_id=project_id)
    deadline = time.monotonic() + 120
    while not training_of(lab, training_id=queued.id).epoch:
        if time.monotonic() > deadline:
            raise TimeoutError("the worker finished no epoch in two minutes")
        time.sleep(0.5)
    try:
        yield
        assert training_of(lab, training_id=queued.id).state is TrainingState.RUNNING
    finally:
        cancel_training(lab, training_id=queued.id)
        while training_of(lab, training_id=queued.id).is_open and time.monotonic() < deadline + 1200:
            time.sleep(0.5)
        lab.close()


@contextmanager
def importing(data_dir: Path, _project_id: int) -> Iterator[None]:
    """A thousand photographs are imported into another project while the block runs, as often as there is time."""
    with tempfile.TemporaryDirectory() as folder:
        base = cv2.resize(skimage.data.astronaut(), (800, 600), interpolation=cv2.INTER_AREA)
        for n in range(1000):
            cv2.imwrite(f"{folder}/{n:04}.jpg", np.roll(base, (n * 7, n * 3), (0, 1)))
        with repeated(data_dir, ["import", folder, "--project", "imported"]):
            yield


@contextmanager
def exporting(data_dir: Path, project_id: int) -> Iterator[None]:
    """The masks of the project are exported while the block runs, again and again."""
    with (
        tempfile.TemporaryDirectory() as folder,
        repeated(data_dir, ["export", "--project", str(project_id), "--output", f"{folder}/masks-{{n}}.zip"]),
    ):
        yield


@contextmanager
def repeated(data_dir: Path, command: list[str]) -> Iterator[None]:
    """A command of fcnlab on an installation, started anew whenever it ends; `{n}` becomes the number of the time."""
    stopped = threading.Event()

    def run() -> None:
        environment = {**os.environ, "FCNLAB_DATA_DIR": str(data_dir), "FCNLAB_DEMO": "false"}
        for n in itertools.count():
            asked = [part.replace("{n}", str(n)) for part in command]
            process = subprocess.Popen([sys.executable, "-m", "fcnlab", *asked], env=environment, cwd=ROOT, stdout=-3)
            while process.poll() is None:
                if stopped.wait(0.2):
                    process.kill()
                    process.wait()
                    return
            if process.returncode:
                raise RuntimeError(f"fcnlab {' '.join(asked)} failed")

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(5)  # until it is at work
    try:
        assert thread.is_alive()
        yield
        assert thread.is_alive()
    finally:
        stopped.set()
        thread.join()


def zoom_in(page: Page, width: int, height: int, scale: float) -> Box:
    """Look at the middle of the image at this scale, wait for its tiles, and say which part is well inside the view."""
    box = page.locator(".vp").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    while (shown := page.locator("img.picture").bounding_box()) and shown["width"] / width < scale:
        page.mouse.wheel(0, -100)
        page.wait_for_timeout(50)
    page.locator("canvas.tiles[data-missing='0']").wait_for(timeout=60_000)
    assert shown is not None
    zoom = shown["width"] / width
    top, left = (box["y"] - shown["y"]) / zoom, (box["x"] - shown["x"]) / zoom
    seen = Box(round(top), round(left), round(top + box["height"] / zoom), round(left + box["width"] / zoom))
    margin = round(0.05 * min(seen.hw))
    return seen.clipped((height, width)).grown(-margin, (height, width))


def measure(
    width: int,
    height: int,
    *,
    clicks: int,
    warm_up: int,
    other_images: int = 0,
    beside: Callable[[Path, int], AbstractContextManager[None]] | None = None,
    link_ms: float = 0.0,
    scale: float | None = None,
    task: Task = Task.MASKS,
) -> dict[str, Any]:
    """Median and 95th percentile of the click latency, and the time to the first mask.

    `beside`: what goes on meanwhile. `link_ms`: of a round trip between browser and server. `scale`: zoom in until a
    pixel of the image is so many of the screen, wait until all is made, and click there.
    """
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        project_id, image_id = make_project(
            Path(folder), width=width, height=height, other_images=other_images, task=task
        )
        with running_server(Path(folder)) as server, running_browser() as browser, slow_link(server, link_ms) as front:
            page = browser.new_page(bypass_csp=True, viewport={"width": 1280, "height": 900})
            open_label_page(page, front, project_id=project_id, image_id=image_id)
            page.evaluate(WATCH_CLICKS)
            page.evaluate(WATCH_BYTES)
            started = time.perf_counter()
            x, y = pixel_on_screen(page, height * 0.5, width * 0.45)
            page.keyboard.press("2")
            page.mouse.click(x, y)
            page.keyboard.press("1")
            page.mouse.click(*pixel_on_screen(page, height * 0.05, width * 0.05))
            page.locator(".vp[data-painted-seq='2']").wait_for(timeout=600_000)
            first = time.perf_counter() - started
            part = Box(round(0.05 * height), round(0.05 * width), round(0.95 * height), round(0.95 * width))
            if scale is not None:
                part = zoom_in(page, width, height, scale)
            if other_images or scale is not None:  # wait until all images are learned from, or all tiles made
                page.get_by_text("up to date").wait_for(timeout=900_000)
            page.evaluate("window.clickTimes.length = 0")
            if beside is not None:
                with beside(Path(folder), project_id):
                    return clicked(page, clicks, warm_up, rng, part) | {"first_mask_s": round(first, 2)}
            return clicked(page, clicks, warm_up, rng, part) | {"first_mask_s": round(first, 2)}


def clicked(page: Page, clicks: int, warm_up: int, rng: np.random.Generator, part: Box) -> dict[str, Any]:
    """Figures of `clicks` clicks after the warm-up, in rounds that take their points back."""
    times: list[float] = []
    parts: list[dict[str, float]] = []
    sent = 0.0
    while len(times) < warm_up + clicks:
        before = page.evaluate("window.overlayBytes")
        times += click_round(page, min(ROUND, warm_up + clicks - len(times)), rng, part, parts)
        page.wait_for_timeout(300)
        sent += page.evaluate("window.overlayBytes") - before
        for _ in range(ROUND):
            page.keyboard.press("z")
        page.wait_for_timeout(1500)
    measured, parts = np.array(times[warm_up:]), parts[warm_up:]
    names = dict.fromkeys(name for click_parts in parts for name in click_parts)
    spans = {name: float(np.median([click_parts.get(name, 0.0) for click_parts in parts])) for name in names}
    server = {name: took for name, took in spans.items() if name not in BROWSER_MOMENTS}
    return {
        "median_ms": round(float(np.median(measured)), 1),
        "p95_ms": round(float(np.percentile(measured, 95)), 1),
        "server_ms": {name: round(took, 1) for name, took in server.items()},
        "time_line_ms": time_line(spans, server),
        "sent_kb": round(sent / len(times) / 1000, 1),
        "clicks": len(measured),
    }


BROWSER_MOMENTS = ("sent", "acknowledged", "received", "painted", "made")


def time_line(spans: dict[str, float], server: dict[str, float]) -> dict[str, float]:
    """Milliseconds after the button, in order: what the browser saw, and between it what the server did.

    `made` is when all but the last part, publishing, was finished on the server.
    """
    at = spans["made"] - sum(server.values()) + server.get("publish", 0.0)
    moments = {name: spans[name] for name in BROWSER_MOMENTS if name in spans and name != "made"} | {"stored": at}
    for name, took in server.items():
        at += took
        moments[f"end of {name}"] = at
    return {name: round(moment, 1) for name, moment in sorted(moments.items(), key=lambda pair: pair[1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=20)
    names = [
        "small",
        "project",
        "large",
        "huge",
        "zoomed",
        "quiet",
        "training",
        "importing",
        "exporting",
        "counts",
        "all",
    ]
    parser.add_argument("--case", choices=names, default="all")
    parser.add_argument("--link", type=float, default=0.0, help="milliseconds of a round trip")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cases: dict[str, Any] = {
        "small": {"width": 1024, "height": 768},
        "project": {"width": 1024, "height": 768, "other_images": 500},
        "large": {"width": 4000, "height": 3000},
        "huge": {"width": 12000, "height": 9000},
        "zoomed": {"width": 12000, "height": 9000, "scale": 1 / 3},
        "quiet": {"width": 1024, "height": 768, "other_images": 20},
        "training": {"width": 1024, "height": 768, "other_images": 20, "beside": training},
        "importing": {"width": 1024, "height": 768, "other_images": 20, "beside": importing},
        "exporting": {"width": 1024, "height": 768, "other_images": 20, "beside": exporting},
        "counts": {"width": 512, "height": 512, "task": Task.COUNTS},
    }
    results = {}
    for name, case in cases.items():
        if options.case in (name, "all"):
            results[name] = measure(**case, clicks=options.clicks, warm_up=options.warm_up, link_ms=options.link)
            print(name, results[name], flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
