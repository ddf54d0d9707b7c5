"""The overlay_store: newest overlay per image, and who waits for it."""

from __future__ import annotations

import asyncio
import threading
import zlib
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from fcnlab.core.tiling.tiles import NOTHING, Box
from fcnlab.services.live.overlay_store import (
    CHANGES_KEPT,
    OVERLAYS_KEPT,
    PROBABILITIES_KEPT,
    OverlayProbabilities,
    OverlayStore,
    heat_map,
    packed,
    packed_heat,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLASS_MAP = np.arange(12, dtype=np.uint8).reshape(3, 4)


def publish(overlay_store: OverlayStore, image_id: int = 1, **options: object) -> int:
    return overlay_store.publish(
        image_id, CLASS_MAP, covers={"tab": 4}, milliseconds=1.0, made_at=NOW, **options
    ).number  # type: ignore[arg-type]


def unpacked(data: bytes, box: Box) -> NDArray[np.uint8]:
    return np.frombuffer(zlib.decompress(data), np.uint8).reshape(box.hw)


def test_a_pinned_map_unpacks_to_itself() -> None:
    overlay_store = OverlayStore(first_number=100)

    number = publish(overlay_store)

    overlay = overlay_store.overlay(1)
    assert overlay is not None
    assert number > 100
    assert overlay.since(0, of="class_ids") == (0, Box(0, 0, 3, 4))
    np.testing.assert_array_equal(unpacked(overlay.newest, Box(0, 0, 3, 4)), CLASS_MAP)


def test_probabilities_that_are_written_to_while_they_are_shown_are_those_of_one_moment() -> None:
    """As with wide images, whose tiles are written into one array: a reader never sees half of a tile."""
    overlay_store, box = OverlayStore(first_number=0), Box(1, 2, 40, 50)
    live = np.zeros((2, 64, 64), np.float16)
    number = publish(overlay_store, class_probabilities=((0, 1), live), touched=Box(0, 0, 64, 64))
    first = overlay_store.class_probabilities(1)
    assert first is not None

    live[:] = 1  # before it is pinned nobody sees it
    assert not first.part(box).any()
    ends, torn = threading.Event(), []

    def read() -> None:
        while not ends.is_set():
            class_probabilities = overlay_store.class_probabilities(1)
            assert class_probabilities is not None
            if len(np.unique(class_probabilities.part(box))) != 1:
                torn.append(class_probabilities.overlay)

    reader = threading.Thread(target=read)
    reader.start()
    for value in range(2, 200):
        live[(slice(None), *box.slices)] = value
        newest = publish(overlay_store, class_probabilities=((0, 1), live), touched=box)
    ends.set()
    reader.join()

    last = overlay_store.class_probabilities(1)
    assert last is not None
    assert (torn, last.overlay > number, last.overlay) == ([], True, newest)
    assert (last.part(box) == 199).all()
    assert not last.part(Box(0, 0, 1, 64)).any()


def test_whoever_has_an_older_map_and_the_box_that_changed_has_the_newest() -> None:
    rng, overlay_store = np.random.default_rng(0), OverlayStore(first_number=0)
    class_map = np.zeros((13, 21), np.uint8)
    had = {}
    for _ in range(30):
        class_map = class_map.copy()
        top, left = rng.integers(13), rng.integers(21)
        class_map[top : top + rng.integers(4), left : left + rng.integers(5)] = rng.integers(3)
        number = overlay_store.publish(1, class_map, covers={}, milliseconds=1.0, made_at=NOW).number
        had[number] = class_map
        if rng.integers(2):
            overlay_store.acknowledge(1, {"tab": number})
    newest = overlay_store.overlay(1)
    assert newest is not None

    for number, before in had.items():
        base, box = newest.since(number, of="class_ids")
        assert base == number
        patched = before.copy()
        patched[box.slices] = unpacked(packed(newest.class_map, box), box)
        np.testing.assert_array_equal(patched, class_map)
    last = newest.changes[-1].class_ids
    np.testing.assert_array_equal(unpacked(newest.newest, last), class_map[last.slices])


def test_unknown_numbers_and_maps_of_another_size_get_the_whole() -> None:
    overlay_store = OverlayStore(first_number=0)
    before = publish(overlay_store)
    overlay = overlay_store.publish(1, np.zeros((5, 7), np.uint8), covers={}, milliseconds=1.0, made_at=NOW)

    assert overlay.since(before, of="class_ids") == (0, Box(0, 0, 5, 7))
    assert overlay.since(overlay.number + 1, of="class_ids") == (0, Box(0, 0, 5, 7))
    assert overlay.since(overlay.number, of="class_ids") == (overlay.number, NOTHING)
    for _ in range(CHANGES_KEPT):
        newest = overlay_store.publish(1, overlay.class_map, covers={}, milliseconds=1.0, made_at=NOW)
    assert newest.since(overlay.number, of="class_ids") == (0, Box(0, 0, 5, 7))
    assert len(newest.changes) == CHANGES_KEPT


def test_probabilities_change_where_they_were_touched_and_everywhere_after_they_were_gone() -> None:
    overlay_store, touched = OverlayStore(first_number=0), Box(1, 0, 2, 3)
    probabilities = np.full((2, 3, 4), 0.5, np.float16)
    first = publish(overlay_store)
    second = publish(overlay_store, class_probabilities=((0, 1), probabilities), touched=touched)
    third = publish(overlay_store, class_probabilities="kept")
    probabilities[(slice(None), *touched.slices)] = [[[1]], [[0]]]  # as the next tile is written
    fourth = publish(overlay_store, class_probabilities=((0, 1), probabilities), touched=touched)
    newest = overlay_store.overlay(1)
    assert newest is not None

    assert newest.since(first, of="probabilities")[1] == Box(0, 0, 3, 4)
    assert newest.since(second, of="probabilities")[1] == touched
    assert newest.since(third, of="probabilities")[1] == touched
    assert newest.since(fourth, of="probabilities")[1] == NOTHING
    heat = unpacked(packed_heat(overlay_store.class_probabilities(1), touched, "probability", [1]), touched)
    np.testing.assert_array_equal(heat, [[0, 0, 0]])
    assert not unpacked(packed_heat(None, touched, "uncertainty"), touched).any()


def test_the_board_holds_no_more_than_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcnlab.services.live.overlay_store.OVERLAY_BYTES", 30)
    overlay_store = OverlayStore(first_number=0)

    for image_id in range(4):
        publish(overlay_store, image_id)

    assert [image_id for image_id in range(4) if overlay_store.overlay(image_id)] == [2, 3]


def test_numbers_only_rise() -> None:
    overlay_store = OverlayStore(first_number=0)

    numbers = [publish(overlay_store), publish(overlay_store, 2), publish(overlay_store)]
    overlay_store.set_status(1, "fitting")
    numbers.append(overlay_store.status(1).number)

    assert numbers == sorted(set(numbers))


def test_saying_the_same_twice_changes_nothing() -> None:
    overlay_store = OverlayStore(first_number=0)
    overlay_store.set_status(1, "missing", message="click")
    number = overlay_store.status(1).number

    overlay_store.set_status(1, "missing", message="click")

    assert overlay_store.status(1).number == number


def test_a_waiting_browser_wakes_when_another_thread_pins() -> None:
    overlay_store = OverlayStore(first_number=0)
    seen = publish(overlay_store)

    async def wait() -> bool:
        threading.Timer(0.05, publish, [overlay_store]).start()
        return await overlay_store.changed(1, overlay=seen, status=0, timeout_s=20)

    assert asyncio.run(wait())


def test_waiting_ends_without_news_and_not_by_news_of_another_image() -> None:
    overlay_store = OverlayStore(first_number=0)
    seen = publish(overlay_store)

    async def wait() -> bool:
        threading.Timer(0.02, publish, [overlay_store, 2]).start()
        return await overlay_store.changed(1, overlay=seen, status=0, timeout_s=0.2)

    assert not asyncio.run(wait())


def test_nobody_waits_at_a_closed_board() -> None:
    overlay_store = OverlayStore(first_number=0)
    seen = publish(overlay_store)

    async def wait() -> list[bool]:
        threading.Timer(0.05, overlay_store.close).start()
        waiting = [overlay_store.changed(1, overlay=seen, status=0, timeout_s=20) for _ in range(2)]
        return [*await asyncio.gather(*waiting), await overlay_store.changed(1, overlay=seen, status=0, timeout_s=20)]

    assert asyncio.run(asyncio.wait_for(wait(), 10)) == [False, False, False]


def test_events_that_change_nothing_are_covered_by_the_same_map() -> None:
    overlay_store = OverlayStore(first_number=0)
    before = publish(overlay_store)

    overlay_store.acknowledge(1, {"tab": 5})

    overlay = overlay_store.overlay(1)
    assert overlay is not None
    assert overlay.number > before
    assert overlay.covers == {"tab": 5}


def test_old_images_leave_the_board() -> None:
    overlay_store = OverlayStore(first_number=0)
    class_probabilities = ((0, 1), np.full((2, 3, 4), 0.5, np.float32))
    for image_id in range(OVERLAYS_KEPT + 5):
        publish(overlay_store, image_id, class_probabilities=class_probabilities)

    kept = [image_id for image_id in range(OVERLAYS_KEPT + 5) if overlay_store.overlay(image_id)]
    image_ids = [image_id for image_id in range(OVERLAYS_KEPT + 5) if overlay_store.class_probabilities(image_id)]

    assert kept == list(range(5, OVERLAYS_KEPT + 5))
    assert image_ids == kept[-PROBABILITIES_KEPT:]


def test_heat_maps_show_the_probability_of_a_class_and_the_lack_of_margin() -> None:
    probabilities = np.array([[[1.0, 0.5, 0.25]], [[0.0, 0.5, 0.75]]], np.float16)
    class_probabilities = OverlayProbabilities(1, (0, 7), probabilities)

    np.testing.assert_array_equal(heat_map(class_probabilities, "probability", [7]), [[0, 127, 191]])
    np.testing.assert_array_equal(heat_map(class_probabilities, "uncertainty"), [[0, 255, 127]])
    np.testing.assert_array_equal(heat_map(class_probabilities, "probability", [3]), [[0, 0, 0]])


def test_a_heat_map_of_grades_shows_the_one_to_expect_and_nothing_where_there_is_none() -> None:
    probabilities = np.array([[[0, 0, 0.5, 0.9, 0.1]], [[1, 0, 0, 0.1, 0]], [[0, 1, 0.5, 0, 0.9]]], np.float16)
    class_probabilities = OverlayProbabilities(1, (4, 0, 7), probabilities)

    np.testing.assert_array_equal(heat_map(class_probabilities, "grade", [0, 7]), [[1, 255, 0, 0, 255]])
    np.testing.assert_array_equal(heat_map(class_probabilities, "grade", [0, 4, 7]), [[1, 255, 191, 115, 242]])
    np.testing.assert_array_equal(heat_map(class_probabilities, "grade", [0, 99]), [[1, 0, 0, 0, 0]])
