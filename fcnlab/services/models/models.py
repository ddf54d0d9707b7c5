"""Models of a project as people see them: using, renaming, deleting, keeping and fetching them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from fcnlab.core.images.naming import safe_part
from fcnlab.domain.models import ModelDraft, ModelKind, ModelRecord
from fcnlab.domain.project import ClassLabel, Project
from fcnlab.errors import CheckpointError, UnknownModel
from fcnlab.lab import Lab
from fcnlab.services.export.target import new_download
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.masks import save_model
from fcnlab.services.models.files import SUFFIX, scored_classes
from fcnlab.storage.database import repository_models, repository_projects
from fcnlab.storage.database.engine import reading, writing
from fcnlab.storage.files.whole_files import replaced_whole
from fcnlab.validation import clean_name

INSTANT_IN_WORDS = "instant learner"


def models(lab: Lab, *, project_id: int) -> tuple[ModelRecord, ...]:
    """The models of a project, newest first."""
    with reading(lab.sessions) as session:
        return repository_models.models(session, project_id=project_id)


def model(lab: Lab, *, model_id: int) -> ModelRecord:
    """The model of that number. Raises UnknownModel: no such model, or it was deleted."""
    with reading(lab.sessions) as session:
        record = repository_models.model(session, model_id=model_id)
    if record.removed_at is not None:
        raise UnknownModel(f"model {model_id} was deleted; choose another on the Models page")
    return record


def use_model(lab: Lab, *, project_id: int, model_id: int | None) -> Project:
    """Let the masks of a project be made by one of its models, or with None by the instant learner.

    Raises:
        UnknownProject, UnknownModel: there is no such one.
    """
    with writing(lab.sessions) as session:
        repository_models.use_model(session, project_id=project_id, model_id=model_id)
        return repository_projects.project(session, project_id=project_id)


def rename_model(lab: Lab, *, model_id: int, name: str) -> ModelRecord:
    """Give a model another name. Raises UnknownModel, or InvalidEvent when the name is empty or too long."""
    model(lab, model_id=model_id)
    cleaned = clean_name(name)
    with writing(lab.sessions) as session:
        return repository_models.rename_model(session, model_id=model_id, name=cleaned)


def delete_model(lab: Lab, *, model_id: int) -> ModelRecord:
    """Take a model out of the list; a project that uses it goes back to the instant learner.

    Its file stays: done images name it as what made their masks. Raises UnknownModel.
    """
    model(lab, model_id=model_id)
    with writing(lab.sessions) as session:
        return repository_models.remove_model(session, model_id=model_id, now=lab.clock())


def model_file(lab: Lab, *, model_id: int) -> Path:
    """The checkpoint of a model. Raises UnknownModel, or CheckpointError: the file is gone."""
    record = model(lab, model_id=model_id)
    path = lab.folders.checkpoints / record.file
    if not path.is_file():
        raise CheckpointError(f"the file {record.file} of version {record.name!r} is gone: restore it from a backup")
    return path


def download_name(record: ModelRecord, suffix: str = SUFFIX) -> str:
    """A name for the file of a model outside the installation."""
    return safe_part(f"{record.name}{suffix}")


def offer_model(lab: Lab, *, model_id: int) -> Path:
    """A copy of the checkpoint for one browser to fetch; raises as `model_file`."""
    source = model_file(lab, model_id=model_id)
    path = new_download(lab, name=download_name(model(lab, model_id=model_id)))
    with replaced_whole(path) as part:
        shutil.copyfile(source, part)
    return path


def keep_instant(lab: Lab, learner: ProjectLearner, *, labeller: str) -> ModelRecord:
    """Make what the instant learner knows now a version: a cold fit of all points, to compare and to go back to.

    The same points and settings make one version.

    Raises:
        NoPoints: fewer than two classes have points.
    """
    saved = save_model(lab, learner)
    project = learner.project
    assert project is not None
    for record in models(lab, project_id=project.id):
        if record.file == saved.record.checkpoint:
            return record
    classes = _coloured(scored_classes(saved.model), project.classes)
    draft = ModelDraft(
        name=f"{INSTANT_IN_WORDS} {saved.record.id}",
        kind=ModelKind.INSTANT,
        spec=saved.record.learner.to_dict(),
        training=None,
        classes=classes,
        point_set_hash=saved.record.point_set_hash,
        n_points=saved.record.n_points,
        score=None,
        parent_id=None,
        training_id=None,
        labeller=labeller,
        file=saved.record.checkpoint,
        size=(lab.folders.checkpoints / saved.record.checkpoint).stat().st_size,
        seconds=saved.record.milliseconds / 1000,
    )
    with writing(lab.sessions) as session:
        return repository_models.add_model(session, project_id=project.id, draft=draft, now=lab.clock())


def _coloured(named: Sequence[tuple[int, str]], labels: Sequence[ClassLabel]) -> tuple[tuple[int, str, str], ...]:
    colours = {label.id: label.colour for label in labels}
    return tuple((class_id, name, colours[class_id]) for class_id, name in named)
