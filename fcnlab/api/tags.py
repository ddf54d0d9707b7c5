"""Tags: whether whole images contain a class, answered, suggested, and as files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Response, UploadFile
from pydantic import BaseModel, Field

from fcnlab.api.engine import Own
from fcnlab.api.projects import Number
from fcnlab.api.shapes import Strict
from fcnlab.domain.tags import TagAnswer, TagChange, TagState
from fcnlab.errors import InvalidTag
from fcnlab.services.tags.answering import set_tags
from fcnlab.services.tags.choosing import class_named, filters_of, images_with
from fcnlab.services.tags.exporting import tag_files, tag_formats
from fcnlab.services.tags.importing import TagImportPlan, import_tags, plan_import
from fcnlab.services.tags.scoring import scored_values
from fcnlab.services.tags.suggestions import TagSuggestions

MOST_CHANGES = 10_000
"""Stored at once, at most."""

PAGE = 10_000
"""Images told at once, at most."""

LARGEST = 2**31 - 1

if TYPE_CHECKING:
    TagFormatName = str
else:
    TagFormatName = StrEnum("TagFormatName", {name: name for name in tag_formats()}, module=__name__)
    TagFormatName.__doc__ = "What tags can be exported as."

router = APIRouter(tags=["tags"])

Filters = Annotated[list[str], Query(alias="tag", max_length=100)]
"""CLASS, CLASS=no, CLASS=unknown, CLASS=predicted or CLASS=likely:0.8; may be given several times."""


class TagOut(BaseModel):
    """What is said of a class in an image.

    `answer` is what counts, null where it is unknown, and `source` where it comes from: answered, from points, from
    strokes or from mask. `labelled` is what labels in the image say; `contradicted`: that is another answer.
    """

    class_id: int
    answer: TagAnswer | None
    source: str | None
    labeller: str
    answered_at: str | None
    labelled: TagAnswer | None
    labelled_by: str | None
    contradicted: bool

    @classmethod
    def of(cls, class_id: int, state: TagState) -> TagOut:
        """From the value of the services."""
        return cls(
            class_id=class_id,
            answer=state.answer,
            source=state.source,
            labeller=state.labeller,
            answered_at=None if state.answered_at is None else state.answered_at.isoformat(),
            labelled=state.labelled,
            labelled_by=state.labelled_by,
            contradicted=state.is_contradicted,
        )


class TaggedImageOut(BaseModel):
    """An image and what is said of every class in it."""

    image_id: int
    name: str
    tags: list[TagOut]


class TagIn(Strict):
    """An answer; null takes it back."""

    image_id: int = Field(ge=1, le=LARGEST)
    class_id: int = Field(ge=0, le=254)
    answer: TagAnswer | None


class TagsIn(Strict):
    """Answers, stored all or none; of several about one tag the last counts, and they may be sent twice."""

    tags: list[TagIn] = Field(min_length=1, max_length=MOST_CHANGES)
    labeller: str = Field(default="api", max_length=200)


class TagsSetOut(BaseModel):
    """How many tags changed; `before` are their answers of before: sending these undoes it."""

    changed: int
    before: list[TagIn]


class TagCountsOut(BaseModel):
    """How many images say what of a class; `answered` are those people said yes or no of."""

    class_id: int
    name: str
    yes: int
    no: int
    unknown: int
    answered: int
    contradicted: int


class SuggestedOut(BaseModel):
    """Probabilities that an image contains a class, by class id."""

    image_id: int
    probabilities: dict[int, float]


class SuggestionsOut(BaseModel):
    """What is predicted, of the images that were `looked_at` by now out of all `images`.

    `behind`: answers came since; ask again in a moment. `class_ids` are the classes that can be predicted.
    `next_image_id` is the image to answer next, null when everything is known. `message` says why images are not looked
    at, and `left_out` by their ids why some cannot be.
    """

    looked_at: int
    images: int
    behind: bool
    class_ids: list[int]
    next_image_id: int | None
    message: str
    left_out: dict[int, str]
    suggestions: list[SuggestedOut]


class TagImportOut(BaseModel):
    """What a table changes; `problems` are found by a dry run, and refused otherwise."""

    changed: int
    new: int
    same: int
    empty: int
    overwritten: list[str]
    against_labels: list[str]
    problems: list[str]

    @classmethod
    def of(cls, plan: TagImportPlan) -> TagImportOut:
        """From the value of the services."""
        return cls(
            changed=len(plan.changes),
            new=plan.n_new,
            same=plan.n_same,
            empty=plan.n_empty,
            overwritten=[each.in_words() for each in plan.contradicting],
            against_labels=[each.in_words() for each in plan.against_labels],
            problems=list(plan.problems),
        )


@router.get("/projects/{project_id}/tags")
def list_tags(
    engine: Own,
    project_id: Number,
    start: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
    count: Annotated[int, Query(ge=1, le=PAGE)] = 1000,
) -> list[TaggedImageOut]:
    """Images in import order with what is said of every class in them, `count` of them from place `start` on."""
    tags = engine.tags.tags(project_id)
    return [
        TaggedImageOut(
            image_id=image.id,
            name=image.name,
            tags=[TagOut.of(class_id, state) for class_id, state in tags.states(image.id).items()],
        )
        for image in tags.images[start : start + count]
    ]


@router.put("/projects/{project_id}/tags")
def store_tags(engine: Own, project_id: Number, wanted: TagsIn) -> TagsSetOut:
    """Store answers about images."""
    changes = [TagChange(each.image_id, each.class_id, each.answer) for each in wanted.tags]
    done = set_tags(engine.lab, changes, project_id=project_id, labeller=wanted.labeller)
    before = [TagIn(image_id=each.image_id, class_id=each.class_id, answer=each.answer) for each in done.before]
    return TagsSetOut(changed=done.n_changed, before=before)


@router.get("/projects/{project_id}/tags/counts")
def count_tags(engine: Own, project_id: Number) -> list[TagCountsOut]:
    """How many images say what of each class."""
    tags = engine.tags.tags(project_id)
    counts = tags.counts()
    return [TagCountsOut(class_id=label.id, name=label.name, **counts[label.id].to_dict()) for label in tags.classes]


@router.get("/projects/{project_id}/tags/images")
def choose_images(engine: Own, project_id: Number, tag: Filters, not_done: bool = False) -> list[int]:
    """Ids of the images that have all these tags, in import order; predicted are those that were looked at by now."""
    tags = engine.tags.tags(project_id)
    filters = filters_of(tag, tags.classes)
    suggestions = None
    if any(each.is_predicting for each in filters):
        suggestions = engine.tags.at_work(project_id).suggestions
    return list(images_with(tags, filters, suggestions=suggestions, not_done=not_done))


@router.get("/projects/{project_id}/tags/suggestions")
def get_suggestions(engine: Own, project_id: Number) -> SuggestionsOut:
    """What is predicted, and which image to answer next; asking begins to look at images, in the background."""
    at_work = engine.tags.at_work(project_id)
    suggestions = at_work.suggestions
    return SuggestionsOut(
        looked_at=at_work.done,
        images=at_work.total,
        behind=suggestions.is_behind,
        class_ids=list(suggestions.class_ids),
        next_image_id=at_work.most_doubtful(),
        message=at_work.message,
        left_out=dict(suggestions.left_out),
        suggestions=[
            SuggestedOut(image_id=image_id, probabilities=suggestions.of_image(image_id))
            for image_id in suggestions.image_ids
        ],
    )


class IntervalOut(BaseModel):
    """A score from 0 to 1 with its interval."""

    value: float
    low: float
    high: float


class ClassScoreOut(BaseModel):
    """Scores of a class by so many answers yes and no; null where there is none."""

    id: int
    name: str
    yes: int
    no: int
    average_precision: IntervalOut | None
    f1: IntervalOut | None


class ScoresOut(BaseModel):
    """How good suggestions are, on images that were answered and not learned from; `missing` says why a score is null.

    `calibration_error` is by how much probabilities are off; `level` is how often intervals hold the score.
    """

    classes: list[ClassScoreOut]
    mean_average_precision: IntervalOut | None
    micro_f1: IntervalOut | None
    macro_f1: IntervalOut | None
    calibration_error: float | None
    images: int
    level: float
    missing: str


@router.get("/projects/{project_id}/tags/scores")
def get_scores(engine: Own, project_id: Number) -> ScoresOut:
    """How good suggestions are, by the images that were looked at by now."""
    return ScoresOut(**scored_values(engine.tags.scores(project_id)))


FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/csv": {}, "application/json": {}, "application/zip": {}},
        "description": "a table, COCO JSON, or a zip file of text files",
    }
}
MEDIA = {".csv": "text/csv; charset=utf-8", ".json": "application/json", "": "application/zip"}


@router.get("/projects/{project_id}/tags/file", response_class=Response, responses=FILES)
def export_tags(
    engine: Own,
    project_id: Number,
    as_format: Annotated[TagFormatName, Query(alias="format")] = TagFormatName("csv"),  # noqa: B008
    class_name: Annotated[list[str] | None, Query(alias="class", max_length=255)] = None,
    answered: bool = False,
    probabilities: bool = False,
) -> Response:
    """The tags of a project as a file.

    `class`: only these classes. `answered`: only what people said of images. `probabilities`: with what is predicted of
    the images that were looked at by now.
    """
    suggestions: TagSuggestions | None = None
    tags = engine.tags.tags(project_id)
    if probabilities:
        suggestions = engine.tags.at_work(project_id).suggestions
    written = tag_files(
        tags,
        format_name=str(as_format),
        class_ids=None if class_name is None else [class_named(name, tags.classes).id for name in class_name],
        answered_only=answered,
        suggestions=suggestions,
    )
    name, data = written.packed()
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type=MEDIA[written.format.suffix], headers=headers)


@router.post("/projects/{project_id}/tags/file")
def import_file(
    engine: Own,
    project_id: Number,
    file: UploadFile,
    labeller: Annotated[str, Query(max_length=200)] = "api",
    overwrite: bool = False,
    dry_run: bool = False,
) -> TagImportOut:
    """Store the answers of a table (CSV), all or none.

    `overwrite`: they take the place of other ones that are stored. `dry_run`: nothing is stored, and what is wrong is
    told.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tags.csv"
        path.write_bytes(file.file.read())
        try:
            if dry_run:
                return TagImportOut.of(plan_import(engine.lab, path, project_id=project_id))
            return TagImportOut.of(
                import_tags(engine.lab, path, project_id=project_id, labeller=labeller, overwrite=overwrite)
            )
        except InvalidTag as refusal:
            raise InvalidTag(str(refusal).replace(str(path), file.filename or path.name)) from refusal
