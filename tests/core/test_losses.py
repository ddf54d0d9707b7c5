from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from fcnlab.core.learner.head import point_weights
from fcnlab.core.training.losses import point_loss, sampled_point_loss
from fcnlab.domain.project import IGNORE
from fcnlab.errors import NoPoints


def one_click(height: int, width: int) -> torch.Tensor:
    target = torch.full((1, height, width), IGNORE)
    target[0, 1, 5] = 2
    return target


def test_unclicked_pixels_get_no_gradient():
    logits = torch.zeros(1, 3, 4, 7, requires_grad=True)
    target = one_click(4, 7)

    point_loss(logits, target).backward()

    assert logits.grad is not None
    assert logits.grad[:, :, target[0] == IGNORE].abs().sum() == 0
    assert logits.grad[0, :, 1, 5].abs().sum() > 0


def test_the_loss_does_not_depend_on_how_much_was_left_unlabelled():
    small = point_loss(torch.ones(1, 3, 4, 7), one_click(4, 7))
    large = point_loss(torch.ones(1, 3, 40, 70), one_click(40, 70))

    assert torch.equal(small, large)


def test_class_weights_shift_the_mean():
    logits = torch.tensor([[[[3.0, 0.0]], [[0.0, 0.0]]]])
    target = torch.tensor([[[0, 1]]])

    plain = point_loss(logits, target)
    weighted = point_loss(logits, target, class_weights=torch.tensor([1.0, 9.0]))

    assert weighted > plain


def test_a_batch_without_points_is_refused():
    with pytest.raises(NoPoints, match="add a point"):
        point_loss(torch.zeros(1, 2, 3, 5), torch.full((1, 3, 5), IGNORE))


def scattered(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits (2, 3, 5, 8), and images, rows, cols of eleven pixels, none twice."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randperm(80, generator=generator)[:11]
    return torch.randn(2, 3, 5, 8, generator=generator), places // 40, places % 40 // 8, places % 8


CLASSES = torch.tensor([0, 0, 0, 0, 0, 0, 2, 2, 2, 1, 1])


@pytest.mark.parametrize("class_weight", ["balanced", "none"])
def test_the_loss_at_points_is_the_loss_of_the_picture(class_weight):
    logits, images, rows, cols = scattered()
    logits.requires_grad_()
    target = torch.full((2, 5, 8), IGNORE)
    target[images, rows, cols] = CLASSES
    balance = 1 / torch.bincount(CLASSES).float() if class_weight == "balanced" else None

    dense = point_loss(logits, target, class_weights=balance)
    (of_dense,) = torch.autograd.grad(dense, logits)
    sparse = sampled_point_loss(
        logits[images, :, rows, cols], CLASSES, torch.full((11,), 7.0), class_weight=class_weight
    )
    (of_sparse,) = torch.autograd.grad(sparse, logits)

    assert torch.isclose(sparse, dense)
    assert torch.allclose(of_sparse, of_dense, atol=1e-7)


@pytest.mark.parametrize("class_weight", ["balanced", "none"])
def test_points_weigh_what_they_weigh_in_the_fit_of_a_head(class_weight):
    logits, weights = torch.randn(11, 3), torch.rand(11) + 0.1
    shares = point_weights(CLASSES.numpy(), weights.numpy(), (0, 1, 2), class_weight)

    loss = sampled_point_loss(logits, CLASSES, weights, class_weight=class_weight)

    each = F.cross_entropy(logits, CLASSES, reduction="none")
    assert torch.isclose(loss, (each * torch.from_numpy(shares).float()).sum(), atol=1e-6)


def test_points_without_class_or_weight_do_not_count():
    logits = torch.randn(4, 3, requires_grad=True)
    classes, weights = torch.tensor([2, 1, IGNORE, 0]), torch.tensor([1.0, 0.0, 1.0, 3.0])

    loss = sampled_point_loss(logits, classes, weights)
    loss.backward()

    alone = sampled_point_loss(logits[[0, 3]], classes[[0, 3]], weights[[0, 3]])
    assert torch.isclose(loss, alone)
    assert logits.grad is not None
    assert not bool(logits.grad[[1, 2]].any())
    assert bool(logits.grad[[0, 3]].all())


def test_points_without_any_weight_are_refused():
    with pytest.raises(NoPoints, match="add a point"):
        sampled_point_loss(torch.zeros(2, 3), torch.tensor([0, IGNORE]), torch.tensor([0.0, 1.0]))


def test_a_crowd_of_points_does_not_overflow_half_precision():
    logits, classes = torch.randn(40, 3), torch.arange(40) % 3
    weights = torch.full((40,), 30_000.0)

    half = sampled_point_loss(logits.half(), classes, weights)

    assert torch.isclose(half, sampled_point_loss(logits, classes, weights), atol=1e-2)
