"""All formats of tags there are: each module of this folder declares its own."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from fcnlab.errors import ExportFailed
from fcnlab.storage.formats import tags
from fcnlab.storage.formats.tags.tag_format import TagFormat


@cache
def tag_formats() -> dict[str, TagFormat]:
    """The formats of tags by their names, in the order of lists."""
    declared: list[TagFormat] = []
    for module in pkgutil.iter_modules(tags.__path__, f"{tags.__name__}."):
        declared += getattr(import_module(module.name), "TAG_FORMATS", ())
    return {each.name: each for each in sorted(declared, key=lambda each: each.order)}


def tag_format(name: str) -> TagFormat:
    """The format of a name. Raises ExportFailed: there is none."""
    formats = tag_formats()
    if name not in formats:
        raise ExportFailed(f"there is no format {name!r} of tags; choose of {', '.join(formats)}")
    return formats[name]
