"""The compute thread: one step at a time, clicks first."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from fcnlab.errors import ShuttingDown
from fcnlab.services.live import compute as compute_module
from fcnlab.services.live.compute import ComputeThread, Priority


@pytest.fixture
def held() -> Iterator[tuple[ComputeThread, threading.Event]]:
    """A thread busy with a step that ends when the event is set."""
    compute, gate, busy = ComputeThread(), threading.Event(), threading.Event()

    def hold() -> None:
        busy.set()
        gate.wait(30)

    compute.submit(hold, priority=Priority.CLICK)
    assert busy.wait(30)
    yield compute, gate
    gate.set()
    compute.close()


def test_clicks_go_first_in_their_order_and_prefetch_last(
    held: tuple[ComputeThread, threading.Event],
) -> None:
    compute, gate = held
    order: list[str] = []
    waiting = [
        compute.submit(lambda name=name: order.append(name), priority=priority)
        for name, priority in [
            ("ahead", Priority.PREFETCH),
            ("first export", Priority.EXPORT),
            ("second export", Priority.EXPORT),
            ("older click", Priority.CLICK),
            ("view", Priority.VIEW),
            ("newer click", Priority.CLICK),
        ]
    ]

    gate.set()
    for result in waiting:
        result.result(30)

    assert order == ["older click", "newer click", "view", "first export", "second export", "ahead"]


def test_three_quick_requests_of_one_key_make_one_step(held: tuple[ComputeThread, threading.Event]) -> None:
    compute, gate = held
    ran: list[int] = []
    results = [compute.submit(lambda n=n: ran.append(n), priority=Priority.CLICK, key="fit") for n in range(3)]

    gate.set()
    results[-1].result(30)

    assert ran == [2]
    assert [result.cancelled() for result in results] == [True, True, False]


def test_a_replacement_keeps_the_better_place_in_the_queue(held: tuple[ComputeThread, threading.Event]) -> None:
    compute, gate = held
    order: list[str] = []
    compute.submit(lambda: order.append("view of image 1"), priority=Priority.CLICK, key="1")
    compute.submit(lambda: order.append("view of image 2"), priority=Priority.VIEW, key="2")
    last = compute.submit(lambda: order.append("view of image 1 again"), priority=Priority.REFRESH, key="1")

    gate.set()
    last.result(30)
    compute.submit(lambda: None, priority=Priority.PREFETCH).result(30)

    assert order == ["view of image 1 again", "view of image 2"]


def test_nothing_waits_for_ever_behind_clicks(
    held: tuple[ComputeThread, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    compute, gate = held
    order: list[str] = []
    asked = [compute.submit(lambda: order.append("refresh"), priority=Priority.REFRESH)]
    later = time.monotonic() + 3.5
    monkeypatch.setattr(compute_module.time, "monotonic", lambda: later)
    asked += [compute.submit(lambda: order.append("click"), priority=Priority.CLICK)]

    gate.set()
    for result in asked:
        result.result(30)

    assert order == ["refresh", "click"]


def test_a_click_more_on_an_image_takes_the_place_of_the_one_that_waits(
    held: tuple[ComputeThread, threading.Event],
) -> None:
    compute, gate = held
    order: list[str] = []
    compute.submit(lambda: order.append("first of Ada"), priority=Priority.CLICK, key="Ada's image")
    compute.submit(lambda: order.append("first of Bob"), priority=Priority.CLICK, key="Bob's image")
    compute.submit(lambda: order.append("both of Ada"), priority=Priority.CLICK, key="Ada's image")
    last = compute.submit(lambda: order.append("both of Bob"), priority=Priority.CLICK, key="Bob's image")

    gate.set()
    last.result(30)

    assert order == ["both of Ada", "both of Bob"]


def test_a_failing_step_hands_over_its_failure_and_the_thread_lives_on() -> None:
    compute = ComputeThread()

    def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        compute.submit(fail, priority=Priority.CLICK).result(30)

    assert compute.submit(lambda: 7, priority=Priority.CLICK).result(30) == 7
    compute.close()


def test_a_failure_that_nobody_waits_for_is_logged_with_its_traceback_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    compute, told = ComputeThread(), []

    def fail() -> None:
        raise MemoryError("no room")

    compute.post(fail, priority=Priority.PREFETCH, key="learn-4", failed=told.append)
    compute.submit(lambda: None, priority=Priority.PREFETCH).result(30)

    assert [type(one) for one in told] == [MemoryError]
    (record,) = [one for one in caplog.records if one.exc_info]
    assert "learn-4" in record.getMessage()
    compute.close()


def test_a_failure_of_what_is_told_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    compute = ComputeThread()

    def fail(_failure: BaseException | None = None) -> None:
        raise RuntimeError("broken as well")

    compute.post(fail, priority=Priority.CLICK, failed=fail)

    assert compute.submit(lambda: 7, priority=Priority.PREFETCH).result(30) == 7
    assert len([one for one in caplog.records if one.exc_info]) == 2
    compute.close()


def test_what_is_asked_after_the_end_is_refused_and_never_hangs() -> None:
    compute = ComputeThread()
    compute.close()

    with pytest.raises(ShuttingDown, match="start it again"):
        compute.submit(lambda: None, priority=Priority.CLICK)
    compute.post(lambda: None, priority=Priority.CLICK, failed=lambda _failure: None)


def test_closing_cancels_what_waits(held: tuple[ComputeThread, threading.Event]) -> None:
    compute, gate = held
    waiting = compute.submit(lambda: None, priority=Priority.CLICK)
    closing = threading.Thread(target=compute.close)
    closing.start()
    gate.set()
    closing.join(30)

    assert waiting.cancelled()


def test_clicks_run_in_the_middle_of_what_gives_way_and_nothing_less_urgent_does(
    held: tuple[ComputeThread, threading.Event],
) -> None:
    compute, gate = held
    order: list[str] = []

    def click() -> None:
        order.append("click")
        compute.submit(lambda: order.append("second click"), priority=Priority.CLICK)
        compute.give_way()
        order.append("clicked")

    def ahead() -> str:
        order.append("begun")
        compute.submit(lambda: order.append("export"), priority=Priority.EXPORT)
        compute.submit(click, priority=Priority.CLICK)
        compute.give_way()
        order.append("gone on")
        compute.submit(lambda: order.append("view"), priority=Priority.VIEW)
        compute.give_way()
        return "done"

    result = compute.submit(ahead, priority=Priority.PREFETCH, gives_way=True)
    gate.set()

    assert result.result(30) == "done"
    compute.submit(lambda: None, priority=Priority.PREFETCH).result(30)
    assert order == ["begun", "click", "clicked", "second click", "gone on", "view", "export"]


def test_other_steps_and_other_threads_never_give_way(held: tuple[ComputeThread, threading.Event]) -> None:
    compute, gate = held
    order: list[str] = []

    def ahead() -> None:
        compute.submit(lambda: order.append("click"), priority=Priority.CLICK)
        compute.give_way()
        order.append("ahead")

    result = compute.submit(ahead, priority=Priority.PREFETCH)
    compute.give_way()
    gate.set()
    result.result(30)
    compute.submit(lambda: None, priority=Priority.PREFETCH).result(30)

    assert order == ["ahead", "click"]


def test_a_click_that_fails_in_the_middle_of_another_step_harms_only_itself(
    held: tuple[ComputeThread, threading.Event],
) -> None:
    compute, gate = held
    clicks: list[Future[None]] = []

    def fail() -> None:
        raise ValueError("broken")

    def ahead() -> str:
        clicks.append(compute.submit(fail, priority=Priority.CLICK))
        compute.give_way()
        return "done"

    result = compute.submit(ahead, priority=Priority.PREFETCH, gives_way=True)
    gate.set()

    assert result.result(30) == "done"
    with pytest.raises(ValueError, match="broken"):
        clicks[0].result(30)
