"""Small label files in the layouts of other tools, and what a reader made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.reading.labelled import LabelledImage, LabelSource, UnreadLabels

HW = (20, 33)
"""Of every image in these tests: never square."""


def save_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def save_png(path: Path, pixels: NDArray[Any], palette: list[int] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette)
    image.save(path)
    return path


def class_names(source: LabelSource) -> list[str]:
    return [one.name for one in source.classes]


def readable(source: LabelSource) -> dict[str, LabelledImage]:
    return {one.name: one for one in source.images() if isinstance(one, LabelledImage)}


def refusals(source: LabelSource) -> list[str]:
    return [f"{one.name}: {one.reason}" for one in source.images() if isinstance(one, UnreadLabels)]


def named_mask(source: LabelSource, image: LabelledImage, hw: tuple[int, int] = HW) -> NDArray[Any]:
    """The mask with names in place of places; '' where nothing is said."""
    assert image.mask is not None
    mask = image.mask(hw)
    assert mask.dtype == np.uint8
    assert mask.shape == hw
    names = np.array([*class_names(source), *[""] * (256 - len(source.classes))])
    return names[mask]


def only_mask(source: LabelSource, hw: tuple[int, int] = HW) -> NDArray[Any]:
    (image,) = readable(source).values()
    return named_mask(source, image, hw)


def filled(*parts: tuple[slice, slice, str], rest: str = "background", hw: tuple[int, int] = HW) -> NDArray[Any]:
    """The mask that these rows and columns make, later ones over earlier ones."""
    mask = np.full(hw, rest, "U32")
    for rows, cols, name in parts:
        mask[rows, cols] = name
    return mask


Maker = Callable[[Path], Path]


def assert_refused_in_one_line(source: LabelSource, reason: str) -> None:
    """Whatever is wrong is said once, on one line, with the reason: when the image is listed, or when it is drawn."""
    said = refusals(source)
    for image in readable(source).values():
        with pytest.raises(ImportRefused) as failure:
            named_mask(source, image)
        said.append(str(failure.value))

    assert len(said) == 1
    assert reason in said[0]
    assert "\n" not in said[0]
