"""Who may ask: looked at before anything else of a request is read."""

from __future__ import annotations

import base64
import binascii
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

OPEN = frozenset({"/", "/health", "/docs", "/openapi.json"})
"""Addresses that tell nothing of anybody's data."""

LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


class Guard:
    """Lets requests pass that show the token: as `Authorization: Bearer TOKEN`, or as the password of basic
    authentication, which is what Label Studio can send.

    Without a token the service is for programs on this machine: what a web page of another site makes a browser send,
    names another origin or host, and is refused.
    """

    def __init__(self, app: ASGIApp, *, token: str | None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401 or 403."""
        if scope["type"] == "http" and scope["path"] not in OPEN:
            headers = Headers(scope=scope)
            if self._token is None and not _is_local(headers):
                refusal = JSONResponse({"error": "without a token only programs on this machine may ask"}, 403)
                await refusal(scope, receive, send)
                return
            if self._token is not None and not _shows(headers, self._token):
                refusal = JSONResponse(
                    {"error": "show the token that `fcnlab serve` names: Authorization: Bearer TOKEN"},
                    401,
                    headers={"WWW-Authenticate": "Bearer"},
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _shows(headers: Headers, token: str) -> bool:
    kind, _, shown = headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        shown = _password(shown)
    elif kind.lower() != "bearer":
        return False
    return secrets.compare_digest(shown.strip().encode(), token.encode())


def _password(shown: str) -> str:
    try:
        return base64.b64decode(shown, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _is_local(headers: Headers) -> bool:
    origin = headers.get("origin")
    host = urlsplit(f"//{headers.get('host', '')}").hostname
    return host in LOCAL and (origin is None or urlsplit(origin).hostname in LOCAL)
