"""Files of fcnlab in other programs and back, pixel by pixel; and a real Label Studio with fcnlab as its model.

    python benchmarks/other_programs.py [--folder DIR] [--only labelme --only label-studio] [--json out.json]

Makes a project with three done images of four classes, exports it in every format, and installs each program into an
environment of its own below DIR (a new folder in the temporary one; a second run with the same DIR installs nothing).
The program reads our files, and writes the same masks for `fcnlab convert` to read. Prints a table of differing pixels,
and a verdict: exit code 1 when something differs that need not. Takes about ten minutes, most of it pip.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.domain.images import ImageState, StoredMask
from fcnlab.lab import open_lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import set_image_state
from fcnlab.services.projects import projects
from fcnlab.settings import Settings
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import writing
from fcnlab.storage.files.png import mask_png
from fcnlab.storage.files.whole_files import write_whole

HERE = Path(__file__).resolve().parent
HW = (161, 241)
NAMES = ("background", "road", "car", "person")
FORMATS = ("labelme", "coco", "coco-rle", "cvat", "voc", "cityscapes", "geojson", "yolo", "images", "labelstudio")
PORT, STUDIO_PORT = 8790, 8791
TOKEN = "a-token-for-this-trial-only"
START_S = 300

PROGRAMS = {
    "labelme": ["labelme"],
    "datumaro": ["datumaro"],
    "supervision": ["supervision"],
    "cityscapesscripts": ["cityscapesscripts", "numpy<2.3"],
    "shapely": ["shapely", "numpy"],
    "pycocotools": ["pycocotools"],
    "ultralytics": ["ultralytics"],
    "label-studio": ["label-studio"],
}
"""What pip installs for each."""

REASONS = {
    "supervision: reads coco (polygons)": "fills polygons with their border, by cv2.fillPoly; `coco-rle` gives 0",
    "supervision: reads yolo": "fills polygons with their border, by cv2.fillPoly",
    "supervision: writes yolo": "writes contours through the centres of border pixels, without holes",
    "ultralytics: reads yolo (polygon2mask)": "rounds corners to pixels and fills with the border, by cv2.fillPoly",
}
"""Why pixels differ that fcnlab cannot do anything about."""

Row = tuple[str, int, int]


def main() -> int:
    options = read_options()
    folder = Path(options.folder or tempfile.mkdtemp(prefix="other-programs-")).resolve()
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    masks = make_project(work)
    export = [
        "export",
        "-p",
        "trial",
        "-o",
        str(work / "out"),
        *(f"--format={export_format}" for export_format in FORMATS),
    ]
    fcnlab(work, *export)
    rows: list[Row] = []
    versions: dict[str, str] = {}
    for program in options.only or PROGRAMS:
        python = environment(folder, program)
        versions[program] = installed(python, program)
        done = in_label_studio(work, python) if program == "label-studio" else in_program(work, python, program)
        rows += [(f"{program}: {what}", differing, total) for what, differing, total in done]
        rows += [(f"{program}: writes {what}", *counts) for what, counts in read_back(work, program, masks)]
    print(table(rows, versions))
    wrong = [what for what, differing, _ in rows if differing and what not in REASONS]
    print("\nVerdict: " + (f"{len(wrong)} differ that need not: {'; '.join(wrong)}" if wrong else "as it should be"))
    if options.json:
        Path(options.json).write_text(json.dumps({"versions": versions, "rows": rows}, indent=1), "utf-8")
    return 1 if wrong else 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="fcnlab and other programs, pixel by pixel.")
    parser.add_argument("--folder", help="for environments and files; kept")
    parser.add_argument("--only", action="append", choices=sorted(PROGRAMS))
    parser.add_argument("--json", help="write the result here as well")
    return parser.parse_args()


def make_project(work: Path) -> dict[str, NDArray[np.uint8]]:
    """A project "trial" with done images, and the same as plain files; the masks by the names of images."""
    for name in ("truth", "images", "written"):
        (work / name).mkdir(parents=True)
    (work / "names.json").write_text(json.dumps(NAMES), "utf-8")
    lab = open_lab(Settings(data_dir=work / "data", device="cpu", demo=False))
    project = projects.create_project(lab, name="trial", labels=projects.labels_of(list(NAMES)))
    masks = {}
    for index in range(3):
        name, (picture, mask) = f"aachen_000000_{index:06}", drawn(index)
        data = cv2.imencode(".png", picture)[1].tobytes()
        (work / "images" / f"{name}.png").write_bytes(data)
        np.save(work / "truth" / f"{name}.npy", mask)
        step = next(iter(import_files(lab, [(f"{name}.png", data)], project_id=project.id)))
        assert step.image_id is not None, step.refused
        set_image_state(lab, image_id=step.image_id, state=ImageState.DONE, labeller="trial")
        file = f"{project.id}/{step.image_id}-trial.png"
        write_whole(lab.folders.masks / file, mask_png(mask))
        with writing(lab.sessions) as session:
            stored = StoredMask(file, "trial", "none", lab.clock())
            repository_images.store_mask(session, image_id=step.image_id, mask=stored)
        masks[name] = mask
    lab.close()
    return masks


def drawn(index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture (H, W, 3) and its mask (H, W): blobs with holes, corners that touch, single pixels, the border."""
    rng = np.random.default_rng(index)
    mask = np.zeros(HW, np.uint8)
    for _ in range(14):
        middle, axes = rng.integers(0, HW[::-1], 2).tolist(), rng.integers(6, 40, 2).tolist()
        cv2.ellipse(mask, middle, axes, float(rng.uniform(0, 180)), 0, 360, int(rng.integers(0, 4)), cv2.FILLED)
        cv2.circle(mask, middle, 3, int(rng.integers(0, 4)), cv2.FILLED)
    for _ in range(40):
        row, col = rng.integers(0, HW[0] - 1), rng.integers(0, HW[1] - 1)
        mask[row, col] = mask[row + 1, col + 1] = rng.integers(0, 4)
    colours = np.array([[40, 40, 40], [200, 60, 60], [60, 200, 60], [60, 60, 220]], np.uint8)
    return cv2.add(colours[mask], rng.integers(0, 20, (*HW, 3), np.uint8)), mask


def fcnlab(work: Path, *arguments: str) -> str:
    settings = {"FCNLAB_DATA_DIR": str(work / "data"), "FCNLAB_DEMO": "false", "FCNLAB_DEVICE": "cpu"}
    command = [sys.executable, "-m", "fcnlab", *arguments]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"fcnlab {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def environment(folder: Path, program: str) -> Path:
    """The Python of an environment of its own with the program in it; made when it is missing."""
    home = folder / "environments" / program
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        print(f"installing {program} ...", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        alone = program == "ultralytics"  # torch and OpenCV are those of fcnlab
        subprocess.run([python, "-m", "pip", "install", "-q", *["--no-deps"] * alone, *PROGRAMS[program]], check=True)
        if alone:
            (packages,) = (home / "lib").glob("python*/site-packages")
            ours = Path(str(importlib.metadata.distribution("torch").locate_file("")))
            (packages / "of_fcnlab.pth").write_text(f"{ours}\n", "utf-8")
        (home / "complete").touch()
    return python


def installed(python: Path, program: str) -> str:
    code = f"import importlib.metadata as m; print(m.version({program!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def in_program(work: Path, python: Path, program: str, *more: str) -> list[Row]:
    """What the program says, one row per thing it did."""
    script = HERE / ("other_programs_studio.py" if program == "label-studio" else "other_programs_inside.py")
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    command = [str(python), str(script), program, str(work), *more]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        return [(f"failed: {done.stderr.strip().splitlines()[-1][:150]}", 1, 1)]
    rows: list[Row] = json.loads(done.stdout.strip().splitlines()[-1])
    return rows


def read_back(work: Path, program: str, masks: dict[str, NDArray[np.uint8]]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Differing pixels of what the program wrote, as `fcnlab convert` reads it."""
    total = sum(mask.size for mask in masks.values())
    for source in sorted((work / "written").iterdir()):
        if source.name.split("-")[0] != program.replace("-", ""):
            continue
        out = work / "back" / source.name
        fcnlab(
            work,
            "convert",
            "--to",
            "index",
            "--rest",
            "background",
            "--images",
            str(work / "images"),
            str(source),
            str(out),
        )
        table = json.loads(next(out.rglob("classes.json")).read_text("utf-8"))
        ids = np.full(256, 254, np.uint8)
        for label in table:
            ids[label["id"]] = NAMES.index(label["name"])
        differing = 0
        for stem, truth in masks.items():
            path = next(iter(out.rglob(f"{stem}.png")), None)
            mask = None if path is None else np.array(Image.open(path))
            differing += truth.size if mask is None else int((ids[mask] != truth).sum())
        yield source.name.partition("-")[2] or source.name, (differing, total)


@contextmanager
def running(command: list[str], health: str, log: Path, **settings: str) -> Iterator[None]:
    """A server that answers at an address; ended afterwards."""
    with log.open("w") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env={**os.environ, **settings}, start_new_session=True
        )
    try:
        for _ in range(START_S):
            try:
                urllib.request.urlopen(health, timeout=2).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"{command[0]} ended: see {log}") from None
                time.sleep(1)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def in_label_studio(work: Path, python: Path) -> list[Row]:
    """A new Label Studio with nothing but the settings that docs/rest.md names, and fcnlab connected to it."""
    studio = f"http://127.0.0.1:{STUDIO_PORT}"
    settings = {
        "LABEL_STUDIO_USERNAME": "trial@example.com",
        "LABEL_STUDIO_PASSWORD": "Trial-password-1",
        "ML_BLOCK_LOCAL_IP": "false",
        "SSRF_PROTECTION_ENABLED": "false",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(work / "out" / "label_studio"),
        "LABEL_STUDIO_BASE_DATA_DIR": str(work / "studio"),
    }
    command = [str(python.parent / "label-studio"), "start", "--no-browser", "--internal-host", "127.0.0.1"]
    command += ["--port", str(STUDIO_PORT), "--data-dir", str(work / "studio")]
    with running(command, f"{studio}/health", work / "studio.log", **settings):
        (what, _, _), *_ = in_program(work, python, "label-studio", studio, "token")
        ours = {
            "FCNLAB_DATA_DIR": str(work / "data"),
            "FCNLAB_DEMO": "false",
            "FCNLAB_API_TOKEN": TOKEN,
            "FCNLAB_LABEL_STUDIO_URL": studio,
            "FCNLAB_LABEL_STUDIO_TOKEN": what,
        }
        serve = [sys.executable, "-m", "fcnlab", "serve", "--port", str(PORT)]
        with running(serve, f"http://127.0.0.1:{PORT}/health", work / "serve.log", **ours):
            asked = subprocess.run([*serve, "--address"], env={**os.environ, **ours}, check=True, capture_output=True)
            address = asked.stdout.decode().strip()
            return in_program(work, python, "label-studio", studio, address, f"http://127.0.0.1:{PORT}", TOKEN)


def table(rows: list[Row], versions: dict[str, str]) -> str:
    lines = ["| what | differing | of | why |", "|---|---:|---:|---|"]
    lines += [f"| {what} | {bad} | {total} | {REASONS.get(what, '')} |" for what, bad, total in rows]
    return "\n".join([*lines, "", ", ".join(f"{name} {version}" for name, version in versions.items())])


if __name__ == "__main__":
    raise SystemExit(main())
