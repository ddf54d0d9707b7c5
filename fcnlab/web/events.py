"""The event log by HTTP: what a labeller does is stored and acknowledged without a rerun of the page.

A browser sends its log by POST (`web.posted_logs`), and the answer acknowledges what is stored. Where the points that
this batch added and removed are all that happened to the image shown, the browser knows the image without being told;
else the answer has the scene.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.routing import Route

from fcnlab.domain.events import EventBatch
from fcnlab.errors import Deleted, UnknownProject, as_sentence
from fcnlab.services.labelling.events import AppliedBatch, apply_events
from fcnlab.services.labelling.scenes import GONE, project_of_key
from fcnlab.web.canvas import canvas
from fcnlab.web.canvas.workspace import numbered_scene, scene_data
from fcnlab.web.posted_logs import labeller_of, taking
from fcnlab.web.session import Engine


def _store(engine: Engine, parameters: Mapping[str, Any], raw: Any) -> dict[str, Any]:
    """Store a log that was sent to the project with the key of the route, and tell the learner.

    Raises:
        Deleted: there is no such project any more. Nothing was stored.
        InvalidEvent: this is no log. Nothing was stored.
        DatabaseUnavailable: nothing was stored; the browser sends it again.
    """
    batch, key = canvas.read_events(raw), parameters["key"]
    labeller, shown = labeller_of(raw), canvas.read_sender(raw)[1]
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


routes = [Route("/fcnlab/{key}/events", taking(_store, what="clicks"), methods=["POST"])]
