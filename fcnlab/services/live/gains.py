"""The gain of each image of a project, worked out while there is nothing better to do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from fcnlab.core.learner.queries import expected_gain
from fcnlab.domain.images import ImageState
from fcnlab.errors import DatabaseUnavailable, FcnlabError, UnknownProject
from fcnlab.lab import Lab
from fcnlab.services.images.importing import is_unreadable
from fcnlab.services.live.compute import ComputeThread, Priority
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.live_sources import unrefined_source
from fcnlab.services.live.mask_source import MaskSource
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import reading

ATTEMPTS = 3
"""So often an image is tried that fails for another reason than that it can never be read."""

WANTED_FOR_S = 60.0
"""Work goes on for so long after somebody last asked for the ranking."""

QUIET_S = 1.5
"""Images that have to be encoded, which takes longer than a click should wait, are left until nobody clicks."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The gains of a project's images as far as they are known.

    Attributes:
        gains: in 0..1 by image; an image that is not here has none yet, or cannot be read.
        waiting: images whose gain is missing, or older than what the learner knows.
    """

    gains: Mapping[int, float] = field(default_factory=dict)
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class _Known:
    """A gain and the learner's revision that it belongs to; None when the image cannot be read.

    `failures`: how often in a row working it out failed for a reason that may pass.
    """

    revision: int
    gain: float | None
    failures: int = 0


class Gains:
    """Gains of images that are not done, one image per step at the lowest priority, kept in memory.

    The head alone ranks images, at a quarter of the working size: five to thirty times as quick as a mask, and nearly
    the same ranking. An image that was never encoded is encoded. A project that chose a model is ranked by that, once.
    """

    def __init__(
        self, lab: Lab, compute: ComputeThread, pictures: PictureStore, learner_of: Callable[[int], ProjectLearner]
    ) -> None:
        self._lab, self._compute, self._pictures, self._learner_of = lab, compute, pictures, learner_of
        self._known: dict[int, dict[int, _Known]] = {}
        self._waiting: dict[int, int] = {}
        self._wanted: dict[int, float] = {}
        self._clicked = -QUIET_S
        self._timers: dict[int, threading.Timer] = {}
        self._lock = threading.Lock()

    def ranking(self, project_id: int) -> Ranking:
        """The gains known by now; whoever asks also sees to it that work goes on for a while. From any thread."""
        with self._lock:
            self._wanted[project_id] = time.monotonic()
            records = self._known.get(project_id, {})
            gains = {image_id: record.gain for image_id, record in records.items() if record.gain is not None}
            waiting = self._waiting.get(project_id, 0)
        self._submit(project_id)
        return Ranking(gains, waiting)

    def clicked(self) -> None:
        """Somebody clicks just now."""
        self._clicked = time.monotonic()

    def is_quiet(self) -> bool:
        """Whether nobody clicked for a while: time for what takes longer than a click should wait."""
        return time.monotonic() - self._clicked >= QUIET_S

    def forget(self, project_id: int) -> None:
        """Remember nothing of a project that was deleted."""
        with self._lock:
            for held in (self._known, self._waiting, self._wanted):
                held.pop(project_id, None)
            timer = self._timers.pop(project_id, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Plan nothing any more."""
        with self._lock:
            for timer in self._timers.values():
                timer.cancel()

    def _submit(self, project_id: int) -> None:
        self._compute.post(
            lambda: self._next(project_id),
            priority=Priority.PREFETCH,
            key=f"gain-{project_id}",
            gives_way=True,
            failed=partial(self._go_on_later, project_id),
        )

    def _go_on_later(self, project_id: int, failure: BaseException) -> None:
        """After a step that failed as a whole, as when the database does not answer."""
        log.warning("ranking the images of project %d failed: %s", project_id, failure)
        if isinstance(failure, UnknownProject):
            self.forget(project_id)
        elif self._is_wanted(project_id):
            self._submit_later(project_id)

    def _submit_later(self, project_id: int) -> None:
        timer = threading.Timer(QUIET_S, self._submit, [project_id])
        timer.daemon = True
        with self._lock:
            earlier = self._timers.get(project_id)
            self._timers[project_id] = timer
        if earlier is not None:
            earlier.cancel()
        timer.start()

    def _next(self, project_id: int) -> None:
        """Work out the gain of the image that has waited longest; those without one come first."""
        learner = self._learner_of(project_id)
        learner.refresh()
        try:
            source = unrefined_source(learner, self._pictures)
        except DatabaseUnavailable:
            raise
        except FcnlabError:  # nothing is learned yet, or the chosen model cannot be used
            self._note(project_id, {}, waiting=0)
            return
        with reading(self._lab.sessions) as session:
            states = repository_images.image_states(session, project_id=project_id)
        records = {image_id: self._known.get(project_id, {}).get(image_id, _Known(-1, None)) for image_id in states}
        stale = [
            image_id
            for image_id, record in records.items()
            if record.revision != learner.scores_revision and states[image_id] is not ImageState.DONE
        ]
        is_quiet = self.is_quiet()
        possible = [image_id for image_id in stale if is_quiet or records[image_id].gain is not None]
        if possible:
            chosen = min(possible, key=lambda image_id: (records[image_id].failures, records[image_id].revision))
            records[chosen] = self._gain(learner, source, chosen, before=records[chosen])
        self._note(project_id, records, waiting=len(stale) - len(possible[:1]))
        if len(stale) == len(possible[:1]) or not self._is_wanted(project_id):
            return
        if possible:
            self._submit(project_id)
        else:
            self._submit_later(project_id)

    def _gain(self, learner: ProjectLearner, source: MaskSource, image_id: int, *, before: _Known) -> _Known:
        now = learner.scores_revision
        try:
            with reading(self._lab.sessions) as session:
                image = repository_images.image(session, image_id=image_id)
            return _Known(now, expected_gain(source.unrefined(image)))
        except Exception as failure:
            log.info("image %d has no gain: %s", image_id, failure, exc_info=not isinstance(failure, FcnlabError))
            if is_unreadable(failure) or before.failures + 1 >= ATTEMPTS:
                return _Known(now, None)
            return replace(before, failures=before.failures + 1)

    def _is_wanted(self, project_id: int) -> bool:
        with self._lock:
            return time.monotonic() - self._wanted.get(project_id, -WANTED_FOR_S) < WANTED_FOR_S

    def _note(self, project_id: int, records: dict[int, _Known], *, waiting: int) -> None:
        with self._lock:
            self._known[project_id] = {
                image_id: record for image_id, record in records.items() if record.revision >= 0 or record.failures
            }
            self._waiting[project_id] = waiting
