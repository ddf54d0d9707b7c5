"""The training panel of a project, by what the project makes."""

from __future__ import annotations

from typing import Any, Protocol

from fcnlab.domain.counting import Task
from fcnlab.domain.project import Project
from fcnlab.web.panels.training import count_train_panel, train_panel
from fcnlab.web.session import Engine


class TrainingPanel(Protocol):
    """A module that draws what is chosen before a network of the project is trained."""

    def readiness(self, engine: Engine, project: Project, /) -> Any:
        """What there is to train on. Raises UnknownProject."""

    def empty_state(self, project: Project, readiness: Any, /) -> bool:
        """Say what is missing before a network can be trained, and lead there; whether something is."""

    def invitation(self) -> None:
        """What training gives, for a project that has none yet."""

    def form(self, engine: Engine, project: Project, readiness: Any, /) -> None:
        """Choices and the button that starts."""


PANELS: dict[Task, TrainingPanel] = {Task.MASKS: train_panel, Task.COUNTS: count_train_panel}
