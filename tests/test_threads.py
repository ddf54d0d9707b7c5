"""Threads: what a click waits for takes one, and everybody else keeps what is set."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from fcnlab.threads import _loaded_pools, on_one_thread


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """Two threads everywhere, also where there is one core; libraries loaded by other tests are in what is asked."""
    _loaded_pools.cache_clear()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with threadpool_limits(2):
        yield
    torch.set_num_threads(before)


def counts() -> list[int]:
    """Threads of every pool, as this thread sees them."""
    np.dot(np.ones((2, 2)), np.ones((2, 2)))
    return [pool["num_threads"] for pool in threadpool_info()]


def test_work_on_one_thread_leaves_the_pools_as_they_were() -> None:
    before = counts(), torch.get_num_threads()

    inside = on_one_thread(lambda: (counts(), torch.get_num_threads()))()

    assert set(before[0]) == {2}
    assert set(inside[0]) == {1}
    assert inside[1] == 1
    assert (counts(), torch.get_num_threads()) == before


def test_a_failure_gives_the_pools_back() -> None:
    before = counts()

    @on_one_thread
    def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert counts() == before


def test_two_at_once_give_the_pools_back_when_the_last_one_ends() -> None:
    before, inside, go_on = counts(), threading.Barrier(3), threading.Event()

    @on_one_thread
    def wait() -> None:
        inside.wait(30)
        go_on.wait(30)

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait(30)
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert counts() == before
