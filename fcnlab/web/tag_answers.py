"""Tags by HTTP: answers are stored and acknowledged, and suggestions told, without a rerun of the page.

A browser sends its log by POST, as often as it likes, as it does on the Label page (`web.events`). What is said of the
images that it shows now and soon it asks for again and again: suggestions become others a moment after an answer.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from fcnlab.errors import Deleted, InvalidEvent, UnknownProject, as_sentence
from fcnlab.services.labelling.scenes import GONE, project_of_key
from fcnlab.services.projects.projects import images_of
from fcnlab.services.tags.answering import store_tags
from fcnlab.validation import clean_name
from fcnlab.web.canvas import canvas, tagging
from fcnlab.web.events import MAX_BYTES, read_body
from fcnlab.web.routes import guarded, numbers
from fcnlab.web.session import MAX_NAME, Engine

IMAGES_MOST = 20
"""Images that a browser is told of at once."""

PASSED_MOST = 500


async def _store(request: Request, engine: Engine) -> Response:
    """Store a log of answers, and answer as soon as it is safe."""
    body = await read_body(request)
    if body is None:
        return PlainTextResponse(f"A log of more than {MAX_BYTES // 1_000_000} MB is no log of tags", status_code=413)
    answer = await run_in_threadpool(_stored, engine, request.path_params["key"], body)
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _stored(engine: Engine, key: str, body: bytes) -> dict[str, Any]:
    """What is acknowledged, and which answers were refused.

    Raises:
        Deleted: there is no such project any more. Nothing was stored.
        InvalidEvent: the body is no log. Nothing was stored.
        DatabaseUnavailable: nothing was stored; the browser sends it again.
    """
    try:
        raw = json.loads(body)
    except ValueError as failure:
        raise InvalidEvent("the log of tags is no JSON") from failure
    client_id, log = tagging.read_tags(raw)
    labeller = clean_name(canvas.read_sender(raw)[0][:MAX_NAME])
    project_id = project_of_key(engine.lab, key)
    stored = store_tags(engine.lab, log, client_id=client_id, project_id=project_id, labeller=labeller)
    if stored.before:
        engine.tags.changed(project_id)
    return {
        "acknowledged": {"client_id": client_id, "seq": stored.acknowledged},
        "refused": [
            {"image": refusal.change.image_id, "class": refusal.change.class_id, "reason": as_sentence(refusal.reason)}
            for refusal in stored.refused
        ],
    }


async def _news(request: Request, engine: Engine) -> Response:
    """What is said and suggested of the images that are shown now and soon, and which ones to ask about next."""
    ids, passed = numbers(request, "ids")[:IMAGES_MOST], numbers(request, "besides")[:PASSED_MOST]
    body = await run_in_threadpool(news_of, engine, request.path_params["key"], tuple(ids), tuple(passed))
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


def news_of(engine: Engine, key: str, image_ids: tuple[int, ...], passed: tuple[int, ...]) -> dict[str, Any]:
    """The news of a project; images that are none of it are left out. Raises Deleted."""
    try:
        at_work = engine.tags.at_work(project_of_key(engine.lab, key))
    except UnknownProject as failure:
        raise Deleted(GONE) from failure
    wanted = [image_id for image_id in image_ids if image_id in at_work.tags.row_of]
    return tagging.news_data(at_work, images_of(engine.lab, image_ids=wanted), passed=passed)


routes = [
    Route("/fcnlab/{key}/tags", guarded(_store), methods=["POST"]),
    Route("/fcnlab/{key}/tags", guarded(_news)),
]
