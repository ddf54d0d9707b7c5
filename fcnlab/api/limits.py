"""No request may be larger than the service allows, whatever it says about itself."""

from __future__ import annotations

from contextlib import suppress

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


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
