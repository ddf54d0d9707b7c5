"""An empty database, and a project in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fcnlab.storage.database.engine import Sessions, close_database, open_database
from tests.support.tables import make_project


@pytest.fixture
def sessions(database_url: str) -> Iterator[Sessions]:
    sessions = open_database(database_url)
    yield sessions
    close_database(sessions)


@pytest.fixture
def project_id(sessions: Sessions) -> int:
    return make_project(sessions, "cells")
