"""Tags as files for other programs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fcnlab.domain.project import ClassLabel
from fcnlab.domain.tags import TagAnswer
from fcnlab.errors import ExportFailed
from fcnlab.services.export.target import refuse_file_name
from fcnlab.services.tags.reading import ANSWERS, ProjectTags
from fcnlab.services.tags.suggestions import TagSuggestions
from fcnlab.storage.exports.targets import Archive
from fcnlab.storage.files.whole_files import passing_folder, write_whole
from fcnlab.storage.formats.tags.registry import tag_format, tag_formats
from fcnlab.storage.formats.tags.tag_format import TagFormat, TagSubject, WrittenTags

__all__ = ["TagFormat", "tag_format", "tag_formats"]


@dataclass(frozen=True, slots=True)
class TagFiles:
    """An export: bytes by file name, how many images are in it, and those left out since some tag is unknown."""

    format: TagFormat
    files: dict[str, bytes]
    n_images: int
    left_out: tuple[str, ...]

    def packed(self) -> tuple[str, bytes]:
        """Name and bytes of one file: the only one there is, or a zip file of all."""
        if self.format.suffix:
            return next(iter(self.files.items()))
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            target = Archive(file)
            for name, data in self.files.items():
                target.add(name, data)
        return f"tags-{self.format.name}.zip", buffer.getvalue()


def tag_files(
    tags: ProjectTags,
    *,
    format_name: str,
    class_ids: Sequence[int] | None = None,
    image_ids: Sequence[int] | None = None,
    answered_only: bool = False,
    suggestions: TagSuggestions | None = None,
) -> TagFiles:
    """The tags of a project in a format.

    Args:
        tags: of the project.
        format_name: see `tag_formats`.
        class_ids: of the classes that are written; None: all.
        image_ids: of the images that are written; None: all.
        answered_only: what people said of images, without what labels in them say.
        suggestions: whose probabilities are written besides, where the format has room for them; None: none.

    Raises:
        ExportFailed: there is no such format or class, nothing to write, or the format cannot hold it.
    """
    chosen = tag_format(format_name)
    classes = _classes(tags, class_ids)
    values = tags.answered if answered_only else tags.values
    columns = [tags.column_of[label.id] for label in classes]
    wanted = None if image_ids is None else set(image_ids)
    images, left_out = [], []
    for image, row in zip(tags.images, values[:, columns], strict=True):
        if wanted is not None and image.id not in wanted:
            continue
        said = {label.id: ANSWERS[int(code)] for label, code in zip(classes, row, strict=True)}
        answers = {class_id: answer for class_id, answer in said.items() if answer is not None}
        if not chosen.says_unknown and len(answers) < len(classes):
            left_out.append(image.name)
            continue
        images.append(WrittenTags(image.name, image.hw, answers, _probabilities(suggestions, image.id, said)))
    if not images:
        raise ExportFailed(_nothing_in_words(tags, left_out))
    subject = TagSubject(tags.project.name, classes, tuple(images), suggestions is not None)
    return TagFiles(chosen, chosen.write(subject), len(images), tuple(left_out))


def write_tag_files(written: TagFiles, to: Path) -> None:
    """Write an export: to a file, or to a folder or zip file where there are several.

    A file that is there is replaced, whole; a folder is new or empty.

    Raises:
        ExportFailed: it cannot be written there, and nothing was.
    """
    try:
        if written.format.suffix or to.suffix.lower() == ".zip":
            if to.is_dir():
                raise ExportFailed(f"{to} is a folder: name a file that ends in {written.format.suffix or '.zip'}")
            write_whole(to, written.packed()[1])
            return
        refuse_file_name(to)
        _write_folder(written, to)
    except OSError as failure:
        raise ExportFailed(f"{to} cannot be written ({failure.strerror or failure}); choose another place") from failure


def _write_folder(written: TagFiles, to: Path) -> None:
    if to.is_file() or (to.is_dir() and any(to.iterdir())):
        raise ExportFailed(f"{to} holds something already: name a new folder")
    to.parent.mkdir(parents=True, exist_ok=True)
    with passing_folder(to.parent, prefix=f".{to.name[:80]}") as work:
        whole = work / "tags"
        for name, data in written.files.items():
            path = whole / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if to.is_dir():
            to.rmdir()
        whole.rename(to)


def _classes(tags: ProjectTags, class_ids: Sequence[int] | None) -> tuple[ClassLabel, ...]:
    if class_ids is None:
        return tags.classes
    for class_id in class_ids:
        if class_id not in tags.column_of:
            raise ExportFailed(f"there is no class {class_id} in this project; it may have been removed")
    if not class_ids:
        raise ExportFailed("an export needs a class: choose at least one")
    return tuple(label for label in tags.classes if label.id in set(class_ids))


def _probabilities(
    suggestions: TagSuggestions | None, image_id: int, said: dict[int, TagAnswer | None]
) -> dict[int, float]:
    if suggestions is None:
        return {}
    return {class_id: value for class_id, value in suggestions.of_image(image_id).items() if class_id in said}


def _nothing_in_words(tags: ProjectTags, left_out: Sequence[str]) -> str:
    if left_out:
        return (
            "of no image all classes are known, and this format cannot say unknown: tag some, name fewer classes, or "
            "take another format"
        )
    name = tags.project.name
    return f"project {name!r} has no images to export the tags of: import some, or choose otherwise"
