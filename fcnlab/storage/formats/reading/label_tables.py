"""Tables of classes that lie beside label files: a name per line, CSV, JSON, YAML, CVAT's labelmap.txt."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.reading.labelled import FileClass
from fcnlab.storage.formats.reading.mask_files import MASK_FOLDERS, files_below
from fcnlab.storage.formats.reading.values import mapping, name_in, read_json, read_text, shown, whole

BESIDE = (
    *("classes.csv", "_classes.csv", "class_dict.csv", "classes.json", "classes.txt", "class_names.txt"),
    *("labelmap.txt", "obj.names", "classes.names", "labels.txt", "names.txt", "codes.txt"),
    *("data.yaml", "dataset.yaml", "dataset_meta.json", "manifest.json"),
)
"""What tables are called when nobody names one, the first found counts."""

LOOKS_LIKE_TABLE = re.compile(r"class|label|categor|names|legend|palette|colou?r|codes|ontology", re.IGNORECASE)
TABLE_SUFFIXES = frozenset({".txt", ".csv", ".tsv", ".json", ".yaml", ".yml", ".names"})
IGNORED = "__ignore__"
"""As the first line of a list of names it has the value -1, and the others count from 0 (LabelMe's labels.txt)."""

YAMLS = ("data.yaml", "dataset.yaml", "data.yml")
VALUES = ("id", "value", "pixel value", "index", "class_id")
COLOURS = ("colour", "color", "rgb")
"""What columns of values and of colours are called."""


@dataclass(frozen=True, slots=True)
class LabelTable:
    """Classes by the value of their pixels; a colour counts where masks are in colour."""

    by_value: Mapping[int, FileClass]


def find_table(folder: Path) -> Path | None:
    """A table in the folder of the labels, in the one above, or else the highest below; None when there is none.

    Of a folder such as `train/labels`, a table beside `train` counts as well.
    """
    above = [folder, folder.parent, *([folder.parent.parent] if folder.name.casefold() in MASK_FOLDERS else [])]
    candidates = (directory / name for directory in above for name in BESIDE)
    beside = next((path for path in candidates if path.is_file()), None)
    if beside is not None:
        return beside
    below = [file for file in files_below(folder, tuple({Path(name).suffix for name in BESIDE})) if file.name in BESIDE]
    return min(below, key=lambda file: (len(file.parts), BESIDE.index(file.name)), default=None)


def refuse_unread_table(folder: Path) -> None:
    """Before the order of classes is taken from elsewhere: no file beside the masks may say something about it.

    Raises:
        ImportRefused: one is called as tables of classes are, but is not in BESIDE.
    """
    above = [folder, *([folder.parent] if folder.name.casefold().startswith(tuple(MASK_FOLDERS)) else [])]
    for directory in above:
        for file in sorted(directory.iterdir()) if directory.is_dir() else ():
            if file.suffix.lower() in TABLE_SUFFIXES and LOOKS_LIKE_TABLE.search(file.stem) and file.is_file():
                raise ImportRefused(
                    f"{file.name} beside the masks may name their classes, and is not read by itself: name it as the "
                    "table of classes, or another table"
                )


def read_table(path: Path) -> LabelTable:
    """A table of classes.

    Raises:
        ImportRefused: unreadable, or in no form that is known.
    """
    suffix = path.suffix.lower()
    if path.name.lower() == "labelmap.txt":
        rows = _labelmap(path)
    elif suffix == ".csv":
        rows = _csv(path)
    elif suffix == ".json":
        rows = _of_values(read_json(path), path)
    elif suffix in (".yaml", ".yml"):
        rows = _of_values(_yaml(path), path)
    else:
        lines = [line.strip() for line in read_text(path).splitlines()]
        first = -1 if lines[:1] == [IGNORED] else 0
        rows = [(value, line, "") for value, line in enumerate(lines, start=first) if line and value >= 0]
    if not rows:
        raise ImportRefused(f"{path.name} names no class")
    return LabelTable({value: FileClass(name, colour) for value, name, colour in rows})


def key_point_columns(folder: Path, table: Path) -> int:
    """How many numbers of key points follow the box on a line of YOLO's; 0 where no data.yaml says so.

    Raises:
        ImportRefused: it says something that cannot be.
    """
    candidates = [table, *(directory / name for directory in (folder, folder.parent, table.parent) for name in YAMLS)]
    file = next((path for path in candidates if path.suffix.lower() in (".yaml", ".yml") and path.is_file()), None)
    content = None if file is None else _yaml(file)
    shape = content.get("kpt_shape") if isinstance(content, dict) else None
    if file is None or shape is None:
        return 0
    count, each = [whole(size, f"kpt_shape in {file.name}", least=1) for size in shape] if len(shape) == 2 else (0, 0)
    if each not in (2, 3):
        raise ImportRefused(f"kpt_shape in {file.name} is {shown(shape)}, wanted a count of points, and 2 or 3")
    return count * each


def colour_of(value: object, what: str) -> str:
    """`#rrggbb` in small letters of a text of that form, `r,g,b`, or three numbers. Raises ImportRefused."""
    parts = re.split(r"[,;\s]+", value.strip(" ()[]")) if isinstance(value, str) else value
    if isinstance(parts, list | tuple) and len(parts) == 3:
        channels = [whole(part, what) for part in parts]
        if max(channels) <= 255:
            return "#{:02x}{:02x}{:02x}".format(*channels)
    if isinstance(value, str) and re.fullmatch(r"#?[0-9a-fA-F]{6}", value.strip()):
        return f"#{value.strip().removeprefix('#').lower()}"
    raise ImportRefused(f"{what} is {shown(value)}, wanted a colour such as #ff0000 or 255,0,0")


Row = tuple[int, str, str]


def _labelmap(path: Path) -> list[Row]:
    rows: list[Row] = []
    for line in read_text(path).splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, rest = line.partition(":")
            colour = rest.partition(":")[0].strip()
            rows.append((len(rows), name.strip(), colour_of(colour, f"a colour in {path.name}") if colour else ""))
    return rows


def _csv(path: Path) -> list[Row]:
    """Columns id or value, name or class, colour or r, g, b, in any order; one of values or colours there must be."""
    content = read_text(path)
    first = content.partition("\n")[0]
    try:
        lines = list(
            csv.DictReader(io.StringIO(content, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
        )
    except csv.Error as failure:
        raise ImportRefused(f"{path.name} is no table ({failure})") from failure
    named = [{str(key).strip().lower(): cell for key, cell in line.items()} for line in lines]
    if named and not named[0].keys() & {*VALUES, *COLOURS, "r"}:
        columns = ", ".join(named[0])
        raise ImportRefused(f"{path.name} has the columns {columns}, and none with values: call one of them 'id'")
    return _of_dicts(named, path)


def _of_dicts(lines: Iterable[Mapping[str, Any]], path: Path) -> list[Row]:
    rows: list[Row] = []
    for position, line in enumerate(lines):
        name = next((name for key in ("name", "class", "label") if (name := name_in(line.get(key)))), "")
        if not name:
            raise ImportRefused(f"{path.name}: entry {position + 1} has no name; wanted id, name and, in masks, colour")
        value = next((line[key] for key in VALUES if line.get(key) not in (None, "")), position)
        colour = next((line[key] for key in COLOURS if line.get(key)), None)
        if colour is None and all(line.get(key) not in (None, "") for key in "rgb"):
            colour = [line[key] for key in "rgb"]
        what = f"{path.name}: the colour of {name!r}"
        rows.append(
            (
                whole(value, f"{path.name}: the id of {name!r}"),
                name,
                "" if colour is None else colour_of(colour, what),
            )
        )
    return rows


def _of_values(values: Any, path: Path) -> list[Row]:
    """[name], [{id, name, colour}], {id: name}, {name: id or colour}, {colour: name}; or one of these in `classes`.

    Names are texts, whatever they look like.
    """
    if isinstance(values, dict):
        for key in ("classes", "names", "labels", "categories", "label_map"):
            if isinstance(values.get(key), list | dict):
                return _of_values(values[key], path)
    if isinstance(values, list):
        if not any(isinstance(entry, dict) for entry in values):
            return [(position, name, "") for position, entry in enumerate(values) if (name := name_in(entry))]
        return _of_dicts([mapping(entry, f"an entry of {path.name}") for entry in values], path)
    rows: list[Row] = []
    for position, (key, value) in enumerate(mapping(values, path.name).items()):
        rows.append(_pair(str(key), value, position, path))
    return rows


def _pair(key: str, value: Any, position: int, path: Path) -> Row:
    what, key = f"{path.name}: the entry {shown(key)}", key.strip()
    if re.fullmatch(r"\d+", key) and isinstance(value, str):
        return int(key), value.strip(), ""
    if re.fullmatch(r"\d+", key) and isinstance(value, int | float):
        raise ImportRefused(f"{what} is {shown(value)}: which of the two is the name? write it in quotation marks")
    if isinstance(value, str) and re.fullmatch(r"#?[0-9a-fA-F]{6}|\(?\d+,\s*\d+,\s*\d+\)?", key):
        return position, value.strip(), colour_of(key, what)
    if (isinstance(value, int | float) and not isinstance(value, bool)) or re.fullmatch(r"\d{1,5}", str(value).strip()):
        return whole(value, what), key, ""
    return position, key, colour_of(value, what)


def _yaml(path: Path) -> Any:
    import yaml

    content = read_text(path)
    if "<<" in content:  # merging can make a few lines grow without end, and no table needs it
        raise ImportRefused(f"{path.name} merges entries by '<<': write them out")
    try:
        return yaml.load(content, Loader=yaml.BaseLoader)  # of texts alone: 01, no, 1e3 and dates are names as written
    except (yaml.YAMLError, ValueError, RecursionError) as failure:
        raise ImportRefused(f"{path.name} is damaged ({str(failure).splitlines()[0]}); write it again") from failure
