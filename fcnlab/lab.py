"""`open_lab`: the only place that builds the database engine, the folders and the device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from fcnlab.errors import FcnlabError, InvalidSetting, storage_explained
from fcnlab.settings import Settings
from fcnlab.storage.database.engine import Sessions, close_database, open_database
from fcnlab.storage.files import presence
from fcnlab.storage.files.devices import pick_device
from fcnlab.storage.files.filestore import TOKEN_FILE, Folders, open_folders
from fcnlab.storage.files.restoring import finish_restore
from fcnlab.storage.files.whole_files import OWNER_ONLY_FOLDER, make_private
from fcnlab.storage.formats.tables.table import write_raw

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Lab:
    """An open installation: what every use case needs, handed from door to service."""

    settings: Settings
    sessions: Sessions
    folders: Folders
    clock: Clock = utc_now
    presence: presence.Presence | None = field(default=None, compare=False)

    @property
    def data_dir(self) -> Path:
        """The folder of the installation, absolute."""
        return self.folders.images.parent

    @cached_property
    def device(self) -> str:
        """The torch device to compute on. Raises InvalidSetting: this machine does not have it."""
        return pick_device(self.settings.device)

    def close(self) -> None:
        """Give back the database connections. Closing twice is closing once."""
        close_database(self.sessions)
        if self.presence is not None:
            self.presence.leave()


def data_dir_of(settings: Settings) -> Path:
    """The folder of an installation, absolute; it need not exist."""
    return settings.data_dir.expanduser().absolute()


def open_lab(settings: Settings, *, clock: Clock = utc_now) -> Lab:
    """Open an installation, making folders and database when they are missing; only their owner may read them.

    Raises:
        DatabaseUnavailable: the database cannot be opened, is newer than this program, or is being restored.
        InvalidSetting: the data folder cannot be made.
        StorageFull: its disk has no room.
    """
    data_dir = data_dir_of(settings)
    try:
        with storage_explained(data_dir, outcome="fcnlab was not started, and nothing was lost"):
            data_dir.mkdir(OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
            for path in (data_dir, data_dir / TOKEN_FILE):
                with suppress(PermissionError, FileNotFoundError):  # another's: `fcnlab doctor` says so
                    make_private(path)
            with presence.alone_at_the_gate(data_dir):
                finish_restore(data_dir)
                held = presence.enter(data_dir)
    except OSError as failure:
        if isinstance(failure, FcnlabError):
            raise
        raise InvalidSetting(
            f"FCNLAB_DATA_DIR {settings.data_dir} cannot be made or written ({failure.strerror}); choose another folder"
        ) from failure
    write_raw(settings.csv_raw)
    try:
        with storage_explained(data_dir, outcome="fcnlab was not started, and nothing was lost"):
            folders = open_folders(data_dir)
        sessions = open_database(settings.database_url or data_dir / "lab.db")
    except BaseException:
        held.leave()
        raise
    return Lab(settings=settings, sessions=sessions, folders=folders, clock=clock, presence=held)
