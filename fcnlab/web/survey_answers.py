"""Answers to the points of a survey by HTTP: stored and acknowledged as `web.posted_logs` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.routing import Route

from fcnlab.errors import as_sentence
from fcnlab.services.labelling.scenes import project_of_key
from fcnlab.services.surveys.answering import store_answers
from fcnlab.web.canvas import answering
from fcnlab.web.posted_logs import labeller_of, taking
from fcnlab.web.session import Engine


def _store(engine: Engine, parameters: Mapping[str, Any], raw: Any) -> dict[str, Any]:
    """Store a log of answers: what is acknowledged, and which points were refused.

    Raises:
        Deleted: there is no such project or survey any more. Nothing was stored.
        InvalidEvent: this is no log. Nothing was stored.
        InvalidSurvey: the survey is closed. Nothing was stored; the browser keeps its answers.
        DatabaseUnavailable: nothing was stored; the browser sends it again.
    """
    client_id, log = answering.read_answers(raw)
    stored = store_answers(
        engine.lab,
        log,
        client_id=client_id,
        survey_id=parameters["survey_id"],
        project_id=project_of_key(engine.lab, parameters["key"]),
        labeller=labeller_of(raw),
    )
    return {
        "acknowledged": {"client_id": client_id, "seq": stored.acknowledged},
        "refused": [
            {"point": refusal.point_id, "reason": as_sentence(refusal.reason), "again": refusal.asks_again}
            for refusal in stored.refused
        ],
    }


routes = [Route("/fcnlab/{key}/survey/{survey_id:id}/answers", taking(_store, what="answers"), methods=["POST"])]
