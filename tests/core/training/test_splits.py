"""Laws of splits."""

from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.training import splits
from fcnlab.core.training.splits import shared_out


def groups_of(sizes: list[int]) -> list[list[int]]:
    ends = np.cumsum(sizes).tolist()
    return [list(range(end - size, end)) for size, end in zip(sizes, ends, strict=True)]


@pytest.mark.parametrize("seed", range(20))
def test_groups_stay_whole_and_shares_are_met_to_a_group(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = groups_of(rng.integers(1, 9, 30).tolist())
    shares = (0.7, 0.2, 0.1)

    parts = shared_out(groups, shares=shares, rng=np.random.default_rng(seed))

    assert all(len(set(parts[group].tolist())) == 1 for group in groups)
    counts = np.bincount(parts, minlength=3)
    assert (np.abs(counts - np.array(shares) * len(parts)) <= 8).all()


def test_equal_seeds_split_alike_and_others_do_not() -> None:
    groups = groups_of([1] * 40)

    first, again, other = (
        shared_out(groups, shares=(0.5, 0.5, 0), rng=np.random.default_rng(seed)) for seed in (3, 3, 4)
    )

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("sizes", [[1, 1, 1], [50, 1, 1], [7, 7, 7, 7]])
def test_no_part_with_a_share_stays_empty_while_groups_last(sizes: list[int]) -> None:
    parts = shared_out(groups_of(sizes), shares=(0.8, 0.1, 0.1), rng=np.random.default_rng(0))

    assert set(parts.tolist()) == {0, 1, 2}


def test_a_part_without_a_share_gets_nothing() -> None:
    parts = shared_out(groups_of([2, 3, 1, 1]), shares=(0.6, 0.0, 0.4), rng=np.random.default_rng(0))

    assert set(parts.tolist()) == {0, 2}
    assert len(shared_out([], shares=(1.0, 0.0, 0.0), rng=np.random.default_rng(0))) == 0


def test_groups_are_those_of_every_pair_that_is_alike_however_many_are_compared_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    films = rng.normal(size=(7, 256)).astype(np.float32)
    descriptors = [films[number % 7] + rng.normal(scale=0.2, size=256).astype(np.float32) for number in range(40)]
    descriptors = [one / np.linalg.norm(one) for one in descriptors]

    whole = splits.groups_alike(descriptors)
    monkeypatch.setattr(splits, "BLOCK", 3)

    assert whole == [[number for number in range(40) if number % 7 == film] for film in range(7)]
    assert splits.groups_alike(descriptors) == whole
    assert splits.groups_alike([]) == []
