"""How many images per second leave as masks, next to what the encoder alone would allow?

    python benchmarks/dataset_prediction.py --data DIR [--count 60] [--json out.json]

DIR holds `images/*`, `masks/<stem>.png` (uint8 class ids, 255 unknown) and `list.txt` or `val.txt`. An instant model
learns from 20 random pixels in each of ten images. Then the same files go, one by one, through

- the encoder alone, pictures decoded beforehand: `StageEncoder.encode` at the model's scales, batch 1;
- `fcnlab predict --plain`: decode, encode, score, write a PNG; decoding and writing beside the work;
- `fcnlab predict`: with random walker and sharpened borders.

Prints images per second of each, and the ratio to the encoder, medians of three runs in turn.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.domain.export import ExportSpec
from fcnlab.domain.project import IGNORE
from fcnlab.evaluation.images import n_classes_of, read_example, read_names
from fcnlab.segmenter.segmenter import PointSegmenter
from fcnlab.services.predict.predicted_files import input_files, predict_files
from fcnlab.services.predict.predicting import Predictor, labels_of_model
from fcnlab.storage.files.weights import load_encoder
from fcnlab.threads import wait_politely

RUNS, TRAINED_ON, PIXELS = 3, 10, 20


def main() -> None:
    wait_politely()
    options = read_options()
    listed = next(path for path in (options.data / "list.txt", options.data / "val.txt") if path.is_file())
    names = read_names(listed)[: options.count]
    examples = [read_example(options.data, name) for name in names]
    segmenter = learned(examples[:TRAINED_ON], n_classes_of(examples))
    model = segmenter.model()
    trained = load_encoder(model.spec.encoder)
    encoder = StageEncoder.of(trained)
    files = input_files([str(options.data / "images" / name) for name in names], max_pixels=10**9)

    def encode() -> None:
        for example in examples:
            encoder.encode(example.rgb, scales=model.spec.scales, position=model.spec.position)

    def predict(is_unrefined: bool) -> None:
        predictor = Predictor(model, device="cpu", max_pixels=10**9, is_unrefined=is_unrefined)
        with tempfile.TemporaryDirectory() as folder:
            steps = predict_files(
                predictor,
                files,
                labels=labels_of_model(model),
                background=model.background,
                spec=ExportSpec(("index",)),
                is_bare=True,
                to=Path(folder),
            )
            assert not [step for step in steps if step.refused]

    ways: dict[str, Callable[[], None]] = {
        "encoder alone": encode,
        "predict --plain": lambda: predict(True),
        "predict": lambda: predict(False),
    }
    for way in ways.values():
        way()  # warms up
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(RUNS):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    rates = {name: len(files) / float(np.median(times)) for name, times in seconds.items()}
    print("| way | images per second | of the encoder |\n|---|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {rate:.1f} | {rate / rates['encoder alone']:.2f} |")
    if options.json:
        options.json.write_text(json.dumps({"images": len(files), "rates": rates}, indent=1) + "\n", "utf-8")


def learned(examples: list, n_classes: int) -> PointSegmenter:
    """A segmenter that learned from random pixels of a few images."""
    rng = np.random.default_rng(0)
    segmenter = PointSegmenter([f"class {k}" for k in range(n_classes)], refine=False)
    for example in examples:
        image = segmenter.add_image(example.rgb)
        flat = rng.choice(np.flatnonzero(example.truth != IGNORE), PIXELS, replace=False)
        rows, cols = np.unravel_index(flat, example.truth.shape)
        segmenter.add_points(image, rows, cols, example.truth[rows, cols].astype(int))
    return segmenter.fit()


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
