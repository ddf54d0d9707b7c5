"""How fast small images come in: `python benchmarks/import_speed.py --n 2000`.

Makes JPEG and PNG files, imports them from a folder into a new installation, and says images per second and the most
memory the process took. The import runs in a process of its own, so that making the files does not count.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

HW = (192, 256)


def make_files(folder: Path, n: int) -> None:
    """Blurred noise, which compresses about as photographs do; two in three are JPEG."""
    rng = np.random.default_rng(0)
    for index in range(n):
        small = rng.integers(0, 256, (HW[0] // 8, HW[1] // 8, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize(HW[::-1], Image.Resampling.BICUBIC)
        image.save(folder / f"{index:06d}.{'png' if index % 3 == 0 else 'jpg'}")


def run(folder: Path, data: Path) -> dict[str, float]:
    """Import the folder; what it took."""
    from fcnlab.lab import open_lab
    from fcnlab.services.images.import_sources import import_folder
    from fcnlab.services.projects.projects import create_project
    from fcnlab.settings import Settings

    lab = open_lab(Settings(data_dir=data, device="cpu", demo=False))
    project = create_project(lab, name="many")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, worked = time.perf_counter(), time.process_time()
    refused = [step.refused for step in import_folder(lab, folder, project_id=project.id, allow_anywhere=True)]
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    assert not any(refused)
    lab.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory = {"peak_mb": peak / 1024, "grown_mb": (peak - before) / 1024}
    return {"images": len(refused), "seconds": seconds, "worked": worked, **memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder is not None:
        print(json.dumps(run(options.folder, options.folder.parent / "data")))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "files"
        folder.mkdir()
        make_files(folder, options.n)
        command = [sys.executable, __file__, "--folder", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    print(
        f"{figures['images']} images of {HW[1]} x {HW[0]} in {figures['seconds']:.1f} s: "
        f"{figures['images'] / figures['seconds']:.0f} per second; "
        f"{1000 * figures['worked'] / figures['images']:.1f} ms of processor time each; "
        f"peak memory {figures['peak_mb']:.0f} MB, {figures['grown_mb']:.0f} MB of it while importing"
    )


if __name__ == "__main__":
    main()
