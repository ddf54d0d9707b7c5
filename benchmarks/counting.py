"""How well are objects counted and found in pictures that nothing was learned from? Next to counters without a network.

    python benchmarks/counting.py --data DIR --set vgg_cells [--seeds 3] [--methods density,blobs,points,blob_log,otsu]
                                  [--json out.json]

DIR/SET holds `images/*`, `list.txt` and `points/<stem>.json` ([[x, y], ...] of all objects). FCN-2s learns to count
from some of the pictures as a density and as blobs (LC-FCN), within the minutes of the set. Peers learn from the same
pictures: the same network by the plain point loss, its connected components counted (background points are drawn where
no object is nearer than half the usual distance between neighbours); scikit-image's Laplacian of Gaussian; Otsu's
threshold with a watershed.

Prints mean and spread over the seeds, each a draw of pictures and weights. Results are written after every run; a run
that finds them goes on behind them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.counting_peers import fitted_blob_log, fitted_watershed
from benchmarks.counting_sets import CountedPicture, parted, read_counted
from fcnlab.core.counting.counting import network_count
from fcnlab.core.counting.objective import counting_objective, magnified, usual_spacing
from fcnlab.core.counting.objects import labelled_blobs
from fcnlab.core.counting.scoring import score_counts
from fcnlab.core.networks.base import EncoderParts
from fcnlab.core.training.batches import LabelledPicture
from fcnlab.core.training.network_model import NetworkModel, network_probabilities, seen_hw, seen_picture
from fcnlab.core.training.trainer import NetworkTrainer
from fcnlab.domain.counting import ClassCount, CountScore, FoundObject, ImageCount, Objective
from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.domain.training import TrainingSpec, counting_training
from fcnlab.storage.files.weights import load_encoder
from fcnlab.threads import wait_politely

CLASSES = ((0, "background"), (1, "object"))
DEVICE = "cpu"
Counter = Callable[[CountedPicture], ImageCount]


@dataclass(frozen=True, slots=True)
class Setting:
    """How a set is parted, for how many minutes is trained, and how near an object must be found (0: half the usual
    distance between neighbours)."""

    n_train: int
    group: str
    minutes: float
    radius: float = 0.0


SETTINGS = {
    "vgg_cells": Setting(32, "", 5.0),
    "mbm_cells": Setting(16, r".*(?=_)", 2.5),
    "adipocytes": Setting(30, "", 2.5),
    "dsb2018": Setting(30, "", 3.0, radius=8.0),
}


def main() -> None:
    wait_politely()
    options = read_options()
    setting = SETTINGS[options.set]
    pictures = read_counted(options.data / options.set)
    done: dict[str, dict[str, Any]] = {}
    if options.json and options.json.exists():
        done = json.loads(options.json.read_text("utf-8"))
    for seed in range(options.seeds):
        train, others = parted(pictures, setting.n_train, group=setting.group, seed=seed)
        for method in options.methods.split(","):
            key = f"{options.set} {method} {seed}"
            if key in done:
                continue
            started = time.monotonic()
            counter = METHODS[method](train, options.minutes or setting.minutes, seed)
            seconds = time.monotonic() - started
            score = scored(counter, others, setting.radius or usual_distance(train) / 2)
            done[key] = {**asdict(score), "seconds": seconds}
            print(f"{key}: MAE {score.mae:.2f}, F {score.f_score:.3f}, {seconds:.0f} s", flush=True)
            if options.json:
                options.json.write_text(json.dumps(done, indent=1) + "\n", "utf-8")
    print_table(done, options.set)


def scored(counter: Counter, pictures: Sequence[CountedPicture], radius: float) -> CountScore:
    """How well pictures are counted."""
    counted = [counter(picture) for picture in pictures]
    sizes = [(picture.rgb.shape[0], picture.rgb.shape[1]) for picture in pictures]
    return score_counts([{1: picture.places} for picture in pictures], counted, sizes, radius)


def usual_distance(pictures: Sequence[CountedPicture]) -> float:
    """Pixels between neighbours."""
    objects = [(picture.places[:, 0], picture.places[:, 1]) for picture in pictures]
    return usual_spacing(objects, [True] * len(pictures), usual_size(pictures))


def usual_size(pictures: Sequence[CountedPicture]) -> tuple[int, int]:
    """The size most pictures have."""
    sizes = [(picture.rgb.shape[0], picture.rgb.shape[1]) for picture in pictures]
    return max(sizes, key=sizes.count)


def trained(train: Sequence[CountedPicture], training: TrainingSpec) -> Counter:
    """FCN-2s, trained as `fcnlab count train` does, with nothing held out."""
    spacing, image_hw = usual_distance(train), usual_size(train)
    training = magnified(training, spacing, image_hw)
    spec = NetworkSpec(NetworkName.FCN2S, len(CLASSES))
    objective = counting_objective(spec, training, class_ids=[0, 1], spacing=spacing, image_hw=image_hw, device=DEVICE)
    pictures = [marked(picture, picture.places, np.ones(picture.count, np.int64), spec, training) for picture in train]
    trainer = NetworkTrainer(
        spec, training, encoder=encoder(), class_ids=[0, 1], device=DEVICE, now=time.monotonic, objective=objective
    )
    run(trainer, pictures)
    outcome = trainer.outcome([], pictures)
    model = NetworkModel(outcome.network, CLASSES, training, calibration=outcome.calibration)
    return lambda picture: network_count(model, picture.rgb, device=DEVICE)


def trained_on_point_loss(train: Sequence[CountedPicture], minutes: float, seed: int) -> Counter:
    """The same network by the point loss; each connected part of what is likelier object than not counts one."""
    spacing, image_hw = usual_distance(train), usual_size(train)
    rng = np.random.default_rng(seed)
    counting = magnified(spec_for(Objective.DENSITY, minutes, seed), spacing, image_hw)
    sized = [CountedPicture(picture.name, *resized(picture, counting)) for picture in train]
    training = TrainingSpec(epochs=100_000, minutes=minutes, ema=0.99, holdout=0, seed=seed, working_side=4096)
    spec = NetworkSpec(NetworkName.FCN2S, len(CLASSES))
    pictures = []
    for sized_picture in sized:
        nothing = away_from(sized_picture, spacing * counting.magnification / 2, rng)
        classes = np.repeat([1, 0], [sized_picture.count, len(nothing)])
        pictures.append(marked(sized_picture, np.concatenate([sized_picture.places, nothing]), classes, spec, training))
    trainer = NetworkTrainer(spec, training, encoder=encoder(), class_ids=[0, 1], device=DEVICE, now=time.monotonic)
    run(trainer, [labelled for labelled in pictures if len(labelled.rows)])
    model = NetworkModel(trainer.outcome([]).network, CLASSES, training)

    def count(picture: CountedPicture) -> ImageCount:
        seen = resized(picture, counting)[0]
        parts = labelled_blobs(network_probabilities(model, seen, device=DEVICE), (0.5, 0.5)).blobs
        back = picture.rgb.shape[0] / seen.shape[0]
        return counted(np.array([(blob.row, blob.col) for blob in parts]).reshape(-1, 2) * back)

    return count


def resized(picture: CountedPicture, training: TrainingSpec) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A picture, and its places, at the size a network that counts looks at it."""
    hw = seen_hw((picture.rgb.shape[0], picture.rgb.shape[1]), NetworkSpec(NetworkName.FCN2S, 2), training)
    factor = np.array(hw) / picture.rgb.shape[:2]
    return seen_picture(picture.rgb, hw), (picture.places + 0.5) * factor - 0.5


def away_from(picture: CountedPicture, distance: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """As many random pixels as there are objects (20 at least), none nearer to one than `distance`."""
    wanted = max(20, picture.count)
    drawn = rng.uniform((0, 0), np.array(picture.rgb.shape[:2]) - 1, (20 * wanted, 2))
    if picture.count:
        drawn = drawn[cKDTree(picture.places).query(drawn)[0] > distance]
    return np.asarray(drawn[:wanted], np.float64)


def marked(
    picture: CountedPicture,
    positions: NDArray[np.float64],
    classes: NDArray[np.int64],
    spec: NetworkSpec,
    training: TrainingSpec,
) -> LabelledPicture:
    """A picture as trainings take it."""
    full_hw = (picture.rgb.shape[0], picture.rgb.shape[1])
    hw = seen_hw(full_hw, spec, training)
    seen = seen_picture(picture.rgb, hw)
    rows, cols = ((positions + 0.5) * (np.array(hw) / full_hw) - 0.5).astype(np.float32).T
    weights = np.ones(len(positions), np.float32)
    return LabelledPicture(picture.name, lambda: seen, rows, cols, classes, weights, is_complete=True, full_hw=full_hw)


def encoder() -> EncoderParts:
    """The default one."""
    loaded = load_encoder(NetworkSpec(NetworkName.FCN2S, 2).encoder)
    return EncoderParts(loaded.network, loaded.strides, loaded.channels, loaded.mean, loaded.std)


def run(trainer: NetworkTrainer, pictures: Sequence[LabelledPicture]) -> None:
    """Train to the end."""
    for step in trainer.run(lambda: pictures, list):
        print(f"\r  epoch {step.epoch}, loss {step.loss:.4f}, {step.seconds:.0f} s", end="", file=sys.stderr)
    print(file=sys.stderr)


def spec_for(objective: Objective, minutes: float, seed: int) -> TrainingSpec:
    """The settings of `fcnlab count train`, for so many minutes."""
    return replace(counting_training(objective), minutes=minutes, epochs=100_000, holdout=0.0, seed=seed)


def counted(positions: NDArray[np.float64]) -> ImageCount:
    """What a finder found."""
    objects = tuple(FoundObject(float(row), float(col), 1, 1.0, 1.0) for row, col in positions)
    return ImageCount((ClassCount(1, float(len(positions))),), objects)


def network(objective: Objective) -> Callable[[Sequence[CountedPicture], float, int], Counter]:
    """Trains a network for an objective."""
    return lambda train, minutes, seed: trained(train, spec_for(objective, minutes, seed))


def peer(fit: Callable[[Sequence[CountedPicture]], Callable[[CountedPicture], NDArray[np.float64]]]) -> Any:
    """Fits a counter without a network."""

    def fitted(train: Sequence[CountedPicture], _minutes: float, _seed: int) -> Counter:
        find = fit(train)
        return lambda picture: counted(find(picture))

    return fitted


METHODS: dict[str, Callable[[Sequence[CountedPicture], float, int], Counter]] = {
    "density": network(Objective.DENSITY),
    "blobs": network(Objective.BLOBS),
    "points": trained_on_point_loss,
    "blob_log": peer(fitted_blob_log),
    "otsu": peer(fitted_watershed),
}


def print_table(done: dict[str, dict[str, Any]], name: str) -> None:
    """Mean and sample deviation over the seeds, as Markdown."""
    print(f"\n| {name} | MAE | RMSE | relative error | GAME(3) | F-score | seconds |\n|---|---|---|---|---|---|---|")
    for method in METHODS:
        runs = [figures for key, figures in done.items() if key.rsplit(" ", 1)[0] == f"{name} {method}"]
        if not runs:
            continue
        cells = []
        for values in (
            [figures["mae"] for figures in runs],
            [figures["rmse"] for figures in runs],
            [figures["mre"] for figures in runs],
            [figures["game"][3] for figures in runs],
            [figures["f_score"] for figures in runs],
        ):
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            cells.append(f"{np.mean(values):.3g} ± {spread:.2g}")
        print(f"| {method} | {' | '.join(cells)} | {np.median([figures['seconds'] for figures in runs]):.0f} |")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", choices=sorted(SETTINGS), required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=0.0, help="of training, instead of those of the set")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
