"""Files made for one browser to fetch: under an unguessable name, for a day."""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path
from urllib.parse import quote

from fcnlab.core.images.naming import safe_part
from fcnlab.errors import UnknownExport, storage_explained
from fcnlab.lab import Lab

KEPT_FOR_S = 24 * 3600
PREFIX = "download-"


def new_download(lab: Lab, *, name: str) -> Path:
    """A path for a new file; those of other days are deleted. Raises StorageFull."""
    now = lab.clock().timestamp()
    for folder in lab.folders.exports.glob(f"{PREFIX}*"):
        if now - folder.stat().st_mtime > KEPT_FOR_S:
            shutil.rmtree(folder, ignore_errors=True)
    folder = lab.folders.exports / f"{PREFIX}{secrets.token_urlsafe(24)}"
    with storage_explained(folder):
        folder.mkdir()
    return folder / safe_part(name)


def download_url(path: Path) -> str:
    """Where the server offers a file of `new_download`, under its own address."""
    return f"/fcnlab/download/{path.parent.name.removeprefix(PREFIX)}/{quote(path.name)}"


def find_download(lab: Lab, *, token: str, name: str) -> Path:
    """The file behind an address. Raises UnknownExport: it is gone."""
    if re.fullmatch(r"[A-Za-z0-9_-]{32}", token) and name == safe_part(name):
        path = lab.folders.exports / f"{PREFIX}{token}" / name
        if path.is_file():
            return path
    raise UnknownExport("this file is not offered any more; make it again")
