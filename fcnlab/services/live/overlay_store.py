"""The newest mask of each image, published by the learner, and browsers that wait for it."""

from __future__ import annotations

import asyncio
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from fcnlab.core.learner.queries import margin
from fcnlab.core.tiling.tiles import NOTHING, Box, changed_box, joined
from fcnlab.domain.counting import ImageCount
from fcnlab.domain.project import IGNORE

Phase = Literal["idle", "queued", "encoding", "fitting", "missing", "error"]
OVERLAYS_KEPT = 32
OVERLAY_BYTES = 64_000_000
"""Masks on the overlay store take no more, but for the newest."""

PROBABILITIES_KEPT = 4
CHANGES_KEPT = 64
"""A browser that missed more overlays than this gets the whole of the newest."""


@dataclass(frozen=True, slots=True)
class Change:
    """Where an overlay differs from the one before it, in its class ids and in its probabilities."""

    number: int
    class_ids: Box
    probabilities: Box


@dataclass(frozen=True, slots=True)
class Overlay:
    """A mask to lay over an image.

    Attributes:
        number: rises with every overlay of this process, and from one process to the next.
        class_map: (H, W) uint8 at the learner's resolution; IGNORE is drawn as nothing. Never written to.
        covers: per browser tab, the highest event that this mask has learned from.
        changes: how it came about, this overlay's own last.
        newest: the class ids of the last change, packed.
        is_final: the stored mask of a done image.
        spans: milliseconds of the parts of making it, by name.
        count: what was counted, in a project that counts.
    """

    number: int
    class_map: NDArray[np.uint8]
    covers: Mapping[str, int]
    milliseconds: float
    made_at: datetime
    changes: tuple[Change, ...]
    newest: bytes
    is_final: bool = False
    count: ImageCount | None = None
    spans: Mapping[str, float] = field(default_factory=dict)

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the mask."""
        return self.class_map.shape[0], self.class_map.shape[1]

    def since(self, number: int, *, of: Literal["class_ids", "probabilities"]) -> tuple[int, Box]:
        """What whoever has overlay `number` needs: `number` and the box in which this one differs, or 0 and all."""
        numbers = [change.number for change in self.changes]
        if number not in numbers:
            return 0, Box(0, 0, *self.hw)
        return number, joined(getattr(change, of) for change in self.changes[numbers.index(number) + 1 :])


def packed(values: NDArray[np.uint8], box: Box) -> bytes:
    """zlib stream of a box of a map (H, W) uint8, row by row."""
    return zlib.compress(values[box.slices].tobytes(), 1)


@dataclass(frozen=True, slots=True)
class Status:
    """What the learner does for an image just now. `number` rises with every change."""

    number: int = 0
    phase: Phase = "idle"
    progress: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True)
class OverlayProbabilities:
    """Probabilities (K, H, W) float16 of an overlay, for the heat maps.

    Probabilities that follow each other on an image tile by tile share their array: read it with `part` from another
    thread than the one that publishes.
    """

    overlay: int
    class_ids: tuple[int, ...]
    probabilities: NDArray[np.float16]
    lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def part(self, box: Box) -> NDArray[np.float16]:
        """A copy (K, h, w) of the probabilities in a box, of one moment."""
        with self.lock:
            return self.probabilities[(slice(None), *box.slices)].copy()


@dataclass(slots=True)
class _Slot:
    overlay: Overlay | None = None
    status: Status = field(default_factory=Status)


class OverlayStore:
    """Newest overlay and status per image; safe to use from any thread and from event loops."""

    def __init__(self, *, first_number: int) -> None:
        self._number = first_number
        self._slots: OrderedDict[int, _Slot] = OrderedDict()
        self._probabilities: OrderedDict[int, OverlayProbabilities] = OrderedDict()
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._is_closed = False
        self._lock = threading.Lock()

    def publish(
        self,
        image_id: int,
        class_map: NDArray[np.uint8],
        *,
        covers: Mapping[str, int],
        milliseconds: float,
        made_at: datetime,
        class_probabilities: tuple[tuple[int, ...], NDArray[np.floating]] | Literal["kept"] | None = None,
        touched: Box | None = None,
        is_final: bool = False,
        count: ImageCount | None = None,
        spans: Mapping[str, float] | None = None,
    ) -> Overlay:
        """Show a class map (H, W) uint8 from now on, which is not written to any more.

        `class_probabilities` are (class ids, probabilities (K, H, W)), or "kept": those of the overlay before. With
        `touched` the caller goes on writing to the probabilities, which are copied: those outside this box are as they
        were when the overlay before was published.
        """
        began = time.perf_counter()
        shown = self.overlay(image_id)
        changed = Box(0, 0, *class_map.shape) if shown is None else changed_box(shown.class_map, class_map)
        newest = packed(class_map, changed)
        with self._lock:
            self._number += 1
            touched = self._keep_probabilities(image_id, class_probabilities, touched) or Box(0, 0, *class_map.shape)
            change = Change(self._number, changed, touched)
            before = () if shown is None or shown.hw != class_map.shape else shown.changes[1 - CHANGES_KEPT :]
            changes = (*before, change)
            publish = (time.perf_counter() - began) * 1000
            overlay = Overlay(
                self._number,
                class_map,
                dict(covers),
                milliseconds + publish,
                made_at,
                changes,
                newest,
                is_final,
                count,
                {**(spans or {}), "publish": publish},
            )
            self._slot(image_id).overlay = overlay
            self._forget_oldest()
        self._wake()
        return overlay

    def acknowledge(self, image_id: int, covers: Mapping[str, int]) -> None:
        """The overlay shown is up to date with these events too: they changed nothing it depends on."""
        with self._lock:
            slot = self._slots.get(image_id)
            shown = slot.overlay if slot else None
            if slot is None or shown is None or dict(shown.covers) == dict(covers):
                return
            self._number += 1
            change = Change(self._number, NOTHING, NOTHING)
            slot.overlay = replace(
                shown,
                number=self._number,
                covers=dict(covers),
                changes=(*shown.changes[1 - CHANGES_KEPT :], change),
                newest=packed(shown.class_map, NOTHING),
            )
            class_probabilities = self._probabilities.get(image_id)
            if class_probabilities is not None:
                self._probabilities[image_id] = replace(class_probabilities, overlay=self._number)
        self._wake()

    def withdraw(self, image_id: int, *, covers: Mapping[str, int], made_at: datetime) -> None:
        """Show nothing from now on; an image that never had an overlay is left alone."""
        if self.overlay(image_id) is not None:
            nothing = np.full((1, 1), IGNORE, np.uint8)
            self.publish(image_id, nothing, covers=covers, milliseconds=0.0, made_at=made_at)

    def set_status(self, image_id: int, phase: Phase, *, progress: float = 0.0, message: str = "") -> None:
        """Change the status of an image; saying the same twice changes nothing."""
        with self._lock:
            slot = self._slot(image_id)
            status = Status(slot.status.number, phase, progress, message)
            if status == slot.status:
                return
            self._number += 1
            slot.status = replace(status, number=self._number)
        self._wake()

    def overlay(self, image_id: int) -> Overlay | None:
        """The newest overlay of an image."""
        with self._lock:
            slot = self._slots.get(image_id)
            return slot.overlay if slot else None

    def status(self, image_id: int) -> Status:
        """What the learner does for an image just now."""
        with self._lock:
            slot = self._slots.get(image_id)
            return slot.status if slot else Status()

    def class_probabilities(self, image_id: int) -> OverlayProbabilities | None:
        """Probabilities of the newest overlay, unless they are gone from memory."""
        with self._lock:
            return self._probabilities.get(image_id)

    async def changed(self, image_id: int, *, overlay: int, status: int, timeout_s: float) -> bool:
        """Wait until an overlay or status newer than the given numbers is there; False after the timeout, or closed."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiters.add(waiter)
        deadline = waiter[0].time() + timeout_s
        try:
            while not self._is_newer(image_id, overlay, status):
                remaining = deadline - waiter[0].time()
                if remaining <= 0 or self._is_closed:
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

    def close(self) -> None:
        """Wake all who wait in `changed`: the server is about to end."""
        self._is_closed = True
        self._wake()

    def _is_newer(self, image_id: int, overlay: int, status: int) -> bool:
        shown = self.overlay(image_id)
        return (shown is not None and shown.number > overlay) or self.status(image_id).number > status

    def _slot(self, image_id: int) -> _Slot:
        slot = self._slots.setdefault(image_id, _Slot())
        self._slots.move_to_end(image_id)
        while len(self._slots) > OVERLAYS_KEPT:
            self._slots.popitem(last=False)
        return slot

    def _keep_probabilities(
        self,
        image_id: int,
        class_probabilities: tuple[tuple[int, ...], NDArray[np.floating]] | Literal["kept"] | None,
        touched: Box | None,
    ) -> Box | None:
        """Keep the probabilities of the newest overlay; returns the box where they are new, None for everywhere."""
        earlier = self._probabilities.pop(image_id, None)
        if class_probabilities == "kept":
            if earlier is None:
                return None
            self._probabilities[image_id] = replace(earlier, overlay=self._number)
            return NOTHING
        if class_probabilities is None:
            return None
        class_ids, probabilities = class_probabilities
        if touched is None:
            self._probabilities[image_id] = OverlayProbabilities(self._number, class_ids, _halved(probabilities))
        elif earlier is None or (earlier.class_ids, earlier.probabilities.shape) != (class_ids, probabilities.shape):
            self._probabilities[image_id] = OverlayProbabilities(
                self._number, class_ids, _halved(probabilities, copy=True)
            )
        else:
            box = (slice(None), *touched.slices)
            with earlier.lock:
                earlier.probabilities[box] = probabilities[box]
            self._probabilities[image_id] = replace(earlier, overlay=self._number)
        while len(self._probabilities) > PROBABILITIES_KEPT:
            self._probabilities.popitem(last=False)
        return None if earlier is None else touched

    def _forget_oldest(self) -> None:
        held = [0 if slot.overlay is None else slot.overlay.class_map.nbytes for slot in self._slots.values()]
        while sum(held) > OVERLAY_BYTES and len(held) > 1:
            held.pop(0)
            self._slots.popitem(last=False)

    def _wake(self) -> None:
        with self._lock:
            waiters = list(self._waiters)
        for loop, waiter in waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(waiter.set)


def _halved(probabilities: NDArray[np.floating], *, copy: bool = False) -> NDArray[np.float16]:
    """As float16, an array of its own if `copy`; several times as fast as NumPy does it."""
    if probabilities.dtype == np.float16:
        return np.array(probabilities, np.float16, copy=copy or None)
    return np.asarray(torch.from_numpy(np.ascontiguousarray(probabilities)).half().numpy())


HeatMode = Literal["probability", "uncertainty", "grade"]
"""What a heat map shows."""


def heat_map(
    class_probabilities: OverlayProbabilities, mode: HeatMode, class_ids: Sequence[int] = ()
) -> NDArray[np.uint8]:
    """(H, W) uint8 of what a mode shows of the probabilities.

    `probability`: of the class `class_ids`, times 255. `uncertainty`: 1 - margin between the two likeliest classes,
    times 255. `grade`: the grade to expect where `class_ids` are the grades, the lowest first: 1 for the lowest to 255
    for the highest, and 0 where no grade is more likely than not.
    """
    probabilities = class_probabilities.probabilities
    places = {class_id: place for place, class_id in enumerate(class_probabilities.class_ids)}
    if mode == "uncertainty":
        chosen = margin(probabilities.astype(np.float32))
    elif mode == "grade":
        return _expected_grades(probabilities, [places.get(class_id) for class_id in class_ids])
    elif class_ids and class_ids[0] in places:
        chosen = probabilities[places[class_ids[0]]].astype(np.float32)
    else:
        return np.zeros(probabilities.shape[1:], np.uint8)
    return np.asarray(np.clip(chosen * 255, 0, 255), np.uint8)


def _expected_grades(probabilities: NDArray[np.floating], places: Sequence[int | None]) -> NDArray[np.uint8]:
    """The grades to expect, see `heat_map`, of those in `places` of the probabilities; None for a grade without any."""
    share, total = (np.zeros(probabilities.shape[1:], np.float32) for _ in range(2))
    for grade, place in enumerate(places):
        if place is not None:
            share += probabilities[place]
            total += np.float32(grade / max(len(places) - 1, 1)) * probabilities[place]
    expected = 1 + np.rint(254 * total / np.maximum(share, 1e-6))
    return np.where(share > 0.5, np.clip(expected, 1, 255), 0).astype(np.uint8)


def packed_heat(
    class_probabilities: OverlayProbabilities | None,
    box: Box,
    mode: HeatMode,
    class_ids: Sequence[int] = (),
) -> bytes:
    """A box of a heat map, packed as class ids are; zeros while there are no probabilities of that size."""
    if class_probabilities is None or box != box.clipped(class_probabilities.probabilities.shape[1:3]):
        return packed(np.zeros(box.hw, np.uint8), Box(0, 0, *box.hw))
    part = replace(class_probabilities, probabilities=class_probabilities.part(box))
    return packed(heat_map(part, mode, class_ids), Box(0, 0, *box.hw))
