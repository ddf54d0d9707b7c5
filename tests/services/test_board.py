"""The board: newest overlay per image, and who waits for it."""

from __future__ import annotations

import asyncio
import threading
import zlib
from datetime import UTC, datetime

import numpy as np

from fcnlab.services.board import OVERLAYS_KEPT, PROBABILITIES_KEPT, Board, Opinion, heat_map

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLASS_MAP = np.arange(12, dtype=np.uint8).reshape(3, 4)


def pin(board: Board, image_id: int = 1, **options: object) -> int:
    return board.pin(image_id, CLASS_MAP, covers={"tab": 4}, milliseconds=1.0, made_at=NOW, **options).number  # type: ignore[arg-type]


def test_a_pinned_map_unpacks_to_itself() -> None:
    board = Board(first_number=100)

    number = pin(board)

    overlay = board.overlay(1)
    assert overlay is not None
    assert number > 100
    unpacked = np.frombuffer(zlib.decompress(overlay.packed), np.uint8).reshape(overlay.hw)
    np.testing.assert_array_equal(unpacked, CLASS_MAP)


def test_numbers_only_rise() -> None:
    board = Board(first_number=0)

    numbers = [pin(board), pin(board, 2), pin(board)]
    board.say(1, "fitting")
    numbers.append(board.status(1).number)

    assert numbers == sorted(set(numbers))


def test_saying_the_same_twice_changes_nothing() -> None:
    board = Board(first_number=0)
    board.say(1, "missing", message="click")
    number = board.status(1).number

    board.say(1, "missing", message="click")

    assert board.status(1).number == number


def test_a_waiting_browser_wakes_when_another_thread_pins() -> None:
    board = Board(first_number=0)
    seen = pin(board)

    async def wait() -> bool:
        threading.Timer(0.05, pin, [board]).start()
        return await board.changed(1, overlay=seen, status=0, timeout_s=20)

    assert asyncio.run(wait())


def test_waiting_ends_without_news_and_not_by_news_of_another_image() -> None:
    board = Board(first_number=0)
    seen = pin(board)

    async def wait() -> bool:
        threading.Timer(0.02, pin, [board, 2]).start()
        return await board.changed(1, overlay=seen, status=0, timeout_s=0.2)

    assert not asyncio.run(wait())


def test_events_that_change_nothing_are_covered_by_the_same_map() -> None:
    board = Board(first_number=0)
    before = pin(board)

    board.cover(1, {"tab": 5})

    overlay = board.overlay(1)
    assert overlay is not None
    assert overlay.number > before
    assert overlay.covers == {"tab": 5}


def test_old_images_leave_the_board() -> None:
    board = Board(first_number=0)
    opinion = ((0, 1), np.full((2, 3, 4), 0.5, np.float32))
    for image_id in range(OVERLAYS_KEPT + 5):
        pin(board, image_id, opinion=opinion)

    kept = [image_id for image_id in range(OVERLAYS_KEPT + 5) if board.overlay(image_id)]
    opinions = [image_id for image_id in range(OVERLAYS_KEPT + 5) if board.opinion(image_id)]

    assert kept == list(range(5, OVERLAYS_KEPT + 5))
    assert opinions == kept[-PROBABILITIES_KEPT:]


def test_heat_maps_show_the_probability_of_a_class_and_the_lack_of_margin() -> None:
    probabilities = np.array([[[1.0, 0.5, 0.25]], [[0.0, 0.5, 0.75]]], np.float16)
    opinion = Opinion(1, (0, 7), probabilities)

    np.testing.assert_array_equal(heat_map(opinion, "probability", 7), [[0, 127, 191]])
    np.testing.assert_array_equal(heat_map(opinion, "uncertainty", 0), [[0, 255, 127]])
    np.testing.assert_array_equal(heat_map(opinion, "probability", 3), [[0, 0, 0]])
