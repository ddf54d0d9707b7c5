"""The right course for a network: most learn by steps, a larger head is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fcnlab.core.networks.base import EncoderParts, PointNetwork
from fcnlab.core.training.head_trainer import HeadCourse
from fcnlab.core.training.loop import Clock
from fcnlab.core.training.objectives import Aim
from fcnlab.core.training.trainer import Course
from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.domain.training import TrainingSpec
from fcnlab.errors import InvalidSetting


def course_of(
    spec: NetworkSpec,
    training: TrainingSpec,
    *,
    encoder: EncoderParts | None,
    class_ids: Sequence[int],
    device: str,
    now: Clock,
    parent: PointNetwork | None = None,
    aim: Aim[Any] | None = None,
) -> Course | HeadCourse:
    """A course for a network of the family; see Course for the arguments.

    Raises:
        InvalidSetting: a larger head without a trained encoder, or one that should start from a model or count.
    """
    if spec.network is not NetworkName.LARGER_HEAD:
        return Course(
            spec, training, encoder=encoder, class_ids=class_ids, device=device, now=now, parent=parent, aim=aim
        )
    if training.objective.counts:
        raise InvalidSetting(f"{spec.network} is fitted to single pixels and cannot count: choose another network")
    if encoder is None:
        raise InvalidSetting(f"{spec.network} is a head on trained features: name an encoder")
    if parent is not None or training.parent:
        raise InvalidSetting(f"{spec.network} is fitted from zero in seconds: leave the parent out")
    return HeadCourse(spec, training, encoder=encoder, class_ids=class_ids, device=device, now=now)
