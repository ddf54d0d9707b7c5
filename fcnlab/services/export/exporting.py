"""A project as files for other tools: masks, shapes and tables in a zip file or a folder."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from fcnlab.domain.export import DEFAULT_FORMATS, PROBABILITY_FORMATS, ExportFormat, ExportSpec
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.errors import ExportFailed
from fcnlab.lab import Lab
from fcnlab.services.export.plan import Moment, Runner, frozen, keeping, lacking, learning
from fcnlab.services.export.progress import NOTHING_LEARNED, ExportProgress
from fcnlab.services.export.splits import Splitter
from fcnlab.services.export.target import open_target, refuse_file_name
from fcnlab.services.export.writing import ProjectWriter
from fcnlab.services.live.fitting import Maker

__all__ = ["DEFAULT_FORMATS", "ExportFormat", "ExportProgress", "ExportSpec", "export_project"]


def export_project(
    lab: Lab, run: Runner, *, project_id: int, spec: ExportSpec, to: Path
) -> Generator[ExportProgress, None, None]:
    """Write a project; points and states of the moment it starts, a few images in memory at a time.

    Closing the iterator early leaves no zip file; a folder keeps what is finished, and the same export into it, of the
    same points and model, goes on there. An image whose mask cannot be made is named and left out.

    Args:
        lab: the installation.
        run: runs each step that computes.
        project_id: what to export.
        spec: formats and choice of images.
        to: a zip file, if it is called so; one that is there stays until the new one is complete. Else a folder, new
            or empty.

    Raises:
        UnknownProject: no such project.
        ExportFailed: there is nothing to export, or it cannot be written.
    """
    if to.suffix.lower() != ".zip":
        refuse_file_name(to)
    waiting = lacking(lab, project_id=project_id)
    predicts = not spec.done_only or not PROBABILITY_FORMATS.isdisjoint(spec.formats)
    if waiting or predicts:
        for done, total, name in learning(run):
            yield ExportProgress("learning", done, total, name)
    for done, total, name in keeping(lab, run, waiting):
        yield ExportProgress("keeping", done, total, name)
    moment, maker = frozen(lab, run, project_id=project_id, with_masks=predicts)
    images = _wanted(moment, spec)
    _refuse_empty(moment, maker, images)
    splitter = Splitter(lab, images, spec.split)
    for number, image in enumerate(splitter, start=1):
        yield ExportProgress("splitting", number, len(images), image.name)
    writer = ProjectWriter(lab, run, moment, maker, spec, images, splitter.parts())
    with open_target(to, fingerprint=writer.fingerprint()) as target, closing(writer.write(target)) as steps:
        yield from steps
    yield replace(writer.progress, phase="finished")


def _wanted(moment: Moment, spec: ExportSpec) -> list[ImageInfo]:
    """The images that the spec asks for.

    Raises:
        ExportFailed: there are none, or it names a class that the project does not have.
    """
    name = moment.project.name
    unknown = set(spec.class_ids or ()) - moment.project.class_ids()
    if unknown:
        known = ", ".join(f"{label.name} ({label.id})" for label in moment.project.classes)
        raise ExportFailed(f"project {name!r} has no class {min(unknown)}; it has {known}")
    if not moment.images:
        raise ExportFailed(f"project {name!r} has no images: import some first")
    images = [image for image in moment.images if not spec.done_only or image.state is ImageState.DONE]
    if not images:
        raise ExportFailed(f"no image of project {name!r} is marked done: mark one, or export the others too")
    clicked = {stored.image_id for stored in moment.points}
    images = [image for image in images if not spec.with_points or image.id in clicked]
    if not images:
        raise ExportFailed(f"no such image of project {name!r} has points: click some, or export the others too")
    return images


def _refuse_empty(moment: Moment, maker: Maker | None, images: list[ImageInfo]) -> None:
    if maker is None and not any(image.id in moment.masks for image in images):
        raise ExportFailed(f"no mask of project {moment.project.name!r} can be exported, since {NOTHING_LEARNED}")
