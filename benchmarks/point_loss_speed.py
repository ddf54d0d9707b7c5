"""What does the point loss cost when stages are sampled at the points, next to the same loss on whole maps?

    python benchmarks/point_loss_speed.py [--repeat 15] [--points 200] [--json out.json]

On a 512 x 512 photograph (scikit-image's astronaut), encoded once; a step is loss and gradient of a linear head of
eleven classes on all stages (FCN-2s, bilinear upsampling). Medians of one run on one machine, steps in turn:

- sampled: the stages at the points, scored (what training does);
- hypercolumn: every stage brought to full size, then scored, then the loss at the points;
- hypercolumn kept: the same, when it was made before and is held in memory (half a gigabyte);
- scored first: every stage scored at its own stride, the scores brought to full size.

All four have the same gradient; the script fails when they do not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import skimage.data
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fcnlab.core.networks.base import EncoderParts
from fcnlab.core.networks.fcn import Fcn
from fcnlab.core.networks.registry import build_network
from fcnlab.core.networks.sampling import sample_maps, upsampled
from fcnlab.core.training.losses import point_loss
from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.domain.project import IGNORE
from fcnlab.storage.files.weights import BUNDLED_ENCODER, load_encoder

N_CLASSES = 11
SAME = 1e-5
"""Largest difference of two gradients, in units of the largest entry."""

Step = Callable[[], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = measure(n_points=options.points, repeat=options.repeat)
    print("| figure | value |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:.3g} |" if name.startswith("ratio") else f"| {name} | {value:.2f} ms |")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


def measure(*, n_points: int, repeat: int) -> dict[str, float]:
    """Milliseconds per step by name, and ratios to the sampled step."""
    head, steps = steps_on(stages_of(skimage.data.astronaut()), n_points)
    check_gradients(head, steps)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeat):
        for name, step in steps.items():
            started = time.perf_counter()
            gradient_of(head, step)
            times[name].append((time.perf_counter() - started) * 1000)
    medians = {name: statistics.median(measured) for name, measured in times.items()}
    ratios = {f"ratio {name} to sampled": median / medians["sampled"] for name, median in medians.items()}
    return {**medians, **{name: ratio for name, ratio in ratios.items() if not name.startswith("ratio sampled")}}


def stages_of(picture: object) -> dict[int, Tensor]:
    """Encoder maps of a picture by stride, coarse to fine."""
    trained = load_encoder(BUNDLED_ENCODER)
    parts = EncoderParts(trained.network, trained.strides, trained.channels, trained.mean, trained.std)
    network = build_network(NetworkSpec(NetworkName.FCN2S, N_CLASSES, upsampling="bilinear"), parts).eval()
    assert isinstance(network, Fcn)
    with torch.no_grad():
        return network.stage_maps(torch.as_tensor(picture).permute(2, 0, 1)[None] / 255)


def steps_on(maps: dict[int, Tensor], n_points: int) -> tuple[nn.Linear, dict[str, Step]]:
    """A head, and the ways to the loss of its scores at random points."""
    torch.manual_seed(0)
    channels = [feature_map.shape[1] for feature_map in maps.values()]
    head = nn.Linear(sum(channels), N_CLASSES)
    height, width = (side * 2 for side in maps[2].shape[2:])
    pixels = torch.randperm(height * width)[:n_points]
    rows, cols = pixels // width, pixels % width
    images, classes = torch.zeros_like(rows), torch.randint(N_CLASSES, (n_points,))
    target = torch.full((1, height, width), IGNORE)
    target[0, rows, cols] = classes
    counts = torch.bincount(classes, minlength=N_CLASSES)
    balance = 1 / counts.clamp(min=1)
    row_places, col_places, weights = rows.float(), cols.float(), balance[classes]
    weights = weights / weights.mean()

    def sampled() -> Tensor:
        parts = [
            sample_maps(feature_map, stride, images, row_places, col_places) for stride, feature_map in maps.items()
        ]
        return point_loss(head(torch.cat(parts, dim=1)), classes, weights)

    def hypercolumn() -> Tensor:
        return torch.cat([upsampled(feature_map, stride, "bilinear") for stride, feature_map in maps.items()], dim=1)

    def on(column: Tensor) -> Tensor:
        logits = F.conv2d(column, head.weight[:, :, None, None], head.bias)
        return F.cross_entropy(logits, target, weight=balance, ignore_index=IGNORE)

    def scored_first() -> Tensor:
        logits: Tensor = head.bias[:, None, None]
        blocks = torch.split(head.weight, channels, dim=1)
        for (stride, feature_map), block in zip(maps.items(), blocks, strict=True):
            logits = logits + upsampled(F.conv2d(feature_map, block[:, :, None, None]), stride, "bilinear")
        return F.cross_entropy(logits, target, weight=balance, ignore_index=IGNORE)

    kept = hypercolumn()
    return head, {
        "sampled": sampled,
        "hypercolumn": lambda: on(hypercolumn()),
        "hypercolumn kept": lambda: on(kept),
        "scored first": scored_first,
    }


def gradient_of(head: nn.Linear, step: Step) -> Tensor:
    """(K, D + 1): derivative of the loss by weights and bias."""
    weight, bias = torch.autograd.grad(step(), [head.weight, head.bias])
    return torch.cat([weight, bias[:, None]], dim=1)


def check_gradients(head: nn.Linear, steps: dict[str, Step]) -> None:
    """Fails when two steps disagree."""
    wanted = gradient_of(head, steps["hypercolumn"])
    for name, step in steps.items():
        off = float((gradient_of(head, step) - wanted).abs().max() / wanted.abs().max())
        if off > SAME:
            raise SystemExit(f"the gradient of {name!r} is {off:.2g} off that of the hypercolumn")


if __name__ == "__main__":
    main()
