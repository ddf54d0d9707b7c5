"""Answers to the points of a survey by HTTP: stored and acknowledged without a rerun of the page.

A browser sends its log by POST, as often as it likes, as it does on the Label page (`web.events`): what was stored
before is passed over, so that a request that was long on its way changes nothing any more.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from fcnlab.errors import InvalidEvent, as_sentence
from fcnlab.services.labelling.scenes import project_of_key
from fcnlab.services.surveys.answering import store_answers
from fcnlab.validation import clean_name
from fcnlab.web.canvas import answering, canvas
from fcnlab.web.events import MAX_BYTES, read_body
from fcnlab.web.routes import guarded
from fcnlab.web.session import MAX_NAME, Engine


async def _store(request: Request, engine: Engine) -> Response:
    """Store a log of answers, and answer as soon as it is safe."""
    body = await read_body(request)
    if body is None:
        return PlainTextResponse(
            f"A log of more than {MAX_BYTES // 1_000_000} MB is no log of answers", status_code=413
        )
    key, survey_id = request.path_params["key"], request.path_params["survey_id"]
    answer = await run_in_threadpool(_stored, engine, key, survey_id, body)
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _stored(engine: Engine, key: str, survey_id: int, body: bytes) -> dict[str, Any]:
    """What is acknowledged, and which points were refused.

    Raises:
        Deleted: there is no such project or survey any more. Nothing was stored.
        InvalidEvent: the body is no log. Nothing was stored.
        InvalidSurvey: the survey is closed. Nothing was stored; the browser keeps its answers.
        DatabaseUnavailable: nothing was stored; the browser sends it again.
    """
    try:
        raw = json.loads(body)
    except ValueError as failure:
        raise InvalidEvent("the log of answers is no JSON") from failure
    client_id, log = answering.read_answers(raw)
    labeller = clean_name(canvas.read_sender(raw)[0][:MAX_NAME])
    project_id = project_of_key(engine.lab, key)
    stored = store_answers(
        engine.lab, log, client_id=client_id, survey_id=survey_id, project_id=project_id, labeller=labeller
    )
    return {
        "acknowledged": {"client_id": client_id, "seq": stored.acknowledged},
        "refused": [
            {"point": refusal.point_id, "reason": as_sentence(refusal.reason), "again": refusal.asks_again}
            for refusal in stored.refused
        ],
    }


routes = [Route("/fcnlab/{key}/survey/{survey_id:id}/answers", guarded(_store), methods=["POST"])]
