"""What a training made, as it enters the list of models of its project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fcnlab.domain.models import ModelDraft, ModelKind
from fcnlab.domain.project import ClassLabel
from fcnlab.domain.scores import Score
from fcnlab.domain.training import Training

NO_COLOUR = "#808080"
"""Of a class that the project does not have any more."""


def draft_of_training(
    training: Training,
    spec: Mapping[str, Any],
    *,
    name: str,
    labels: Iterable[ClassLabel],
    path: Path,
    point_set_hash: str,
    n_points: int,
    score: Score | None,
    parent_id: int | None = None,
) -> ModelDraft:
    """The model of a training.

    Args:
        training: that made it.
        spec: of its checkpoint: network and classes.
        name: of the model.
        labels: the classes of the project, for their colours.
        path: of the checkpoint.
        point_set_hash: of the points it learned from.
        n_points: how many they are.
        score: on what was held out.
        parent_id: the model whose weights it began with.
    """
    colours = {label.id: label.colour for label in labels}
    return ModelDraft(
        name=name,
        kind=ModelKind.NETWORK,
        spec=dict(spec["network"]),
        training=training.training,
        classes=tuple((class_id, title, colours.get(class_id, NO_COLOUR)) for class_id, title in spec["classes"]),
        point_set_hash=point_set_hash,
        n_points=n_points,
        score=score,
        parent_id=parent_id,
        training_id=training.id,
        labeller=training.labeller,
        file=path.name,
        size=path.stat().st_size,
        seconds=training.seconds,
    )
