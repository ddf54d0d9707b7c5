"""All formats, found in the modules below this package: adding a format is adding its module."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from functools import cache
from importlib import import_module

from fcnlab.errors import ExportFailed, ImportRefused
from fcnlab.storage import formats
from fcnlab.storage.formats.format import Format


@cache
def all_formats() -> tuple[Format, ...]:
    """Every format that a module of this package lists in FORMATS, by `order`.

    Raises:
        ValueError: two formats have the same name or the same order.
    """
    declared: list[Format] = []
    for module in pkgutil.walk_packages(formats.__path__, f"{formats.__name__}."):
        if module.name != __name__:
            declared += getattr(import_module(module.name), "FORMATS", ())
    for attribute in ("name", "order"):
        values = [getattr(each, attribute) for each in declared]
        doubled = {value for value in values if values.count(value) > 1}
        if doubled:
            raise ValueError(f"two formats have the {attribute} {min(doubled)!r}")
    return tuple(sorted(declared, key=lambda each: each.order))


def written_formats(names: Iterable[str] | None = None) -> tuple[Format, ...]:
    """The formats that are written, by `order`: all, or those of the names.

    Raises:
        ExportFailed: a name is none of theirs.
    """
    written = {each.name: each for each in all_formats() if each.write is not None}
    if names is None:
        return tuple(written.values())
    wanted = set(names)
    for name in sorted(wanted - set(written)):
        raise ExportFailed(f"there is no format {name!r} to write; choose of {', '.join(written)}")
    return tuple(each for name, each in written.items() if name in wanted)


def read_formats() -> dict[str, Format]:
    """The formats of label files that are read, by their names."""
    return {each.name: each for each in all_formats() if each.read is not None}


def read_format(name: str) -> Format:
    """The format of label files of a name. Raises ImportRefused: there is none."""
    formats_by_name = read_formats()
    if name not in formats_by_name:
        raise ImportRefused(f"there is no format {name!r} of labels; choose of {', '.join(formats_by_name)}")
    return formats_by_name[name]
