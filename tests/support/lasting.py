"""An installation that lasts for all tests of a module, since its encoder takes long to load."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fcnlab.domain.events import Point
from fcnlab.lab import Lab, open_lab
from fcnlab.services.live.jobs import Jobs
from fcnlab.settings import Settings

CAT = [Point(150, 230, 1), Point(10, 440, 0)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One for all tests here, so that the encoder is loaded once."""
    lab = open_lab(Settings(data_dir=tmp_path_factory.mktemp("data"), device="cpu", demo=False))
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def jobs(lab: Lab) -> Iterator[Jobs]:
    jobs = Jobs(lab)
    yield jobs
    jobs.close()
