"""Laws of the point loss that networks are trained with, weights included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fcnlab.core.learner.head import point_weights
from fcnlab.core.training.batches import LabelledPicture, weighted
from fcnlab.core.training.losses import point_loss
from fcnlab.domain.project import IGNORE

CLASSES = torch.tensor([0, 0, 0, 0, 0, 0, 2, 2, 2, 1, 1])


def scattered(hw: tuple[int, int] = (5, 8), seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Logits (2, 3, H, W), and images, rows, cols of eleven pixels of the first 5 x 8, none twice."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randperm(80, generator=generator)[:11]
    logits = torch.randn(2, 3, *hw, generator=generator)
    logits[:, :, :5, :8] = torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(seed + 1))
    return logits, places // 40, places % 40 // 8, places % 8


def weights_of(classes: torch.Tensor, weights: torch.Tensor, class_weight: str) -> torch.Tensor:
    """As training weighs these points."""
    nowhere = np.zeros(len(classes), np.float32)
    picture = LabelledPicture(
        "a.png", lambda: np.zeros((4, 5, 3), np.uint8), nowhere, nowhere, classes.numpy(), weights.numpy()
    )
    (found,) = weighted([picture], class_weight)
    return torch.from_numpy(found.weights)


def test_only_labelled_pixels_have_a_gradient():
    logits, images, rows, cols = scattered()
    logits.requires_grad_()
    is_labelled = torch.zeros(2, 5, 8, dtype=torch.bool)
    is_labelled[images, rows, cols] = True

    (found,) = torch.autograd.grad(point_loss(logits[images, :, rows, cols], CLASSES, torch.ones(11)), logits)

    per_pixel = found.abs().sum(dim=1)
    assert bool((per_pixel[~is_labelled] == 0).all())
    assert bool((per_pixel[is_labelled] > 0).all())


def test_the_size_of_the_picture_does_not_matter():
    small, large = scattered((5, 8)), scattered((50, 80))

    losses = [point_loss(one[0][one[1], :, one[2], one[3]], CLASSES, torch.ones(11)) for one in (small, large)]

    assert torch.equal(*losses)


def test_the_order_of_the_points_does_not_matter():
    logits, weights = torch.randn(11, 3), torch.rand(11)
    order = torch.randperm(11)

    assert torch.isclose(
        point_loss(logits, CLASSES, weights), point_loss(logits[order], CLASSES[order], weights[order])
    )


@pytest.mark.parametrize("class_weight", ["balanced", "none"])
def test_the_loss_at_points_is_the_loss_of_the_picture(class_weight):
    logits, images, rows, cols = scattered()
    logits.requires_grad_()
    target = torch.full((2, 5, 8), IGNORE)
    target[images, rows, cols] = CLASSES
    balance = 1 / torch.bincount(CLASSES).float() if class_weight == "balanced" else None
    weights = weights_of(CLASSES, torch.full((11,), 7.0), class_weight)

    dense = F.cross_entropy(logits, target, weight=balance, ignore_index=IGNORE)
    sparse = point_loss(logits[images, :, rows, cols], CLASSES, weights)

    assert torch.isclose(sparse, dense)
    of_dense, of_sparse = (torch.autograd.grad(one, logits)[0] for one in (dense, sparse))
    assert torch.allclose(of_sparse, of_dense, atol=1e-7)


def test_balanced_classes_count_alike_whatever_their_points():
    logits = torch.zeros(11, 3, requires_grad=True)

    point_loss(logits, CLASSES, weights_of(CLASSES, torch.ones(11), "balanced")).backward()

    per_class = torch.stack([logits.grad[one == CLASSES, one].sum() for one in range(3)])
    assert torch.allclose(per_class, per_class[0].expand(3))


@pytest.mark.parametrize("class_weight", ["balanced", "none"])
def test_points_weigh_what_they_weigh_in_the_fit_of_a_head(class_weight):
    """A click and a point drawn from an expert mask, for instance, by the weights of their sources."""
    logits, weights = torch.randn(11, 3), torch.rand(11) + 0.1
    shares = point_weights(CLASSES.numpy(), weights.numpy(), (0, 1, 2), class_weight)

    loss = point_loss(logits, CLASSES, weights_of(CLASSES, weights, class_weight))

    each = F.cross_entropy(logits, CLASSES, reduction="none")
    assert torch.isclose(loss, (each * torch.from_numpy(shares).float()).sum(), atol=1e-6)


def test_points_without_weight_do_not_count():
    logits = torch.randn(4, 3, requires_grad=True)
    classes, weights = torch.tensor([2, 1, 1, 0]), torch.tensor([1.0, 0.0, 0.0, 3.0])

    loss = point_loss(logits, classes, weights_of(classes, weights, "none"))
    loss.backward()

    alone = point_loss(logits[[0, 3]], classes[[0, 3]], weights_of(classes[[0, 3]], weights[[0, 3]], "none"))
    assert torch.isclose(loss, alone)
    assert not bool(logits.grad[[1, 2]].any())
    assert bool(logits.grad[[0, 3]].all())


def test_a_step_is_not_divided_by_the_weights_it_happens_to_hold():
    logits = torch.randn(4, 3)
    classes = torch.tensor([0, 0, 0, 1])
    whole = weights_of(classes, torch.ones(4), "balanced")

    steps = [point_loss(logits[part], classes[part], whole[part]) for part in ([0, 1], [2, 3])]

    assert torch.isclose(sum(steps) / 2, point_loss(logits, classes, whole))
