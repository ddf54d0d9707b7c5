"""Reading, working and writing side by side: in order, flat in memory, one failure at a time."""

from __future__ import annotations

import threading

import pytest

from fcnlab.errors import ImportRefused
from fcnlab.services.predict.overlapping import overlapped


def test_outcomes_come_in_order_and_work_stays_on_the_callers_thread() -> None:
    threads: set[int] = set()

    def work(number: int) -> int:
        threads.add(threading.get_ident())
        return number * number

    found = list(overlapped(range(1, 20), read=lambda one: one + 1, work=work, write=lambda one, made: (one, made)))

    assert [one.item for one in found] == list(range(1, 20))
    assert [one.kept for one in found] == [(one, (one + 1) ** 2) for one in range(1, 20)]
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("fails_in", ["read", "work", "write"])
def test_an_item_that_fails_is_named_and_the_rest_goes_on(fails_in: str) -> None:
    def step(name: str, number: int) -> int:
        if name == fails_in and number == 3:
            raise ImportRefused("three is damaged")
        return number

    found = list(
        overlapped(
            range(1, 6),
            read=lambda one: step("read", one),
            work=lambda one: step("work", one),
            write=lambda _, made: step("write", made),
        )
    )

    assert [one.kept for one in found] == [1, 2, None, 4, 5]
    assert str(found[2].refused) == "three is damaged"


def test_no_more_than_a_few_items_are_held_at_once() -> None:
    lock, held, most = threading.Lock(), 0, 0

    def read(number: int) -> int:
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        return number

    def write(_: int, made: int) -> int:
        nonlocal held
        with lock:
            held -= 1
        return made

    assert len(list(overlapped(range(1, 200), read=read, work=lambda one: one, write=write, ahead=3))) == 199
    assert most <= 8


def test_closing_early_writes_what_was_worked_on_and_reads_no_further() -> None:
    written: list[int] = []
    worked: list[int] = []
    read: list[int] = []

    def work(one: int) -> int:
        worked.append(one)
        return one

    steps = overlapped(
        range(1, 100), read=lambda one: read.append(one) or one, work=work, write=lambda one, _: written.append(one)
    )
    next(steps)
    steps.close()  # type: ignore[attr-defined]

    assert written == worked
    assert len(read) < 10


def test_a_bug_is_no_outcome() -> None:
    with pytest.raises(ZeroDivisionError):
        list(overlapped([1], read=lambda one: one, work=lambda one: one // 0, write=lambda _, made: made))
