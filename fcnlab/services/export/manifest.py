"""What the manifest of an export says about the project and its images."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fcnlab.core.images.naming import NAMING_RULE
from fcnlab.core.images.palette import recoloured
from fcnlab.domain.export import ExportSpec
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.models import ModelRecord
from fcnlab.domain.scores import score_in_a_sentence, score_to_dict
from fcnlab.services.export.formats import spec_values
from fcnlab.services.export.plan import ProjectSnapshot

CONVENTIONS = {
    "masks": "pixel value = class id, at the full size of the upright image; 255 occurs only in a border of Pascal "
    "VOC masks that was asked for, and without a background where classes or small parts were left out",
    "mask": "stored: the mask the image kept when it was marked done; predicted: by the model",
    "model": "what makes masks: a chosen version, with its own point set, or null for the instant learner; "
    "of an image the file of what made its mask, or `painted` where every pixel was painted by hand or taken from an "
    "imported mask",
    "turned": "the image was turned or flipped as its EXIF orientation asks; masks lie upright",
    "stretch": "values of the original that became 0 and 255 when the image was made 8-bit",
    "imaging": "which channels became red, green and blue, between which values; null: the image as it came",
    "pixel_size": "width and height of a pixel of the upright image, where the file says it",
    "points": "row and col count pixels of the upright image from its top left corner, from 0",
    "polygons": "corners of pixels: x, y is the upper left corner of the pixel in column x and row y; a pixel is "
    "inside when its centre is; holes are joined to the outer ring by seams without area where a format has no holes",
    "background": "id of the class that is no object: no shape and no category in formats of shapes; null: every class "
    "has shapes, and line 0 of Pascal VOC's labelmap.txt stands for no pixel",
    "is_first_guess": "true where clicks of one class alone were there: what is unlike them counted as background",
    "categories": "of COCO: class ids, or all of them one more where a category would be 0",
    "colour_in_project": "of a class whose colour another one has, or that stands for no class: files have `colour`",
    "file_names": NAMING_RULE,
    "content_hash": "SHA-256 of the original file; behind each written file stands its own",
}


def manifest_of(snapshot: ProjectSnapshot, spec: ExportSpec) -> dict[str, Any]:
    """All of the manifest that is known before the first image is written."""
    project = snapshot.project
    labels = (*project.classes, *snapshot.removed)
    in_files = {label.id: label.colour for label in recoloured(labels)}
    removed = {label.id for label in snapshot.removed}
    options = spec_values(spec)
    return {
        "project": project.name,
        "learner": project.learner.to_dict(),
        "model": _named(snapshot.model),
        "point_set": snapshot.point_set_hash,
        "not_learned_from": [{"image": name, "reason": why} for name, why in sorted(snapshot.left_out.items())],
        "formats": options.pop("formats"),
        "options": options,
        "background": project.background,
        **({"is_first_guess": True} if snapshot.is_first_guess else {}),
        "classes": [
            {"id": label.id, "name": label.name, "colour": in_files[label.id], "removed": label.id in removed}
            | ({} if in_files[label.id] == label.colour else {"colour_in_project": label.colour})
            for label in sorted(labels, key=lambda label: label.id)
        ],
        "conventions": CONVENTIONS,
    }


def described(image: ImageInfo) -> dict[str, Any]:
    """What the manifest says of an image, whatever its mask."""
    return {
        "image": image.name,
        "content_hash": image.content_hash,
        "height": image.height,
        "width": image.width,
        "dtype": image.dtype,
        "channels": image.channels,
        "turned": image.turned,
        "stretch": None if image.stretch is None else asdict(image.stretch),
        "imaging": None if image.imaging is None else image.imaging.to_dict(),
        "pixel_size": None if image.pixel_size is None else image.pixel_size.to_dict(),
        "state": image.state.value,
        "n_points": image.n_points,
    }


def _named(model: ModelRecord | None) -> dict[str, Any] | None:
    """The chosen model; None for the instant learner."""
    if model is None:
        return None
    return {
        "id": model.id,
        "name": model.name,
        "kind": model.kind.value,
        "file": model.file,
        "spec": model.spec,
        "point_set": model.point_set_hash,
        "score": None if model.score is None else score_to_dict(model.score),
        "score_in_words": None if model.score is None else score_in_a_sentence(model.score),
    }
