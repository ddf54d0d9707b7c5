"""Label Studio as a server: what to show it, and the annotations it holds."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin, urlsplit

from fcnlab.errors import ImportRefused
from fcnlab.storage.files.remote import RemoteRules, blocks_of_uri

ACCESS_TIME_S = 20.0
FETCH_TIME_S = 600.0
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
    rules = _rules(home, (), most_bytes=MOST_ANSWER, most_seconds=ACCESS_TIME_S)
    try:
        body = b"".join(blocks_of_uri(address, rules, headers={"Content-Type": "application/json"}, body=body))
        access = json.loads(body)["access"]
    except (ImportRefused, ValueError, KeyError, TypeError) as failure:
        raise ImportRefused(
            f"Label Studio at {home[:200]} does not take the personal access token ({failure}): make another in its "
            "account settings and set FCNLAB_LABEL_STUDIO_TOKEN"
        ) from failure
    return str(access)


def fetched(address: str, *, home: str, authorization: str, hosts: Collection[str], most_bytes: int) -> bytes:
    """The bytes behind an address of a task.

    Args:
        address: with a host, or relative to `home`.
        home: address of Label Studio; it is allowed, and alone is shown the authorization.
        authorization: the header of that name; empty: none.
        hosts: other names, with their port if they have one, that may be asked; redirects go to allowed ones only.
        most_bytes: longer files are refused while they arrive.

    Raises:
        ImportRefused: the host is not allowed, does not answer, or sends too much.
    """
    whole = urljoin(home, address) if home else address
    is_home = bool(authorization) and urlsplit(whole).netloc == urlsplit(home).netloc
    headers = {"Authorization": authorization} if is_home else {}
    rules = _rules(home, hosts, most_bytes=most_bytes, most_seconds=FETCH_TIME_S)
    return b"".join(blocks_of_uri(whole, rules, headers=headers))


def _rules(home: str, hosts: Collection[str], *, most_bytes: int, most_seconds: float) -> RemoteRules:
    """The rules for reading: only from servers that the settings name, which may have private addresses."""
    servers = frozenset(name for name in (urlsplit(home).netloc, *hosts) if name)
    return RemoteRules((), (), False, most_bytes, most_seconds, servers, "FCNLAB_LABEL_STUDIO")


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
