"""Logs that browsers send by POST: read, stored on another thread, and acknowledged, without a rerun of the page.

A browser sends its log as often as it likes: what was stored before is passed over, so that a request that was long on
its way changes nothing any more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from fcnlab.errors import InvalidEvent
from fcnlab.validation import clean_name
from fcnlab.web.canvas import canvas
from fcnlab.web.routes import Endpoint, guarded
from fcnlab.web.session import MAX_NAME, Engine

MAX_BYTES = 64_000_000
"""Of a log; the longest that a browser sends at once is a fraction of it."""

Store = Callable[[Engine, Mapping[str, Any], Any], dict[str, Any]]
"""Stores the log that JSON gave, by the parameters of the route; gives the answer: what is acknowledged."""


def taking(store: Store, *, what: str) -> Endpoint:
    """The endpoint of a route that takes logs of `what`, and answers as soon as they are safe."""

    async def take(request: Request, engine: Engine) -> Response:
        body = await _read(request)
        if body is None:
            words = f"A log of more than {MAX_BYTES // 1_000_000} MB is no log of {what}"
            return PlainTextResponse(words, status_code=413)
        answer = await run_in_threadpool(_answer, store, engine, request.path_params, body, what)
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    return guarded(take)


def labeller_of(log: object) -> str:
    """Who sent a log. Raises InvalidEvent, InvalidName."""
    return clean_name(canvas.read_sender(log)[0][:MAX_NAME])


def _answer(store: Store, engine: Engine, parameters: Mapping[str, Any], body: bytes, what: str) -> dict[str, Any]:
    try:
        log = json.loads(body)
    except ValueError as failure:
        raise InvalidEvent(f"the log of {what} is no JSON") from failure
    return store(engine, parameters, log)


async def _read(request: Request) -> bytes | None:
    """What was sent; None when it is too much."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BYTES:
            return None
    return bytes(received)
