"""Suggestions of tags in the background of a process: images are looked at while there is nothing better to do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial

from cachetools import LRUCache

from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import FcnlabError, ShuttingDown, UnknownProject
from fcnlab.lab import Lab
from fcnlab.services.live.compute import Priority, in_words
from fcnlab.services.live.gains import QUIET_S
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.tags.reading import ProjectTags, TagReader
from fcnlab.services.tags.scoring import ScoredTags, score_tags
from fcnlab.services.tags.suggestions import (
    SeenImages,
    TagSuggestions,
    most_doubtful_image,
    most_doubtful_images,
    suggest,
)
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import chunked, reading

WANTED_FOR_S = 60.0
"""Images are looked at for so long after somebody last asked for suggestions."""

PROJECTS_KEPT = 4
"""Projects whose features stay in memory; of another one they are read from the disk again."""

STEP_S = 0.1
"""Kept features are read for so long in one step; an image that has to be encoded is a step of its own."""

LEARNED_AGAIN = 1.25
"""Suggestions are made anew when so many times as many images were looked at, and when all were."""

MEANWHILE_S = 0.005
"""So often clicks are looked for while tags are learned."""

READ_AT_ONCE = 50
"""Images whose kept features are read before the clock is looked at."""

RETRY_S = 15.0
"""An image that fails for another reason than that it can never be read is tried again after so long at first, and
after twice as long each time it fails again."""

RETRY_MOST_S = 960.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why an image could not be looked at for now, how often, and until when it waits, by the monotonic clock."""

    reason: str
    count: int
    until: float


@dataclass(eq=False)
class _ProjectState:
    """What is remembered of a project.

    Attributes:
        reader: of its tags; under `lock`, and never on the compute thread: a click would wait for it.
        tags: read last.
        seen: images that were looked at under the settings `made_for`, when their pictures were `made_of`.
        unkept: images whose features are not kept on the disk.
        failures: images that failed for a reason that may pass.
        version: of what was seen, which rises with every image.
        suggestions: the newest; made of `learned_from`, and of so many images at that version.
        message: why work stands still; empty where it does not.
        wanted: when somebody last asked, by the monotonic clock.
    """

    reader: TagReader
    lock: threading.Lock = field(default_factory=threading.Lock)
    tags: ProjectTags | None = None
    seen: SeenImages = field(default_factory=SeenImages)
    failures: dict[int, _Failure] = field(default_factory=dict)
    unkept: set[int] = field(default_factory=set)
    made_for: LearnerSpec | None = None
    made_of: dict[int, str] = field(default_factory=dict)
    version: int = 0
    suggestions: TagSuggestions = field(default_factory=TagSuggestions)
    learned_from: ProjectTags | None = None
    learned_version: int = 0
    n_learned: int = 0
    message: str = ""
    wanted: float = 0.0
    timer: threading.Timer | None = None

    def is_seen(self, image_id: int) -> bool:
        """Whether an image was looked at, or cannot be."""
        return image_id in self.seen.features or image_id in self.seen.left_out

    def is_waiting(self, image_id: int) -> bool:
        """Whether an image failed, and is not tried again yet."""
        failure = self.failures.get(image_id)
        return failure is not None and failure.until > time.monotonic()

    def why_still(self, tags: ProjectTags) -> str:
        """Why work stands still, for people: a step failed, or every image that is left; empty where it goes on."""
        left = [self.failures.get(image.id) for image in tags.images if not self.is_seen(image.id)]
        if self.message or not left or None in left:
            return self.message
        return next(failure.reason for failure in left if failure is not None)

    def n_seen(self, tags: ProjectTags) -> int:
        """How many images were looked at, or cannot be, as they are now and under the settings of now."""
        if self.made_for != tags.project.learner.of_pictures:
            return 0
        made_of = self.made_of
        return sum(self.is_seen(image.id) and made_of.get(image.id) == image.picture for image in tags.images)

    def read(self) -> ProjectTags:
        """The tags of now."""
        with self.lock:
            self.tags = self.reader.read()
            return self.tags


@dataclass(frozen=True, slots=True)
class TagsAtWork:
    """The tags of a project and what is suggested, as far as it is known.

    Attributes:
        tags: of now.
        suggestions: from now or a moment ago, see `TagSuggestions.is_behind`.
        done, total: images that were looked at, and all.
        message: why images are not looked at, for people; empty where they are.
    """

    tags: ProjectTags
    suggestions: TagSuggestions
    done: int
    total: int
    message: str = ""

    def most_doubtful(self, *, besides: int | None = None) -> int | None:
        """The image to ask about next; None when everything is known."""
        return most_doubtful_image(self.tags, self.suggestions, besides=besides)

    def in_doubt(self, *, count: int, last: Collection[int] = ()) -> tuple[int, ...]:
        """The images to ask about, those in doubt first; see `most_doubtful_images`."""
        return most_doubtful_images(self.tags, self.suggestions, count=count, last=last)


class TagJobs:
    """Looks at images and learns tags, on the compute thread of `jobs` behind all other work; safe from any thread.

    An image that was never looked at is encoded only while nobody clicks, and clicks go on in the middle of it.
    """

    def __init__(self, lab: Lab, jobs: Jobs) -> None:
        self._lab, self._jobs = lab, jobs
        self._projects: LRUCache[int, _ProjectState] = LRUCache(PROJECTS_KEPT)
        self._lock = threading.Lock()
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="fcnlab-tags")

    def tags(self, project_id: int) -> ProjectTags:
        """The tags of a project as they are now; no image is looked at for that. Raises UnknownProject."""
        try:
            return self._state(project_id).read()
        except UnknownProject:
            self.forget(project_id)
            raise

    def at_work(self, project_id: int) -> TagsAtWork:
        """Tags and suggestions of a project; whoever asks also sees to it that work goes on for a while.

        Returns at once with what is known: after an answer the suggestions are behind for a moment.

        Raises:
            UnknownProject: no such project.
        """
        tags, state = self.tags(project_id), self._state(project_id)
        state.wanted = time.monotonic()
        done = state.n_seen(tags)
        is_behind = state.learned_from is not tags or state.learned_version != state.version
        suggestions = replace(state.suggestions, is_behind=is_behind, n_images=len(tags.images))
        if state.learned_from is not tags or (is_behind and done == len(tags.images)):
            self._learn(project_id)
        if done < len(tags.images):
            self._look(project_id)
        return TagsAtWork(tags, suggestions, done, len(tags.images), state.why_still(tags))

    def scores(self, project_id: int) -> ScoredTags:
        """How good suggestions are, by the images that were looked at by now; takes seconds in the caller's thread.

        Raises:
            UnknownProject: no such project.
            InvalidTag: too little was answered or looked at.
        """
        tags = self.at_work(project_id).tags
        return score_tags(self._lab, tags, dict(self._state(project_id).seen.features))

    def changed(self, project_id: int) -> None:
        """Answers changed: learn them now, without waiting for somebody to ask. Raises UnknownProject."""
        self.tags(project_id)
        self._learn(project_id)

    def forget(self, project_id: int) -> None:
        """Remember nothing of a project that was deleted."""
        with self._lock:
            state = self._projects.pop(project_id, None)
        if state is not None and state.timer is not None:
            state.timer.cancel()

    def _state(self, project_id: int) -> _ProjectState:
        with self._lock:
            state = self._projects.get(project_id)
            if state is None:
                state = self._projects[project_id] = _ProjectState(TagReader(self._lab, project_id=project_id))
            return state

    def _learn(self, project_id: int) -> None:
        self._jobs.run_with_pictures(
            partial(self._learn_now, project_id),
            priority=Priority.REFRESH,
            key=f"tags-learn-{project_id}",
            failed=partial(self._failed, project_id, "learning the tags"),
            gives_way=True,
        )

    def _look(self, project_id: int) -> None:
        self._jobs.run_with_pictures(
            partial(self._look_on, project_id),
            priority=Priority.PREFETCH,
            key=f"tags-look-{project_id}",
            failed=partial(self._failed, project_id, "looking at the images"),
            gives_way=True,
        )

    def _look_later(self, project_id: int) -> None:
        state = self._state(project_id)
        timer = threading.Timer(QUIET_S, self._look, [project_id])
        timer.daemon = True
        if state.timer is not None:
            state.timer.cancel()
        state.timer = timer
        timer.start()

    def _failed(self, project_id: int, doing: str, failure: BaseException) -> None:
        """After a step that failed as a whole: somebody is told, and asking again tries again."""
        if isinstance(failure, UnknownProject):
            self.forget(project_id)
        elif not isinstance(failure, ShuttingDown):
            log.warning("%s of project %d failed: %s", doing, project_id, failure)
            self._state(project_id).message = in_words(failure, doing=doing)

    def _learn_now(self, project_id: int, _pictures: PictureStore) -> None:
        state = self._state(project_id)
        tags = state.tags
        if tags is None:
            return
        self._forget_other_pictures(state, tags)
        if state.learned_from is tags and state.learned_version == state.version:
            return
        version, features, left_out = state.version, dict(state.seen.features), dict(state.seen.left_out)
        learn = partial(suggest, tags, features, left_out=left_out, start=state.suggestions.tagger)
        learning = self._beside.submit(learn)  # takes seconds with thousands of answers
        while not wait((learning,), MEANWHILE_S).done:
            self._jobs.give_way()
        state.suggestions = learning.result()
        state.message = ""
        state.learned_from, state.learned_version, state.n_learned = tags, version, len(features)

    def _look_on(self, project_id: int, pictures: PictureStore) -> None:
        """Read kept features for a moment, else encode an image, while nobody clicks."""
        state = self._state(project_id)
        tags = state.tags
        if tags is None:
            return
        self._forget_other_pictures(state, tags)
        waiting = [image.id for image in tags.images if not state.is_seen(image.id)]
        unread = [image_id for image_id in waiting if image_id not in state.unkept]
        due = [image_id for image_id in waiting if not state.is_waiting(image_id)]
        if unread:
            self._read_kept(state, pictures, unread, tags.project.learner)
        elif due and self._jobs.gains.is_quiet():
            first = min(due, key=lambda image_id: image_id in state.failures)
            self._look_at(state, pictures, first, tags.project.learner)
        n_left = sum(not (state.is_seen(image.id) or state.is_waiting(image.id)) for image in tags.images)
        if len(state.seen.features) > LEARNED_AGAIN * state.n_learned or not n_left:
            self._learn(project_id)
        if n_left and time.monotonic() - state.wanted < WANTED_FOR_S:
            if len(unread) or self._jobs.gains.is_quiet():
                self._look(project_id)
            else:
                self._look_later(project_id)

    def _forget_other_pictures(self, state: _ProjectState, tags: ProjectTags) -> None:
        """Forget features that were taken under other settings, of another picture, or of an image that is gone."""
        pictures = {image.id: image.picture for image in tags.images}
        if state.made_for != tags.project.learner.of_pictures:
            state.made_of, state.made_for = {}, tags.project.learner.of_pictures
            state.suggestions = TagSuggestions()
            state.version += 1
        state.made_of = {
            image_id: picture for image_id, picture in state.made_of.items() if pictures.get(image_id) == picture
        }
        for held in (state.seen.features, state.seen.left_out):
            for image_id in [image_id for image_id in held if image_id not in state.made_of]:
                del held[image_id]
                state.version += 1
        for image_id in pictures.keys() - state.made_of.keys():
            state.made_of[image_id] = pictures[image_id]
            state.unkept.discard(image_id)
            state.failures.pop(image_id, None)

    def _read_kept(
        self, state: _ProjectState, pictures: PictureStore, image_ids: Sequence[int], spec: LearnerSpec
    ) -> None:
        """Take the features that are kept on the disk, for a moment."""
        until = time.monotonic() + STEP_S
        for some in chunked(image_ids, READ_AT_ONCE):
            with reading(self._lab.sessions) as session:
                images = repository_images.images_by_ids(session, image_ids=some)
            for image in images:
                kept = pictures.kept_pooled(image, spec)
                if kept is None:
                    state.unkept.add(image.id)
                else:
                    state.seen.features[image.id] = kept
                    state.version += 1
            if time.monotonic() > until:
                return

    def _look_at(self, state: _ProjectState, pictures: PictureStore, image_id: int, spec: LearnerSpec) -> None:
        try:
            with reading(self._lab.sessions) as session:
                image = repository_images.image(session, image_id=image_id)
            state.seen.look_at(pictures, image, spec)
        except ShuttingDown:
            raise
        except Exception as failure:  # whatever it is, the other images are looked at
            log.warning("looking at image %d failed", image_id, exc_info=not isinstance(failure, FcnlabError))
            count = 1 + (state.failures[image_id].count if image_id in state.failures else 0)
            pause = min(RETRY_S * 2 ** min(count - 1, 30), RETRY_MOST_S)
            reason = in_words(failure, doing="looking at an image")
            state.failures[image_id] = _Failure(reason, count, time.monotonic() + pause)
            state.message = reason
        else:
            state.failures.pop(image_id, None)
            state.version += 1
            state.message = ""
