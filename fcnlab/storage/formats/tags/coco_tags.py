"""Tags as JSON in the manner of COCO: an annotation for each class that an image contains, without a box.

Categories that are known to be absent stand in `neg_category_ids` of the image, as in LVIS (Gupta et al. 2019,
arXiv:1908.03195); of those that stand nowhere nothing is known, as with the image labels of Open Images.
"""

from __future__ import annotations

import json
from typing import Any

from fcnlab.domain.tags import TagAnswer
from fcnlab.storage.formats.tags.tag_format import TagFormat, TagSubject
from fcnlab.storage.formats.writing import category_ids


def tags_json(subject: TagSubject) -> dict[str, bytes]:
    """UTF-8 bytes of the file, as tags.json."""
    ids = category_ids(subject.classes)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(subject.images, start=1):
        about: dict[str, Any] = {
            "id": number,
            "file_name": image.name,
            "height": image.hw[0],
            "width": image.hw[1],
            "neg_category_ids": sorted(ids[class_id] for class_id in image.with_answer(TagAnswer.NO)),
        }
        if subject.has_probabilities:
            about["probabilities"] = {str(ids[key]): round(value, 4) for key, value in image.probabilities.items()}
        images.append(about)
        annotations += [
            {"id": len(annotations) + place, "image_id": number, "category_id": category_id}
            for place, category_id in enumerate(
                sorted(ids[class_id] for class_id in image.with_answer(TagAnswer.YES)), start=1
            )
        ]
    values = {
        "info": {"description": subject.title},
        "licenses": [],
        "images": images,
        "categories": [{"id": ids[label.id], "name": label.name} for label in subject.classes],
        "annotations": annotations,
    }
    return {"tags.json": json.dumps(values, ensure_ascii=False, indent=1).encode() + b"\n"}


TAG_FORMATS = (
    TagFormat(
        "coco",
        "COCO (JSON)",
        "Categories of images: an annotation for each class that is there; neg_category_ids (as in LVIS) lists those "
        "that are not.",
        1,
        tags_json,
        suffix=".json",
    ),
)
