from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fcnlab.core.counting.lcfcn import FLOODED_PIXELS, BlobLoss, blob_loss
from fcnlab.core.counting.marks import MarkedPoints
from fcnlab.core.counting.objects import labelled_blobs
from tests.support.maps import discs, marks_of

HW = (9, 14)
SURE = 12.0


def logits_of(class_map: np.ndarray, n_classes: int = 3, sure: float = SURE) -> torch.Tensor:
    """(1, K, H, W): `sure` at the class of every pixel, zero elsewhere."""
    one_hot = np.eye(n_classes, dtype=np.float32)[class_map]
    return torch.from_numpy(sure * one_hot).permute(2, 0, 1)[None].contiguous().requires_grad_()


def blank(hw: tuple[int, int] = HW) -> np.ndarray:
    return np.zeros(hw, np.int64)


def gradient(logits: torch.Tensor, term: torch.Tensor) -> torch.Tensor:
    """(K, H, W) of one term."""
    (found,) = torch.autograd.grad(term, logits, retain_graph=True)
    return found[0]


def terms(loss: BlobLoss) -> list[float]:
    return [float(one.detach()) for one in (loss.image, loss.point, loss.split, loss.false_positive)]


def two_discs() -> tuple[np.ndarray, MarkedPoints]:
    class_map = blank()
    class_map[discs(HW, [(4, 3)], 2)] = 1
    class_map[discs(HW, [(4, 10)], 2)] = 2
    return class_map, marks_of((4, 3, 1), (4, 10, 2), (0, 7, 0))


def test_a_perfect_map_costs_nothing():
    class_map, marks = two_discs()

    loss = blob_loss(logits_of(class_map, sure=40.0), [marks])

    assert terms(loss) == pytest.approx([0, 0, 0, 0], abs=1e-6)


def test_the_image_term_wants_one_pixel_of_each_class_that_is_marked():
    logits = torch.randn(1, 3, *HW, generator=torch.Generator().manual_seed(0)).requires_grad_()

    loss = blob_loss(logits, [marks_of((4, 3, 1), is_complete=False)])
    pull = gradient(logits, loss.image)

    touched = {tuple(one) for one in pull.abs().sum(0).nonzero().tolist()}
    best = logits.detach()[0].softmax(0)
    assert touched == {tuple(np.unravel_index(int(best[place].argmax()), HW)) for place in (0, 1)}
    assert pull[1].min() < 0


def test_the_image_term_wants_no_pixel_of_a_class_that_is_absent():
    class_map = blank()
    class_map[2, 5] = 2

    logits = logits_of(class_map, sure=3.0)
    pull = gradient(logits, blob_loss(logits, [marks_of((4, 3, 1))]).image)

    assert pull[2, 2, 5] > 0


def test_a_class_without_points_says_nothing_when_not_all_is_marked():
    class_map = blank()
    class_map[2, 5] = 2

    all_marked = blob_loss(logits_of(class_map), [marks_of((4, 3, 1))])
    some_marked = blob_loss(logits_of(class_map), [marks_of((4, 3, 1), is_complete=False)])

    assert all_marked.image > some_marked.image + 3
    assert terms(some_marked)[2:] == [0, 0]


def test_an_absent_class_held_for_certain_costs_a_finite_amount():
    class_map = blank()
    class_map[2, 5] = 2

    logits = logits_of(class_map, sure=300.0)
    loss = blob_loss(logits, [marks_of()])

    assert float(loss.image.detach()) == pytest.approx(300 / 2 - np.log(2) / 2, rel=1e-3)
    assert torch.isfinite(gradient(logits, loss.total)).all()


def test_the_point_term_touches_marked_pixels_only():
    logits = torch.zeros(1, 3, *HW, requires_grad=True)

    pull = gradient(logits, blob_loss(logits, [marks_of((4.4, 2.6, 1), (0, 13, 0))]).point)

    assert {tuple(one) for one in pull.abs().sum(0).nonzero().tolist()} == {(4, 3), (0, 13)}
    assert pull[1, 4, 3] < 0
    assert pull[0, 0, 13] < 0


def test_many_background_points_weigh_no_more_than_the_objects():
    objects = [(4, 3, 1), (4, 10, 2)]
    logits = torch.zeros(1, 3, *HW, requires_grad=True)

    few = gradient(logits, blob_loss(logits, [marks_of(*objects, (0, 1, 0))]).point)
    many = gradient(logits, blob_loss(logits, [marks_of(*objects, *((0, col, 0) for col in range(14)))]).point)

    assert torch.equal(few[:, 4, 3], many[:, 4, 3])
    assert few[0, 0].sum() == pytest.approx(float(few[1, 4, 3]))
    assert many[0, 0].sum() == pytest.approx(2 * float(few[1, 4, 3]))


def test_a_point_on_every_object_splits_nothing():
    class_map, marks = two_discs()

    assert terms(blob_loss(logits_of(class_map), [marks]))[2] == 0


def test_two_points_in_one_blob_push_a_boundary_between_them_to_the_background():
    class_map = blank()
    class_map[3:6, 2:12] = 1

    logits = logits_of(class_map, 2)
    pull = gradient(logits, blob_loss(logits, [marks_of((4, 3, 1), (4, 10, 1))]).split)

    pushed = pull[0] < 0
    rows, cols = (one.numpy() for one in torch.nonzero(pushed, as_tuple=True))
    assert set(rows) == {3, 4, 5}
    assert cols.min() > 3
    assert cols.max() < 10
    assert class_map[pushed.numpy()].all()
    assert (pull[1][pushed] > 0).all()
    assert (pull[:, ~pushed] == 0).all()


def test_points_of_different_classes_do_not_split_each_other():
    class_map = blank()
    class_map[3:6, 2:12] = 1

    loss = blob_loss(logits_of(class_map), [marks_of((4, 3, 1), (4, 10, 2))])

    assert terms(loss)[2] == 0


def test_points_in_different_blobs_add_nothing_within_blobs():
    class_map = blank()
    class_map[discs(HW, [(4, 3), (4, 10)], 2)] = 1

    assert terms(blob_loss(logits_of(class_map, 2), [marks_of((4, 3, 1), (4, 10, 1))]))[2] == 0


def test_every_further_point_in_a_blob_adds_one_boundary():
    hw = (5, 40)
    one_blob = np.ones(hw, np.int64)

    def pushes(*cols: int) -> float:
        logits = torch.zeros(1, 2, *hw)
        logits[:, 1] = 0.1
        logits.requires_grad_()
        loss = blob_loss(logits, [marks_of(*((2, col, 1) for col in cols))])
        return float(loss.split.detach()) * len(cols) / float(torch.log1p(torch.tensor(0.1).exp()))

    assert one_blob.all()
    assert pushes(5, 30) == pytest.approx(2 + 1, rel=1e-4)  # the whole picture weighs all points, the blob one less
    assert pushes(5, 15, 30) == pytest.approx(3 + 2, rel=1e-4)


def test_two_points_on_one_pixel_are_one_seed_and_both_count():
    class_map = blank()
    class_map[3:6, 2:12] = 1
    twice = marks_of((4, 3, 1), (4, 3.2, 1), (4, 10, 1))

    logits = logits_of(class_map, 2)
    loss = blob_loss(logits, [twice])
    alone = blob_loss(logits, [marks_of((4, 3, 1), (4, 3.2, 1))])

    assert float(loss.split.detach()) * 3 == pytest.approx(
        SURE * (3 / 3 + 2), rel=1e-3
    )  # a third of the whole line is in the blob
    assert terms(alone)[2] == 0
    assert torch.isfinite(gradient(logits, loss.total)).all()


def test_a_blob_without_a_point_is_pushed_down():
    class_map, _ = two_discs()

    logits = logits_of(class_map)
    pull = gradient(logits, blob_loss(logits, [marks_of((4, 3, 1))]).false_positive)

    lonely = torch.from_numpy(class_map == 2)
    assert (pull[0][lonely] < 0).all()
    assert (pull[2][lonely] > 0).all()
    assert (pull[:, ~lonely] == 0).all()


def test_a_blob_without_a_point_stays_when_not_all_is_marked():
    class_map, _ = two_discs()

    logits = logits_of(class_map)
    loss = blob_loss(logits, [marks_of((4, 3, 1), is_complete=False)])

    assert terms(loss)[3] == 0
    assert (gradient(logits, loss.total)[:, class_map == 2].abs() < 1e-4).all()


def test_a_point_of_another_class_does_not_justify_a_blob():
    class_map, _ = two_discs()

    loss = blob_loss(logits_of(class_map), [marks_of((4, 3, 1), (4, 10, 1))])

    assert terms(loss)[3] > 1


def test_an_empty_picture_wants_background_everywhere_there_is_none():
    class_map, _ = two_discs()

    logits = logits_of(class_map)
    pull = gradient(logits, blob_loss(logits, [marks_of()]).false_positive)

    assert ((pull[0] < 0).numpy() == (class_map > 0)).all()


def test_the_order_of_points_changes_nothing():
    logits = torch.randn(1, 3, *HW, generator=torch.Generator().manual_seed(1))
    points = [(1, 2, 1), (4, 3, 1), (4, 10, 2), (7, 8, 1), (0, 7, 0), (7, 1, 2)]

    loss, turned = (blob_loss(logits, [marks_of(*order)]) for order in (points, points[::-1]))

    assert terms(loss) == pytest.approx(terms(turned), rel=1e-6)


def test_the_order_of_classes_changes_nothing():
    logits = torch.randn(1, 3, *HW, generator=torch.Generator().manual_seed(2))
    points = [(1, 2, 1), (4, 3, 1), (4, 10, 2), (7, 8, 1), (0, 7, 0), (7, 1, 2)]
    renamed = [(row, col, (0, 2, 1)[place]) for row, col, place in points]

    loss = blob_loss(logits, [marks_of(*points)])
    other = blob_loss(logits[:, [0, 2, 1]], [marks_of(*renamed)])

    assert terms(loss) == pytest.approx(terms(other), rel=1e-6)
    assert min(terms(loss)) > 0


def test_a_batch_costs_the_mean_of_its_pictures():
    logits = torch.randn(3, 3, *HW, generator=torch.Generator().manual_seed(3))
    marks = [marks_of((1, 2, 1), (4, 3, 1)), marks_of(), marks_of((4, 10, 2), (7, 8, 0), is_complete=False)]

    whole = terms(blob_loss(logits, marks))
    single = [terms(blob_loss(one[None], [its])) for one, its in zip(logits, marks, strict=True)]

    assert whole == pytest.approx(np.mean(single, axis=0).tolist(), rel=1e-6)


def test_the_total_holds_every_term():
    logits = torch.randn(1, 3, *HW, generator=torch.Generator().manual_seed(2)).requires_grad_()
    marks = marks_of((1, 2, 1), (4, 3, 1), (4, 10, 2), (7, 8, 1), (0, 7, 0), (7, 1, 2))

    loss = blob_loss(logits, [marks])

    for term in (loss.image, loss.point, loss.split, loss.false_positive):
        assert float(term.detach()) > 0
        weight = torch.autograd.grad(loss.total, term, retain_graph=True)[0]
        assert float(weight) >= 1


def test_the_loss_is_the_same_at_half_the_resolution():
    hw = (40, 60)
    class_map = blank(hw)
    class_map[8:24, 6:50] = 1
    class_map[30:36, 20:40] = 1
    marks = marks_of((15, 13, 1), (15, 40, 1), (37, 5, 0))

    full = terms(blob_loss(logits_of(class_map, 2, 2.0), [marks]))
    half = terms(blob_loss(logits_of(class_map[::2, ::2], 2, 2.0), [marks.resized(hw, (20, 30))]))

    assert full == pytest.approx(half, rel=0.05)
    assert min(full) > 0.1


def test_a_large_map_is_flooded_reduced_and_spares_the_points():
    hw = (260, 300)
    assert hw[0] * hw[1] > FLOODED_PIXELS
    logits = torch.zeros(1, 2, *hw)
    logits[:, 1] = 0.1
    logits.requires_grad_()

    loss = blob_loss(logits, [marks_of((100, 100, 1), (101, 103, 1), (200, 250, 1))])
    pull = gradient(logits, loss.split)

    assert float(loss.split.detach()) * 3 == pytest.approx((3 + 2) * np.log1p(np.exp(0.1)), rel=0.01)
    assert pull[0, [100, 101, 200], [100, 103, 250]].abs().max() == 0


def disc_pictures(n: int, hw: tuple[int, int]) -> list[tuple[torch.Tensor, MarkedPoints]]:
    """Bright discs of radius 4 on noise, none to five of them, some nearly touching."""
    rng = np.random.default_rng(0)
    found = []
    for count in rng.integers(0, 6, n):
        centres: list[tuple[float, float]] = []
        while len(centres) < count:
            row, col = rng.uniform(5, hw[0] - 5), rng.uniform(5, hw[1] - 5)
            if all(np.hypot(row - a, col - b) > 9.5 for a, b in centres):
                centres.append((row, col))
        picture = rng.normal(0, 0.2, hw) + discs(hw, centres, 4)
        found.append((torch.from_numpy(picture)[None].float(), marks_of(*((a, b, 1) for a, b in centres))))
    return found


@pytest.mark.parametrize("stride", [1, 2])
def test_a_small_network_learns_one_blob_per_disc_at_full_and_at_half_resolution(stride: int):
    torch.manual_seed(0)
    hw = (36, 52)
    map_hw = (hw[0] // stride, hw[1] // stride)
    pictures = [(rgb, marks.resized(hw, map_hw)) for rgb, marks in disc_pictures(24, hw)]
    network = nn.Sequential(
        *(nn.Conv2d(1, 12, 3, stride=stride, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(12, 12, 3, padding=2, dilation=2), nn.ReLU(), nn.Conv2d(12, 2, 1)),
    )
    descent = torch.optim.AdamW(network.parameters(), lr=1e-2)

    for step in range(80):
        chosen = [pictures[(4 * step + offset) % 16] for offset in range(4)]
        loss = blob_loss(network(torch.stack([rgb for rgb, _ in chosen])), [marks for _, marks in chosen])
        descent.zero_grad()
        loss.total.backward()
        descent.step()

    with torch.no_grad():
        maps = [network(rgb[None])[0].softmax(0).numpy() for rgb, _ in pictures]
    wrong = [
        len(labelled_blobs(one, [0.5, 0.5]).blobs) - marks.n_objects
        for one, (_, marks) in zip(maps, pictures, strict=True)
    ]
    assert sum(marks.n_objects for _, marks in pictures[16:]) > 10
    assert wrong[:16] == [0] * 16
    assert sum(abs(one) for one in wrong[16:]) <= 1
