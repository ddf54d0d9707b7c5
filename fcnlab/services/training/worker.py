"""What a worker does: take up the trainings of a project one by one, obey, keep what comes out."""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray
from sqlalchemy.orm import Session

from fcnlab.domain.comparison import LINEAR, ComparisonSpec
from fcnlab.domain.models import best_counter
from fcnlab.domain.scores import Score
from fcnlab.domain.training import Training, TrainingProgress, TrainingState, Wanted, resume_file_of
from fcnlab.errors import CheckpointError, DatabaseUnavailable, FcnlabError, StorageFull, UnknownTraining, WorkerBusy
from fcnlab.lab import Lab
from fcnlab.services.training.lease_holder import Interrupted, LeaseHolder
from fcnlab.services.training.trained_models import draft_of_training
from fcnlab.storage.database import (
    repository_comparisons,
    repository_models,
    repository_projects,
    repository_trainings,
)
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files.checkpoints import load_spec, save_checkpoint

POLL_S = 0.5

PATIENCE_S = (1.0, 5.0, 20.0)
"""Pauses between attempts to store something in a database that does not answer."""

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class Trained(Protocol):
    """What a trainer returns: arrays and spec of a checkpoint, and what is told about it.

    The spec names at least "network" (a NetworkSpec in plain values) and "classes" ([id, name] in the order of scores).
    """

    @property
    def arrays(self) -> Mapping[str, NDArray[Any]]: ...  # noqa: D102
    @property
    def spec(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def score(self) -> Score | None: ...  # noqa: D102
    @property
    def point_set_hash(self) -> str: ...  # noqa: D102
    @property
    def n_points(self) -> int: ...  # noqa: D102


class Trainer(Protocol):
    """Trains a network: yields once per epoch, writes `checkpoint` so that a `resume` file goes on from there."""

    def __call__(  # noqa: D102
        self, lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
    ) -> Generator[TrainingProgress, None, Trained]: ...


def fine_tune(
    lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
) -> Generator[TrainingProgress, None, Trained]:
    """The trainer that trains networks."""
    from fcnlab.services.training.finetuning import TrainingJob, train  # torch: only where it is used

    job = TrainingJob(training.project_id, training.network, training.training, training.image_ids)
    if training.comparison_id is not None:
        with reading(lab.sessions) as session:
            comparison = repository_comparisons.comparison(session, comparison_id=training.comparison_id)
        spec = ComparisonSpec.from_dict(comparison.spec)
        job = replace(job, plan=spec.plan(), as_of=spec.as_of_time())
    return (yield from train(lab, job, resume=resume, checkpoint=checkpoint))


def run_worker(lab: Lab, *, project_id: int, trainer: Trainer, idle_s: float) -> None:
    """Train what is queued or was interrupted, until nothing has come for `idle_s` seconds.

    A training that fails is marked so, with the reason, and the next one follows. SIGTERM leaves the training at work
    to the next worker; Ctrl-C pauses it.

    Raises:
        UnknownProject: no such project.
        WorkerBusy: another process trains for the project, or took over.
    """
    with suppress(Interrupted), LeaseHolder(lab, project_id=project_id) as holder:  # also asked between two trainings
        idle_since = time.monotonic()
        while not holder.is_asked_to_end:
            with suppress(Interrupted), _waiting_for_the_database():
                holder.regain()
                with reading(lab.sessions) as session:
                    training = repository_trainings.next_training(session, project_id=project_id)
                if training is not None:
                    deque(work_on(lab, holder, training, trainer), maxlen=0)  # every epoch, kept by nobody
                    idle_since = time.monotonic()
                elif time.monotonic() - idle_since < idle_s:
                    time.sleep(min(POLL_S, idle_s))
                elif holder.give_back_when_idle():
                    return


@contextmanager
def _waiting_for_the_database() -> Iterator[None]:
    """A database that does not answer, because its disk is full for one, ends no worker: it tries again later."""
    try:
        yield
    except DatabaseUnavailable as failure:
        log.warning("%s", failure)
        time.sleep(POLL_S)


def work_on(
    lab: Lab, holder: LeaseHolder, training: Training, trainer: Trainer
) -> Generator[TrainingProgress, None, None]:
    """Train one network; yields each epoch once it is stored. At the end the training has its new state.

    Closing it, or Ctrl-C, pauses the training.

    Raises:
        WorkerBusy: the lease was lost.
        DatabaseUnavailable: for longer than one waits for it; the training goes on when a worker takes it up again.
        Interrupted: see LeaseHolder; the training has the state that was wanted.
    """
    try:
        yield from _train(lab, holder, training, trainer)
    except (Interrupted, KeyboardInterrupt, GeneratorExit) as stop:
        _settle(lab, holder, training.id, rests=not isinstance(stop, Interrupted))
        raise
    except (WorkerBusy, UnknownTraining):
        _settle(lab, holder, training.id, rests=False)
        raise WorkerBusy(f"training {training.id} is not this process's any more") from None
    except DatabaseUnavailable:
        raise
    except StorageFull as failure:
        _fail(lab, holder, training.id, f"{failure}: resume it, and it goes on from the last epoch that was kept")
    except FcnlabError as failure:
        _fail(lab, holder, training.id, str(failure))
    except Exception:
        file = lab.folders.logs / f"training-{training.id}.log"
        log.exception("training %d", training.id)
        with suppress(OSError), file.open("a", encoding="utf-8") as target:
            target.write(f"{lab.clock().isoformat()}\n{traceback.format_exc()}\n")
        _fail(lab, holder, training.id, f"something went wrong; {file} has the details")


def _train(
    lab: Lab, holder: LeaseHolder, training: Training, trainer: Trainer
) -> Generator[TrainingProgress, None, None]:
    with holder.writing() as session:
        log.info("training %d: %s", training.id, training.network.network)
        running, now = TrainingState.RUNNING, lab.clock()
        training = repository_trainings.set_state(session, training_id=training.id, state=running, now=now)
        training = _without_lost_epochs(lab, session, training)
    _begin_comparison(lab, holder, training)
    file = lab.folders.resume / training.resume_file
    with closing(trainer(lab, training, resume=file if file.is_file() else None, checkpoint=file)) as steps:
        while training.wanted is Wanted.RUN:
            with holder.at_work_on(training.id):
                step = _advance(steps)
            if not isinstance(step, TrainingProgress):
                _keep(lab, holder, training, step)
                return
            training = _patiently(partial(_record, lab, holder, training.id, step))
            yield step
    _settle(lab, holder, training.id, rests=False)


def _without_lost_epochs(lab: Lab, session: Session, training: Training) -> Training:
    """The training without the epochs that its resume file does not know of: they have to be done again."""
    file = lab.folders.resume / training.resume_file
    try:
        kept = load_spec(file).get("epoch") if file.is_file() else 0
    except CheckpointError:  # the trainer says so when it opens the file
        return training
    if kept is None:
        return training
    repository_trainings.forget_epochs(session, training_id=training.id, after=int(kept))
    return repository_trainings.training(session, training_id=training.id)


def _advance(steps: Generator[TrainingProgress, None, Trained]) -> TrainingProgress | Trained:
    """The next epoch, or what came out in the end."""
    try:
        return next(steps)
    except StopIteration as end:
        trained: Trained = end.value
        return trained


def _record(lab: Lab, holder: LeaseHolder, training_id: int, progress: TrainingProgress) -> Training:
    """Store an epoch; the training as it is now, with what people want of it."""
    log.info("training %d: epoch %d, loss %.4f", training_id, progress.epoch, progress.loss)
    with holder.writing() as session:
        repository_trainings.record_epoch(session, training_id=training_id, progress=progress, now=lab.clock())
        return repository_trainings.training(session, training_id=training_id)


def _keep(lab: Lab, holder: LeaseHolder, training: Training, trained: Trained) -> None:
    """Write the checkpoint, then the rows that name it; a crash in between trains nothing twice but the last step."""
    path = lab.folders.checkpoints / training.checkpoint_file
    save_checkpoint(path, trained.arrays, trained.spec)
    if training.comparison_id is None:
        _patiently(lambda: _record_model(lab, holder, training.id, trained, path))
    else:
        _measure(lab, holder, training, path)
    (lab.folders.resume / training.resume_file).unlink(missing_ok=True)


def _begin_comparison(lab: Lab, holder: LeaseHolder, training: Training) -> None:
    """Before the first network of a comparison: the instant learner, which takes seconds."""
    if training.comparison_id is None:
        return
    with reading(lab.sessions) as session:
        comparison = repository_comparisons.comparison(session, comparison_id=training.comparison_id)
    if not ComparisonSpec.from_dict(comparison.spec).has_instant or LINEAR in comparison.results:
        return
    from fcnlab.services.comparing.evaluation import measure_instant

    with holder.at_work_on(training.id):
        results = measure_instant(lab, comparison_id=comparison.id)
    with holder.writing() as session:
        repository_comparisons.record_results(session, comparison_id=comparison.id, results=results)


def _measure(lab: Lab, holder: LeaseHolder, training: Training, path: Path) -> None:
    """Measure a network of a comparison; its result and its end are stored at once."""
    from fcnlab.services.comparing.evaluation import measure_network

    comparison_id = training.comparison_id
    assert comparison_id is not None
    with holder.at_work_on(training.id):
        results = measure_network(lab, training, path)

    def store() -> None:
        with holder.writing() as session:
            repository_comparisons.record_results(session, comparison_id=comparison_id, results=results)
            repository_trainings.finish_training(session, training_id=training.id, model_id=None, now=lab.clock())

    _patiently(store)


def _record_model(lab: Lab, holder: LeaseHolder, training_id: int, trained: Trained, path: Path) -> None:
    with holder.writing() as session:
        training = repository_trainings.training(session, training_id=training_id)
        model_ids = {
            record.file: record.id for record in repository_models.models(session, project_id=training.project_id)
        }
        what = f" {training.training.objective}" if training.training.objective.is_counting else ""
        draft = draft_of_training(
            training,
            trained.spec,
            name=f"{training.network.network}{what} {training.id}",
            labels=repository_projects.project(session, project_id=training.project_id).classes,
            path=path,
            point_set_hash=trained.point_set_hash,
            n_points=trained.n_points,
            score=trained.score,
            parent_id=model_ids.get(training.training.parent),
        )
        model = repository_models.add_model(session, project_id=training.project_id, draft=draft, now=lab.clock())
        repository_trainings.finish_training(session, training_id=training.id, model_id=model.id, now=lab.clock())
        if training.training.pair:
            _use_the_better(session, training)


def _use_the_better(session: Session, training: Training) -> None:
    """Let the project use that model of a pair which counts best, unless somebody chose another since it began."""
    models = repository_models.models(session, project_id=training.project_id)
    pair = [model for model in models if model.training is not None and model.training.pair == training.training.pair]
    used = repository_projects.project(session, project_id=training.project_id).model_id
    if len(pair) == 1 or used in {model.id for model in pair}:
        repository_models.use_model(session, project_id=training.project_id, model_id=best_counter(pair).id)


def _settle(lab: Lab, holder: LeaseHolder, training_id: int, *, rests: bool) -> None:
    """Give a training that stopped the state that is wanted; `rests`: pause it even if nobody asked."""
    with suppress(WorkerBusy), _only_logged():
        _settle_now(lab, holder, training_id, rests=rests)


@contextmanager
def _only_logged() -> Iterator[None]:
    """Without an answer of the database a training stays as it was: running, to be taken up again."""
    try:
        yield
    except DatabaseUnavailable as failure:
        log.warning("%s", failure)


def _settle_now(lab: Lab, holder: LeaseHolder, training_id: int, *, rests: bool) -> None:
    with reading(lab.sessions) as session:
        try:
            training = repository_trainings.training(session, training_id=training_id)
        except UnknownTraining:
            (lab.folders.resume / resume_file_of(training_id)).unlink(missing_ok=True)
            return
    if training.state is not TrainingState.RUNNING:
        return
    state = {Wanted.CANCEL: TrainingState.CANCELLED, Wanted.PAUSE: TrainingState.PAUSED}.get(
        training.wanted, TrainingState.PAUSED if rests else TrainingState.RUNNING
    )
    with holder.writing() as session:
        repository_trainings.set_state(session, training_id=training_id, state=state, now=lab.clock())
        if state is not TrainingState.CANCELLED:
            _without_lost_epochs(lab, session, training)
    if state is TrainingState.CANCELLED:
        (lab.folders.resume / training.resume_file).unlink(missing_ok=True)


def _fail(lab: Lab, holder: LeaseHolder, training_id: int, message: str) -> None:
    log.error("training %d failed: %s", training_id, message)
    with holder.writing() as session:
        repository_trainings.set_state(
            session, training_id=training_id, state=TrainingState.FAILED, now=lab.clock(), message=message
        )


def _patiently(store: Callable[[], Result]) -> Result:
    """Store something, again after a while when the database does not answer: training costs more than waiting."""
    for wait_s in PATIENCE_S:
        try:
            return store()
        except DatabaseUnavailable as failure:
            log.warning("%s", failure)
            time.sleep(wait_s)
    return store()
