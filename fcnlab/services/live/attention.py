"""Who looks at which image, and up to which event of which browser tab clicks are stored."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from typing import NamedTuple

WATCHED_FOR_S = 40.0
"""An image counts as watched for so long after a browser last asked for its overlay."""

CHECKED_EVERY_S = 15.0
"""How often an image that is watched is checked for points from other processes."""

VIEWPORT_S = 0.5
"""Tiles that a browser asks for within so long of each other belong to one viewport."""

FORGOTTEN_AFTER_S = 3600.0
"""Tabs and images that nobody has heard of for so long take no memory any more."""


@dataclass(slots=True)
class ImageAttention:
    """What is remembered of an image that somebody looks at or clicks on; all times by the monotonic clock.

    Attributes:
        seen: when a browser last asked for its overlay.
        checked: when its overlay was last made, or found to be good.
        turned: when somebody last turned to another part of it.
        clicked: when somebody last clicked on it.
        waiting: when the first click came that no mask was begun for; by `time.perf_counter()`.
        rested: the click after which the rest of a wide image was last begun.
        resting: begins the rest later.
        events: the highest event on it of each tab.
    """

    project_id: int
    seen: float = -math.inf
    checked: float = -math.inf
    turned: float = -math.inf
    clicked: float | None = None
    waiting: float | None = None
    rested: float | None = None
    resting: threading.Timer | None = None
    events: dict[str, int] = field(default_factory=dict)

    def newest(self) -> float:
        """When anybody last had to do with the image."""
        return max(self.seen, self.checked, self.turned, -math.inf if self.clicked is None else self.clicked)


class EventsSoFar(NamedTuple):
    """The highest event of each tab when a mask is begun: anywhere in the project, and on the image itself.

    `since`: when the first click came that waits for the mask, by `time.perf_counter()`; None where none does.
    """

    everywhere: dict[str, int]
    on_image: dict[str, int]
    since: float | None


class Attention:
    """Of all projects of a process; safe to use from any thread."""

    def __init__(self) -> None:
        self._covered: dict[int, dict[str, tuple[int, float]]] = {}
        self._images: dict[int, ImageAttention] = {}
        self._tabs: dict[str, float] = {}
        self._lock = threading.RLock()

    def clicked(self, project_id: int, image_id: int, *, client_id: str, acknowledged: int) -> None:
        """A tab stored events up to number `acknowledged`, the last of them on this image."""
        now = time.monotonic()
        with self._lock:
            image = self.of(project_id, image_id)
            image.clicked = now
            image.waiting = image.waiting or time.perf_counter()
            image.events[client_id] = max(acknowledged, image.events.get(client_id, 0))
            tabs = self._covered.setdefault(project_id, {})
            tabs[client_id] = max(acknowledged, tabs.get(client_id, (0, now))[0]), now  # answers may change places

    def watch(self, project_id: int, image_id: int, *, client_id: str) -> tuple[bool, bool]:
        """A tab looks at an image; whether nobody did lately, and whether its overlay should be checked."""
        now = time.monotonic()
        with self._lock:
            if client_id:
                self._tabs[client_id] = now
            tabs = self._covered.get(project_id, {})
            if client_id in tabs:
                tabs[client_id] = tabs[client_id][0], now
            image = self.of(project_id, image_id)
            is_new, image.seen = now - image.seen >= WATCHED_FOR_S, now
            return is_new, now - image.checked >= CHECKED_EVERY_S

    def turned(self, project_id: int, image_id: int) -> bool:
        """Somebody asks for a tile of an image; whether it is the first of a viewport."""
        now = time.monotonic()
        with self._lock:
            image = self.of(project_id, image_id)
            is_same, image.turned = now - image.turned < VIEWPORT_S, now
            return not is_same

    def begin(self, project_id: int, image_id: int) -> EventsSoFar:
        """A mask of an image is made now."""
        with self._lock:
            image = self.of(project_id, image_id)
            image.checked = time.monotonic()
            since, image.waiting = image.waiting, None
            everywhere = {tab: last for tab, (last, _) in self._covered.get(project_id, {}).items()}
            return EventsSoFar(everywhere, dict(image.events), since)

    def rest_later(self, project_id: int, image_id: int, timer: threading.Timer | None) -> bool:
        """The rest of a wide image is to be begun: by this timer, which is started if nobody clicked since the last
        time, or at once where it is None. Whether it begins at once."""
        with self._lock:
            image = self.of(project_id, image_id)
            is_new, image.rested = image.rested != image.clicked, image.clicked
            if image.resting is not None:
                image.resting.cancel()
                image.resting = None
            if not is_new or timer is None:
                return True
            image.resting = timer
            timer.start()
            return False

    def watched(self, project_id: int) -> list[int]:
        """The images of a project that browsers look at."""
        since = time.monotonic() - WATCHED_FOR_S
        with self._lock:
            return [
                image_id
                for image_id, image in self._images.items()
                if image.seen > since and image.project_id == project_id
            ]

    def n_tabs(self) -> int:
        """How many browser tabs look at images just now; each at one, however many it went through."""
        since = time.monotonic() - WATCHED_FOR_S
        with self._lock:
            return sum(heard > since for heard in self._tabs.values())

    def of(self, project_id: int, image_id: int) -> ImageAttention:
        """What is remembered of an image."""
        with self._lock:
            if image_id not in self._images:
                self._forget_long_unseen()
                self._images[image_id] = ImageAttention(project_id)
            return self._images[image_id]

    def forget(self, project_id: int) -> None:
        """Remember nothing of a project that was deleted."""
        with self._lock:
            self._covered.pop(project_id, None)
            gone = [image_id for image_id, image in self._images.items() if image.project_id == project_id]
            self._cancel([self._images.pop(image_id) for image_id in gone])

    def close(self) -> None:
        """Begin nothing later any more."""
        with self._lock:
            self._cancel(list(self._images.values()))

    def _cancel(self, images: list[ImageAttention]) -> None:
        for image in images:
            if image.resting is not None:
                image.resting.cancel()

    def _forget_long_unseen(self) -> None:
        """Tabs that were closed and images that nobody looks at any more."""
        since = time.monotonic() - FORGOTTEN_AFTER_S
        self._images = {image_id: image for image_id, image in self._images.items() if image.newest() > since}
        self._tabs = {tab: heard for tab, heard in self._tabs.items() if heard > since}
        for project_id, tabs in list(self._covered.items()):
            self._covered[project_id] = {tab: heard for tab, heard in tabs.items() if heard[1] > since}
            if not self._covered[project_id]:
                del self._covered[project_id]
