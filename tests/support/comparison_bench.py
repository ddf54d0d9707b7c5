"""A clicked project, and small networks that are compared on it."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest

from fcnlab.domain.comparison import Comparison, ComparisonSpec
from fcnlab.domain.network import SCRATCH, NetworkName, NetworkSpec
from fcnlab.domain.training import TrainingProgress, TrainingState
from fcnlab.lab import Lab, open_lab
from fcnlab.services.comparing import comparisons
from fcnlab.services.training.worker import Trained, fine_tune, run_worker
from fcnlab.settings import Settings
from tests.support.bars import Site

UNET = NetworkSpec(NetworkName.UNET, 2, encoder=SCRATCH, width=4)
SLIDING = NetworkSpec(NetworkName.SLIDING, 2, encoder=SCRATCH, width=4)
SPEC = ComparisonSpec((UNET, SLIDING), minutes=0.01, has_instant=False, holdout=0.34, working_side=64)


@pytest.fixture
def site(settings: Settings) -> Site:
    """Six clicked pictures, two of which will be held out; the clock is the real one, since leases live by it."""
    site = Site(open_lab(settings), 6)
    for number in range(6):
        site.click(number)
    return site


def start(site: Site, spec: ComparisonSpec = SPEC) -> Comparison:
    return comparisons.start_comparison(site.lab, project_id=site.project.id, spec=spec, labeller="ann")


def work(site: Site, trainer: Callable[..., Generator[TrainingProgress, None, Trained]] = fine_tune) -> None:
    run_worker(site.lab, project_id=site.project.id, trainer=trainer, idle_s=0)


def states(lab: Lab, found: Comparison) -> dict[str, TrainingState]:
    return {one.key: one.state for one in comparisons.comparison_status(lab, comparison_id=found.id).participants}
