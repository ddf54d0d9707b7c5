"""The board where the learner pins the newest mask of each image, and where browsers wait for it."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.queries import margin
from fcnlab.domain import IGNORE

Phase = Literal["idle", "queued", "encoding", "fitting", "missing", "error"]
OVERLAYS_KEPT = 32
PROBABILITIES_KEPT = 4


@dataclass(frozen=True, slots=True)
class Overlay:
    """A mask to lay over an image.

    Attributes:
        number: rises with every overlay of this process, and from one process to the next.
        hw: height and width of the mask, the learner's resolution.
        packed: zlib stream of the class ids, uint8 row by row; IGNORE is drawn as nothing.
        covers: per browser tab, the highest event that this mask has learned from.
        is_final: the stored mask of a done image.
    """

    number: int
    hw: tuple[int, int]
    packed: bytes
    covers: Mapping[str, int]
    milliseconds: float
    made_at: datetime
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """What the learner does for an image just now. `number` rises with every change."""

    number: int = 0
    phase: Phase = "idle"
    progress: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Opinion:
    """Probabilities (K, H, W) float16 of an overlay, for the heat maps."""

    overlay: int
    class_ids: tuple[int, ...]
    probabilities: NDArray[np.float16]


@dataclass(slots=True)
class _Place:
    overlay: Overlay | None = None
    status: Status = field(default_factory=Status)


class Board:
    """Newest overlay and status per image; safe to use from any thread and from event loops."""

    def __init__(self, *, first_number: int) -> None:
        self._number = first_number
        self._places: OrderedDict[int, _Place] = OrderedDict()
        self._opinions: OrderedDict[int, Opinion] = OrderedDict()
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._lock = threading.Lock()

    def pin(
        self,
        image_id: int,
        class_map: NDArray[np.uint8],
        *,
        covers: Mapping[str, int],
        milliseconds: float,
        made_at: datetime,
        opinion: tuple[tuple[int, ...], NDArray[np.float32]] | Literal["kept"] | None = None,
        is_final: bool = False,
    ) -> Overlay:
        """Show a class map (H, W) uint8 from now on.

        `opinion` is (class ids, probabilities (K, H, W)), or "kept": that of the overlay before.
        """
        packed = zlib.compress(np.ascontiguousarray(class_map).tobytes(), 1)
        height, width = class_map.shape
        with self._lock:
            self._number += 1
            overlay = Overlay(self._number, (height, width), packed, dict(covers), milliseconds, made_at, is_final)
            self._place(image_id).overlay = overlay
            earlier = self._opinions.pop(image_id, None)
            if opinion == "kept":
                if earlier is not None:
                    self._opinions[image_id] = replace(earlier, overlay=overlay.number)
            elif opinion is not None:
                self._opinions[image_id] = Opinion(overlay.number, opinion[0], opinion[1].astype(np.float16))
            while len(self._opinions) > PROBABILITIES_KEPT:
                self._opinions.popitem(last=False)
        self._wake()
        return overlay

    def cover(self, image_id: int, covers: Mapping[str, int]) -> None:
        """The overlay shown is up to date with these events too: they changed nothing it depends on."""
        with self._lock:
            place = self._places.get(image_id)
            shown = place.overlay if place else None
            if place is None or shown is None or dict(shown.covers) == dict(covers):
                return
            self._number += 1
            place.overlay = replace(shown, number=self._number, covers=dict(covers))
            opinion = self._opinions.get(image_id)
            if opinion is not None:
                self._opinions[image_id] = replace(opinion, overlay=self._number)
        self._wake()

    def unpin(self, image_id: int, *, covers: Mapping[str, int], made_at: datetime) -> None:
        """Show nothing from now on; an image that never had an overlay is left alone."""
        if self.overlay(image_id) is not None:
            nothing = np.full((1, 1), IGNORE, np.uint8)
            self.pin(image_id, nothing, covers=covers, milliseconds=0.0, made_at=made_at)

    def say(self, image_id: int, phase: Phase, *, progress: float = 0.0, message: str = "") -> None:
        """Change the status of an image; saying the same twice changes nothing."""
        with self._lock:
            place = self._place(image_id)
            status = Status(place.status.number, phase, progress, message)
            if status == place.status:
                return
            self._number += 1
            place.status = replace(status, number=self._number)
        self._wake()

    def overlay(self, image_id: int) -> Overlay | None:
        """The newest overlay of an image."""
        with self._lock:
            place = self._places.get(image_id)
            return place.overlay if place else None

    def status(self, image_id: int) -> Status:
        """What goes on for an image."""
        with self._lock:
            place = self._places.get(image_id)
            return place.status if place else Status()

    def opinion(self, image_id: int) -> Opinion | None:
        """Probabilities of the newest overlay, unless they are gone from memory."""
        with self._lock:
            return self._opinions.get(image_id)

    async def changed(self, image_id: int, *, overlay: int, status: int, timeout_s: float) -> bool:
        """Wait until an overlay or status newer than the given numbers is there; False after the timeout."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiters.add(waiter)
        deadline = waiter[0].time() + timeout_s
        try:
            while not self._is_newer(image_id, overlay, status):
                remaining = deadline - waiter[0].time()
                if remaining <= 0:
                    return False
                try:
                    await asyncio.wait_for(waiter[1].wait(), remaining)
                except TimeoutError:
                    return False
                waiter[1].clear()
            return True
        finally:
            with self._lock:
                self._waiters.discard(waiter)

    def _is_newer(self, image_id: int, overlay: int, status: int) -> bool:
        shown = self.overlay(image_id)
        return (shown is not None and shown.number > overlay) or self.status(image_id).number > status

    def _place(self, image_id: int) -> _Place:
        place = self._places.setdefault(image_id, _Place())
        self._places.move_to_end(image_id)
        while len(self._places) > OVERLAYS_KEPT:
            self._places.popitem(last=False)
        return place

    def _wake(self) -> None:
        with self._lock:
            waiters = list(self._waiters)
        for loop, waiter in waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(waiter.set)


def heat_map(opinion: Opinion, mode: Literal["probability", "uncertainty"], class_id: int) -> NDArray[np.uint8]:
    """(H, W) uint8: probability of a class, or 1 - margin between the two likeliest classes, times 255."""
    probabilities = opinion.probabilities
    if mode == "probability":
        if class_id not in opinion.class_ids:
            return np.zeros(probabilities.shape[1:], np.uint8)
        chosen = probabilities[opinion.class_ids.index(class_id)].astype(np.float32)
    else:
        chosen = margin(probabilities.astype(np.float32))
    return np.asarray(np.clip(chosen * 255, 0, 255), np.uint8)
