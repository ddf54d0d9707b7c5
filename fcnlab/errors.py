"""Every failure fcnlab can explain to the person in front of it.

One family, caught once per door (page, command line, route). Anything else is a bug and keeps its traceback.
A message says what happened, where, what was wanted, and what to do next.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

WITHOUT_ROOM = {
    errno.ENOSPC: ("is full", "free some room"),
    errno.EDQUOT: ("has no quota left", "free some room, or ask for more quota"),
    errno.EFBIG: ("takes no file as large as that", "use another disk"),
    errno.EROFS: ("may only be read", "see why it is mounted read-only"),
}
"""What is true of a disk by the error the system gave, and what to do about it."""

NOTHING_ELSE = "Nothing else was changed by that"


class FcnlabError(Exception):
    """A failure with an explanation meant for the user."""


class InvalidImage(FcnlabError):
    """An array or file that is not an image fcnlab can learn from."""


class InvalidPoints(FcnlabError):
    """Points that do not fit their image or class list."""


class ClickOutsideImage(InvalidPoints):
    """A row or column outside the upright full-size image."""


class InvalidClasses(FcnlabError):
    """A class list that is empty, too long, or names a class twice; or a class id nobody defined."""


class NoPoints(FcnlabError):
    """There is nothing to learn from yet, or only points of one class."""


class NotFitted(FcnlabError):
    """A prediction was asked for before the first fit."""


class InvalidSurvey(FcnlabError):
    """Answers, priors or plans of a cover survey that do not fit together, or from which a share cannot be told."""


class InvalidTag(FcnlabError):
    """Tags of images that do not fit their project, or a choice of images by tags that is none."""


class UnknownImage(FcnlabError):
    """An image id that was never added."""


class UnknownEncoder(FcnlabError):
    """An encoder name timm does not know."""


class WeightsUnavailable(FcnlabError):
    """Encoder weights that are missing, damaged, or of another network."""


class CheckpointError(FcnlabError):
    """A saved segmenter that is missing, damaged, or of another kind."""


class InvalidSetting(FcnlabError):
    """A setting outside the values it may take."""


class NetworkSizeMismatch(FcnlabError):
    """A picture whose size is not the one a network with fully connected layers takes."""


class InvalidEvent(FcnlabError):
    """A message from the browser that does not follow the event protocol."""


class InvalidName(InvalidEvent):
    """A name of a class, project or labeller that is no text, empty, too long, or cannot be shown."""


class NameTaken(FcnlabError):
    """A name that another project has already."""


class UnknownProject(FcnlabError):
    """A project that does not exist."""


class DatabaseUnavailable(FcnlabError):
    """The database cannot be opened, or is newer than this program."""


class ImportRefused(FcnlabError):
    """A file or folder that may not, or cannot, be imported."""


class NotAnImage(ImportRefused):
    """A file among images that nobody takes for one of them: of another kind, or the mask of a picture beside it."""


class RestoreRefused(FcnlabError):
    """A backup that may not, or cannot, take the place of an installation."""


class ExportFailed(FcnlabError):
    """An export that cannot be written where it was asked for."""


class UnknownExport(FcnlabError):
    """An export that nobody began, or whose file is gone."""


class Diverged(FcnlabError):
    """A network whose scores are no longer finite numbers."""


class UnknownTraining(FcnlabError):
    """A training that does not exist."""


class TrainingRefused(FcnlabError):
    """A training that cannot do what is wanted in the state it is in."""


class WorkerBusy(FcnlabError):
    """Another process trains for this project."""


class UnknownModel(FcnlabError):
    """A model that does not exist, or was removed."""


class UnknownSurvey(FcnlabError):
    """No survey of that number or name."""


class UnknownComparison(FcnlabError):
    """A comparison that does not exist."""


class Deleted(UnknownImage, UnknownProject):
    """An image or a project that is gone for good: nobody needs to ask again."""


class ShuttingDown(FcnlabError):
    """Work that was asked of a program which is ending."""


class UnknownExpertMask(FcnlabError):
    """An expert mask that does not exist, or was removed."""


def as_sentence(message: str) -> str:
    """A message as it stands alone: a first word of small letters a to z alone begins with a capital one.

    `fcnlab`, and what has a digit, a quote, a dot or a capital in it (names of files and settings, numbers), stays.
    """
    first = message.split(" ", 1)[0]
    is_word = first.isascii() and first.isalpha() and first.islower() and first != "fcnlab"
    return message[0].upper() + message[1:] if is_word else message


class StorageFull(FcnlabError, OSError):
    """A disk that takes nothing more; an OSError too, so that whoever can do without the file goes on."""

    def __init__(self, code: int, *, file: str, outcome: str) -> None:
        OSError.__init__(self, code, os.strerror(code))
        self.file, self._outcome = file, outcome

    def __str__(self) -> str:
        state, remedy = WITHOUT_ROOM[self.errno or errno.ENOSPC]
        return (
            f"{self.file} was not written, for its disk {state} ({self.strerror}). {self._outcome}; {remedy}, "
            "then try again"
        )


def storage_failure(failure: OSError, *, file: str | os.PathLike[str] = "", outcome: str = "") -> StorageFull | None:
    """The same failure explained, if it is that of a disk without room; None for any other.

    Args:
        failure: what the system said.
        file: what was being written; empty: what the failure names.
        outcome: what was stored and what was not, as a sentence without its full stop; empty: nothing else changed.
    """
    try:
        with storage_explained(file, outcome=outcome):
            raise failure
    except StorageFull as explained:
        return explained
    except OSError:
        return None


@contextmanager
def storage_explained(file: str | os.PathLike[str] = "", *, outcome: str = "") -> Iterator[None]:
    """A disk without room is explained as `storage_failure` does; of blocks in each other the innermost names the file.

    Raises:
        StorageFull: the block failed for want of room.
    """
    try:
        yield
    except OSError as failure:
        explained = failure if isinstance(failure, StorageFull) else None
        if failure.errno not in WITHOUT_ROOM or (explained is not None and not outcome):
            raise
        name = explained.file if explained is not None else os.fspath(file) or failure.filename or "a file"
        raise StorageFull(failure.errno, file=str(name), outcome=outcome or NOTHING_ELSE) from failure
