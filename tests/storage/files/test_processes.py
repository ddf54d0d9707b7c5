"""A process that trains steps back, alone and as a session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

SCRIPT = (
    "from fcnlab.storage.files.presence import yield_to_others; yield_to_others(); print('ready', flush=True); input()"
)


@pytest.mark.skipif(not os.access("/proc/self/autogroup", os.W_OK), reason="no grouping of processes by session here")
def test_a_process_that_steps_back_takes_its_own_session_with_it() -> None:
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        niceness = psutil.Process(process.pid).nice()
        group = Path(f"/proc/{process.pid}/autogroup").read_text()
        process.communicate("\n")

    assert niceness == 19
    assert group.split()[-1] == "19"


@pytest.mark.skipif(not os.access("/proc/self/autogroup", os.W_OK), reason="no grouping of processes by session here")
def test_a_process_in_the_session_of_others_leaves_that_session_alone() -> None:
    before = Path("/proc/self/autogroup").read_text()
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.communicate("\n")

    assert Path("/proc/self/autogroup").read_text() == before
