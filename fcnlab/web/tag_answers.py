"""Tags by HTTP: answers are stored and acknowledged, and suggestions told, without a rerun of the page.

A browser sends its log by POST (`web.posted_logs`). What is said of the images that it shows now and soon it asks for
again and again: suggestions become others a moment after an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fcnlab.errors import Deleted, UnknownProject, as_sentence
from fcnlab.services.labelling.scenes import GONE, project_of_key
from fcnlab.services.projects.projects import images_of
from fcnlab.services.tags.answering import store_tags
from fcnlab.web.canvas import tagging
from fcnlab.web.posted_logs import labeller_of, taking
from fcnlab.web.routes import guarded, numbers
from fcnlab.web.session import Engine

IMAGES_MOST = 20
"""Images that a browser is told of at once."""

PASSED_MOST = 500


def _store(engine: Engine, parameters: Mapping[str, Any], raw: Any) -> dict[str, Any]:
    """Store a log of answers: what is acknowledged, and which ones were refused.

    Raises:
        Deleted: there is no such project any more. Nothing was stored.
        InvalidEvent: this is no log. Nothing was stored.
        DatabaseUnavailable: nothing was stored; the browser sends it again.
    """
    client_id, log = tagging.read_tags(raw)
    labeller, project_id = labeller_of(raw), project_of_key(engine.lab, parameters["key"])
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
    Route("/fcnlab/{key}/tags", taking(_store, what="tags"), methods=["POST"]),
    Route("/fcnlab/{key}/tags", guarded(_news)),
]
