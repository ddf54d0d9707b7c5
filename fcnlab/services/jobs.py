"""Background work of a process: clicks become masks, the next pictures are encoded ahead."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TypeVar

from fcnlab.adapters import repository_images
from fcnlab.adapters.database import reading
from fcnlab.domain import ImageInfo, Project
from fcnlab.errors import FcnlabError
from fcnlab.lab import Lab
from fcnlab.services.board import Board, Opinion
from fcnlab.services.compute import ComputeThread, Priority
from fcnlab.services.fitting import ProjectLearner
from fcnlab.services.gains import Gains
from fcnlab.services.overlays import OverlayMaker, guess_in_words
from fcnlab.services.picture_store import PictureStore
from fcnlab.services.workers import CoreShare

WATCHED_FOR_S = 40.0
"""An image counts as looked at for so long after a browser last asked for its overlay."""

CHECKED_EVERY_S = 15.0
"""How often an image that is looked at is checked for points from other processes."""

LESSONS_KEPT_AFTER_S = 3.0
"""Lessons go to the disk when nobody has clicked for so long: a click must not wait for the disk."""

QUIET_S = 1.0
"""The rest of a wide image waits so long after the mask of a click, unless another one comes: somebody looks at it."""

LOOK_S = 0.5
"""Tiles that a browser asks for within so long of each other belong to one look."""

ENCODED_AHEAD = 2
"""Images after the one shown that are encoded before anybody asks."""

Result = TypeVar("Result")
log = logging.getLogger(__name__)


class Jobs:
    """The background work of one process. Every method may be called from any thread and returns at once."""

    def __init__(self, lab: Lab) -> None:
        self.board = Board(first_number=int(lab.clock().timestamp() * 1000))
        self._lab = lab
        self._compute = ComputeThread(before=CoreShare(lab).adjust)
        self._pictures = PictureStore(lab, between=self._compute.give_way)
        self._overlays = OverlayMaker(lab, self.board, self._pictures)
        self.gains = Gains(lab, self._compute, self._learner)
        self._learners: dict[int, ProjectLearner] = {}
        self._covered: dict[int, dict[str, int]] = {}
        self._watched: dict[int, tuple[int, float]] = {}
        self._checked: dict[int, float] = {}
        self._turned: dict[int, float] = {}
        self._clicked_at: dict[int, float] = {}
        self._rested: dict[int, float | None] = {}
        self._resting: dict[int, threading.Timer] = {}
        self._keeping: dict[int, threading.Timer] = {}
        self._lock = threading.Lock()

    def clicked(self, project_id: int, image_id: int, *, client_id: str, acknowledged: int) -> None:
        """Points, classes or the state of an image changed: make a new overlay, and one for whoever looks on."""
        self.gains.clicked()
        with self._lock:
            self._clicked_at[image_id] = time.monotonic()
            self._covered.setdefault(project_id, {})[client_id] = acknowledged
        self._submit_view(project_id, image_id, Priority.CLICK)
        for other in self._looked_at(project_id):
            if other != image_id:
                self._submit_view(project_id, other, Priority.REFRESH)

    def changed(self, project_id: int) -> None:
        """Settings, or points from elsewhere, changed: refresh what is looked at."""
        for image_id in self._looked_at(project_id):
            self._submit_view(project_id, image_id, Priority.VIEW)

    def watch(self, project_id: int, image_id: int) -> None:
        """Somebody looks at this image: see that it has an overlay of the newest points."""
        now = time.monotonic()
        with self._lock:
            is_new = image_id not in self._watched
            self._watched[image_id] = (project_id, now)
            is_due = now - self._checked.get(image_id, -CHECKED_EVERY_S) >= CHECKED_EVERY_S
        if is_new or is_due:
            self._submit_view(project_id, image_id, Priority.VIEW if is_new else Priority.REFRESH)

    def look(self, image: ImageInfo, *, row: float, col: float) -> None:
        """Somebody turned to this place of a large image: what is near it is made first."""
        now = time.monotonic()
        with self._lock:
            is_same = now - self._turned.get(image.id, -LOOK_S) < LOOK_S
            self._turned[image.id] = now
        if not is_same:  # the first tile that a browser asks for is the one in the middle
            self._overlays.look(image.id, (row / image.height, col / image.width))

    def remake(self, project_id: int, image_id: int) -> None:
        """Make the overlay of an image again, because its probabilities are wanted and gone from memory."""
        self._overlays.forget(image_id)
        self._submit_view(project_id, image_id, Priority.VIEW)

    def opened(self, project_id: int, image_id: int, *, next_ids: Sequence[int] = ()) -> None:
        """An image was opened on a page; `next_ids` are likely to follow."""
        with self._lock:
            self._watched[image_id] = (project_id, time.monotonic())
        self._submit_view(project_id, image_id, Priority.VIEW)
        for next_id in next_ids[:ENCODED_AHEAD]:
            self._compute.submit(
                partial(self._encode_ahead, project_id, next_id),
                priority=Priority.PREFETCH,
                key=f"ahead-{next_id}",
                gives_way=True,
            )

    def run(self, work: Callable[[ProjectLearner], Result], *, project_id: int) -> Future[Result]:
        """Run a step with a project's learner between clicks: exports, saved models."""
        return self._compute.submit(lambda: work(self._learner(project_id)), priority=Priority.EXPORT)

    def consult(
        self, work: Callable[[ProjectLearner, Opinion | None], Result], *, project_id: int, image_id: int
    ) -> Future[Result]:
        """Run a step with the newest opinion on an image, made now if need be; None while nothing can be learned."""

        def step() -> Result:
            if self.board.opinion(image_id) is None:
                self._overlays.forget(image_id)
            self._view(project_id, image_id)
            return work(self._learner(project_id), self.board.opinion(image_id))

        return self._compute.submit(step, priority=Priority.VIEW)

    def warm_up(self) -> None:
        """Load the encoder before the first click wants it."""
        self._compute.submit(self._pictures.warm_up, priority=Priority.VIEW, key="warm-up")

    def close(self) -> None:
        """Stop the compute thread; lessons that are not on disk yet are made again when they are needed."""
        with self._lock:
            for timer in (*self._keeping.values(), *self._resting.values()):
                timer.cancel()
        self.gains.close()
        self._compute.close()

    def _learner(self, project_id: int) -> ProjectLearner:
        if project_id not in self._learners:
            self._learners[project_id] = ProjectLearner(self._lab, self._pictures, project_id=project_id)
        return self._learners[project_id]

    def _looked_at(self, project_id: int) -> list[int]:
        now = time.monotonic()
        with self._lock:
            self._watched = {one: seen for one, seen in self._watched.items() if now - seen[1] < WATCHED_FOR_S}
            return [image_id for image_id, (owner, _) in self._watched.items() if owner == project_id]

    def _submit_view(self, project_id: int, image_id: int, priority: Priority) -> None:
        self._compute.submit(
            lambda: self._view(project_id, image_id), priority=priority, key=f"view-{project_id}-{image_id}"
        )

    def _view(self, project_id: int, image_id: int) -> None:
        """Make the newest overlay of an image and pin it; a failure becomes the status of the image."""
        try:
            self._make_overlay(project_id, image_id)
        except FcnlabError as failure:
            self.board.say(image_id, "error", message=str(failure))
        except Exception:
            log.exception("the overlay of image %d could not be made", image_id)
            self.board.say(image_id, "error", message="something went wrong; the server's log has the details")

    def _make_overlay(self, project_id: int, image_id: int) -> None:
        started = time.perf_counter()
        with self._lock:
            self._checked[image_id] = time.monotonic()
            covers = dict(self._covered.get(project_id, {}))
        learner = self._learner(project_id)
        learner.refresh()
        project = learner.project
        assert project is not None
        with reading(self._lab.sessions) as session:
            image = repository_images.image(session, image_id=image_id)
        is_settled = self._overlays.make(learner, image, covers=covers, started=started)
        if is_settled and not self._goes_on(learner, image):
            self._say_idle(project, learner, image_id)
        if not is_settled and self._overlays.progress(learner, image) < 1:
            self._encode_rest(image)

    def _goes_on(self, learner: ProjectLearner, image: ImageInfo) -> bool:
        """Whether the rest of a wide image follows, tile by tile, behind every click."""
        part = self._overlays.progress(learner, image)
        if part == 1 or {one.id for one in learner.untaught()} - {image.id} or self.board.overlay(image.id) is None:
            return False
        self.board.say(image.id, "encoding", progress=part, message="working on the rest of the image")
        if image.id in self._looked_at(image.project_id):
            self._view_rest(image, at_once=self._overlays.owes(learner, image))
        return True

    def _view_rest(self, image: ImageInfo, *, at_once: bool) -> None:
        """Go on with a wide image now, or when the labeller has stopped clicking: encode, giving way, then make."""
        again = partial(self._compute.submit, priority=Priority.PREFETCH, key=f"rest-{image.id}")

        def step() -> None:
            with suppress(FcnlabError):  # the view says it
                self._overlays.encode_due(self._learner(image.project_id), image)
            again(lambda: self._view(image.project_id, image.id))

        submit = partial(again, step, gives_way=True)
        with self._lock:
            clicked_at = self._clicked_at.get(image.id)
            is_new, self._rested[image.id] = self._rested.get(image.id) != clicked_at, clicked_at
            if image.id in self._resting:
                self._resting.pop(image.id).cancel()
            if is_new and not at_once:
                timer = self._resting[image.id] = threading.Timer(QUIET_S, submit)
                timer.daemon = True
                timer.start()
                return
        submit()

    def _encode_rest(self, image: ImageInfo) -> None:
        """Encode a wide image that is looked at, tile by tile, while there are no clicks to learn from."""

        def step() -> None:
            with suppress(FcnlabError):  # whoever makes the overlay says it
                is_waiting = self._overlays.encode_next(self._learner(image.project_id), image)
                if is_waiting and image.id in self._looked_at(image.project_id):
                    self._encode_rest(image)

        self._compute.submit(step, priority=Priority.PREFETCH, key=f"tiles-{image.id}", gives_way=True)

    def _say_idle(self, project: Project, learner: ProjectLearner, image_id: int) -> None:
        """The image is up to date, or waits for other images to be learned from."""
        if learner.record is not None:  # a chosen model learns from no clicks
            self.board.say(image_id, "idle")
            return
        waiting = learner.untaught()
        if not waiting:
            guess = guess_in_words(project) if learner.is_guessing() else ""
            self.board.say(image_id, "missing" if guess else "idle", message=guess)
            self._keep_lessons_later(project.id)
            return
        taught = learner.n_images() - len(waiting)
        self.board.say(
            image_id,
            "encoding",
            progress=taught / learner.n_images(),
            message=f"learning from {taught} of {learner.n_images()} labelled images",
        )
        self._compute.submit(
            lambda: self._teach_next(project.id), priority=Priority.PREFETCH, key=f"teach-{project.id}"
        )

    def _keep_lessons_later(self, project_id: int) -> None:
        def submit() -> None:
            learner = self._learner(project_id)
            self._compute.submit(learner.keep_lessons, priority=Priority.PREFETCH, key=f"keep-{project_id}")

        timer = threading.Timer(LESSONS_KEPT_AFTER_S, submit)
        timer.daemon = True
        with self._lock:
            earlier = self._keeping.get(project_id)
            self._keeping[project_id] = timer
        if earlier is not None:
            earlier.cancel()
        timer.start()

    def _teach_next(self, project_id: int) -> None:
        """Learn from one more image; refresh what is looked at now and then, and at the end."""
        learner = self._learner(project_id)
        waiting = learner.untaught()
        if waiting:
            try:
                learner.learn_from(waiting[0])
            except FcnlabError as failure:
                log.warning("image %s is left out: %s", waiting[0].name, failure)
                learner.leave_out(waiting[0])
        left = len(learner.untaught())
        if left and left % 10:
            self._compute.submit(
                lambda: self._teach_next(project_id), priority=Priority.PREFETCH, key=f"teach-{project_id}"
            )
        else:
            self.changed(project_id)

    def _encode_ahead(self, project_id: int, image_id: int) -> None:
        project = self._learner(project_id).project
        if project is None:
            return
        try:
            with reading(self._lab.sessions) as session:
                image = repository_images.image(session, image_id=image_id)
            self._pictures.encode_ahead(image, project.learner)
        except FcnlabError as failure:
            log.info("image %d was not encoded ahead: %s", image_id, failure)
