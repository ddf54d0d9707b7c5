"""Pictures whose objects are all marked, and how they are parted into some to learn from and others to count in."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True, slots=True, eq=False)
class CountedPicture:
    """A picture (H, W, 3) uint8 and the rows and columns (N, 2) float of its objects."""

    name: str
    rgb: NDArray[np.uint8]
    places: NDArray[np.float64]

    @property
    def count(self) -> int:
        """The number of its objects."""
        return len(self.places)


def read_counted(folder: Path) -> list[CountedPicture]:
    """The pictures that `list.txt` names, with `points/<stem>.json`: [[x, y], ...], whole numbers are pixel centres."""
    pictures = []
    for name in (folder / "list.txt").read_text("utf-8").split():
        with Image.open(folder / "images" / name) as image:
            rgb = np.asarray(image.convert("RGB"), np.uint8)
        listed = json.loads((folder / "points" / f"{Path(name).stem}.json").read_text("utf-8"))
        pictures.append(CountedPicture(name, rgb, np.array(listed, np.float64).reshape(-1, 2)[:, ::-1]))
    return pictures


def parted(
    pictures: Sequence[CountedPicture], n_train: int, *, group: str, seed: int
) -> tuple[list[CountedPicture], list[CountedPicture]]:
    """About `n_train` pictures to learn from, and the others; pictures of one group stay together.

    Args:
        group: a regular expression whose match in the name is the group; empty: every picture is its own.
    """
    groups: dict[str, list[CountedPicture]] = {}
    for picture in pictures:
        match = re.search(group, picture.name) if group else None
        groups.setdefault(match.group() if match else picture.name, []).append(picture)
    order = np.random.default_rng(seed).permutation(len(groups))
    train: list[CountedPicture] = []
    other: list[CountedPicture] = []
    for index in order:
        (train if len(train) < n_train else other).extend(list(groups.values())[index])
    return train, other
