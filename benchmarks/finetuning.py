"""What does training end to end add to a head on frozen features? A curve against time, with the truth of other images.

    python benchmarks/finetuning.py --data DIR [--minutes 30] [--network fcn2s] [--pixels 20] [--without 0006R0]
                                    [--json out.json]

DIR holds `images/*`, `masks/<stem>.png`, `train.txt` and `val.txt`. A network of the family learns from so many random
pixels in every image of train; after every few epochs the average of its weights is scored on the full masks of val.
FCN-2s starts from a linear head on its own features, so that step 0 is what the head alone reaches; other networks
start from nothing behind the encoder. `--pixels 2000` stands for full masks. `--without` leaves the images of train
whose names start so out, and scores on those instead of val: neighbouring frames of one film are alike.

On a processor, let freed memory stay with the process, as fcnlab's worker does:
MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 python benchmarks/finetuning.py ...
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fcnlab.core.networks.base import EncoderParts, PointNetwork
from fcnlab.core.training.batches import LabelledPicture
from fcnlab.core.training.network_model import NetworkModel, network_probabilities
from fcnlab.core.training.scores import confusion, iou_per_class
from fcnlab.core.training.trainer import NetworkTrainer
from fcnlab.domain.network import USUAL_UPSAMPLING, NetworkName, NetworkSpec
from fcnlab.domain.project import IGNORE
from fcnlab.domain.training import TrainingSpec
from fcnlab.evaluation.images import Example, n_classes_of, read_example, read_names
from fcnlab.storage.files.weights import load_encoder
from fcnlab.threads import wait_politely

SCORED_EVERY_S = 180.0


def main() -> None:
    wait_politely()
    options = read_options()
    names, others = (read_names(options.data / f"{part}.txt") for part in ("train", "val"))
    if options.without:
        others = tuple(name for name in names if name.startswith(options.without))
    train = [read_example(options.data, name) for name in names if name not in others]
    val = [read_example(options.data, name) for name in others]
    n_classes = n_classes_of([*train, *val])
    rng = np.random.default_rng(options.seed)
    pictures = [labelled(example, options.pixels, rng) for example in train]
    network = NetworkName(options.network)
    spec = NetworkSpec(network, n_classes, upsampling=USUAL_UPSAMPLING.get(network, "transposed"))
    training = TrainingSpec(
        epochs=options.epochs,
        minutes=options.minutes,
        learning_rate=options.learning_rate,
        encoder_rate=options.encoder_rate,
        colour=0.4,
        scale=1.6,
        rotate=5,
        ema=0.99,
        holdout=0,
        seed=options.seed,
    )
    curve = trained(spec, training, pictures, val)
    if options.json:
        options.json.write_text(json.dumps({"training": training.to_dict(), "curve": curve}, indent=1) + "\n", "utf-8")
    print(f"| minutes | mIoU of {spec.network} |\n|---|---|")
    for point in curve:
        print(f"| {point['seconds'] / 60:.1f} | {point['mean_iou']:.3f} |")


def trained(
    spec: NetworkSpec, training: TrainingSpec, pictures: Sequence[LabelledPicture], val: Sequence[Example]
) -> list[dict[str, float]]:
    """Seconds of training and mIoU, from the start on; the time of scoring does not count."""
    loaded = load_encoder(spec.encoder)
    parts = EncoderParts(loaded.network, loaded.strides, loaded.channels, loaded.mean, loaded.std)
    paused = [0.0]
    trainer = NetworkTrainer(
        spec,
        training,
        encoder=parts,
        class_ids=range(spec.n_classes),
        device="cpu",
        now=lambda: time.monotonic() - paused[0],
    )
    curve: list[dict[str, float]] = []

    def score(network: PointNetwork, seconds: float) -> None:
        started = time.monotonic()
        curve.append({"seconds": seconds, "mean_iou": mean_iou(network, training, val)})
        print(f"{seconds:.0f} s: mIoU {curve[-1]['mean_iou']:.4f}", file=sys.stderr)
        paused[0] += time.monotonic() - started

    steps = trainer.run(lambda: pictures, lambda: [])
    if spec.network is NetworkName.FCN2S:
        score(trainer.started(lambda: pictures), 0.0)
    for step in steps:
        print(f"epoch {step.epoch}: loss {step.loss:.3f}, {step.images_per_second:.1f} images/s", file=sys.stderr)
        if step.seconds - (curve[-1]["seconds"] if curve else 0) > SCORED_EVERY_S:
            score(trainer.averaged(), step.seconds)
    score(trainer.outcome([]).network, step.seconds)
    return curve


def labelled(example: Example, count: int, rng: np.random.Generator) -> LabelledPicture:
    """Random pixels of an image whose truth is known."""
    width = example.truth.shape[1]
    pixels = np.flatnonzero(example.truth != IGNORE)
    flat = rng.choice(pixels, min(count, len(pixels)), replace=False)
    return LabelledPicture(
        example.name,
        lambda: example.rgb,
        (flat // width).astype(np.float32),
        (flat % width).astype(np.float32),
        example.truth.ravel()[flat].astype(np.int64),
        np.ones(len(flat), np.float32),
    )


def mean_iou(network: PointNetwork, training: TrainingSpec, val: Sequence[Example]) -> float:
    """mIoU on the full masks."""
    n_classes = network.spec.n_classes
    model = NetworkModel(network, tuple((k, str(k)) for k in range(n_classes)), training)
    counts = np.zeros((n_classes, n_classes), np.int64)
    for example in val:
        predicted: Any = network_probabilities(model, example.rgb, device="cpu").argmax(axis=0).astype(np.uint8)
        counts += confusion(example.truth, predicted, n_classes)
    return float(np.nanmean(iou_per_class(counts)))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--network", default="fcn2s", choices=[*NetworkName])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--epochs", type=int, default=100_000)
    parser.add_argument("--pixels", type=int, default=20)
    parser.add_argument("--without", default="", help="names of images to leave out and score on start so")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--encoder-rate", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
