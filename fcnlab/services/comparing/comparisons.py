"""Comparisons as people see them: who takes part, starting one, looking at it, cancelling, keeping."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from sqlalchemy.orm import Session

from fcnlab.core.networks.ordinal import refuse_order
from fcnlab.core.networks.registry import NETWORKS
from fcnlab.domain.comparison import LARGER, LINEAR, Comparison, ComparisonSpec, Measured, Participant, key_of
from fcnlab.domain.counting import Objective, Task
from fcnlab.domain.models import ModelRecord
from fcnlab.domain.network import DEFAULT_ENCODER, ORDERS_IN_WORDS, SCRATCH, NetworkName, NetworkSpec, Upsampling
from fcnlab.domain.project import Project
from fcnlab.domain.scores import PointScore
from fcnlab.domain.training import OPEN_STATES, Training, TrainingProgress, TrainingState
from fcnlab.errors import TrainingRefused, UnknownImage
from fcnlab.lab import Lab
from fcnlab.services.counting.training_points import CountingPoints, points_for
from fcnlab.services.training.trained_models import draft_of_training
from fcnlab.services.training.trainings import cancel_training, too_short_in_words
from fcnlab.storage.database import (
    repository_comparisons,
    repository_images,
    repository_models,
    repository_projects,
    repository_trainings,
)
from fcnlab.storage.database.engine import reading, writing
from fcnlab.storage.files.checkpoints import load_checkpoint

INSTANT_WORDS = {
    LINEAR: (
        "Instant learner",
        "A linear score on features of a frozen encoder, fitted in milliseconds: the learner of the Label page.",
    ),
    LARGER: (
        "Instant learner, larger head",
        "Two small networks on the same frozen features, whose probabilities are averaged: for hundreds of points.",
    ),
}
TELLING: tuple[tuple[NetworkName, Upsampling], ...] = (
    (NetworkName.FCN32S, "transposed"),
    (NetworkName.FCN8S, "transposed"),
    (NetworkName.FCN8S, "bilinear"),
    (NetworkName.FCN2S, "bilinear"),
    (NetworkName.UNET, "transposed"),
    (NetworkName.DECONVNET, "transposed"),
    (NetworkName.SLIDING, "transposed"),
    (NetworkName.SLIDING_DENSE, "transposed"),
    (NetworkName.FULLY_CONNECTED, "transposed"),
)
"""A choice in which each pair of neighbours differs by one idea."""

FCNS = (NetworkName.FCN32S, NetworkName.FCN16S, NetworkName.FCN8S, NetworkName.FCN2S)


def candidate(name: NetworkName, upsampling: Upsampling = "transposed") -> NetworkSpec:
    """A network as it takes part when nothing else is said; the number of classes is set at the start."""
    return NetworkSpec(
        name, 2, encoder=DEFAULT_ENCODER if NETWORKS[name].uses_encoder else SCRATCH, upsampling=upsampling
    )


def title_of(network: NetworkSpec) -> str:
    """A network in a comparison, for people; FCNs with their upsampling, since that is compared too, and
    any with its order of grades, where one was named."""
    title = NETWORKS[network.network].title
    title = f"{title}, {network.upsampling}" if network.network in FCNS else title
    return title if network.order is None else f"{title}, {ORDERS_IN_WORDS[network.order]}"


def title_of_training(training: Training) -> str:
    """A network in a comparison, and what it was trained for where that is counting."""
    title = title_of(training.network)
    return f"{title}, {training.training.objective}" if training.training.objective.is_counting else title


SHOWN = 4
"""Images whose masks are kept to be shown, unless somebody chose others."""

CURVE_POINTS = 40
"""Epochs of a curve that are read: the page reads all curves every moment."""


def start_comparison(lab: Lab, *, project_id: int, spec: ComparisonSpec, labeller: str) -> Comparison:
    """Queue the trainings of a comparison; `workers.ensure_worker` sees to it that somebody takes them up.

    The points are those of now, and the images held out are chosen now: everybody gets the same.

    Raises:
        UnknownProject: no such project.
        UnknownImage: an image is not of the project.
        NoPoints: fewer than two classes have points in these images.
        InvalidSetting: a network should use an order of grades, and there is none.
    """
    now = lab.clock()
    with reading(lab.sessions) as session:
        project = repository_projects.project(session, project_id=project_id)
        n_classes = max(2, len(project.classes))
        _refuse_strange_images(session, project_id, (*spec.image_ids, *spec.shown_ids))
    spec = _for_task(spec, project)
    for network in spec.networks:
        refuse_order(network, grades=spec.grades, is_counting=spec.is_counting)
    points = points_for(lab, project_id, spec.training_specs()[0], image_ids=spec.image_ids or None, as_of=now)
    held_out, learned = ([image.id for image, _ in points.images(held=held)] for held in (True, False))
    whole = replace(
        spec,
        networks=tuple(replace(network, n_classes=n_classes) for network in spec.networks),
        image_ids=tuple(sorted(held_out + learned)),
        shown_ids=spec.shown_ids or tuple((held_out + learned)[:SHOWN]),
        as_of=now.isoformat(),
        newest_point=points.newest_point,
        held_out=tuple(points.plan()["held_out"]),
        class_ids=tuple(points.plan()["classes"]),
    )
    if isinstance(points, CountingPoints):
        plan = points.plan()
        whole = replace(whole, complete=points.complete(), spacing=plan["spacing"], magnification=plan["magnification"])
    with writing(lab.sessions) as session:
        made = repository_comparisons.add_comparison(
            session, project_id=project_id, spec=whole.to_dict(), labeller=labeller, now=now
        )
        for network, training in product(whole.networks, whole.training_specs()):
            repository_trainings.add_training(
                session,
                project_id=project_id,
                network=network,
                training=training,
                image_ids=whole.image_ids,
                comparison_id=made.id,
                labeller=labeller,
                now=now,
            )
    return made


def _for_task(spec: ComparisonSpec, project: Project) -> ComparisonSpec:
    """What a project can compare: counters by both objectives where it counts, without the instant learner of masks."""
    if project.task is not Task.COUNTS:
        return replace(spec, objectives=(), grades=project.learner.grades_of(label.id for label in project.classes))
    objectives = spec.objectives or (Objective.DENSITY.value, Objective.BLOBS.value)
    return replace(spec, objectives=objectives, has_instant=False)


@dataclass(frozen=True, slots=True)
class ComparisonStatus:
    """A comparison as it is now: what was asked, and everybody in it.

    Attributes:
        curves: epochs of each network, by its key, thinned out; the one that was kept is among them.
        is_served: a worker lives.
    """

    comparison: Comparison
    spec: ComparisonSpec
    participants: tuple[Participant, ...]
    curves: dict[str, tuple[TrainingProgress, ...]]
    is_served: bool

    @property
    def is_open(self) -> bool:
        """Whether it may still go on."""
        return self.comparison.state in OPEN_STATES

    @property
    def n_measured(self) -> int:
        """Participants whose results are in."""
        return sum(participant.measured is not None for participant in self.participants)


def comparison_status(lab: Lab, *, comparison_id: int) -> ComparisonStatus:
    """A comparison as it is now. Raises UnknownComparison."""
    with reading(lab.sessions) as session:
        comparison = repository_comparisons.comparison(session, comparison_id=comparison_id)
        trainings = repository_trainings.trainings_of_comparison(session, comparison_id=comparison_id)
        curves = {
            key_of(training.id): repository_trainings.thinned_epochs(
                session, training_id=training.id, at_most=CURVE_POINTS
            )
            for training in trainings
        }
        is_served = repository_trainings.has_live_lease(session, project_id=comparison.project_id, now=lab.clock())
        models = {model.id for model in repository_models.models(session, project_id=comparison.project_id)}
    spec = ComparisonSpec.from_dict(comparison.spec)
    instant = [_instant(key, comparison, trainings) for key in (LINEAR, LARGER) if _takes_part(key, spec, comparison)]
    networks = [_network(training, comparison, models) for training in trainings]
    return ComparisonStatus(comparison, spec, (*instant, *networks), curves, is_served)


def best_in_words(status: ComparisonStatus) -> str:
    """Who did best once all are through, with the interval, in a sentence; who lies within it is as good.

    Empty before that, of counters, and where fewer than two have a score.
    """
    scored = [
        (participant.title, participant.result.score)
        for participant in status.participants
        if participant.result is not None and isinstance(participant.result.score, PointScore)
    ]
    if status.is_open or len(scored) < 2:
        return ""
    scored.sort(key=lambda titled: -titled[1].accuracy)
    (title, score), others = scored[0], scored[1:]
    alike = [name for name, other in others if other.high >= score.low]
    told = f"{title} did best: {score.accuracy:.1%} (95 % CI {100 * score.low:.0f} to {100 * score.high:.0f} %)"
    return f"{told}; {'; '.join(alike)} may be as good." if alike else f"{told}."


def too_short(status: ComparisonStatus) -> str:
    """Which networks were trained too shortly to mean anything, in a sentence; empty when none was."""
    return too_short_in_words([(participant.title, participant.training) for participant in status.participants])


def comparisons(lab: Lab, *, project_id: int) -> tuple[Comparison, ...]:
    """The comparisons of a project, newest first."""
    with reading(lab.sessions) as session:
        return repository_comparisons.comparisons(session, project_id=project_id)


def cancel_comparison(lab: Lab, *, comparison_id: int) -> None:
    """End every training that still goes on; results that are in stay. Raises UnknownComparison."""
    with reading(lab.sessions) as session:
        repository_comparisons.comparison(session, comparison_id=comparison_id)
        trainings = repository_trainings.trainings_of_comparison(session, comparison_id=comparison_id)
    for training in reversed(trainings):  # the last first: no worker takes up the next one meanwhile
        if training.is_open:
            try:
                cancel_training(lab, training_id=training.id)
            except TrainingRefused:  # it ended by itself
                continue


def delete_comparison(lab: Lab, *, comparison_id: int) -> None:
    """Delete a comparison with its results; networks that were kept as a version stay.

    Raises:
        UnknownComparison: no such comparison.
        TrainingRefused: it still goes on.
    """
    with writing(lab.sessions) as session:
        comparison = repository_comparisons.comparison(session, comparison_id=comparison_id)
        if comparison.state in OPEN_STATES:
            raise TrainingRefused(f"comparison {comparison_id} is {comparison.state}: cancel it, then delete it")
        trainings = repository_trainings.trainings_of_comparison(session, comparison_id=comparison_id)
        gone = repository_comparisons.delete_comparison(session, comparison_id=comparison_id)
    for training in trainings:
        if training.id in gone:
            (lab.folders.checkpoints / training.checkpoint_file).unlink(missing_ok=True)
            (lab.folders.resume / training.resume_file).unlink(missing_ok=True)
    shutil.rmtree(lab.folders.comparisons / str(comparison_id), ignore_errors=True)


def keep_as_version(lab: Lab, *, training_id: int) -> ModelRecord:
    """Make a model of a network that was compared; keeping it twice is keeping it once, until it is deleted.

    Raises:
        UnknownTraining: no such training.
        TrainingRefused: it has no result yet, or is of no comparison.
        CheckpointError: its file is gone or damaged.
    """
    with reading(lab.sessions) as session:
        training = repository_trainings.training(session, training_id=training_id)
        measured = None
        if training.comparison_id is not None:
            comparison = repository_comparisons.comparison(session, comparison_id=training.comparison_id)
            measured = _measured(comparison, key_of(training_id))
    if measured is None:
        raise TrainingRefused(
            f"training {training_id} is {training.state} and has no result: wait until it is measured"
        )
    path = lab.folders.checkpoints / training.checkpoint_file
    _, spec = load_checkpoint(path)
    with writing(lab.sessions) as session:
        training = repository_trainings.training(session, training_id=training_id)
        if training.model_id is not None:
            record = repository_models.model(session, model_id=training.model_id)
            if record.removed_at is None:
                return record
        draft = draft_of_training(
            training,
            spec,
            name=f"{title_of_training(training)} of comparison {training.comparison_id}",
            labels=repository_projects.project(session, project_id=training.project_id).classes,
            path=path,
            point_set_hash=str(spec["point_set_hash"]),
            n_points=measured.n_points,
            score=measured.score,
        )
        model = repository_models.add_model(session, project_id=training.project_id, draft=draft, now=lab.clock())
        repository_trainings.set_model(session, training_id=training.id, model_id=model.id)
    return model


def _refuse_strange_images(session: Session, project_id: int, image_ids: Sequence[int]) -> None:
    of_project = {image.id for image in repository_images.images(session, project_id=project_id)}
    strange = sorted(set(image_ids) - of_project)
    if strange:
        raise UnknownImage(f"project {project_id} has no image {strange[0]}; it may have been deleted")


def _takes_part(key: str, spec: ComparisonSpec, comparison: Comparison) -> bool:
    return spec.has_instant and (key == LINEAR or key in comparison.results)


def _instant(key: str, comparison: Comparison, trainings: Sequence[Training]) -> Participant:
    title, summary = INSTANT_WORDS[key]
    result: dict[str, Any] = comparison.results.get(key, {})
    message = str(result.get("failure", ""))
    measured = _measured(comparison, key)
    if measured is not None:
        state = TrainingState.FINISHED
    elif message:
        state = TrainingState.FAILED
    elif any(training.is_open for training in trainings):
        state = TrainingState.RUNNING if comparison.state is TrainingState.RUNNING else TrainingState.QUEUED
    else:
        state = TrainingState.CANCELLED
    return Participant(key, title, summary, None, state, message, measured, None)


def _network(training: Training, comparison: Comparison, models: set[int]) -> Participant:
    info, key = NETWORKS[training.network.network], key_of(training.id)
    measured = _measured(comparison, key)
    is_untrained = measured is not None and measured.is_untrained
    reason = "no epoch was better than the untrained network, so there is no result: give it more time"
    return Participant(
        key,
        title_of_training(training),
        info.summary,
        training,
        training.state,
        reason if is_untrained and not training.message else training.message,
        measured,
        training.model_id if training.model_id in models else None,
    )


def _measured(comparison: Comparison, key: str) -> Measured | None:
    result = comparison.results.get(key)
    return None if result is None or "timing" not in result else Measured.from_dict(result)
