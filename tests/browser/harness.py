"""A real server and a real browser, for tests and benchmarks."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from fcnlab.commands.app import server_command, server_environment
from tests.support.paths import ROOT

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

WATCH_CLICKS = """() => {
  window.clickTimes = [];
  const vp = () => document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot.querySelector('.vp');
  window.viewport = vp;
  document.addEventListener('pointerup', (event) => {
    const start = event.timeStamp, wanted = Number(vp().dataset.paintedSeq || 0) + 1;
    const look = () => {
      if (Number(vp().dataset.paintedSeq || 0) >= wanted) window.clickTimes.push(performance.now() - start);
      else setTimeout(look, 2);
    };
    look();
  }, true);
}"""
"""Page script: `clickTimes` gets the milliseconds from each button up to the paint of a mask that covers it."""


DRAWN = """() => {
  const canvas = document.querySelector('[data-testid=stBidiComponentIsolated]')?.shadowRoot?.querySelector('.vp');
  return !document.querySelector('[data-testid=stStatusWidget], [data-testid=stSkeleton]')
    && (!canvas || canvas.dataset.ready === '1');
}"""
"""Page script: nothing is computed or loaded any more."""


@dataclass
class Server:
    """A server process on a data folder; `restart` keeps folder and port."""

    data_dir: Path
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.data_dir / "server.log").read_text(errors="replace")

    def start(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = server_command("127.0.0.1", self.port)
        environment = {**server_environment(), "FCNLAB_DATA_DIR": str(self.data_dir), "FCNLAB_DEMO": "false"}
        environment |= self.environment
        with (self.data_dir / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise RuntimeError(f"the server did not start:\n{self.log[-3000:]}")

    def stop(self, *, kill: bool = False) -> None:
        if self.process is None:
            return
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        self.process.wait(timeout=15)  # shorter than a long poll: nobody who waits for news holds it up
        self.process = None

    def restart(self, *, kill: bool = False) -> None:
        self.stop(kill=kill)
        self.start()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_server(data_dir: Path, **environment: str) -> Iterator[Server]:
    """A server that is stopped at the end."""
    server = Server(data_dir, free_port(), environment)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Debian's Chromium without a window."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def open_label_page(page: Page, server: Server, *, project_id: int, image_id: int | None = None) -> None:
    """Go to the label page and wait until the picture is shown."""
    image = "" if image_id is None else f"&image={image_id}"
    page.goto(f"{server.url}/?project={project_id}&labeller=tester{image}")
    page.locator(".vp[data-ready='1']").wait_for(timeout=60_000)


def open_page(page: Page, server: Server, name: str, *, project_id: int) -> None:
    """Go to any page and wait until all of it is drawn."""
    page.goto(f"{server.url}/{name}?project={project_id}&labeller=Ada")
    page.locator("[data-testid=stMain] :is(h1, h2, h3, button, .vp[data-ready='1'])").first.wait_for(timeout=60_000)
    wait_until_drawn(page)


def wait_until_drawn(page: Page) -> None:
    """Wait until nothing of a page is computed or loaded any more."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=60_000)
    page.wait_for_function(DRAWN, timeout=60_000)


def click_pixel(page: Page, row: float, col: float, *, button: str = "left") -> None:
    """Click the middle of an image pixel."""
    x, y = pixel_on_screen(page, row, col)
    page.mouse.click(x, y, button=button)  # type: ignore[arg-type]


def pixel_on_screen(page: Page, row: float, col: float) -> tuple[float, float]:
    """Where an image pixel is on the screen, from the box of the picture."""
    box = page.locator(".vp img").first.bounding_box()
    natural = page.locator(".vp img").first.evaluate(
        "image => [parseFloat(image.style.width), parseFloat(image.style.height)]"  # what is loaded may be an overview
    )
    assert box is not None
    return (
        box["x"] + (col + 0.5) * box["width"] / natural[0],
        box["y"] + (row + 0.5) * box["height"] / natural[1],
    )


def viewport(page: Page, name: str) -> str | None:
    """A data attribute of the viewport."""
    return page.locator(".vp").first.get_attribute(f"data-{name}")
