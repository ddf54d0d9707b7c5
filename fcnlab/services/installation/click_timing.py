"""How long a click takes on this machine, part by part, without a browser."""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import skimage.data

from fcnlab.domain.events import Event, EventBatch, EventKind
from fcnlab.errors import FcnlabError
from fcnlab.lab import Lab, open_lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import apply_events
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.overlay_store import Overlay
from fcnlab.services.projects.projects import create_project
from fcnlab.settings import Settings

PICTURE = "coffee.png"
CLICKS = 24
WARM_UP = 4
"""Clicks before those that count; the first two wait for the encoder."""

PATIENCE_S = 120.0
LABELLER = "doctor"


@dataclass(frozen=True, slots=True)
class ClickTiming:
    """Medians over clicks, in milliseconds.

    Attributes:
        picture: what was clicked on, and its size.
        spans: of each part: store (until the click is committed), read, encode, samples, fit, score, walk, refine,
            paint, publish.
        total: from before the click is stored to its mask.
    """

    picture: str
    n_clicks: int
    spans: dict[str, float]
    total: float


def time_clicks(settings: Settings) -> ClickTiming:
    """Click on a photograph, in an installation of its own that is deleted afterwards.

    Raises:
        FcnlabError: no mask came of it.
    """
    with tempfile.TemporaryDirectory(prefix="fcnlab-click-") as folder:
        bench_settings = settings.model_copy(update={"data_dir": Path(folder), "database_url": "", "demo": False})
        with closing(open_lab(bench_settings)) as lab, closing(Jobs(lab)) as jobs:
            return _timed(lab, jobs)


def _timed(lab: Lab, jobs: Jobs) -> ClickTiming:
    project = create_project(lab, name="click")
    photo = Path(skimage.data.__file__).parent / PICTURE
    (step,) = import_files(lab, [(PICTURE, photo.read_bytes())], project_id=project.id)
    assert step.image_id is not None
    jobs.opened(project.id, step.image_id)
    totals, parts = [], []
    for seq in range(1, WARM_UP + CLICKS + 1):
        payload = {"row": 40 + seq * 37 % 320, "col": 50 + seq * 61 % 500, "class_id": seq % 2}
        batch = EventBatch("doctor-tab", (Event(seq, EventKind.ADD, step.image_id, payload),))
        began = time.perf_counter()
        apply_events(lab, batch, project_id=project.id, labeller=LABELLER)
        stored = time.perf_counter()
        jobs.clicked(project.id, step.image_id, client_id=batch.client_id, acknowledged=seq)
        overlay = _overlay_of(jobs, step.image_id, client_id=batch.client_id, event=seq)
        if seq > WARM_UP:
            totals.append((time.perf_counter() - began) * 1000)
            parts.append({"store": (stored - began) * 1000, **overlay.spans})
    names = list(dict.fromkeys(name for part in parts for name in part))
    spans = {name: statistics.median(part.get(name, 0.0) for part in parts) for name in names}
    return ClickTiming(f"{PICTURE}, 600 x 400", CLICKS, spans, statistics.median(totals))


def _overlay_of(jobs: Jobs, image_id: int, *, client_id: str, event: int) -> Overlay:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        overlay = jobs.overlay_store.overlay(image_id)
        if overlay is not None and overlay.covers.get(client_id, 0) >= event:
            return overlay
        time.sleep(0.0005)
    raise FcnlabError(f"no mask came within {PATIENCE_S:.0f} s: {jobs.overlay_store.status(image_id).message}")
