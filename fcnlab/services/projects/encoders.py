"""Whether the learner can work with an encoder, its weight file and its scales: tried before a project has them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from fcnlab.core.encoding.encoder import StageEncoder, padding_step
from fcnlab.core.encoding.stages import RawMap
from fcnlab.core.tiling.tiles import Box
from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import InvalidSetting, UnknownEncoder, WeightsUnavailable
from fcnlab.lab import Lab
from fcnlab.storage.files.weights import TrainedEncoder, load_encoder

WEIGHT_SUFFIXES = (".safetensors", ".pth")
FINEST_FRACTION = 8
"""Grids of the scales line up where every scale is a fraction with a denominator up to this."""

COARSEST_STEP = 1024
"""Images are padded to multiples of the step of all scales together; so many pixels at most."""

TRIED_HW = (64, 96)
"""Size of the picture that is tried, before it is padded: not square, so that exchanged sides are seen."""


def check_change(lab: Lab, current: LearnerSpec, wanted: LearnerSpec, *, allow_anywhere: bool = False) -> None:
    """Load the wanted encoder with its weights, and let it see a small picture at its scales.

    Args:
        lab: the installation.
        current: what the project has. Its weight file may stay where it is.
        wanted: what it would have.
        allow_anywhere: the caller sits at this machine and may name any file; else another weight file must lie in
            one of `settings.import_roots`, with links followed.

    Raises:
        InvalidSetting: scales whose grids do not line up.
        UnknownEncoder: timm has no such network, or it gives no features at the strides and sizes the learner wants.
        WeightsUnavailable: the weight file is missing, damaged, of another kind or network, or lies elsewhere; or the
            weights are not on this machine and cannot be fetched.
    """
    _refuse_scales(wanted.scales)
    if wanted.encoder_weights:
        _refuse_kind(wanted.encoder_weights)
        if wanted.encoder_weights != current.encoder_weights and not allow_anywhere:
            _refuse_outside(lab, Path(wanted.encoder_weights))
    trained = load_encoder(wanted.encoder, wanted.encoder_weights)
    if not all(bool(torch.isfinite(tensor).all()) for tensor in trained.network.state_dict().values()):
        raise _without_numbers(wanted, "weights")
    _refuse_maps(wanted, trained, _maps(wanted, trained, device=lab.device))


def _refuse_scales(scales: tuple[float, ...]) -> None:
    for scale in scales:
        if abs(Fraction(scale).limit_denominator(FINEST_FRACTION) - Fraction(scale)) > 1e-9:
            raise InvalidSetting(
                f"scale {scale:g} is no fraction like 1/2 or 3/8, so its grid lines up with no other: choose among "
                f"0.25, 0.5, 1 and 2, or another with a denominator up to {FINEST_FRACTION}"
            )
    step = padding_step(scales)
    if step > COARSEST_STEP:
        named = ", ".join(f"{scale:g}" for scale in scales)
        raise InvalidSetting(
            f"the scales {named} line up every {step} pixels only, at most {COARSEST_STEP} are allowed: choose among "
            "0.25, 0.5, 1 and 2"
        )


def _refuse_kind(weights: str) -> None:
    path = Path(weights)
    if not path.is_absolute():
        raise WeightsUnavailable(f"the weight file {weights} is no whole path: begin it with {Path.cwd().anchor}")
    if path.suffix not in WEIGHT_SUFFIXES:
        kinds = " or ".join(WEIGHT_SUFFIXES)
        raise WeightsUnavailable(f"the weight file {weights} does not end in {kinds}: give one of that kind")


def _refuse_outside(lab: Lab, path: Path) -> None:
    roots = [root.expanduser().resolve() for root in lab.settings.import_roots]
    if not any(path.resolve().is_relative_to(root) for root in roots):
        allowed = ", ".join(str(root) for root in roots) or "none yet"
        raise WeightsUnavailable(
            f"the weight file {path} is outside the folders that may be read from ({allowed}): ask whoever runs the "
            "server to add its folder to FCNLAB_IMPORT_ROOTS, or to choose it by `fcnlab projects learner`"
        )


def _tried_hw(scales: tuple[float, ...]) -> tuple[int, int]:
    step = padding_step(scales)
    return -(-TRIED_HW[0] // step) * step, -(-TRIED_HW[1] // step) * step


def _maps(wanted: LearnerSpec, trained: TrainedEncoder, *, device: str) -> list[RawMap]:
    """The feature maps of a noisy picture. Raises UnknownEncoder: the encoder cannot take it."""
    height, width = _tried_hw(wanted.scales)
    rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    try:
        encoder = StageEncoder.of(trained, device=device)
        with torch.inference_mode():
            return encoder.deep_maps(rgb, Box(0, 0, height, width), scales=wanted.scales)
    except Exception as failure:  # every architecture has refusals of its own: sizes, channels, memory
        reason = " ".join(str(failure).split()).rstrip(".")
        raise UnknownEncoder(
            f"encoder {wanted.encoder!r} cannot encode an image of {width} x {height} pixels ({reason}): choose one "
            "that takes images of any size"
        ) from failure


def _refuse_maps(wanted: LearnerSpec, trained: TrainedEncoder, maps: list[RawMap]) -> None:
    """Refuse maps of other sizes than the learner counts on, and such without numbers."""
    height, width = _tried_hw(wanted.scales)
    kinds = [(scale, *kind) for scale in wanted.scales for kind in zip(trained.strides, trained.channels, strict=True)]
    for made, (scale, stride, channels) in zip(maps, kinds, strict=True):
        expected = (channels, round(height * scale / stride), round(width * scale / stride))
        if tuple(made.map.shape) != expected:
            raise UnknownEncoder(
                f"encoder {wanted.encoder!r} gives maps of {tuple(made.map.shape)} at stride {stride}, the learner "
                f"counts on {expected} (channels, rows, columns): choose a convolutional network"
            )
        if not bool(torch.isfinite(made.map).all()):
            raise _without_numbers(wanted, f"features at stride {stride}")


def _without_numbers(wanted: LearnerSpec, what: str) -> WeightsUnavailable:
    source = f"the file {wanted.encoder_weights}" if wanted.encoder_weights else "its trained weights"
    return WeightsUnavailable(
        f"{what} of encoder {wanted.encoder!r} by {source} are not finite numbers, or too large for 16 bits: choose "
        "other weights, or another encoder"
    )
