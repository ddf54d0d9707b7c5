"""Class ids in colour: a colour for each of 255 classes, and pictures in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.project import DEFAULT_PALETTE, MAX_CLASSES, ClassLabel

N_COLOURS = 256
UNKNOWN_RGB = (128, 128, 128)
TINT = 0.45
"""Share of the class colour in a tinted picture."""

DIMMED, MARK, MARKED = 0.55, (255, 64, 160), 0.75
"""Brightness of a picture in which places are marked, the colour of the mark, which no class starts with, its share."""

VOC_BORDER_RGB = (224, 224, 192)
"""The colour in which Pascal VOC shows its border."""

NO_CLASS_RGB = ((0, 0, 0), (255, 255, 255), UNKNOWN_RGB, VOC_BORDER_RGB, MARK)
"""What stands for no class: no colour of the palette comes near."""

GRADE_RAMP = ("#440154", "#414487", "#2A788E", "#22A884", "#7AD151", "#FDE725")
"""Viridis (van der Walt and Smith 2015): as bright as it is far along, to colour-blind eyes too."""

CANDIDATE_STEP = 15
"""Red, green and blue of the candidates are multiples of this."""

LIGHTNESS = (0.3, 0.93)
"""Oklab lightness of the candidates: neither as dark as shadows nor as light as paper."""

EYES = np.array(
    (
        ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
        ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    )
)
"""Linear RGB as it is, as deuteranopes and as protanopes see it (Machado, Oliveira and Fernandes 2009)."""

TO_CONES = np.array(
    (
        (0.4122214708, 0.5363325363, 0.0514459929),
        (0.2119034982, 0.6806995451, 0.1073969566),
        (0.0883024619, 0.2817188376, 0.6299787005),
    )
)
TO_OKLAB = np.array(
    (
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    )
)
"""Linear RGB to cones, and the cube roots of these to Oklab (Ottosson 2020)."""


USUAL_EYES = 0.2
"""Weight of the distance that most people see beside the smallest that any EYES see."""


@cache
def class_colours() -> tuple[str, ...]:
    """255 different colours `#RRGGBB` for classes, each as far from those before it as possible.

    The first nine are DEFAULT_PALETTE. Each later one is the candidate whose nearest predecessor is farthest away
    (Gonzalez 1985), see `_apart`. The list is the same everywhere, and takes about 0.2 s, once in a process.
    """
    chosen = [rgb_of(colour) for colour in DEFAULT_PALETTE]
    values = np.arange(0, 256, CANDIDATE_STEP)
    candidates = np.stack(np.meshgrid(values, values, values, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness = as_seen(candidates)[:, 0, 0]
    candidates = candidates[(lightness >= LIGHTNESS[0]) & (lightness <= LIGHTNESS[1])]
    seen = as_seen(candidates)
    nearest = np.full(len(candidates), np.inf)
    for taken in as_seen(np.array([*NO_CLASS_RGB, *chosen])):
        nearest = np.minimum(nearest, _apart(seen, taken))
    while len(chosen) < MAX_CLASSES:
        best = int(nearest.argmax())
        red, green, blue = candidates[best].tolist()
        chosen.append((red, green, blue))
        nearest = np.minimum(nearest, _apart(seen, seen[best]))
    return tuple("#{:02X}{:02X}{:02X}".format(*rgb) for rgb in chosen)


def as_seen(rgb: NDArray[np.integer]) -> NDArray[np.float64]:
    """Oklab coordinates (N, 3, 3) of colours (N, 3), 0 to 255: for each kind of EYES three, lightness first."""
    share = np.asarray(rgb, np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    views = [np.cbrt(np.clip(linear @ eye.T, 0, 1) @ TO_CONES.T) @ TO_OKLAB.T for eye in EYES]
    return np.stack(views, axis=1)


def _apart(seen: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance (N,) of colours (N, 3, 3) from another (3, 3), see `as_seen`: to the eyes that see the smallest, and a
    part of that to all others, so that they are not forgotten where colour-blind eyes see no difference any more."""
    by_eyes = np.sqrt(((seen - other) ** 2).sum(axis=2))
    return np.asarray(by_eyes.min(axis=1) + USUAL_EYES * by_eyes[:, 0], np.float64)


def grade_colours(count: int, *, taken: Iterable[str] = ()) -> tuple[str, ...]:
    """Colours `#RRGGBB` of `count` grades along GRADE_RAMP, from dark to light, none of `taken`."""
    used = {colour.lower() for colour in taken}
    places = np.linspace(0, 1, len(GRADE_RAMP))
    stops = np.array([rgb_of(colour) for colour in GRADE_RAMP])
    chosen: list[str] = []
    for place in np.linspace(0, 1, count):
        rgb = np.array([np.interp(place, places, stops[:, channel]) for channel in range(3)]).round().astype(int)
        colour = "#{:02X}{:02X}{:02X}".format(*rgb)
        while colour.lower() in used:
            rgb[1] = (rgb[1] + 1) % N_COLOURS
            colour = "#{:02X}{:02X}{:02X}".format(*rgb)
        used.add(colour.lower())
        chosen.append(colour)
    return tuple(chosen)


def unused_colours(taken: Iterable[str], *, count: int) -> tuple[str, ...]:
    """The first `count` class colours that are none of `taken` (`#rrggbb`, in small or capital letters)."""
    used = {colour.lower() for colour in taken}
    return tuple(islice((colour for colour in class_colours() if colour.lower() not in used), count))


def coloured_labels(named: Iterable[tuple[int, str, str]], *, reserved: Iterable[str] = ()) -> tuple[ClassLabel, ...]:
    """Classes of (id, name, colour) in their order, no two in one colour.

    An empty colour, one that an earlier class has, and one of `reserved` (`#rrggbb`, in small letters) give way to the
    first unused one of the palette.

    Raises:
        InvalidClasses: an id, name or colour that no class can have.
    """
    entries = list(named)
    met = set(reserved)
    taken = met | {colour.lower() for _, _, colour in entries}
    labels = []
    for order, (class_id, name, wanted) in enumerate(entries):
        colour = wanted
        if not wanted or wanted.lower() in met:
            colour = next(iter(unused_colours(taken, count=1)), DEFAULT_PALETTE[0])  # of 255 classes none comes here
        taken.add(colour.lower())
        met.add(colour.lower())
        labels.append(ClassLabel(class_id, name, colour, order))
    return tuple(labels)


def recoloured(labels: Iterable[ClassLabel]) -> tuple[ClassLabel, ...]:
    """The same classes as files of colours need them: no two in one colour, none in one that stands for no class."""
    classes = list(labels)
    reserved = ["#{:02x}{:02x}{:02x}".format(*rgb) for rgb in (UNKNOWN_RGB, VOC_BORDER_RGB)]
    coloured = coloured_labels(((label.id, label.name, label.colour) for label in classes), reserved=reserved)
    return tuple(replace(label, colour=other.colour) for label, other in zip(classes, coloured, strict=True))


def rgb_of(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a colour `#rrggbb`."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def palette_of(labels: Iterable[ClassLabel]) -> NDArray[np.uint8]:
    """(256, 3) uint8: the colour of every class id; grey where there is no class."""
    palette = np.full((N_COLOURS, 3), UNKNOWN_RGB, np.uint8)
    for label in labels:
        palette[label.id] = rgb_of(label.colour)
    return palette


def coloured(mask: NDArray[np.uint8], palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The (H, W, 3) uint8 picture of class ids (H, W) uint8 in the colours of a (256, 3) palette."""
    return np.asarray(palette[mask], np.uint8)


def tinted(
    rgb: NDArray[np.uint8], mask: NDArray[np.uint8], palette: NDArray[np.uint8], *, background: int | None
) -> NDArray[np.uint8]:
    """A picture (H, W, 3) uint8 under a veil in the colour of each class, with an outline; the background is bare.

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) uint8 class ids.
        palette: (256, 3) uint8.
        background: class id that is left as it is; None: every class is tinted.
    """
    colours = coloured(mask, palette)
    result = cv2.addWeighted(rgb, 1 - TINT, colours, TINT, 0)
    bare = np.zeros(mask.shape, bool) if background is None else mask == background
    result[bare] = rgb[bare]
    outline = _outline(mask) & ~bare
    result[outline] = colours[outline]
    return np.asarray(result, np.uint8)


def marked(rgb: NDArray[np.uint8], is_marked: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A dim grey picture (H, W, 3) uint8 where the pixels of `is_marked` (H, W) stand out."""
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)
    result = np.repeat((grey * DIMMED)[..., None], 3, axis=2)
    result[is_marked] = (1 - MARKED) * result[is_marked] + MARKED * np.asarray(MARK, np.float32)
    return result.astype(np.uint8)


def _outline(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(H, W) bool: pixels with a neighbour of another class."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, cross) > 0)
