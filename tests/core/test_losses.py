from __future__ import annotations

import pytest
import torch

from fcnlab.core.losses import point_loss
from fcnlab.domain import IGNORE
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
