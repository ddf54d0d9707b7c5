"""`fcnlab tags list` and `set`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fcnlab.commands.common import found_project, json_option, opened, print_result, project_option
from fcnlab.commands.tags.choosing import tag_option
from fcnlab.commands.tags.common import contradiction_lines, in_columns, state_values
from fcnlab.domain.tags import TagAnswer, TagChange
from fcnlab.errors import InvalidTag, UnknownImage

if TYPE_CHECKING:
    from fcnlab.services.tags.reading import ProjectTags

WORDS: dict[str, TagAnswer | None] = {"yes": TagAnswer.YES, "no": TagAnswer.NO, "unknown": None}


@click.command("list")
@project_option
@tag_option
@click.option("--not-done", is_flag=True, help="Only images that nobody marked done.")
@json_option
@click.pass_context
def list_tags(ctx: click.Context, wanted: str, tag_texts: tuple[str, ...], not_done: bool, as_json: bool) -> None:
    """How many images contain which class, and where labels contradict answers; or the names of chosen images.

    Points, strokes and imported masks say which classes an image contains; what somebody answered of the image counts
    before them.
    """
    from fcnlab.services.tags.choosing import chosen_images, filters_of
    from fcnlab.services.tags.reading import tags_of

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        filters = filters_of(tag_texts, project.classes)
        chosen = chosen_images(lab, filters, project_id=project.id, not_done=not_done)
        tags = tags_of(lab, project_id=project.id)
    names = {image.id: image.name for image in tags.images}
    label_names = {label.id: label.name for label in tags.classes}
    values = {
        "classes": [
            {"id": label.id, "name": label.name, **tags.counts()[label.id].to_dict()} for label in tags.classes
        ],
        "images": [
            {
                "id": image_id,
                "name": names[image_id],
                "tags": {label_names[key]: state_values(state) for key, state in tags.states(image_id).items()},
            }
            for image_id in chosen
        ],
        "contradictions": [
            {"image": names[image_id], "class": label_names[class_id]} for image_id, class_id in tags.contradictions()
        ],
    }
    lines = [names[image_id] for image_id in chosen] if filters or not_done else _summary(tags)
    print_result(values, lines, as_json=as_json)


@click.command("set")
@project_option
@click.option("--labeller", default="command line", show_default=True, help="Whose answers they are.")
@json_option
@click.argument("image")
@click.argument("answers", nargs=-1, required=True, metavar="CLASS=yes|no|unknown ...")
@click.pass_context
def set_answers(
    ctx: click.Context, wanted: str, labeller: str, as_json: bool, image: str, answers: tuple[str, ...]
) -> None:
    """Say of an image which classes it contains; unknown takes an answer back."""
    from fcnlab.services.tags.answering import set_tags
    from fcnlab.services.tags.choosing import class_named
    from fcnlab.services.tags.reading import tags_of

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        image_id = _image_named(image, tags_of(lab, project_id=project.id))
        changes = []
        for text in answers:
            name, _, word = text.rpartition("=")
            if word not in WORDS or not name:
                raise InvalidTag(f"{text!r} is no answer: write CLASS=yes, CLASS=no or CLASS=unknown")
            changes.append(TagChange(image_id, class_named(name, project.classes).id, WORDS[word]))
        done = set_tags(lab, changes, project_id=project.id, labeller=labeller)
        tags = tags_of(lab, project_id=project.id)
    values: dict[str, Any] = {
        "image": image_id,
        "changed": done.n_changed,
        "tags": {label.name: state_values(tags.state(image_id, label.id)) for label in tags.classes},
    }
    name = tags.images[tags.row_of[image_id]].name
    against = [line for line in contradiction_lines(tags) if line.startswith(f"{name}, ")]
    print_result(values, [f"{done.n_changed} tags of {name} changed", *against], as_json=as_json)


def _image_named(wanted: str, tags: ProjectTags) -> int:
    """The image of a name, else of a number (3 or #3). Raises UnknownImage."""
    for image in tags.images:
        if image.name == wanted:
            return image.id
    for image in tags.images:
        if str(image.id) == wanted.removeprefix("#"):
            return image.id
    raise UnknownImage(f"there is no image {wanted!r} in project {tags.project.name!r}; give its name in the project")


def _summary(tags: ProjectTags) -> list[str]:
    counts = tags.counts()
    rows = [("class", "yes", "no", "unknown", "answered")]
    for label in tags.classes:
        of_class = counts[label.id]
        numbers = (of_class.yes, of_class.no, of_class.unknown, of_class.answered)
        rows.append((label.name, *map(str, numbers)))  # type: ignore[arg-type]
    against = contradiction_lines(tags)
    return [*in_columns(rows), *([f"{len(against)} contradictions:", *against] if against else [])]
