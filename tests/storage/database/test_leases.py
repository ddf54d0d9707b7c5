"""Laws of the table of leases: one process holds a project, until it gives the lease back, falls silent or dies."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from fcnlab.domain.training import ProcessId
from fcnlab.storage.database import repository_trainings
from fcnlab.storage.database.engine import Sessions, reading, writing
from fcnlab.storage.files.presence import this_process
from tests.support.tables import ELSEWHERE, NOW, make_project, take


def holder(sessions: Sessions, project_id: int) -> ProcessId | None:
    with reading(sessions) as session:
        lease = repository_trainings.lease_of(session, project_id=project_id)
    return lease.process if lease else None


def test_of_many_who_want_a_lease_one_gets_it(sessions: Sessions, project_id: int) -> None:
    processes = [replace(ELSEWHERE, pid=number) for number in range(8)]
    won: list[ProcessId] = []
    start = threading.Barrier(len(processes))

    def try_it(process: ProcessId) -> None:
        start.wait()
        if take(sessions, project_id, process):
            won.append(process)

    threads = [threading.Thread(target=try_it, args=(process,)) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [holder(sessions, project_id)] == won


def test_a_live_lease_is_refused_to_others_and_given_again_to_its_holder(sessions: Sessions, project_id: int) -> None:
    later = NOW + timedelta(seconds=29)
    assert take(sessions, project_id, ELSEWHERE)

    assert not take(sessions, project_id, this_process(), now=later)

    assert holder(sessions, project_id) == ELSEWHERE
    assert take(sessions, project_id, ELSEWHERE, now=later)


def test_a_lease_without_a_heartbeat_is_taken_over_and_cannot_be_renewed(sessions: Sessions, project_id: int) -> None:
    later = NOW + timedelta(seconds=31)
    take(sessions, project_id, ELSEWHERE)

    assert take(sessions, project_id, this_process(), now=later)

    with writing(sessions) as session:
        assert not repository_trainings.renew_lease(session, project_id=project_id, process=ELSEWHERE, now=later)
        repository_trainings.give_back_lease(session, project_id=project_id, process=ELSEWHERE)
    assert holder(sessions, project_id) == this_process()


def test_a_renewed_lease_stays_live(sessions: Sessions, project_id: int) -> None:
    take(sessions, project_id, ELSEWHERE)
    for seconds in (20, 40, 60):
        with writing(sessions) as session:
            now = NOW + timedelta(seconds=seconds)
            assert repository_trainings.renew_lease(session, project_id=project_id, process=ELSEWHERE, now=now)

    assert not take(sessions, project_id, this_process(), now=NOW + timedelta(seconds=85))


@pytest.mark.parametrize(
    "dead",
    [
        pytest.param(replace(this_process(), pid=2**22 + 1), id="no such process"),
        pytest.param(replace(this_process(), started=this_process().started - 100), id="number given again"),
    ],
)
def test_the_lease_of_a_process_known_to_be_dead_is_taken_at_once(
    sessions: Sessions, project_id: int, dead: ProcessId
) -> None:
    take(sessions, project_id, dead)

    assert take(sessions, project_id, this_process())


def test_a_lease_given_back_is_free(sessions: Sessions, project_id: int) -> None:
    take(sessions, project_id, ELSEWHERE)
    with writing(sessions) as session:
        repository_trainings.give_back_lease(session, project_id=project_id, process=ELSEWHERE)

    assert holder(sessions, project_id) is None
    assert take(sessions, project_id, this_process())


def test_a_lease_is_of_one_project_only(sessions: Sessions, project_id: int) -> None:
    other = make_project(sessions, "other")
    take(sessions, project_id, ELSEWHERE)

    assert take(sessions, other, this_process())
    with reading(sessions) as session:
        assert [lease.project_id for lease in repository_trainings.leases(session)] == [project_id, other]
