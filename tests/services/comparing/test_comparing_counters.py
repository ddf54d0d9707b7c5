"""Networks that count, compared: both objectives on the same held-out images, measured by their counts."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from PIL import Image

from fcnlab.commands.comparing import table
from fcnlab.domain.comparison import ComparisonSpec
from fcnlab.domain.counting import CountScore, Objective
from fcnlab.domain.training import TrainingState
from fcnlab.lab import Lab
from fcnlab.services.comparing.comparisons import ComparisonStatus, comparison_status, keep_as_version, start_comparison
from fcnlab.services.counting.counters import open_counter
from fcnlab.services.training.lease_holder import LeaseHolder
from fcnlab.services.training.worker import fine_tune, work_on
from tests.support.dots import dotted
from tests.support.dots_project import SMALL, Dots


def compared(dots: Dots) -> ComparisonStatus:
    spec = ComparisonSpec((SMALL,), minutes=0.01, holdout=0.3)
    made = start_comparison(dots.lab, project_id=dots.project.id, spec=spec, labeller="ann")
    with LeaseHolder(dots.lab, project_id=dots.project.id) as holder:
        for one in comparison_status(dots.lab, comparison_id=made.id).participants:
            assert one.training is not None
            deque(work_on(dots.lab, holder, one.training, fine_tune), maxlen=0)
    return comparison_status(dots.lab, comparison_id=made.id)


@pytest.fixture
def dots(lab: Lab) -> Dots:
    return Dots(lab, complete=6, begun=1)


def test_both_objectives_are_measured_by_their_counts_of_the_same_images(dots: Dots) -> None:
    found = compared(dots)

    assert found.comparison.state is TrainingState.FINISHED
    assert found.spec.is_counting
    assert len(found.spec.complete) == 6
    objectives = [one.training.training.objective for one in found.participants if one.training]
    assert objectives == [Objective.DENSITY, Objective.BLOBS]
    assert len({one.title for one in found.participants}) == 2
    for one in found.participants:
        assert one.measured is not None
        assert isinstance(one.measured.score, CountScore)
        assert one.measured.score.n_images == len(found.spec.held_out) == 2
        assert one.measured.mean_iou is None
        assert one.measured.timing.seconds > 0
        for file in one.measured.masks.values():
            mask = np.asarray(Image.open(dots.lab.folders.comparisons / file))
            assert set(np.unique(mask)) <= {dots.background, dots.dot}
    lines = "\n".join(table(found))
    assert "MAE" in lines
    assert "mIoU" not in lines
    assert "Counts of 2 validation images" in lines


def test_a_counter_that_was_compared_can_be_kept(dots: Dots) -> None:
    first = compared(dots).participants[0].training
    assert first is not None

    kept = keep_as_version(dots.lab, training_id=first.id)

    assert "density" in kept.name
    assert isinstance(kept.score, CountScore)
    counter = open_counter(dots.lab.folders.checkpoints / kept.file, device="cpu")
    assert [one.class_id for one in counter.count(dotted(3)).counts] == [dots.dot]
