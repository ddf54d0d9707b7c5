"""Names of exported files: safe on every system, and apart even where systems ignore case."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

NAMING_RULE = (
    "The name of an image without its ending names its files. Images whose names then differ in case at most keep "
    "their ending behind an underscore (a.png and a.jpg: a_png, a_jpg); if that name is taken too, a number follows. "
    "Characters that some systems forbid become underscores. Images are numbered in the order of their names. "
    "In yolo/, folders of images called images or labels get an underscore behind them."
)

OTHER_FOLDERS = frozenset({"train", "val", "valid", "test", "masks", "mask", "labels", "images", "annotations"})
"""Names that readers of data sets take for parts of a split or kinds of files, never for classes."""

_FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_FILE_ENDING = re.compile(r"\.(?=\w{1,4}$)")


def export_stems(names: Sequence[str]) -> dict[str, str]:
    """A path without ending for each image name; see NAMING_RULE.

    Args:
        names: all different, folders separated by "/".

    >>> export_stems(["a.png", "a.jpg", "b/A.tif"])
    {'a.jpg': 'a_jpg', 'a.png': 'a_png', 'b/A.tif': 'b/A'}
    """
    ordered = sorted(names)
    stems = {name: _safe(name, with_ending=False) for name in ordered}
    shared = Counter(stem.casefold() for stem in stems.values())
    taken = {stem.casefold() for stem in stems.values()}
    for name in ordered:
        if shared[stems[name].casefold()] > 1:
            stems[name] = _free(_safe(name, with_ending=True), taken)
            taken.add(stems[name].casefold())
    return stems


def safe_part(text: str) -> str:
    """One folder or file name that every system accepts."""
    part = _FORBIDDEN.sub("_", text.replace("/", "_")).strip().rstrip(".") or "_"
    return f"_{part}" if _DEVICES.match(part) else part


def class_folders(names: Mapping[int, str]) -> dict[int, str]:
    """A folder for each class, by its id: its name, with the id before it where that alone would mislead.

    >>> class_folders({0: "cell", 1: "Cell", 2: "test", 3: "rim"})
    {0: '0_cell', 1: '1_Cell', 2: '2_test', 3: 'rim'}
    """
    folders = {class_id: safe_part(name) for class_id, name in names.items()}
    while True:  # what an id makes of a name may be another's name; two names with their ids before them never meet
        shared = Counter(folder.casefold() for folder in folders.values())
        misleading = {folder for folder, count in shared.items() if count > 1 or folder in OTHER_FOLDERS}
        if not misleading:
            return folders
        folders = {
            class_id: f"{class_id}_{folder}" if folder.casefold() in misleading else folder
            for class_id, folder in folders.items()
        }


def _safe(name: str, *, with_ending: bool) -> str:
    *folders, file = name.split("/")
    stem, dot, ending = file.rpartition(".")
    if not stem:
        stem, ending, dot = file, "", ""
    shown = f"{stem}_{ending}" if with_ending and dot else stem
    # A folder called like a file could stand where another image's mask has to be.
    return "/".join([*(_FILE_ENDING.sub("_", safe_part(folder)) for folder in folders), safe_part(shown)])


def _free(wanted: str, taken: set[str]) -> str:
    number, candidate = 1, wanted
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{wanted}_{number}"
    return candidate
