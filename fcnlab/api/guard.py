"""Who may ask, and how much: checked before anything else of a request is read."""

from __future__ import annotations

import base64
import binascii
import logging
import secrets
import time
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fcnlab.services.installation.tokens import label_studio_path


class TooLarge(Exception):
    """More came than is allowed."""


class UploadLimit:
    """Refuses bodies of more than `most_bytes` with 413: by their header, or while they arrive."""

    def __init__(self, app: ASGIApp, *, most_bytes: int) -> None:
        self._app, self._most_bytes = app, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting its bytes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = JSONResponse(
            {
                "error": f"a request may have {self._most_bytes} bytes at most: send less at once, or raise "
                "FCNLAB_API_UPLOAD_MB"
            },
            status_code=413,
        )
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or int(said) > self._most_bytes:
            await refusal(scope, receive, send)
            return
        arrived, has_answered = 0, False

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > self._most_bytes:
                raise TooLarge  # some frameworks make an answer of their own of it, which `watched` holds back
            return message

        async def watched(message: Message) -> None:
            nonlocal has_answered
            if has_answered or arrived <= self._most_bytes:
                has_answered = True
                await send(message)

        with suppress(TooLarge):
            await self._app(scope, counted, watched)
        if not has_answered:
            await refusal(scope, receive, send)


OPEN = frozenset({"/", "/health", "/docs", "/openapi.json"})
"""Addresses that tell nothing of anybody's data."""

BY_ADDRESS = frozenset({"/health", "/setup", "/predict", "/webhook", "/train", "/versions"})
"""What Label Studio asks for: answered below an address with a secret, and nothing else is."""

REPEAT_S = 60.0
"""Seconds between two warnings about refused webhooks."""

BY_SECRET = "fcnlab.by_secret"
"""Set in the scope of a request that came by the address with the secret."""

WEBHOOK_REFUSED = (
    "Label Studio's webhooks show no password: remove the model and its webhook there, and connect the address for "
    "Label Studio that `fcnlab serve` says when it starts"
)

log = logging.getLogger(__name__)


class Guard:
    """Lets requests pass that show the token: as `Authorization: Bearer TOKEN`, or as the password of basic
    authentication, which is what Label Studio can send.

    The webhooks that Label Studio makes by itself show nothing. What it asks for is therefore also answered below
    `label_studio_path`, an address with a secret of its own.
    """

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app, self._token = app, token
        self._secret_path = label_studio_path(token) + "/"
        self._warned_at = -REPEAT_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401."""
        if scope["type"] == "http" and scope["path"] not in OPEN:
            rest = self._behind_secret(scope["path"])
            if rest in BY_ADDRESS:
                scope = {**scope, "path": rest, "raw_path": rest.encode(), BY_SECRET: True}
            elif not _shows(Headers(scope=scope), self._token):
                await self._refusal(scope["path"])(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _behind_secret(self, path: str) -> str:
        """What is asked for at the address with the secret; empty at another address."""
        length = len(self._secret_path)
        if secrets.compare_digest(path[:length].encode(), self._secret_path.encode()):
            return path[length - 1 :]
        return ""

    def _refusal(self, path: str) -> JSONResponse:
        error = "show the token of the file that `fcnlab serve` names: Authorization: Bearer TOKEN"
        if path.rpartition("/")[2] == "webhook":
            error = WEBHOOK_REFUSED
            if time.monotonic() - self._warned_at >= REPEAT_S:
                self._warned_at = time.monotonic()
                log.warning("a webhook was refused, so nothing is learned from its annotations: %s", error)
        return JSONResponse({"error": error}, 401, headers={"WWW-Authenticate": "Bearer"})


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
