"""Laws of the fit that a network with grades starts from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fcnlab.core.learner.head import BIAS_PENALTY, PENALTY, Samples, point_weights
from fcnlab.core.networks.base import EncoderParts
from fcnlab.core.networks.fcn import Fcn
from fcnlab.core.networks.ordinal import CumulativeOutput, GradesOutput, output_layer, raw_channels
from fcnlab.core.networks.registry import build_network
from fcnlab.core.training.batches import LabelledPicture
from fcnlab.core.training.ordinal_start import fit_ordinal_head
from fcnlab.core.training.scores import score_points
from fcnlab.core.training.trainer import start_from_head
from fcnlab.domain.network import NetworkName, NetworkSpec, Order
from fcnlab.storage.files.weights import BUNDLED_ENCODER, load_encoder
from tests.support.graded import scene

MODELS: tuple[Order, ...] = ("cumulative", "corn")


def latent_samples(classes: tuple[int, ...], n: int = 400) -> Samples:
    """Features of which one rises with the grade, and one tells class 0 from the others."""
    rng = np.random.default_rng(0)
    chosen = rng.choice(np.array(classes), n)
    features = rng.normal(0, 1, (n, 6)).astype(np.float32)
    features[:, 0] += chosen
    features[:, 1] += 3 * (chosen == 0)
    return Samples(features, chosen.astype(np.int64), np.ones(n, np.float32))


def spec_of(order: Order) -> NetworkSpec:
    return NetworkSpec(NetworkName.FCN2S, 5, order=order, grades=(1, 2, 3, 4))


def fitted(order: Order, samples: Samples) -> tuple[GradesOutput, np.ndarray, np.ndarray]:
    layer = output_layer(spec_of(order))
    assert isinstance(layer, GradesOutput)
    weights, bias = fit_ordinal_head(samples, layer, n_raw=raw_channels(spec_of(order)), regularisation=0.015)
    return layer, weights, bias


@pytest.mark.parametrize("order", MODELS)
def test_the_fit_is_where_the_penalised_likelihood_is_highest(order: Order) -> None:
    samples = latent_samples((0, 1, 2, 3, 4))
    start = output_layer(spec_of(order))

    layer, weights, bias = fitted(order, samples)

    layer, parameters = layer.double(), [torch.from_numpy(part).double() for part in (weights, bias)]
    for parameter in parameters:
        parameter.requires_grad_(True)
    shares = torch.from_numpy(point_weights(samples.class_ids, samples.weights, (0, 1, 2, 3, 4), "balanced"))
    logits = layer(torch.from_numpy(samples.features).double() @ parameters[0].T + parameters[1])
    shrink = PENALTY * 0.015 / 2
    drift = sum(((now - before) ** 2).sum() for now, before in zip(layer.parameters(), start.parameters(), strict=True))
    penalty = shrink * ((parameters[0] ** 2).sum() + BIAS_PENALTY * ((parameters[1] ** 2).sum() + drift))
    loss = (F.cross_entropy(logits, torch.from_numpy(samples.class_ids), reduction="none") * shares).sum() + penalty
    loss.backward()
    gradients = [parameter.grad for parameter in (*parameters, *layer.parameters())]
    assert all(gradient is not None and float(gradient.abs().max()) < 5e-3 for gradient in gradients)
    assert float(loss.detach()) < 0.8 * np.log(5)


@pytest.mark.parametrize("order", MODELS)
def test_the_scale_runs_along_the_feature_that_rises_with_the_grade(order: Order) -> None:
    _, weights, _ = fitted(order, latent_samples((0, 1, 2, 3, 4)))

    for channel in weights[2:]:
        assert channel[0] > 0.5
        assert channel[0] > 2 * np.abs(channel[2:]).max()


def test_a_grade_without_points_keeps_a_place_between_its_neighbours() -> None:
    layer, _, _ = fitted("cumulative", latent_samples((0, 1, 2, 4)))

    assert isinstance(layer, CumulativeOutput)
    assert bool((layer.thresholds().diff() > 0).all())
    assert bool(torch.isfinite(layer.thresholds()).all())


def labelled(seed: int) -> LabelledPicture:
    """Ten points of each class of a scene."""
    pixels, mask = scene(seed)
    rng = np.random.default_rng(seed)
    flat = np.concatenate([rng.choice(np.flatnonzero(mask == place), 10, replace=False) for place in range(5)])
    rows, cols = np.divmod(flat, mask.shape[1])
    weights = np.ones(len(flat), np.float32)
    classes = mask.ravel()[flat].astype(np.int64)
    return LabelledPicture(
        str(seed), lambda: pixels, rows.astype(np.float32), cols.astype(np.float32), classes, weights
    )


@pytest.mark.parametrize("order", MODELS)
def test_fcn2s_starts_with_grades_it_can_already_tell_apart(order: Order) -> None:
    trained = load_encoder(BUNDLED_ENCODER)
    parts = EncoderParts(trained.network, trained.strides, trained.channels, trained.mean, trained.std)
    network = build_network(replace(spec_of(order), upsampling="bilinear"), parts)
    assert isinstance(network, Fcn)

    start_from_head(network, [labelled(seed) for seed in range(4)], device="cpu")

    score = score_points(
        network, [labelled(seed) for seed in range(4, 10)], class_ids=range(5), device="cpu", grades=(1, 2, 3, 4)
    )
    assert score is not None
    assert score.accuracy > 0.7
    assert score.grades is not None
    assert score.grades.kappa is not None
    assert score.grades.kappa > 0.8
