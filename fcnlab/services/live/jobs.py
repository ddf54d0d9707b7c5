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

from cachetools import LRUCache

from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import Project
from fcnlab.errors import FcnlabError, ShuttingDown, UnknownImage, UnknownProject
from fcnlab.lab import Lab
from fcnlab.services.images.importing import is_unreadable
from fcnlab.services.live.attention import Attention
from fcnlab.services.live.compute import ComputeThread, Failed, Priority, in_words, logged
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.gains import Gains
from fcnlab.services.live.overlay_store import OverlayProbabilities, OverlayStore
from fcnlab.services.live.overlays import OverlayMaker, Spans, guess_in_words
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.training.workers import CoreShare
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import reading

SAMPLES_KEPT_AFTER_S = 3.0
"""Samples go to the disk when nobody has clicked for so long: a click must not wait for the disk."""

QUIET_S = 1.0
"""The rest of a wide image waits so long after the mask of a click, unless another one comes: somebody looks at it."""

ENCODED_AHEAD = 2
"""Images after the one shown that are encoded before anybody asks."""

FIRST_RETRY_S, SLOWEST_RETRY_S = 2.0, 120.0
"""An image that could not be learned from, although it can be read, is tried again: soon at first, then more rarely."""

LEARNERS_KEPT = 32
"""Projects whose learner stays in memory; another one reads its samples from the disk again."""

Result = TypeVar("Result")
log = logging.getLogger(__name__)


class Jobs:
    """The background work of one process. Every method may be called from any thread and returns at once."""

    def __init__(self, lab: Lab) -> None:
        self.overlay_store = OverlayStore(first_number=int(lab.clock().timestamp() * 1000))
        self._lab = lab
        self._compute = ComputeThread(before=CoreShare(lab).adjust)
        self._pictures = PictureStore(lab, between=self._compute.give_way, later=self._write_later)
        self._overlays = OverlayMaker(lab, self.overlay_store, self._pictures)
        self.gains = Gains(lab, self._compute, self._pictures, self._learner)
        self._learners: LRUCache[int, ProjectLearner] = LRUCache(LEARNERS_KEPT)
        self._attention = Attention()
        self._keeping: dict[int, threading.Timer] = {}
        self._put_off: dict[int, dict[int, str]] = {}
        self._retrying: dict[int, tuple[threading.Timer, float]] = {}
        self._lock = threading.Lock()

    def clicked(self, project_id: int, image_id: int, *, client_id: str, acknowledged: int) -> None:
        """Points, classes or the state of an image changed: make a new overlay, and one for whoever looks on."""
        self.gains.clicked()
        self._attention.clicked(project_id, image_id, client_id=client_id, acknowledged=acknowledged)
        self._submit_view(project_id, image_id, Priority.CLICK)
        for other in self._attention.watched(project_id):
            if other != image_id:
                self._submit_view(project_id, other, Priority.REFRESH)

    def changed(self, project_id: int) -> None:
        """Settings, or points from elsewhere, changed: refresh the images that are watched."""
        for image_id in self._attention.watched(project_id):
            self._submit_view(project_id, image_id, Priority.VIEW)

    def watch(self, project_id: int, image_id: int, *, client_id: str = "") -> None:
        """A tab looks at this image: see that it has an overlay of the newest points."""
        is_new, is_due = self._attention.watch(project_id, image_id, client_id=client_id)
        if is_new or is_due:
            self._submit_view(project_id, image_id, Priority.VIEW if is_new else Priority.REFRESH)

    def viewport_moved(self, image: ImageInfo, *, row: float, col: float) -> None:
        """Somebody turned to this place of a large image: what is near it is made first."""
        if self._attention.turned(image.project_id, image.id):  # a browser asks for the tile in the middle first
            self._overlays.viewport_moved(image.id, (row / image.height, col / image.width))

    def remake(self, project_id: int, image_id: int) -> None:
        """Make the overlay of an image again, because its probabilities are wanted and gone from memory."""
        self._overlays.forget(image_id)
        self._submit_view(project_id, image_id, Priority.VIEW)

    def opened(self, project_id: int, image_id: int, *, next_ids: Sequence[int] = ()) -> None:
        """An image was opened on a page; `next_ids` are likely to follow."""
        self._attention.watch(project_id, image_id, client_id="")
        self._submit_view(project_id, image_id, Priority.VIEW)
        for next_id in next_ids[:ENCODED_AHEAD]:
            self._compute.post(
                partial(self._encode_ahead, project_id, next_id),
                priority=Priority.PREFETCH,
                key=f"ahead-{next_id}",
                gives_way=True,
                failed=logged(f"image {next_id} was not encoded ahead"),  # whoever opens it is told
            )

    def run(self, work: Callable[[ProjectLearner], Result], *, project_id: int) -> Future[Result]:
        """Run a step with a project's learner between clicks: exports, saved models."""
        return self._compute.submit(lambda: work(self._learner(project_id)), priority=Priority.EXPORT)

    def run_with_pictures(
        self,
        work: Callable[[PictureStore], object],
        *,
        priority: Priority,
        key: str,
        failed: Failed,
        gives_way: bool = False,
    ) -> None:
        """Queue a step that needs encoded pictures and no learner; nobody waits for it. See `ComputeThread.post`."""
        self._compute.post(lambda: work(self._pictures), priority=priority, key=key, failed=failed, gives_way=gives_way)

    def give_way(self) -> None:
        """Called now and then in the middle of a step that gives way."""
        self._compute.give_way()

    def consult(
        self, work: Callable[[ProjectLearner, OverlayProbabilities | None], Result], *, project_id: int, image_id: int
    ) -> Future[Result]:
        """Run a step with the probabilities of an image, made now if need be; None while nothing can be learned."""

        def step() -> Result:
            if self.overlay_store.class_probabilities(image_id) is None:
                self._overlays.forget(image_id)
            self._view(project_id, image_id)
            return work(self._learner(project_id), self.overlay_store.class_probabilities(image_id))

        return self._compute.submit(step, priority=Priority.VIEW)

    def warm_up(self) -> None:
        """Load the encoder before the first click wants it."""
        self._compute.post(
            self._pictures.warm_up,
            priority=Priority.VIEW,
            key="warm-up",
            failed=logged("the encoder was not warmed up"),
        )

    def close(self) -> None:
        """Stop the compute thread; samples that are not on disk yet are made again when they are needed."""
        with self._lock:
            for timer in (*self._keeping.values(), *(timer for timer, _ in self._retrying.values())):
                timer.cancel()
        self._attention.close()
        self.gains.close()
        self._compute.close()

    def _write_later(self, write: Callable[[], None]) -> None:
        """Write an encoded picture after what is wanted now; where it is lost, the picture is encoded again."""
        self._compute.post(write, priority=Priority.REFRESH, failed=logged("an encoded image was not written"))

    def _learner(self, project_id: int) -> ProjectLearner:
        with self._lock:
            learner = self._learners.get(project_id)
            if learner is None:
                learner = ProjectLearner(self._lab, self._pictures, project_id=project_id)
                self._learners[project_id] = learner
        return learner

    def _forget_project(self, project_id: int) -> None:
        """Remember nothing of a project that was deleted."""
        self.gains.forget(project_id)
        self._attention.forget(project_id)
        with self._lock:
            self._learners.pop(project_id, None)
            self._put_off.pop(project_id, None)
            timers = [self._keeping.pop(project_id, None), self._retrying.pop(project_id, (None, 0.0))[0]]
        for timer in timers:
            if timer is not None:
                timer.cancel()

    def _submit_view(self, project_id: int, image_id: int, priority: Priority) -> None:
        self._compute.post(
            partial(self._make_overlay, project_id, image_id),
            priority=priority,
            key=f"view-{project_id}-{image_id}",
            failed=partial(self._say_failed, "making the mask", project_id, [image_id]),
        )

    def _say_failed(self, doing: str, project_id: int, image_ids: Sequence[int] | None, failure: BaseException) -> None:
        """Tell whoever looks at these images, or at any of the project, what failed and what to do."""
        if isinstance(failure, UnknownProject):
            self._forget_project(project_id)
        message = in_words(failure, doing=doing)
        log.log(logging.INFO if isinstance(failure, ShuttingDown) else logging.WARNING, "%s: %s", doing, message)
        for image_id in self._attention.watched(project_id) if image_ids is None else image_ids:
            self.overlay_store.set_status(image_id, "error", message=message)

    def _view(self, project_id: int, image_id: int) -> None:
        """As `_make_overlay`, in the middle of another step: a failure becomes the status of the image."""
        try:
            self._make_overlay(project_id, image_id)
        except Exception as failure:
            if not isinstance(failure, FcnlabError):
                log.exception("the overlay of image %d could not be made", image_id)
            self._say_failed("making the mask", project_id, [image_id], failure)

    def _make_overlay(self, project_id: int, image_id: int) -> None:
        self._pictures.expect(self._attention.n_tabs())
        events = self._attention.begin(project_id, image_id)
        spans = Spans(events.since or time.perf_counter())
        spans.mark("wait")
        learner = self._learner(project_id)
        image_at = learner.refresh(image_id)
        project = learner.project
        assert project is not None
        if image_at is None:
            raise UnknownImage(f"there is no image {image_id}; its project may have been deleted")
        image = image_at.image
        learner.others_wait = events.since is not None and self._compute.has_waiting(Priority.CLICK)
        learner.is_behind = False
        try:
            is_settled = self._overlays.make(learner, image_at, events=events, spans=spans)
        finally:
            learner.others_wait = False
        if learner.is_behind:
            self._overlays.forget(image_id)
            self._submit_view(project_id, image_id, Priority.REFRESH)
        if learner.wants_preparation():
            self._compute.post(
                learner.prepare,
                priority=Priority.REFRESH,
                key=f"prepare-{project_id}",
                failed=logged(f"the next fits of project {project_id} were not made quicker"),
            )
        if is_settled and not self._goes_on(learner, image):
            self._say_idle(project, learner, image_id)
        if not is_settled and self._overlays.progress(learner, image) < 1:
            self._encode_rest(image)

    def _goes_on(self, learner: ProjectLearner, image: ImageInfo) -> bool:
        """Whether the rest of a wide image follows, tile by tile, behind every click."""
        part = self._overlays.progress(learner, image)
        if (
            part == 1
            or {other.id for other in learner.images_to_learn_from()} - {image.id}
            or self.overlay_store.overlay(image.id) is None
        ):
            return False
        self.overlay_store.set_status(image.id, "encoding", progress=part, message="working on the rest of the image")
        if image.id in self._attention.watched(image.project_id):
            self._view_rest(image, at_once=self._overlays.has_pending_tile(learner, image))
        return True

    def _view_rest(self, image: ImageInfo, *, at_once: bool) -> None:
        """Go on with a wide image now, or when the labeller has stopped clicking: encode, giving way, then make."""
        failed = partial(self._say_failed, "working on the rest of the image", image.project_id, [image.id])
        again = partial(self._compute.post, priority=Priority.PREFETCH, key=f"rest-{image.id}", failed=failed)

        def step() -> None:
            try:
                with suppress(FcnlabError):  # the view says it
                    self._overlays.encode_due(self._learner(image.project_id), image)
            finally:
                again(partial(self._make_overlay, image.project_id, image.id))

        submit = partial(again, step, gives_way=True)
        timer = None if at_once else threading.Timer(QUIET_S, submit)
        if timer is not None:
            timer.daemon = True
        if self._attention.rest_later(image.project_id, image.id, timer):
            submit()

    def _encode_rest(self, image: ImageInfo) -> None:
        """Encode a wide image that is watched, tile by tile, while there are no clicks to learn from."""

        def step() -> None:
            with suppress(FcnlabError):  # whoever makes the overlay says it
                is_waiting = self._overlays.encode_next(self._learner(image.project_id), image)
                if is_waiting and image.id in self._attention.watched(image.project_id):
                    self._encode_rest(image)

        failed = partial(self._say_failed, "encoding the image", image.project_id, [image.id])
        self._compute.post(step, priority=Priority.PREFETCH, key=f"tiles-{image.id}", gives_way=True, failed=failed)

    def _say_idle(self, project: Project, learner: ProjectLearner, image_id: int) -> None:
        """The image is up to date, or waits for other images to be learned from."""
        if learner.record is not None:  # a chosen model learns from no clicks
            self.overlay_store.set_status(image_id, "idle")
            return
        waiting = learner.images_to_learn_from()
        put_off = self._put_off.get(project.id, {})
        n_learned = learner.n_images() - len(waiting) - len(learner.left_out())
        said = f"of {learner.n_images()} labelled images"
        if not waiting:
            guess = guess_in_words(project) if learner.is_guessing() else ""
            self.overlay_store.set_status(image_id, "missing" if guess else "idle", message=guess)
            self._keep_samples_later(project.id)
        elif all(image.id in put_off for image in waiting):
            first = waiting[0]
            message = f"learned from {n_learned} {said}; {first.name} is tried again soon: {put_off[first.id]}"
            self.overlay_store.set_status(image_id, "error", message=message)
        else:
            progress = n_learned / learner.n_images()
            self.overlay_store.set_status(
                image_id, "encoding", progress=progress, message=f"learning from {n_learned} {said}"
            )
            self._submit_learning(project.id)

    def _submit_learning(self, project_id: int) -> None:
        self._compute.post(
            partial(self._learn_from_next, project_id),
            priority=Priority.PREFETCH,
            key=f"learn-{project_id}",
            failed=partial(self._say_failed, "learning from the labelled images", project_id, None),
        )

    def _keep_samples_later(self, project_id: int) -> None:
        def submit() -> None:
            self._compute.post(
                lambda: self._learner(project_id).keep_samples(),
                priority=Priority.PREFETCH,
                key=f"keep-{project_id}",
                failed=partial(self._say_failed, "writing what was learned to the disk", project_id, None),
            )

        timer = threading.Timer(SAMPLES_KEPT_AFTER_S, submit)
        timer.daemon = True
        with self._lock:
            earlier = self._keeping.get(project_id)
            self._keeping[project_id] = timer
        if earlier is not None:
            earlier.cancel()
        timer.start()

    def _learn_from_next(self, project_id: int) -> None:
        """Learn from one more image; refresh the images that are watched now and then, and at the end."""
        learner = self._learner(project_id)
        put_off = self._put_off.setdefault(project_id, {})
        waiting = [candidate for candidate in learner.images_to_learn_from() if candidate.id not in put_off]
        if waiting:
            image = waiting[0]
            try:
                learner.learn_from(image)
            except Exception as failure:
                self._learn_without(learner, image, failure)
        left = len([candidate for candidate in learner.images_to_learn_from() if candidate.id not in put_off])
        if left and left % 10:
            self._submit_learning(project_id)
            return
        self.changed(project_id)
        if put_off and not left:
            self._learn_again_later(project_id)
        elif not left:
            with self._lock:
                self._retrying.pop(project_id, None)

    def _learn_without(self, learner: ProjectLearner, image: ImageInfo, failure: Exception) -> None:
        """Go on without an image for good, since it can never be read, or until it is tried again."""
        if is_unreadable(failure):
            log.warning("image %s is left out: %s", image.name, failure)
            learner.leave_out(image, str(failure))
            return
        if isinstance(failure, FcnlabError):
            log.warning("learning from image %s is tried again: %s", image.name, failure)
        else:
            log.exception("learning from image %s failed and is tried again", image.name)
        self._put_off[image.project_id][image.id] = in_words(failure, doing=f"learning from {image.name}")

    def _learn_again_later(self, project_id: int) -> None:
        """Try the images again that were put off: soon at first, then more rarely."""

        def again() -> None:
            self._put_off.pop(project_id, None)
            self._learn_from_next(project_id)

        def submit() -> None:
            failed = partial(self._say_failed, "learning from the labelled images", project_id, None)
            self._compute.post(again, priority=Priority.PREFETCH, key=f"again-{project_id}", failed=failed)

        with self._lock:
            timer, waited = self._retrying.get(project_id, (None, FIRST_RETRY_S / 2))
            if timer is not None and timer.is_alive():
                return
            wait = min(SLOWEST_RETRY_S, 2 * waited)
            timer = threading.Timer(wait, submit)
            timer.daemon = True
            self._retrying[project_id] = timer, wait
            timer.start()

    def _encode_ahead(self, project_id: int, image_id: int) -> None:
        project = self._learner(project_id).project
        if project is None:
            return
        with reading(self._lab.sessions) as session:
            image = repository_images.image(session, image_id=image_id)
        self._pictures.encode_ahead(image, project.learner)
