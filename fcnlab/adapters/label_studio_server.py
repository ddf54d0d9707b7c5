"""Label Studio as a server: what to show it, and the annotations it holds."""

from __future__ import annotations

import http.client
import json
import time
import urllib.request
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin

from fcnlab.adapters.fetching import fetched
from fcnlab.errors import ImportRefused

TIMEOUT_S = 10.0
MOST_ANSWER = 100_000
ACCESS_S = 120
"""How long an access token is used; Label Studio's are valid for 300 s."""


def authorization(home: str, token: str) -> str:
    """The `Authorization` header that Label Studio wants for either kind of its tokens; empty without one.

    A legacy token is shown as it is. A personal access token, which is a JSON web token, is exchanged for an access
    token first (https://labelstud.io/guide/access_tokens).

    Raises:
        ImportRefused: Label Studio does not exchange it.
    """
    if not token or not home:
        return ""
    if token.count(".") != 2:
        return f"Token {token}"
    return f"Bearer {_access_token(home, token, int(time.monotonic() // ACCESS_S))}"


@lru_cache(maxsize=8)
def _access_token(home: str, token: str, _period: int) -> str:
    """An access token for a personal one, another in each period of ACCESS_S."""
    address = urljoin(home, "/api/token/refresh")
    body = json.dumps({"refresh": token}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            access = json.loads(answer.read(MOST_ANSWER))["access"]
    except (http.client.HTTPException, OSError, ValueError, KeyError, TypeError) as failure:
        raise ImportRefused(
            f"Label Studio at {home[:200]} does not take the personal access token ({failure}): make another in its "
            "account settings and set FCNLAB_LABEL_STUDIO_TOKEN"
        ) from failure
    return str(access)


def annotated_tasks(project: str, *, home: str, token: str, most_bytes: int) -> list[Any]:
    """All tasks of a project of Label Studio that have annotations, as its export in the format JSON tells them.

    Raises:
        ImportRefused: it cannot be asked, or answers something else.
    """
    data = fetched(
        f"/api/projects/{project}/export?exportType=JSON",
        home=home,
        authorization=authorization(home, token),
        hosts=(),
        most_bytes=most_bytes,
    )
    try:
        tasks = json.loads(data)
    except ValueError as failure:
        raise ImportRefused(
            f"Label Studio's export of project {project} is no JSON ({failure}): try again"
        ) from failure
    if not isinstance(tasks, list):
        raise ImportRefused(f"Label Studio's export of project {project} is no list of tasks: try again")
    return tasks
