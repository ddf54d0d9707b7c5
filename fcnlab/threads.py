"""How the threads of a process wait for each other."""

from __future__ import annotations

import os


def wait_politely() -> None:
    """Let idle compute threads sleep instead of spinning; call it before torch is imported.

    OpenMP's threads spin while they wait for each other, which is quick on an idle machine and several times slower
    as soon as another process, such as the browser beside the server, wants one of the cores. Values the user has
    set stay.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
