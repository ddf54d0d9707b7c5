"""The first minute: from `fcnlab app` on an empty data folder to a page with a mask, pages by address, page changes.

    .venv/bin/python benchmarks/first_mask.py [--runs 5] [--json out.json]

Each run starts the program anew, in a folder and a browser of its own, on an installed machine. Reported are medians in
seconds, and the slowest run: until the first page shows a mask of the demo; of every page, until it stands when it is
opened by its address; and until the next page stands when its link is clicked.
"""

from __future__ import annotations

import argparse
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

from playwright.sync_api import Page, expect

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.browser.harness import free_port, running_browser

PAGES = ("Projects", "Label", "Train", "Models", "Compare", "Export")
STANDS = '[data-testid="stApp"][data-test-script-state="notRunning"]'
TIMEOUT_MS = 60_000


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
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
    figures = {
        case: {"median_s": round(median(each), 2), "slowest_s": round(max(each), 2)} for case, each in seconds.items()
    }
    for case, values in figures.items():
        print(case, values)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


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
