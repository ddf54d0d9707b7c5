"""`open_lab`: the only place that builds the database engine, the folders and the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from fcnlab.adapters.database import Sessions, close_database, open_database
from fcnlab.adapters.devices import pick_device
from fcnlab.adapters.filestore import Folders, open_folders
from fcnlab.errors import InvalidSetting
from fcnlab.settings import Settings

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

    @cached_property
    def device(self) -> str:
        """The torch device to compute on. Raises InvalidSetting: this machine does not have it."""
        return pick_device(self.settings.device)

    def close(self) -> None:
        """Give back the database connections. Closing twice is closing once."""
        close_database(self.sessions)


def open_lab(settings: Settings, *, clock: Clock = utc_now) -> Lab:
    """Open an installation, making folders and database when they are missing.

    Raises:
        DatabaseUnavailable: the database cannot be opened, or is newer than this program.
        InvalidSetting: the data folder cannot be made.
    """
    data_dir = settings.data_dir.expanduser().absolute()
    try:
        folders = open_folders(data_dir)
    except OSError as failure:
        raise InvalidSetting(
            f"FCNLAB_DATA_DIR {settings.data_dir} cannot be made or written ({failure.strerror}); choose another folder"
        ) from failure
    sessions = open_database(settings.database_url or data_dir / "lab.db")
    return Lab(settings=settings, sessions=sessions, folders=folders, clock=clock)
