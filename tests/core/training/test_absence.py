"""Classes that pictures do not contain: the penalty on them, and where it is taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fcnlab.core.networks.registry import build_network
from fcnlab.core.training.batches import ABSENT_PIXELS, NO_CLASS, LabelledPicture, collated
from fcnlab.core.training.losses import absence_loss
from fcnlab.core.training.objectives import PointObjective
from fcnlab.core.training.trainer import NetworkTrainer
from fcnlab.domain.counting import Objective
from fcnlab.domain.network import SCRATCH, NetworkName, NetworkSpec
from fcnlab.domain.training import TrainingSpec
from fcnlab.errors import InvalidSetting

SPEC = TrainingSpec(crop=32, absent_weight=1.0)
SMALL = NetworkSpec(NetworkName.UNET, 3, encoder=SCRATCH, width=4)


def picture(
    grey: int, points: list[tuple[int, int, int]], *, absent: tuple[int, ...] = (), hw: tuple[int, int] = (48, 64)
) -> LabelledPicture:
    """A picture of one grey with points (row, column, class)."""
    table = np.array(points, np.int64).reshape(-1, 3)
    return LabelledPicture(
        f"grey {grey}",
        lambda: np.full((*hw, 3), grey, np.uint8),
        table[:, 0].astype(np.float32),
        table[:, 1].astype(np.float32),
        table[:, 2],
        np.ones(len(table), np.float32),
        absent=absent,
    )


def test_the_penalty_is_minus_log_of_the_probability_of_what_may_be_there() -> None:
    logits = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    images = torch.tensor([0, 2] * 6)
    absent = torch.tensor([[0, 1], [0, 3], [2, 0]])

    probabilities = F.softmax(logits, dim=1)
    possible = torch.where(images == 0, probabilities[:, 0] + probabilities[:, 2], 1 - probabilities[:, 0])

    assert absence_loss(logits, images, absent).item() == pytest.approx(-possible.log().mean().item(), rel=1e-5)


def test_the_penalty_is_finite_however_sure_a_network_is_and_pushes_only_what_is_absent_down() -> None:
    logits = torch.tensor([[80.0, -80.0, 0.0], [-3.0, 2.0, 1.0]], requires_grad=True)

    absence_loss(logits, torch.tensor([0, 0]), torch.tensor([[0, 0]])).backward()

    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[:, 0] > 0).all()
    assert (logits.grad[:, 1:] <= 0).all()


@pytest.mark.parametrize("seed", range(6))
def test_pixels_are_drawn_where_a_class_is_absent_and_points_stay_as_they_are(seed: int) -> None:
    pictures = [picture(40, [(10, 12, 0), (30, 50, 1)]), picture(90, [], absent=(1, 2)), picture(60, [(5, 5, 1)])]

    batch = collated(pictures, SPEC, np.random.default_rng(seed), device="cpu")
    drawn = batch.classes == NO_CLASS

    assert batch.images[drawn].tolist() == [1] * ABSENT_PIXELS
    assert batch.absent.tolist() == [[1, 1], [1, 2]]
    assert set(batch.classes[~drawn].tolist()) <= {0, 1}
    assert (batch.images[~drawn] != 1).all()
    assert (batch.rows >= -0.5).all()
    assert (batch.rows < batch.rgb.shape[2]).all()
    assert (batch.cols < batch.rgb.shape[3]).all()


def test_without_a_weight_and_without_chance_no_pixel_is_drawn() -> None:
    pictures = [picture(40, [(10, 12, 0)], absent=(1,))]

    unchanged = collated(pictures, replace(SPEC, absent_weight=0.0), np.random.default_rng(0), device="cpu")
    as_it_is = collated(pictures, SPEC, None, device="cpu")

    assert len(unchanged.classes) == len(as_it_is.classes) == 1


def test_the_loss_adds_the_penalty_by_its_weight() -> None:
    network = build_network(SMALL, None)
    pictures = [picture(40, [(10, 12, 0), (30, 50, 1)], absent=(2,))]

    def loss(weight: float) -> float:
        objective = PointObjective(replace(SPEC, absent_weight=weight), (0, 1, 2), "cpu")
        batch = objective.batch(pictures, np.random.default_rng(3))
        with torch.no_grad():
            return float(objective.loss(network.eval()(batch.rgb).new_zeros(len(batch.classes), 3), batch))

    even = -np.log(2 / 3)  # of three classes that are all as likely one is absent
    assert loss(2.0) - loss(1.0) == pytest.approx(even, rel=1e-4)


def test_a_network_unlearns_a_class_where_it_is_absent_without_a_click_there() -> None:
    clicked = [
        picture(200, [(r, c, 0) for r, c in ((8, 8), (20, 40), (40, 20))]),
        picture(60, [(9, 9, 1), (30, 40, 1)]),
    ]
    told = picture(110, [], absent=(1,))  # it looks like the second, and is another thing
    spec = TrainingSpec(epochs=80, batch_size=3, learning_rate=1e-2, ema=0.5, colour=0, crop=0, rotate=0, scale=1)

    def probability(weight: float) -> float:
        trainer = NetworkTrainer(
            SMALL,
            replace(spec, absent_weight=weight),
            encoder=None,
            class_ids=(0, 1, 2),
            device="cpu",
            now=lambda: 0.0,
        )
        pictures = [*clicked, told] if weight else clicked
        for _ in trainer.run(lambda: pictures, list):
            pass
        network = trainer.outcome([]).network
        with torch.no_grad():
            logits = network(torch.full((1, 3, 48, 64), 110 / 255))
        return float(F.softmax(logits, dim=1)[0, 1].mean())

    assert probability(1.0) < 0.5 * probability(0.0)


def test_counters_learn_nothing_from_tags() -> None:
    with pytest.raises(InvalidSetting, match="counts"):
        TrainingSpec(absent_weight=1.0, objective=Objective.BLOBS)
