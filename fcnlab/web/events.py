"""The event log by HTTP: what a labeller does is stored and acknowledged without a rerun of the page.

A browser sends its log by POST, as often as it likes: what is stored already is passed over. The answer acknowledges
what is stored. Where the points that this batch added and removed are all that happened to the image shown, the browser
knows the image without being told; else the answer has the scene.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from fcnlab.domain.events import EventBatch
from fcnlab.errors import Deleted, InvalidEvent, UnknownProject, as_sentence
from fcnlab.services.labelling.events import AppliedBatch, apply_events
from fcnlab.services.labelling.scenes import GONE, project_of_key
from fcnlab.validation import clean_name
from fcnlab.web.canvas import canvas
from fcnlab.web.canvas.workspace import numbered_scene, scene_data
from fcnlab.web.routes import guarded
from fcnlab.web.session import MAX_NAME, Engine

MAX_BYTES = 64_000_000
"""Of a log; the longest that a browser sends at once is a fraction of it."""


async def _store(request: Request, engine: Engine) -> Response:
    """Store a log, tell the learner, answer as soon as it is safe."""
    body = await read_body(request)
    if body is None:
        return PlainTextResponse(f"A log of more than {MAX_BYTES // 1_000_000} MB is no log of clicks", status_code=413)
    answer = await run_in_threadpool(_stored, engine, request.path_params["key"], body)
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


async def read_body(request: Request) -> bytes | None:
    """What was sent; None when it is too much."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BYTES:
            return None
    return bytes(received)


def _stored(engine: Engine, key: str, body: bytes) -> dict[str, Any]:
    """The answer to a log that was sent to the project with that key.

    Raises:
        Deleted: there is no such project any more. Nothing was stored.
        InvalidEvent: the body is no log. Nothing was stored.
        DatabaseUnavailable: nothing was stored; the browser sends it again.
    """
    try:
        raw = json.loads(body)
    except ValueError as failure:
        raise InvalidEvent("the event log is no JSON") from failure
    batch = canvas.read_events(raw)
    told_name, shown = canvas.read_sender(raw)
    labeller = clean_name(told_name[:MAX_NAME])
    project_id = engine.project_ids.get(key)
    if project_id is None:
        project_id = engine.project_ids[key] = project_of_key(engine.lab, key)
    try:
        applied = apply_events(engine.lab, batch, project_id=project_id, labeller=labeller, shown=shown)
    except UnknownProject as failure:
        raise Deleted(GONE) from failure
    tell_learner(engine, batch, applied, project_id=project_id)
    refusals = [as_sentence(refusal.reason) for refusal in applied.refusals]
    answer: dict[str, Any] = {
        "acknowledged": {"client_id": batch.client_id, "seq": applied.acknowledged},
        "refusals": refusals,
        "image": shown.id if shown else None,
        "base": shown.revision if shown else 0,
        "revision": applied.revision,
        "scene": None,
    }
    if applied.revision is None:
        client, image_id = batch.client_id, shown.id if shown else None
        number, scene = numbered_scene(
            engine, project_id=project_id, image_id=image_id, client=client, labeller=labeller
        )
        answer["scene"] = scene_data(scene, number=number, client=client, labeller=labeller, refusals=refusals)
    return answer


def tell_learner(engine: Engine, batch: EventBatch, applied: AppliedBatch, *, project_id: int) -> None:
    """Make new masks of the images that the batch is about, also where it was stored before: they cover it."""
    for image_id in applied.images:
        engine.jobs.clicked(project_id, image_id, client_id=batch.client_id, acknowledged=applied.acknowledged)
    if applied.changed_classes:
        engine.jobs.changed(project_id)


routes = [Route("/fcnlab/{key}/events", guarded(_store), methods=["POST"])]
