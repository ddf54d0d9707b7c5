"""What several commands need: the installation, a project by its name, output for people and programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fcnlab.errors import UnknownProject

if TYPE_CHECKING:
    from fcnlab.domain.project import Project
    from fcnlab.lab import Lab
    from fcnlab.services.live.fitting import ProjectLearner
    from fcnlab.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


def project_option(command: Command) -> Command:
    """The option that names a project."""
    return click.option("--project", "-p", "wanted", required=True, help="Name or number of the project.")(command)


def json_option(command: Command) -> Command:
    """The option for programs that read the output."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output.")(command)


def settings_of(ctx: click.Context) -> Settings:
    """The settings: the options before the command, then the environment."""
    from fcnlab.settings import load_settings

    return load_settings(**(ctx.obj or {}))


@contextmanager
def opened(ctx: click.Context) -> Iterator[Lab]:
    """The open installation."""
    from fcnlab.lab import open_lab

    lab = open_lab(settings_of(ctx))
    try:
        yield lab
    finally:
        lab.close()


@contextmanager
def learner_of(lab: Lab, project: Project) -> Iterator[ProjectLearner]:
    """The learner of a project; what it learned is kept on the disk for the next command."""
    import torch

    from fcnlab.services.live.fitting import ProjectLearner
    from fcnlab.services.live.picture_store import PictureStore

    if lab.settings.threads:
        torch.set_num_threads(lab.settings.threads)
    learner = ProjectLearner(lab, PictureStore(lab), project_id=project.id)
    learner.refresh()
    yield learner
    learner.keep_samples()


def found_project(lab: Lab, wanted: str) -> Project:
    """The project of that name, else of that number (3 or #3), archived ones too. Raises UnknownProject."""
    from fcnlab.services.projects.projects import projects

    existing = projects(lab, include_archived=True)
    for project in existing:
        if project.name == wanted:
            return project
    for project in existing:
        if str(project.id) == wanted.removeprefix("#"):
            return project
    names = ", ".join(repr(project.name) for project in existing) or "none yet"
    raise UnknownProject(f"there is no project {wanted!r}; projects here: {names}")


def say(line: str) -> None:
    """Progress and refusals: to standard error, so that standard output stays clean."""
    click.echo(line, err=True)


def print_result(values: dict[str, Any] | list[Any], lines: list[str], *, as_json: bool) -> None:
    """The result: JSON for programs, or lines for people."""
    if as_json:
        click.echo(json.dumps(values, ensure_ascii=False, indent=1))
    else:
        for line in lines:
            click.echo(line)
