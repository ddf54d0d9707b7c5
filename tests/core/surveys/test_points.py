from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.surveys.points import PLANS, Plan, equal_parts, plan_points, points_in_image
from fcnlab.errors import InvalidSurvey

STRATA = {
    "north": {f"n{number}": (40 + number, 90) for number in range(12)},
    "south": {f"s{number}": (30, 70 + number) for number in range(7)},
}


def pixels(plan: dict) -> dict:
    return {
        name: {image.key: list(zip(image.rows.tolist(), image.cols.tolist(), strict=True)) for image in images}
        for name, images in plan.items()
    }


@pytest.mark.parametrize("plan", PLANS)
def test_points_are_different_pixels_of_their_image(plan: Plan) -> None:
    planned = plan_points(STRATA, {"north": 12, "south": 3}, 23, plan=plan, seed=1)

    assert {name: len(images) for name, images in planned.items()} == {"north": 12, "south": 3}
    for name, images in planned.items():
        assert len({image.key for image in images}) == len(images)
        for image in images:
            height, width = STRATA[name][image.key]
            assert ((image.rows >= 0) & (image.rows < height)).all()
            assert ((image.cols >= 0) & (image.cols < width)).all()
            assert len(set(zip(image.rows.tolist(), image.cols.tolist(), strict=True))) == 23


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_comes_from_its_seed_and_not_from_the_order_of_images(plan: Plan) -> None:
    wanted = {"north": 5, "south": 2}
    turned = {name: dict(reversed(images.items())) for name, images in reversed(STRATA.items())}

    first, again, other = (
        pixels(plan_points(strata, wanted, 9, plan=plan, seed=seed))
        for strata, seed in ((STRATA, 4), (turned, 4), (STRATA, 5))
    )

    assert first == again
    assert first != other


def test_a_larger_plan_holds_the_smaller_one() -> None:
    small = pixels(plan_points(STRATA, {"north": 4}, 6, plan="random", seed=2))
    large = pixels(plan_points(STRATA, {"north": 9}, 30, plan="random", seed=2))

    assert small["south"] == {}
    for key, points in small["north"].items():
        assert large["north"][key][:6] == points


def test_images_that_come_later_leave_the_order_of_the_others() -> None:
    north = {"north": STRATA["north"]}
    more = {"north": {**STRATA["north"], **{f"x{number}": (50, 60) for number in range(5)}}, "west": {"w": (9, 9)}}

    before, after = (
        [image.key for image in plan_points(strata, {"north": n}, 3, plan="grid", seed=0)["north"]]
        for strata, n in ((north, 12), (more, 17))
    )

    assert [key for key in after if key in STRATA["north"]] == before


def test_every_image_is_drawn_as_often_as_any_other() -> None:
    drawn = [
        image.key
        for seed in range(1400)
        for image in plan_points(STRATA, {"south": 2}, 1, plan="random", seed=seed)["south"]
    ]

    counts = np.unique(drawn, return_counts=True)[1]

    assert len(counts) == 7
    assert counts == pytest.approx(np.full(7, 400), abs=70)


@pytest.mark.parametrize("plan", PLANS)
def test_every_pixel_is_drawn_as_often_as_any_other(plan: Plan) -> None:
    counts, rng = np.zeros((6, 10)), np.random.default_rng(0)
    for _ in range(3000):
        rows, cols = points_in_image((6, 10), 4, plan=plan, rng=rng)
        counts[rows, cols] += 1

    assert counts == pytest.approx(np.full((6, 10), 200), abs=70)


@pytest.mark.parametrize(
    ("hw", "n_parts"), [((60, 110), 7), ((60, 110), 12), ((500, 20), 9), ((7, 400), 5), ((5, 9), 1)]
)
def test_parts_are_of_the_same_area_and_make_up_the_image(hw: tuple[int, int], n_parts: int) -> None:
    top, left, down, across = equal_parts(hw, n_parts).T

    assert down * across == pytest.approx(np.full(n_parts, hw[0] * hw[1] / n_parts))
    places = np.random.default_rng(0).random((2000, 2)) * hw
    inside = (
        (places[:, :1] >= top)
        & (places[:, :1] < top + down)
        & (places[:, 1:] >= left)
        & (places[:, 1:] < left + across)
    )
    assert (inside.sum(axis=1) == 1).all()


def test_a_grid_has_even_steps() -> None:
    rows, cols = points_in_image((80, 120), 24, plan="grid", rng=np.random.default_rng(3))

    assert len(set(np.diff(np.unique(rows)))) == 1
    assert len(set(np.diff(np.unique(cols)))) == 1


def test_spread_points_have_one_in_each_part() -> None:
    rows, cols = points_in_image((80, 120), 24, plan="stratified", rng=np.random.default_rng(3))

    assert len(set(zip((rows // 20).tolist(), (cols // 20).tolist(), strict=True))) == 24


@pytest.mark.parametrize("plan", PLANS)
def test_all_pixels_of_an_image_can_be_asked(plan: Plan) -> None:
    rows, cols = points_in_image((5, 8), 40, plan=plan, rng=np.random.default_rng(0))

    assert len(set(zip(rows.tolist(), cols.tolist(), strict=True))) == 40


def test_what_cannot_be_planned_is_explained() -> None:
    for wanted, per_image, plan, message in (
        ({"north": 13}, 5, "grid", "has 12 images"),
        ({"north": -1}, 5, "grid", "-1 cannot be drawn"),
        ({"east": 1}, 5, "grid", "no stratum 'east'"),
        ({"north": 1}, 5, "spiral", "no plan 'spiral'"),
        ({"south": 1}, 10**6, "random", "cannot have 1000000 points"),
        ({"south": 1}, 0, "random", "cannot have 0 points"),
    ):
        with pytest.raises(InvalidSurvey, match=message):
            plan_points(STRATA, wanted, per_image, plan=plan, seed=0)
