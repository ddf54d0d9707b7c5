"""Models from elsewhere: checked as data, given the class ids of a project, copied whole."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fcnlab.core.training.network_model import NetworkModel, network_probabilities, seen_hw
from fcnlab.domain.models import ModelDraft, ModelKind, ModelRecord
from fcnlab.domain.project import Project
from fcnlab.errors import CheckpointError, InvalidClasses
from fcnlab.lab import Lab
from fcnlab.services.models.files import SUFFIX, Content, open_model, scored_classes, with_class_ids
from fcnlab.storage.database import repository_models, repository_projects
from fcnlab.storage.database.engine import reading, writing
from fcnlab.storage.files.checkpoints import load_checkpoint
from fcnlab.storage.files.whole_files import replaced_whole, write_whole
from fcnlab.validation import clean_name

MOST_BYTES = 1_000_000_000
"""Files larger than this are not taken: the largest network of the family has a tenth of that."""


def import_model(lab: Lab, source: Path | bytes, *, project_id: int, name: str, labeller: str) -> ModelRecord:
    """Take in the file of a model from elsewhere, of either kind; it is checked as data, and nothing in it is run.

    Its classes become those of the project by their names, in whatever case. Computes: a network has to answer.

    Args:
        lab: the installation.
        source: the file, or its content.
        project_id: the project that may use it from then on.
        name: for people; the name of the file will do.
        labeller: who brings it.

    Raises:
        UnknownProject: no such project.
        CheckpointError: the file is too large, damaged, no model of fcnlab, or answers nothing.
        UnknownEncoder: it needs an encoder that timm does not know here.
        InvalidClasses: the project lacks a class of the model.
    """
    with reading(lab.sessions) as session:
        project = repository_projects.project(session, project_id=project_id)
    shown = clean_name(Path(name).name.removesuffix(SUFFIX))
    path = lab.folders.checkpoints / f"brought-{project_id}-{uuid.uuid4().hex}{SUFFIX}"
    _copy(source, path)
    try:
        content = _checked(path, device=lab.device)
        draft = _draft_of(content, path, name=shown, labeller=labeller, project=project)
        with writing(lab.sessions) as session:
            return repository_models.add_model(session, project_id=project_id, draft=draft, now=lab.clock())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _copy(source: Path | bytes, path: Path) -> None:
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        if size > MOST_BYTES:
            raise CheckpointError(
                f"the file has {size / 1e9:.1f} GB; models of up to {MOST_BYTES / 1e9:.0f} GB are taken"
            )
        if isinstance(source, bytes):
            write_whole(path, source)
        else:
            with replaced_whole(path) as part:
                shutil.copyfile(source, part)
    except OSError as failure:
        raise CheckpointError(f"the model file cannot be copied ({failure.strerror}); check the path") from failure


def _checked(path: Path, *, device: str) -> Content:
    """The model in a file from elsewhere, once its numbers are numbers and it answers."""
    arrays, _ = load_checkpoint(path)
    for array_name, array in arrays.items():
        if not np.isfinite(array).all():
            raise CheckpointError(f"the model's array {array_name} holds values that are no numbers: fetch it again")
    content = open_model(path, device=device)
    if isinstance(content, NetworkModel):
        height, width = content.network.spec.input_hw or (64, 96)
        grey = np.full((height, width, 3), 128, np.uint8)
        try:
            probabilities = network_probabilities(content, grey, device=device)
        except RuntimeError as failure:
            raise CheckpointError(f"the network does not answer ({str(failure)[:200]}): fetch it again") from failure
        seen = seen_hw((height, width), content.network.spec, content.training)
        if probabilities.shape != (len(content.classes), *seen) or not np.isfinite(probabilities).all():
            raise CheckpointError("the network's answers are no probabilities: save or fetch it again")
    return content


def _draft_of(content: Content, path: Path, *, name: str, labeller: str, project: Project) -> ModelDraft:
    is_network = isinstance(content, NetworkModel)
    score = content.score if isinstance(content, NetworkModel) else None
    classes = _of_project(scored_classes(content), project)
    new_ids = {old: new for (old, _), (new, _, _) in zip(scored_classes(content), classes, strict=True)}
    training = content.training if isinstance(content, NetworkModel) else None
    if training is not None:
        grades = tuple(new_ids[grade] for grade in training.grades if grade in new_ids)
        training = replace(training, grades=grades if len(grades) > 1 else ())
    if score is not None:
        per_class = {new_ids[old]: share for old, share in score.per_class.items() if old in new_ids}
        score = replace(score, per_class=per_class)
    translated = with_class_ids(content, tuple(class_id for class_id, _, _ in classes))
    labelled = () if isinstance(content, NetworkModel) else content.samples
    return ModelDraft(
        name=name,
        kind=ModelKind.NETWORK if is_network else ModelKind.INSTANT,
        spec=translated.network.spec.to_dict() if isinstance(translated, NetworkModel) else translated.spec.to_dict(),
        training=training,
        classes=classes,
        point_set_hash=content.point_set_hash if isinstance(content, NetworkModel) else "",
        n_points=content.n_points
        if isinstance(content, NetworkModel)
        else sum(len(samples.clicks) for samples in labelled),
        score=score,
        parent_id=None,
        training_id=None,
        labeller=labeller,
        file=path.name,
        size=path.stat().st_size,
        seconds=0.0,
    )


def _of_project(named: Sequence[tuple[int, str]], project: Project) -> tuple[tuple[int, str, str], ...]:
    """(id, name, colour) of the project's classes for those of a model, by their names. Raises InvalidClasses."""
    by_name = {label.name.casefold(): label for label in project.classes}
    names = [" ".join(name.split()) for _, name in named]
    strange = [name for name in names if name.casefold() not in by_name]
    if strange:
        raise InvalidClasses(
            f"the model tells {', '.join(repr(name) for name in names[:12])} apart, and project {project.name!r} has "
            f"no class named {strange[0]!r}: add or rename a class on the Label page, then bring the model again"
        )
    labels = tuple(by_name[name.casefold()] for name in names)
    if len({label.id for label in labels}) != len(labels):
        raise InvalidClasses(f"the model names a class twice: {', '.join(names[:12])}; it cannot be matched by name")
    return tuple((label.id, label.name, label.colour) for label in labels)
