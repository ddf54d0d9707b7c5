"""A project that chose a network, and what the label page shows of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fcnlab.lab import Lab
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.models.models import use_model
from tests.support.export_bench import Bench
from tests.support.model_bench import add_network

CORNERS = ((0, 0, 1), (0, 139, 0), (95, 0, 1), (95, 139, 0), (41, 63, 0), (41, 64, 1))


@pytest.fixture
def bench(lab: Lab, tmp_path: Path) -> Bench:
    """Discs that nobody clicked, and a network that the project chose."""
    bench = Bench(lab, tmp_path / "out", ["one.png", "two.png"])
    choose(bench)
    return bench


@pytest.fixture
def jobs(lab: Lab) -> Iterator[Jobs]:
    jobs = Jobs(lab)
    yield jobs
    jobs.close()


def choose(bench: Bench, **network: Any) -> Any:
    record = add_network(bench.lab, bench.project.id, **network)
    use_model(bench.lab, project_id=bench.project.id, model_id=record.id)
    return record


def shown_by(jobs: Jobs, bench: Bench, name: str) -> NDArray[np.uint8]:
    """The newest overlay of an image."""
    image_id = bench.images[name]
    jobs.clicked(bench.project.id, image_id, client_id="tab-12345", acknowledged=int(time.monotonic() * 1000))
    jobs.run(lambda _: None, project_id=bench.project.id).result()
    overlay = jobs.overlay_store.overlay(image_id)
    assert overlay is not None, jobs.overlay_store.status(image_id)
    return overlay.class_map
