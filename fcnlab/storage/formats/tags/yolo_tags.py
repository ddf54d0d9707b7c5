"""Tags as text files in the manner of YOLO: a file for each image with the numbers of its classes, and classes.txt.

A folder for each class, which YOLO's own classification reads, holds one class of an image only. A file without lines
says that the image contains none of the classes.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from fcnlab.domain.tags import TagAnswer
from fcnlab.errors import ExportFailed
from fcnlab.storage.formats.tags.tag_format import TagFormat, TagSubject


def tags_txt(subject: TagSubject) -> dict[str, bytes]:
    """classes.txt, a name on each line, and labels/NAME.txt, with a number from 0 on each line.

    Raises:
        ExportFailed: two images differ only in the ending of their names.
    """
    files = {"classes.txt": "".join(f"{label.name}\n" for label in subject.classes).encode()}
    index_of = {label.id: index for index, label in enumerate(subject.classes)}
    names: dict[str, str] = {}
    for image in subject.images:
        path = f"labels/{PurePosixPath(image.name).with_suffix('.txt')}"
        if path in names:
            raise ExportFailed(
                f"{names[path]} and {image.name} would both have {path}: take another format, or import one of them "
                "under another name"
            )
        names[path] = image.name
        numbers = sorted(index_of[class_id] for class_id in image.with_answer(TagAnswer.YES))
        files[path] = "".join(f"{number}\n" for number in numbers).encode()
    return files


TAG_FORMATS = (
    TagFormat(
        "yolo",
        "YOLO lists (TXT)",
        "A text file for each image with the numbers of its classes, and classes.txt; only images all classes of which "
        "are known.",
        2,
        tags_txt,
        says_unknown=False,
    ),
)
