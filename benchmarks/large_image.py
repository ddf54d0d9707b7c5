"""Memory and time of predicting one large image, in a fresh process.

    python -m benchmarks.large_image                       # 12,000 x 9,000, automatic resolution
    python -m benchmarks.large_image --resolution 1        # every pixel labelled

A model learns from a few clicks on a small picture of the same textures; then a process of its own predicts the large
image from its file, as `fcnlab predict` does, and says what it needed at most (VmHWM) and how long it took.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from fcnlab.cli import main as cli
from fcnlab.segmenter.segmenter import PointSegmenter

TEXTURES = ("brick", "grass", "gravel")


def textures() -> list[NDArray[np.uint8]]:
    """Photographs of materials, (512, 512, 3) each, tinted so that colour says something too."""
    tints = ((255, 200, 170), (190, 255, 180), (220, 220, 255))
    grey = [getattr(skimage.data, name)() for name in TEXTURES]
    return [
        np.asarray(texture[..., None] * (np.array(tint) / 255), np.uint8)
        for texture, tint in zip(grey, tints, strict=True)
    ]


def mosaic(width: int, height: int, *, side: int = 512) -> NDArray[np.uint8]:
    """(height, width, 3) uint8: patches of the textures, drawn at random, no two alike in brightness."""
    rng = np.random.default_rng(0)
    parts, result = textures(), np.empty((height, width, 3), np.uint8)
    for top in range(0, height, side):
        for left in range(0, width, side):
            patch = np.roll(parts[rng.integers(len(parts))], rng.integers(512, size=2), (0, 1))
            target = result[top : top + side, left : left + side]
            target[:] = np.clip(patch * rng.uniform(0.8, 1.1), 0, 255)[: target.shape[0], : target.shape[1]]
    return result


def train(path: Path, resolution: str) -> None:
    """A model of two classes from twelve clicks: bricks against the rest."""
    small = np.concatenate(textures(), axis=1)
    chosen = "auto" if resolution == "auto" else float(resolution)
    segmenter = PointSegmenter(["rest", "brick"], resolution=chosen)
    image = segmenter.add_image(small)
    rng = np.random.default_rng(1)
    rows, cols = rng.integers(20, 490, 12), rng.integers(0, 1536, 12)
    segmenter.add_points(image, rows, cols, (cols < 512).astype(int))
    segmenter.fit().save(path)


def predict(model: Path, image: Path, to: Path) -> None:
    """What the measured process does: `fcnlab predict`, then its figures as JSON."""
    started = time.perf_counter()
    cli.main(["predict", "--model", str(model), "--output", str(to), str(image)], standalone_mode=False)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]
    print(json.dumps({"seconds": round(time.perf_counter() - started, 1), "peak_gb": round(int(peak) / 1e6, 2)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=12_000)
    parser.add_argument("--height", type=int, default=9_000)
    parser.add_argument("--resolution", default="auto")
    parser.add_argument("--predict", nargs=3, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.predict:
        predict(*options.predict)
        return
    with tempfile.TemporaryDirectory() as folder:
        model, image, to = Path(folder) / "model.safetensors", Path(folder) / "large.jpg", Path(folder) / "masks"
        train(model, options.resolution)
        Image.fromarray(mosaic(options.width, options.height)).save(image, quality=90)
        command = [sys.executable, "-m", "benchmarks.large_image", "--predict", str(model), str(image), str(to)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        mask = np.asarray(Image.open(next(to.glob("*.png"))))
        figures = json.loads(done.stdout.splitlines()[-1]) | {"bricks": round(float((mask == 1).mean()), 3)}
        assert mask.shape == (options.height, options.width)
        print(f"{options.width} x {options.height}, resolution {options.resolution}:", figures)


if __name__ == "__main__":
    main()
