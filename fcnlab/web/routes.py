"""Pictures and overlays by plain HTTP: what a browser fetches without a rerun of the page.

Every route starts with the project's unguessable key, which stands for the right to see its images.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from fcnlab.core.learner.queries import COUNT, Strategy
from fcnlab.core.tiling.tiles import Box
from fcnlab.domain.counting import ImageCount
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.tags import TAG_WORDS, TagFilter
from fcnlab.errors import (
    DatabaseUnavailable,
    Deleted,
    FcnlabError,
    ImportRefused,
    InvalidTag,
    NoPoints,
    ShuttingDown,
    UnknownExpertMask,
    UnknownExport,
    UnknownImage,
    UnknownProject,
    as_sentence,
)
from fcnlab.services.export.target import find_download
from fcnlab.services.images.importing import may_pass
from fcnlab.services.images.pictures import shown_file, thumbnail_file, tile_file, tiling_of
from fcnlab.services.labelling.queries import ask
from fcnlab.services.labelling.scenes import (
    image_of_key,
    marked_objects,
    project_of_image,
    project_of_key,
    ranked_strip,
    strip,
    strip_of,
)
from fcnlab.services.live.overlay_store import HeatMode, Overlay, Status, packed, packed_heat
from fcnlab.services.live.references import imported_map, predicted_map
from fcnlab.services.tags.choosing import images_with
from fcnlab.web.session import Engine, engine

LONG_POLL_S = 25.0
STRIP_MOST = 200
HEAT_MODES: dict[str, HeatMode] = {"probability": "probability", "uncertainty": "uncertainty", "grade": "grade"}
ASKED_BY: dict[str, Strategy] = {
    "margin": "margin",
    "entropy": "entropy",
    "least-confidence": "least-confidence",
    "random": "random",
}
AVOIDED_MOST = 400
FOREVER = "private, max-age=31536000, immutable"

Handler = Callable[[Request, Engine], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


STATUS: tuple[tuple[type[FcnlabError], int], ...] = (
    (Deleted, 410),
    (DatabaseUnavailable, 503),
    (ShuttingDown, 503),
    (UnknownProject, 404),
    (UnknownImage, 404),
    (UnknownExpertMask, 404),
    (UnknownExport, 404),
    (NoPoints, 409),
)
"""What an explained failure is answered with, the first that fits; browsers give up at 410 alone."""

UNANSWERABLE, MISSING_FILE = 400, 404


def status_of(failure: FcnlabError) -> int:
    """The HTTP status of an explained failure: 503 for what passes, 410 for what is gone, else 4xx."""
    if isinstance(failure, ImportRefused):
        return 503 if may_pass(failure) else MISSING_FILE
    return next((status for kind, status in STATUS if isinstance(failure, kind)), UNANSWERABLE)


def guarded(handler: Handler) -> Endpoint:
    """Turn an explained failure into a response that says it, with its status."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request, await run_in_threadpool(engine))
        except FcnlabError as failure:
            return PlainTextResponse(
                as_sentence(str(failure)), status_code=status_of(failure), headers={"Cache-Control": "no-store"}
            )

    return endpoint


async def _picture(request: Request, engine: Engine) -> Response:
    image = await _image(request, engine)
    return _file(request, await run_in_threadpool(shown_file, engine.lab, image), image.picture_id)


async def _tile(request: Request, engine: Engine) -> Response:
    image = await _image(request, engine)
    level, x, y = (request.path_params[name] for name in ("level", "x", "y"))
    path = await run_in_threadpool(tile_file, engine.lab, image, level=level, x=x, y=y)
    side = tiling_of(image)[0] * 2**level
    engine.jobs.viewport_moved(image, row=(y + 0.5) * side, col=(x + 0.5) * side)
    return _file(request, path, f"{image.picture_id}-{level}-{x}-{y}")


async def _thumbnail(request: Request, engine: Engine) -> Response:
    image = await _image(request, engine)
    return _file(request, await run_in_threadpool(thumbnail_file, engine.lab, image), image.picture_id)


async def _strip(request: Request, engine: Engine) -> Response:
    """A stretch of the images in import order, or by gain with the whole order, or those that `ids` names."""
    project_id = await run_in_threadpool(project_of_key, engine.lab, request.path_params["key"])
    start, count = _number(request, "start"), min(_number(request, "count", 60), STRIP_MOST)
    body: dict[str, Any] = {}
    if "tag" in request.query_params:
        by_gain = request.query_params.get("sort") == "gain"
        body = await run_in_threadpool(chosen_strip, engine, project_id, request.query_params["tag"], by_gain=by_gain)
        return JSONResponse(body, headers={"Cache-Control": "no-store"})
    if request.query_params.get("sort") == "gain":
        ranking = engine.jobs.gains.ranking(project_id)
        if "ids" in request.query_params:
            ids = numbers(request, "ids")[:STRIP_MOST]
            cells = await run_in_threadpool(strip_of, engine.lab, ranking, project_id=project_id, image_ids=ids)
        else:
            ranked = await run_in_threadpool(
                ranked_strip, engine.lab, ranking, project_id=project_id, start=start, count=count
            )
            cells = ranked.cells
            body = {"order": ranked.order, "waiting": ranking.waiting, "ranked": len(ranking.gains)}
        images = tuple(cell.image for cell in cells)
        gains = [{"gain": cell.gain} for cell in cells]
    else:
        n_images, images = await run_in_threadpool(strip, engine.lab, project_id=project_id, start=start, count=count)
        body, gains = {"n_images": n_images}, [{}] * len(images)
    objects = await run_in_threadpool(marked_objects, engine.lab, project_id=project_id, images=images)
    body["items"] = [_item(image, objects) | gain for image, gain in zip(images, gains, strict=True)]
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


def chosen_strip(engine: Engine, project_id: int, tag: str, *, by_gain: bool) -> dict[str, Any]:
    """The images that a tag chooses, and how many may yet be chosen; none while nothing can be predicted.

    Args:
        engine: of the process.
        project_id: whose images they are.
        tag: a class id and what is wanted, as "3:yes"; see `TagFilter`.
        by_gain: those that promise most first, else in import order.

    Raises:
        InvalidTag: there is no such class or choice.
    """
    class_id, _, word = tag.partition(":")
    wanted = next((each for each in TAG_WORDS if each == word), None)
    if not class_id.isdecimal() or len(class_id) > 9 or wanted is None:
        raise InvalidTag(f"{tag[:80]!r} chooses no images: wanted the number of a class and {', '.join(TAG_WORDS)}")
    chosen = TagFilter(int(class_id), wanted)
    tags = engine.tags.tags(project_id)
    waiting, suggestions = 0, None
    if chosen.is_predicting and chosen.class_id in tags.column_of:
        at_work = engine.tags.at_work(project_id)
        tags, suggestions, waiting = at_work.tags, at_work.suggestions, at_work.suggestions.n_waiting
        if chosen.class_id not in suggestions.class_ids:
            return {"order": [], "waiting": waiting, "ranked": 0}
    order = images_with(tags, [chosen], suggestions=suggestions)
    if by_gain:
        ranking = engine.jobs.gains.ranking(project_id)
        ranked = ranked_strip(engine.lab, ranking, project_id=project_id, start=0, count=0)
        is_chosen = frozenset(order)
        order = tuple(image_id for image_id in ranked.order if image_id in is_chosen)
        waiting = max(waiting, ranking.waiting)
    return {"order": order, "waiting": waiting, "ranked": len(order)}


def _item(image: ImageInfo, objects: Mapping[int, int]) -> dict[str, Any]:
    """`n_points` counts objects where a project counts them."""
    n_points = objects.get(image.id, image.n_points)
    about = {"id": image.id, "name": image.name, "n_points": n_points}
    return about | {"state": image.state, "is_complete": image.is_complete}


async def _queries(request: Request, engine: Engine) -> Response:
    """Pixels to ask about; answers when every click stored before is learned from."""
    image = await _image(request, engine)
    strategy = request.query_params.get("strategy", "margin")
    if strategy not in ASKED_BY:
        return PlainTextResponse(f"Strategy {strategy!r} is none of {', '.join(ASKED_BY)}", status_code=400)
    places = numbers(request, "avoid")[: 2 * AVOIDED_MOST]
    avoid = list(zip(places[::2], places[1::2], strict=False))
    engine.jobs.gains.ranking(image.project_id)  # the next image will be wanted soon
    queries = await asyncio.wrap_future(
        ask(engine.jobs, image, count=_number(request, "count", COUNT), strategy=ASKED_BY[strategy], avoid=avoid)
    )
    return JSONResponse({"source": queries.source, "pixels": queries.pixels}, headers={"Cache-Control": "no-store"})


async def _overlay(request: Request, engine: Engine) -> Response:
    """Long poll: answers when an overlay or a status newer than the browser's is there."""
    key, image_id = request.path_params["key"], request.path_params["image_id"]
    project_id = await run_in_threadpool(project_of_image, engine.lab, key=key, image_id=image_id)
    client = request.query_params.get("client", "")
    held, status = _number(request, "after"), _number(request, "status")
    mode, overlay_store = request.query_params.get("mode", "mask"), engine.jobs.overlay_store
    after, shown = held, overlay_store.overlay(image_id)
    if (
        mode in HEAT_MODES
        and shown is not None
        and not shown.is_final
        and overlay_store.class_probabilities(image_id) is None
    ):
        after = max(held, shown.number)
        await run_in_threadpool(engine.jobs.remake, project_id, image_id)
    else:
        engine.jobs.watch(project_id, image_id, client_id=client)
    await overlay_store.changed(image_id, overlay=after, status=status, timeout_s=LONG_POLL_S)
    overlay = overlay_store.overlay(image_id)
    meta = overlay_meta(overlay, overlay_store.status(image_id), client=client)
    if overlay is None or overlay.number <= after:
        return _with_meta(Response(status_code=204), meta)
    if mode in HEAT_MODES:
        base, box = overlay.since(held, of="probabilities")
        class_ids = numbers(request, "class_id")
        class_probabilities = overlay_store.class_probabilities(image_id)
        body = await run_in_threadpool(packed_heat, class_probabilities, box, HEAT_MODES[mode], class_ids)
    else:
        base, box = overlay.since(held, of="class_ids")
        is_newest = box == overlay.changes[-1].class_ids
        body = overlay.newest if is_newest else await run_in_threadpool(packed, overlay.class_map, box)
    response = Response(body, media_type="application/octet-stream", headers={"Content-Encoding": "deflate"})
    return _with_meta(response, meta | {"base": base, "box": [box.top, box.left, *box.hw]})


async def _imported(request: Request, engine: Engine) -> Response:
    """The imported mask of an image, to hold beside the one shown."""
    image = await _image(request, engine)
    return await _class_map(await run_in_threadpool(imported_map, engine.lab, image))


async def _prediction(request: Request, engine: Engine) -> Response:
    """What would be predicted now for a done image, to hold beside the mask it keeps."""
    image = await _image(request, engine)
    return await _class_map(await asyncio.wrap_future(predicted_map(engine.jobs, image)))


async def _class_map(class_map: NDArray[np.uint8]) -> Response:
    """A mask (h, w) uint8 of class ids, packed as overlays are."""
    height, width = class_map.shape
    body = await run_in_threadpool(packed, class_map, Box(0, 0, height, width))
    response = Response(body, media_type="application/octet-stream", headers={"Content-Encoding": "deflate"})
    return _with_meta(response, {"width": width, "height": height})


def overlay_meta(overlay: Overlay | None, status: Status, *, client: str) -> dict[str, Any]:
    """What a browser is told with every answer: the numbers of the newest overlay, and what goes on."""
    return {
        "overlay": overlay.number if overlay else 0,
        "status": status.number,
        "phase": status.phase,
        "progress": round(status.progress, 3),
        "message": as_sentence(status.message),
        "milliseconds": round(overlay.milliseconds, 1) if overlay else None,
        "spans": {part: round(took, 1) for part, took in overlay.spans.items()} if overlay else {},
        "updated_at": overlay.made_at.isoformat() if overlay else None,
        "width": overlay.hw[1] if overlay else 0,
        "height": overlay.hw[0] if overlay else 0,
        "covers": overlay.covers.get(client, 0) if overlay else 0,
        "shown_done": bool(overlay and overlay.is_final),
        "counts": counts_shown(overlay.count) if overlay and overlay.count else None,
    }


async def _objects(request: Request, engine: Engine) -> Response:
    """The objects and counts that belong to the newest overlay of an image, in a project that counts."""
    key, image_id = request.path_params["key"], request.path_params["image_id"]
    await run_in_threadpool(project_of_image, engine.lab, key=key, image_id=image_id)
    overlay = engine.jobs.overlay_store.overlay(image_id)
    count = overlay.count if overlay else None
    body = {
        "overlay": overlay.number if overlay else 0,
        "objects": objects_shown(count) if count else [],
        "counts": counts_shown(count) if count else [],
    }
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


def objects_shown(count: ImageCount) -> list[list[Any]]:
    """[row, col, class id, number from 1 in reading order, score, is marked] of each object; pixels at full size."""
    return [
        [
            round(counted.row, 1),
            round(counted.col, 1),
            counted.class_id,
            number,
            round(counted.score, 2),
            counted.is_marked,
        ]
        for number, counted in enumerate(count.objects, start=1)
    ]


def counts_shown(count: ImageCount) -> list[dict[str, Any]]:
    """How many objects of each class there are, as the label page is told."""
    names = ("class_id", "marked", "count", "low", "high", "is_exact")
    return [{name: getattr(class_count, name) for name in names} for class_count in count.counts]


def _with_meta(response: Response, meta: dict[str, Any]) -> Response:
    response.headers.update({"X-Fcnlab-Meta": json.dumps(meta, ensure_ascii=True), "Cache-Control": "no-store"})
    return response


def _file(request: Request, path: Path, picture_id: str) -> Response:
    etag = f'"{picture_id}-{path.suffix[1:]}"'
    headers = {"ETag": etag, "Cache-Control": FOREVER}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return FileResponse(path, headers=headers)


async def _image(request: Request, engine: Engine) -> ImageInfo:
    return await run_in_threadpool(
        image_of_key, engine.lab, key=request.path_params["key"], image_id=request.path_params["image_id"]
    )


def numbers(request: Request, name: str) -> list[int]:
    """Whole numbers with commas between; what is none is left out."""
    texts = request.query_params.get(name, "").split(",")
    return [int(text) for text in texts if text.isdecimal() and len(text) < 10]


def _number(request: Request, name: str, default: int = 0) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 17 else default


async def _download(request: Request, engine: Engine) -> Response:
    token, name = request.path_params["token"], request.path_params["name"]
    path = await run_in_threadpool(find_download, engine.lab, token=token, name=name)
    return FileResponse(path, filename=path.name, headers={"Cache-Control": "no-store"})


class _Id(Convertor[int]):
    """A number that the database can hold: of 18 digits at most."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


async def _nothing(_request: Request) -> Response:
    return PlainTextResponse("There is nothing here: reload the page", status_code=404)


register_url_convertor("id", _Id())
routes = [
    Route("/fcnlab/download/{token}/{name}", guarded(_download)),
    Route("/fcnlab/{key}/image/{image_id:id}", guarded(_picture)),
    Route("/fcnlab/{key}/tile/{image_id:id}/{level:id}/{x:id}/{y:id}", guarded(_tile)),
    Route("/fcnlab/{key}/thumb/{image_id:id}", guarded(_thumbnail)),
    Route("/fcnlab/{key}/strip", guarded(_strip)),
    Route("/fcnlab/{key}/queries/{image_id:id}", guarded(_queries)),
    Route("/fcnlab/{key}/overlay/{image_id:id}", guarded(_overlay)),
    Route("/fcnlab/{key}/reference/imported/{image_id:id}", guarded(_imported)),
    Route("/fcnlab/{key}/reference/prediction/{image_id:id}", guarded(_prediction)),
    Route("/fcnlab/{key}/objects/{image_id:id}", guarded(_objects)),
    Route("/fcnlab/{rest:path}", _nothing),  # else Streamlit answers with a page
]
