"""How many masks per second leave as COCO, polygons and run lengths, and how much memory it takes.

    python benchmarks/export_speed.py [--count 200] [--side 1000] [--json out.json]

Makes an installation in a temporary folder with so many done images of one megapixel, each with a stored mask of 50 to
150 cell-like regions of two classes, some touching, some with holes. Then exports them, in a process of its own, to one
zip file with both COCO formats, by connected parts. Prints images per second of wall and of processor time, the peak
of the resident memory of that process, and the peak at a tenth of the images (at least 20): it should not grow.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.domain.export import ExportSpec
from fcnlab.domain.images import ImageState, StoredMask
from fcnlab.lab import Lab, open_lab
from fcnlab.services.export.exporting import export_project
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import set_image_state
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.projects import projects
from fcnlab.settings import Settings
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import writing
from fcnlab.storage.files.png import mask_png
from fcnlab.storage.files.whole_files import write_whole
from fcnlab.threads import wait_politely

REGIONS = (50, 150)


def main() -> None:
    wait_politely()
    options = read_options()
    if options.export_of:
        print(json.dumps(exported(options.export_of, options.limit)))
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        n_regions = make_project(data, options.count, options.side)
        tenth = max(20, options.count // 10)
        small, whole = (run_in_own_process(data, limit) for limit in (tenth, options.count))
    result = {
        "images": options.count,
        "side": options.side,
        "regions_per_image": n_regions / options.count,
        "images_per_second": options.count / whole["wall_s"],
        "images_per_cpu_second": options.count / whole["cpu_s"],
        "peak_mb": whole["peak_mb"],
        f"peak_mb_at_{tenth}": small["peak_mb"],
        "zip_mb": whole["zip_mb"],
    }
    for name, value in result.items():
        print(f"{name:24} {value:10.1f}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--side", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--export-of", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def opened(data: Path) -> Lab:
    return open_lab(Settings(data_dir=data, device="cpu", demo=False))


def make_project(data: Path, count: int, side: int) -> int:
    """Done images with masks, in one project per limit; how many cells were drawn in all."""
    lab = opened(data)
    n_regions = 0
    for limit in sorted({max(20, count // 10), count}):
        project = projects.create_project(lab, name=str(limit))
        projects.add_class(lab, project_id=project.id, name="second")
        files = ((f"{index:05}.png", picture(index, side)) for index in range(limit))
        for index, step in enumerate(import_files(lab, files, project_id=project.id)):
            assert step.image_id is not None, step.refused
            mask, n_cells = cells(index, side)
            n_regions += n_cells if limit == count else 0
            keep(lab, project.id, step.image_id, mask)
    lab.close()
    return n_regions


def picture(index: int, side: int) -> bytes:
    """A grey picture that says its number; nothing looks at it."""
    pixels = np.full((side, side, 3), 90, np.uint8)
    pixels[0, :4] = np.frombuffer(index.to_bytes(12, "big"), np.uint8).reshape(4, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def cells(index: int, side: int) -> tuple[NDArray[np.uint8], int]:
    """Class ids (side, side): blobs with uneven rims, some touching, one in eight with a hole."""
    rng = np.random.default_rng(index)
    mask = np.zeros((side, side), np.uint8)
    count = int(rng.integers(*REGIONS))
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    for cell in range(count):
        waves = sum(rng.normal(0, 0.08) * np.cos(order * angles + rng.uniform(0, 6)) for order in (2, 3, 5, 9))
        radius = side * rng.uniform(0.012, 0.04) * (1 + waves)
        middle = rng.uniform(0, side, 2)
        rim = np.stack([middle[0] + radius * np.cos(angles), middle[1] + radius * np.sin(angles)], axis=1)
        cv2.fillPoly(mask, [rim.astype(np.int32)], 1 + cell % 2)
        if cell % 8 == 0:
            cv2.circle(mask, [int(coordinate) for coordinate in middle], int(radius.min() / 3), 0, cv2.FILLED)
    return mask, count


def keep(lab: Lab, project_id: int, image_id: int, mask: NDArray[np.uint8]) -> None:
    """The image is done with this mask."""
    set_image_state(lab, image_id=image_id, state=ImageState.DONE, labeller="benchmark")
    file = f"{project_id}/{image_id}-benchmark.png"
    write_whole(lab.folders.masks / file, mask_png(mask))
    stored = StoredMask(file, "benchmark", "none", lab.clock())
    with writing(lab.sessions) as session:
        repository_images.store_mask(session, image_id=image_id, mask=stored)


def run_in_own_process(data: Path, limit: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--export-of", str(data), "--limit", str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def exported(data: Path, limit: int) -> dict[str, float]:
    """Seconds, memory and bytes of one export."""
    lab = opened(data)
    project = next(candidate for candidate in projects.projects(lab) if candidate.name == str(limit))
    learner = ProjectLearner(lab, PictureStore(lab), project_id=project.id)
    spec = ExportSpec(("coco", "coco-rle"), done_only=True, instances=True)
    to = data / f"{limit}.zip"
    started, cpu = time.perf_counter(), time.process_time()
    for step in export_project(lab, lambda work: work(learner), project_id=project.id, spec=spec, to=to):
        assert not step.left_out
    result = {
        "wall_s": time.perf_counter() - started,
        "cpu_s": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "zip_mb": to.stat().st_size / 1e6,
    }
    lab.close()
    return result


if __name__ == "__main__":
    main()
