"""The REST service, as a program calls it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from fcnlab.api.service import make_service
from fcnlab.lab import Lab

TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture
def client(lab: Lab) -> Iterator[TestClient]:
    """Calls with the token."""
    with TestClient(make_service(lab, token=TOKEN), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client
