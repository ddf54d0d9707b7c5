"""The pictures of the tutorials and of the README, made by doing what the tutorials say in a real browser.

    .venv/bin/python docs/tutorials/pictures.py [--only nuclei,counting,land,networks,trained] [--data FOLDER]

Starts the program on an empty data folder, writes the images by `fcnlab demo`, goes through the steps and writes
docs/tutorials/*.webp and docs/screenshot.png. The numbers that the texts name are printed. *networks* and *trained* go
on where *nuclei* ends; with --data they can be run alone, on the folder of an earlier run. Takes about twenty minutes.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect

sys.path.insert(0, str(Path(__file__).parents[2]))

from docs.tutorials.reader import (
    Reader,
    csv_rows,
    files_of,
    iou,
    nearest_inside,
    spread_inside,
    telling_pixels,
)
from fcnlab.lab import open_lab
from fcnlab.services.projects.demos import DEMOS, first_demo
from fcnlab.settings import Settings
from tests.browser.harness import Server, click_pixel, running_browser, running_server, viewport, wait_until_drawn
from tests.support.paths import ROOT

LABELLER = "Ada"
NUCLEI, COUNTED, LAND = "Nuclei", "Nuclei, counted", "Land"
LAND_CLASSES = ("water", "field", "forest", "road")
IN_FILE = (2, 0, 1, 3)
"""Values of these classes in the label files, which have another order."""
WHOLLY_MARKED = 3
N_IMPORTED = 4
LONG_MS = 1_800_000
"""Trainings take minutes, on a machine with other work many."""


def nuclei(reader: Reader) -> None:
    """From images of one's own to masks, and counting them."""
    page = reader.page
    page.goto(f"{reader.server.url}/?labeller={LABELLER}")
    reader.new_project(NUCLEI, "background, nucleus", reader.images("cells"), picture="nuclei-project")
    reader.start_labelling()
    n_images = len(reader.images("cells"))
    for number in range(n_images):
        truth, rgb = reader.truth("cells", number), reader.rgb("cells", number)
        bright, dim, near, far = telling_pixels(rgb, truth)
        if number == 0:
            reader.click("2", [bright])
            reader.keep("nuclei-first-click")
            reader.click("2", [dim])
            reader.click("1", [near, far])
        else:
            reader.click("2", [dim])
            reader.click("1", [near])
        reader.answer(truth, "nuclei-asked" if number == 1 else "")
        if number < n_images - 1:
            reader.next_image()
    page.keyboard.press("Enter")
    page.wait_for_timeout(2500)
    reader.go("Export")
    reader.pill("Measurements CSV")
    page.get_by_text("Classes and regions").click()
    reader.pill("One per connected part")
    page.get_by_text("Classes and regions").click()
    archive = reader.export("nuclei-export")
    regions = csv_rows(archive, "measurements")
    areas = [float(row["area_px"] if "area_px" in row else row["area"]) for row in regions]
    masks = files_of(archive, "masks/")
    truths = [reader.truth("cells", number) for number in range(n_images)]
    reader.numbers["nuclei"] = {
        "files": sorted({name.split("/")[0] for name in archive.namelist()}),
        "regions": dict(Counter(row["image"] for row in regions)),
        "median area": float(np.median(areas)),
        "columns": list(regions[0]),
        "IoU of nucleus": [round(iou(mask == 1, truth == 1), 3) for mask, truth in zip(masks, truths, strict=True)],
    }


def counting(reader: Reader) -> None:
    """The same images, one click on each nucleus."""
    page = reader.page
    page.goto(f"{reader.server.url}/?labeller={LABELLER}")
    reader.new_project(COUNTED, "background, nucleus", reader.images("cells"), counts=True)
    reader.start_labelling()
    seen = {}
    for number in range(WHOLLY_MARKED):
        scene = DEMOS[0].draw(number)  # the label files do not tell nuclei that touch apart
        labels, n_objects = scene.instances, len(scene.centres)
        inside = [nearest_inside(labels == index + 1, centre) for index, centre in enumerate(scene.centres)]
        clicked = set(range(1, 6)) if number == 0 else set()
        page.keyboard.press("2")
        for pixel in inside[:5] if number == 0 else ():
            click_pixel(page, *pixel)
        reader.saved()
        page.get_by_text("Count up to date").wait_for()
        page.wait_for_timeout(2000)
        n_found = int(viewport(page, "objects") or 0)
        if number == 0:
            reader.keep("nuclei-counted")
        accepted = review(page, labels, clicked) - clicked
        page.keyboard.press("2")
        for index in set(range(1, n_objects + 1)) - clicked - accepted:
            click_pixel(page, *inside[index - 1])
            page.wait_for_timeout(150)
        reader.saved()
        page.get_by_text("Count up to date").wait_for()
        page.keyboard.press("t")
        none = page.get_by_role("button", name=re.compile("(They are|It is) none"))
        complete = page.locator(".vp[data-complete='true']")
        expect(none.or_(complete).first).to_be_attached(timeout=30_000)
        if viewport(page, "complete") != "true":
            none.click()
        complete.wait_for()
        reader.saved()
        seen[number + 1] = {"nuclei": n_objects, "outlined": n_found, "accepted": len(accepted)}
        reader.next_image("n")
    reader.go("Count")
    page.get_by_role("button", name="Count all images").click()
    page.get_by_text("Predicted against true").wait_for(timeout=120_000)
    reader.keep("nuclei-count-page")
    link = page.get_by_role("link", name="Counts (CSV)").get_attribute("href") or ""
    table = page.request.get(link if "://" in link else reader.server.url + link).text()
    figures = page.locator("[data-testid=stMetric]").all_inner_texts()
    reader.numbers["counting"] = {"marked": seen, "table": table, "on": figures}


def review(page: Page, labels: NDArray[np.uint16], clicked: set[int]) -> set[int]:
    """Walk through the objects nobody confirmed: accept one on each nucleus, reject the others; all that have one."""
    page.keyboard.press("q")
    accepted = set(clicked)
    before: str | None = None
    page.wait_for_timeout(1000)
    for _ in range(90):
        try:
            after = "" if before is None else f":not([data-asked='{before}'])"
            page.locator(f".vp[data-asked]{after}").wait_for(timeout=4000)
        except Exception:  # the walk is over
            break
        before = viewport(page, "asked")
        row, col = (round(float(place)) for place in str(before).split(","))
        nucleus = int(labels[row, col])
        page.keyboard.press("a" if nucleus and nucleus not in accepted else "d")
        accepted |= {nucleus} - {0}
    page.keyboard.press("Escape")
    page.wait_for_timeout(500)
    return accepted


def land(reader: Reader) -> None:
    """Labels of another tool, four classes and no background, to a map."""
    page = reader.page
    page.goto(f"{reader.server.url}/?labeller={LABELLER}")
    reader.new_project(LAND, ", ".join(LAND_CLASSES), reader.images("land"), picture="land-cover-project")
    page.get_by_text("Labels from other tools").first.click()
    labels = sorted(str(path) for path in (reader.files / "land_labels").iterdir())
    wanted = [path for path in labels if path.endswith("classes.csv") or int(Path(path).stem[-2:]) <= N_IMPORTED]
    page.locator('input[type="file"]').last.set_input_files(wanted)
    button = page.get_by_role("button", name="Import the labels")
    button.wait_for()
    page.wait_for_timeout(1500)
    button.scroll_into_view_if_needed()
    reader.keep("land-cover-labels")
    button.click()
    done = page.get_by_text(re.compile(r"\d+ images labelled"))
    done.wait_for()
    reader.numbers["land, imported"] = done.inner_text()
    page.get_by_role("button", name="Use the masks as they are").click()
    page.get_by_role("button", name="Use them and mark done").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("link", name="Label", exact=True).first.click()
    page.locator(".vp[data-ready='1']").wait_for()
    page.wait_for_timeout(3000)
    reader.keep("land-cover-open")
    before, clicks = land_masks(reader.server), 0
    for number in range(N_IMPORTED, 8):
        truth = reader.truth("land", number)
        for class_id, value in enumerate(IN_FILE):
            pixels = spread_inside(truth == value, 2)
            reader.click(str(class_id + 1), pixels)
            clicks += len(pixels)
        if number == N_IMPORTED:
            reader.keep("land-cover-clicked")
        if number < 7:
            reader.next_image()
    page.keyboard.press("Enter")
    page.wait_for_timeout(3000)
    reader.go("Export")
    for name in ("Index PNG", "TIFF", "GeoJSON"):
        reader.pill(name)
    archive = reader.export("land-cover-export")
    masks = files_of(archive, "tiff/")
    truths = [np.argsort(IN_FILE)[reader.truth("land", number)] for number in range(8)]
    shapes = json.loads(archive.read("geojson/land_05.geojson"))
    reader.numbers["land"] = {
        "clicks": clicks,
        "files": sorted({name.split("/")[0] for name in archive.namelist()}),
        "right before": [round(float((mask == truth).mean()), 3) for mask, truth in zip(before, truths, strict=True)],
        "right": [round(float((mask == truth).mean()), 3) for mask, truth in zip(masks, truths, strict=True)],
        "IoU": [
            [round(iou(mask == class_id, truth == class_id), 3) for class_id in range(len(IN_FILE))]
            for mask, truth in zip(masks[N_IMPORTED:], truths[N_IMPORTED:], strict=True)
        ],
        "crs": shapes["crs"],
        "features": [feature["properties"] for feature in shapes["features"]],
        "first corner": shapes["features"][0]["geometry"]["coordinates"][0][0][:1],
    }


def land_masks(server: Server) -> list[NDArray[np.uint8]]:
    """The masks of all images as they are now."""
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / "masks.zip"
        answer_of(server, "export", "--project", LAND, "--format", "tiff", "--output", str(to))
        return files_of(zipfile.ZipFile(to), "tiff/")


def networks(reader: Reader) -> None:
    """FCN-32s, 16s and 8s on the points of the first tutorial."""
    page = reader.page
    bring_truth(reader, points=0)
    reader.go("Compare")
    reader.pill("32s, 16s, 8s")
    reader.slide("Time for each network", "ArrowRight", 1)
    reader.keep("networks-compare-form")
    reader.numbers["compare form"] = page.locator("[data-testid=stCaptionContainer]").all_inner_texts()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_text(re.compile(r"^Comparison \d+: .*(finished|failed)")).wait_for(timeout=LONG_MS)
    page.wait_for_timeout(2000)
    reader.keep("networks-table")
    reader.numbers["compared"] = page.locator("[data-testid=stMain]").inner_text()
    page.get_by_text("Masks side by side").scroll_into_view_if_needed()
    page.mouse.move(700, 500)
    page.mouse.wheel(0, 350)
    reader.keep("networks-masks")
    box = page.get_by_role("combobox").last
    box.focus()
    box.press("ArrowDown")
    page.get_by_role("option", name=re.compile("FCN-8s")).click()
    page.wait_for_timeout(1500)
    page.get_by_role("button", name="Save as version").click()
    page.wait_for_timeout(3000)  # then the box shows the first network again


def trained(reader: Reader) -> None:
    """The best of them on more points, for longer; goes on where `networks` ends."""
    page = reader.page
    bring_truth(reader, points=None)
    reader.go("Train")
    reader.slide("Time limit", "ArrowLeft", 3)
    page.get_by_role("button", name="Start training").click()
    use = page.get_by_role("button", name="Use it")
    use.wait_for(timeout=LONG_MS)
    page.wait_for_timeout(2000)
    reader.keep("networks-trained")
    reader.numbers["trained"] = page.locator("[data-testid=stMain]").inner_text()
    use.click()
    page.get_by_text("In use").first.wait_for()
    reader.go("Models")
    reader.keep("networks-models")
    reader.numbers["versions"] = answer_of(reader.server, "models", "list", "--project", NUCLEI)
    reader.numbers["models"] = page.locator("[data-testid=stMain]").inner_text()


def bring_truth(reader: Reader, *, points: int | None) -> None:
    """Import the label files of the nuclei anew, with so many points of each; None: as many as the program takes."""
    page = reader.page
    page.goto(f"{reader.server.url}/projects?project={project_id(reader.server, NUCLEI)}&labeller={LABELLER}")
    wait_until_drawn(page)
    page.get_by_text("Labels from other tools").first.click()
    page.wait_for_timeout(1500)
    remove = page.get_by_role("button", name="Remove", exact=True)
    if remove.count():
        remove.click()
        expect(remove).to_have_count(0)
        wait_until_drawn(page)
    page.locator('input[type="file"]').last.set_input_files(
        sorted(str(path) for path in (reader.files / "cells_labels").iterdir())
    )
    button = page.get_by_role("button", name="Import the labels")
    button.wait_for()
    if points is not None:
        count = page.get_by_role("spinbutton", name="Points from each mask")
        count.fill(str(points))
        count.press("Enter")
        page.wait_for_timeout(1500)
    button.click()
    done = page.get_by_text(re.compile(r"\d+ images labelled"))
    done.wait_for()
    reader.numbers[f"imported, {points} points"] = done.inner_text()


def screenshot(reader: Reader, demo_id: int) -> None:
    """The picture of the README: the Label page on the first demo."""
    page = reader.page
    page.goto(f"{reader.server.url}/?project={demo_id}&labeller={LABELLER}")
    page.locator(".vp[data-ready='1']").wait_for()
    if page.get_by_role("button", name="No, thanks").count():
        page.get_by_role("button", name="No, thanks").click()
    page.mouse.move(800, 85)  # where nothing lights up
    page.wait_for_timeout(6000)  # masks of the images in the strip
    shot = Image.open(io.BytesIO(reader.page.screenshot())).convert("RGB")
    few = shot.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(ROOT / "docs" / "screenshot.png", optimize=True)


def project_id(server: Server, name: str) -> int:
    """Number of the project of a name."""
    return next(row["id"] for row in answer_of(server, "projects", "list") if row["name"] == name)


def answer_of(server: Server, *arguments: str) -> list[dict[str, object]]:
    """What a command answers, as JSON."""
    command = [sys.executable, "-m", "fcnlab", "--data-dir", str(server.data_dir), *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


PARTS = {"nuclei": nuclei, "counting": counting, "land": land, "networks": networks, "trained": trained}


def main() -> None:
    """Go through the tutorials, and print their numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, commas between")
    parser.add_argument("--data", type=Path, help="a folder that is kept, and gone on with where it has projects")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or Path(folder)
        files = data / "tutorial"
        if not files.exists():
            subprocess.run([sys.executable, "-m", "fcnlab", "demo", "--output", str(files)], cwd=ROOT, check=True)
        lab = open_lab(Settings(data_dir=data / "program", device="cpu", demo=True))
        demo_id = first_demo(lab).id
        lab.close()
        with running_server(data / "program") as server, running_browser() as browser:
            context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
            reader = Reader(context.new_page(), server, files)
            try:
                screenshot(reader, demo_id)
                for part in options.only.split(","):
                    PARTS[part](reader)
            except BaseException:
                reader.page.screenshot(path=str(data / "failure.png"))
                raise
            finally:
                print(json.dumps(reader.numbers, indent=1))


if __name__ == "__main__":
    main()
