"""Is this installation sound? Each check says what it found, and what to do when something is broken."""

from __future__ import annotations

import platform
import re
import shutil
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import TypeVar

from fcnlab.errors import FcnlabError
from fcnlab.lab import Lab, data_dir_of
from fcnlab.settings import Settings
from fcnlab.storage.exports.manifest import versions

MIN_FREE_GB = 1.0
NOT_CHECKED = "not looked at, for the database cannot be opened"
SECRET = "(secret)"
CREDENTIALS = re.compile(r"(?<=://)\S+(?=@)|(?<=token=)[^&\s'\"]+")
"""User and password, or a token, in an address. A password may hold `@` and `/` itself, so that all before the last `@`
is hidden: rather too much than a part of it."""

Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked."""

    name: str
    is_sound: bool
    details: str


def examine(settings: Settings) -> tuple[Check, ...]:
    """All checks; one that fails does not stop the others."""
    checks: tuple[tuple[str, Callable[[Settings], str]], ...] = (
        ("versions", _versions),
        ("permissions", _permissions),
        ("data folder", _data_folder),
        ("free disk", _free_disk),
        ("database", _database),
        ("files", _files),
        ("leftovers", _leftovers),
        ("device", _device),
        ("encoder weights", _weights),
        ("web pages", _pages),
    )
    return tuple(_checked(name, check, settings) for name, check in checks)


def failure_report(
    settings: Settings, failure: BaseException, *, error_id: str, page: str, at: datetime, with_traceback: bool
) -> str:
    """What a maintainer wants to know of a failure that nobody explained, without passwords and tokens.

    Args:
        settings: of the installation that it happened in.
        failure: what was raised.
        error_id: under which the log has it.
        page: where it happened.
        at: when it happened.
        with_traceback: whether its message and the lines of code may be told, which can name files of this machine.
    """
    lines = [
        f"error {error_id} on the page {page} at {at:%Y-%m-%d %H:%M:%S} UTC",
        f"{versions_in_words()}, streamlit {version('streamlit')}",
        platform.platform(),
    ]
    if with_traceback:
        lines += ["", *"".join(traceback.format_exception(failure)).rstrip().splitlines()]
    else:
        lines += [f"{type(failure).__module__}.{type(failure).__qualname__}".removeprefix("builtins.")]
    return _without_secrets("\n".join(lines), settings)


def _without_secrets(text: str, settings: Settings) -> str:
    """The text without what opens a door: tokens of the settings, user and password in addresses."""
    for token in (settings.access_token, settings.api_token, settings.label_studio_token):
        text = text.replace(token, SECRET) if token else text
    return CREDENTIALS.sub(SECRET, text)


def _checked(name: str, check: Callable[[Settings], str], settings: Settings) -> Check:
    try:
        return Check(name, True, check(settings))
    except (FcnlabError, OSError, ImportError) as failure:
        return Check(name, False, str(failure))


def versions_in_words() -> str:
    """What runs here: fcnlab, the packages that decide what a mask looks like, Python and the system."""
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    return f"{packages}, Python {platform.python_version()} on {sys.platform}"


def _versions(_settings: Settings) -> str:
    return versions_in_words()


def _permissions(settings: Settings) -> str:
    """Before anything is opened, for that tightens them."""
    from fcnlab.storage.database.migrating import sqlite_files
    from fcnlab.storage.files.filestore import TOKEN_FILE
    from fcnlab.storage.files.whole_files import is_private

    folder = data_dir_of(settings)
    paths = [folder, folder / TOKEN_FILE, *sqlite_files(folder / "lab.db")]
    is_open = [path for path in paths if path.exists() and not is_private(path)]
    if is_open:
        modes = ", ".join(f"{path} ({path.stat().st_mode & 0o777:04o})" for path in is_open)
        raise FcnlabError(
            f"other users of this machine may read {modes}; every start of fcnlab by their owner takes that away, so "
            "run this again, as the owner if it says the same"
        )
    return f"{folder} is for its owner alone"


def _data_folder(settings: Settings) -> str:
    from fcnlab.storage.files.whole_files import write_whole

    folder = data_dir_of(settings)
    probe = folder / "doctor.tmp"
    write_whole(probe, b"fcnlab")
    probe.unlink()
    return f"{folder} can be written"


def _free_disk(settings: Settings) -> str:
    folder = data_dir_of(settings)
    while not folder.exists():
        folder = folder.parent
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < MIN_FREE_GB:
        raise FcnlabError(f"only {free_gb:.2f} GB are free at {folder}; free at least {MIN_FREE_GB:.0f} GB")
    return f"{free_gb:.0f} GB"


def _database(settings: Settings) -> str:
    from sqlalchemy import text

    from fcnlab.lab import open_lab
    from fcnlab.storage.database.engine import engine_of, reading, shown

    lab = open_lab(settings)
    try:
        with reading(lab.sessions) as session:
            revision = session.scalar(text("SELECT version_num FROM alembic_version"))
            n_projects = session.scalar(text("SELECT count(*) FROM projects"))
        return f"{shown(engine_of(lab.sessions).url)}, tables of revision {revision}, {n_projects} projects"
    finally:
        lab.close()


def _files(settings: Settings) -> str:
    from fcnlab.services.installation.backup import missing_files

    checked = _in_open_lab(settings, missing_files)
    if checked is None:
        return NOT_CHECKED
    count, missing = checked
    if missing:
        raise FcnlabError(
            f"{len(missing)} of {count} files that the database names are gone, {missing[0]} for one: take them from a "
            "backup, or import the images again"
        )
    return f"{count} files that the database names are there"


def _leftovers(settings: Settings) -> str:
    from fcnlab.services.installation.sweeping import find_leftovers

    leftovers = _in_open_lab(settings, find_leftovers)
    if leftovers is None:
        return NOT_CHECKED
    if leftovers.files or leftovers.projects:
        raise FcnlabError(
            f"{len(leftovers.files)} files and folders, {leftovers.size / 1e6:.1f} MB, are left of interrupted work "
            f"and deleted projects, and {len(leftovers.projects)} deletions are not finished: `fcnlab doctor --sweep` "
            "takes them away, and so does the next start of the server"
        )
    return "nothing is left of interrupted work and deleted projects"


def _in_open_lab(settings: Settings, check: Callable[[Lab], Seen]) -> Seen | None:
    """What is seen in the open installation; None when it cannot be opened, which is another check's to say."""
    from fcnlab.lab import open_lab

    try:
        lab = open_lab(settings)
    except FcnlabError:
        return None
    try:
        return check(lab)
    finally:
        lab.close()


def _device(settings: Settings) -> str:
    import torch

    from fcnlab.storage.files.devices import pick_device

    return f"{pick_device(settings.device)}, {torch.get_num_threads()} threads"


def _weights(_settings: Settings) -> str:
    from fcnlab.storage.files.weights import BUNDLED_ENCODER, bundled_weights, load_encoder

    strides = load_encoder(BUNDLED_ENCODER).strides
    return f"{BUNDLED_ENCODER} with features at strides {strides}, from {bundled_weights()}"


def _pages(_settings: Settings) -> str:
    from fcnlab.webapp_files import server_script

    return str(server_script())
