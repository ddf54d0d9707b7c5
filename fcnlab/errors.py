"""Every failure fcnlab can explain to the person in front of it.

One family, caught once per door (page, command line, route). Anything else is a bug and keeps its traceback.
A message says what happened, where, what was wanted, and what to do next.
"""


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


class UnknownComparison(FcnlabError):
    """A comparison that does not exist."""


class UnknownExpertMask(FcnlabError):
    """An expert mask that does not exist, or was removed."""
