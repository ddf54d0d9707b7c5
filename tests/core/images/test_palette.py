"""Every class has a colour of its own, and nobody has to see red and green for it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fcnlab.core.images.palette import (
    NO_CLASS_RGB,
    as_seen,
    class_colours,
    coloured_labels,
    recoloured,
    rgb_of,
    unused_colours,
)
from fcnlab.domain.project import DEFAULT_PALETTE, MAX_CLASSES, ClassLabel

JUST_SEEN = 0.02
"""Distance in Oklab from which two colours are told apart side by side."""


def nearest(count: int) -> np.ndarray:
    """The smallest distance (3,) between any two of the first colours, for each kind of eyes."""
    seen = as_seen(np.array([rgb_of(colour) for colour in class_colours()[:count]]))
    apart = np.sqrt(((seen[:, None] - seen[None]) ** 2).sum(axis=3))
    apart[np.arange(count), np.arange(count)] = np.inf
    return np.asarray(apart.min(axis=(0, 1)))


def test_each_of_255_classes_has_a_colour_of_its_own_and_the_first_nine_are_as_ever() -> None:
    colours = class_colours()

    assert len(set(colours)) == MAX_CLASSES
    assert colours[:9] == DEFAULT_PALETTE
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in colours)
    assert not {rgb_of(colour) for colour in colours} & set(NO_CLASS_RGB)


@pytest.mark.parametrize("count", [20, 60, 254])
def test_people_who_see_all_colours_tell_all_classes_apart(count: int) -> None:
    assert nearest(count)[0] > JUST_SEEN


def test_colour_blind_eyes_tell_sixty_classes_apart_as_well_as_the_first_nine() -> None:
    _, deuteranopes, protanopes = nearest(60)

    assert deuteranopes > JUST_SEEN
    assert protanopes == pytest.approx(nearest(9)[2])


def test_colours_look_alike_to_colour_blind_eyes_only_where_red_and_green_differ() -> None:
    grey, red, green = as_seen(np.array([[120, 120, 120], [180, 90, 60], [105, 117, 60]]))

    assert np.allclose(grey[0], grey[1:], atol=2e-3)
    by_eyes = np.sqrt(((red - green) ** 2).sum(axis=1))
    assert by_eyes[1] < by_eyes[0] / 3


def test_the_next_colour_is_the_first_that_no_class_has() -> None:
    assert unused_colours(["#0072b2", "#009E73"], count=2) == ("#E69F00", "#CC79A7")
    assert unused_colours(class_colours(), count=3) == ()


def test_a_doubled_colour_gives_way_and_no_other_class_changes() -> None:
    labels = coloured_labels([(4, "a", "#ff0000"), (2, "b", "#FF0000"), (9, "c", ""), (1, "d", "#0072B2")])

    assert [(label.id, label.name, label.order) for label in labels] == [
        (4, "a", 0),
        (2, "b", 1),
        (9, "c", 2),
        (1, "d", 3),
    ]
    assert [label.colour for label in labels] == ["#ff0000", "#E69F00", "#009E73", "#0072B2"]


def test_in_files_no_class_has_the_colour_of_the_unknown() -> None:
    labels = [ClassLabel(0, "a", "#808080", 3), ClassLabel(1, "b", "#E0E0C0", 1), ClassLabel(2, "c", "#123456", 2)]

    changed = recoloured(labels)

    assert [label.colour for label in changed] == ["#0072B2", "#E69F00", "#123456"]
    assert [label.order for label in changed] == [3, 1, 2]
