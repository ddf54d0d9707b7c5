"""The manifest: what an export holds and how it was made, as JSON."""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import fcnlab

MANIFEST_NAME = "manifest.json"
PEEK_BYTES = 65_536
FORMAT, FORMAT_VERSION = "fcnlab-export", 1
PACKAGES = ("numpy", "opencv-python-headless", "pillow", "timm", "torch")


def manifest_json(content: dict[str, Any]) -> bytes:
    """UTF-8 bytes of the manifest: the format, the versions, then the content."""
    head = {"format": FORMAT, "format_version": FORMAT_VERSION, "versions": versions()}
    return (json.dumps({**head, **content}, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def is_export(folder: Path) -> bool:
    """Whether a folder is an export of fcnlab, by the beginning of its manifest."""
    try:
        with (folder / MANIFEST_NAME).open("rb") as file:
            return re.search(rb'"format"\s*:\s*"%s"' % FORMAT.encode(), file.read(PEEK_BYTES)) is not None
    except OSError:
        return False


def versions() -> dict[str, str]:
    """Versions of fcnlab and of the packages that decide what a mask looks like."""
    return {"fcnlab": fcnlab.__version__, **{name: _version(name) for name in PACKAGES}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
