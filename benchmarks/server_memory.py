"""Peak memory of the server while a browser goes through many images and clicks twice on each.

    .venv/bin/python benchmarks/server_memory.py [--images 1000] [--json out.json]

Linux only: reads VmHWM of the server process. Images have 1 megapixel each.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import skimage.data

sys.path.insert(0, str(Path(__file__).parents[1]))

from fcnlab.lab import open_lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.projects.projects import create_project
from fcnlab.settings import Settings
from tests.browser.harness import Server, click_pixel, open_label_page, running_browser, running_server

SIDE = (1000, 1000)


def peak_mb(server: Server) -> float:
    """Highest resident memory of the server so far, in megabytes."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) / 1024


def import_images(data_dir: Path, count: int) -> int:
    """A project of `count` different photographs; its id."""
    lab = open_lab(Settings(data_dir=data_dir, demo=False))
    project = create_project(lab, name="memory")
    base = cv2.resize(skimage.data.astronaut(), SIDE, interpolation=cv2.INTER_CUBIC)
    for index in range(count):
        picture = np.roll(base, (index * 13, index * 29), (0, 1))
        data = cv2.imencode(".jpg", picture)[1].tobytes()
        for step in import_files(lab, [(f"{index:05}.jpg", data)], project_id=project.id):
            assert step.image_id is not None, step.refused
    lab.close()
    return project.id


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    series = {}
    with tempfile.TemporaryDirectory() as folder:
        project_id = import_images(Path(folder), options.images)
        with running_server(Path(folder)) as server, running_browser() as browser:
            page = browser.new_page(bypass_csp=True, viewport={"width": 1280, "height": 900})
            open_label_page(page, server, project_id=project_id)
            for index in range(options.images):
                page.keyboard.press("2")
                click_pixel(page, 480, 500)
                page.keyboard.press("1")
                click_pixel(page, 20, 30)
                seq = 2 * (index + 1)
                page.locator(f".vp[data-painted-seq='{seq}']").wait_for(timeout=120_000, state="attached")
                if index % 50 == 0 or index == options.images - 1:
                    series[index + 1] = round(peak_mb(server))
                    print(index + 1, "images:", series[index + 1], "MB at most", flush=True)
                if index + 1 < options.images:
                    shown = page.locator(".vp").get_attribute("data-image")
                    page.keyboard.press("n")
                    page.locator(f".vp[data-ready='1']:not([data-image='{shown}'])").wait_for(timeout=60_000)
    if options.json:
        options.json.write_text(json.dumps({"peak_mb": series}, indent=1))


if __name__ == "__main__":
    main()
