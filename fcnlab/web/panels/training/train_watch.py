"""What the train page shows of trainings: those that go on, their curves, and those of before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import streamlit as st

from fcnlab.core.networks.registry import NETWORKS
from fcnlab.domain.counting import CountScore
from fcnlab.domain.models import ModelRecord
from fcnlab.domain.network import NetworkName
from fcnlab.domain.project import Project
from fcnlab.domain.scores import (
    PointScore,
    Score,
    duration_in_words,
    figure,
    figure_in_brief,
    figure_name,
    gain_in_words,
    kept_in_brief,
    score_in_a_sentence,
    sources_in_words,
)
from fcnlab.domain.training import Epoch, Training, TrainingState, Wanted
from fcnlab.errors import FcnlabError, as_sentence
from fcnlab.services.models.models import models as all_models
from fcnlab.services.models.models import use_model
from fcnlab.services.projects.projects import project as project_of
from fcnlab.services.training import trainings as service
from fcnlab.services.training.workers import ensure_worker
from fcnlab.web import session
from fcnlab.web.frame import minutes_in_words
from fcnlab.web.panels.training.models_panel import IN_USE
from fcnlab.web.panels.training.train_charts import draw_curves
from fcnlab.web.session import Engine

REFRESH_S = 1.5
LATE_AFTER = timedelta(seconds=30)
"""A worker needs seconds to start; one that has not come by then will not."""

NONE = "–"


def watch(engine: Engine, project: Project, trainings: Sequence[Training]) -> None:
    """The trainings that go on, refreshed by themselves, with the curves of the first; else those of the chosen one."""
    if any(training.is_open for training in trainings):
        st.fragment(_watch, run_every=REFRESH_S)(engine, project)
    else:
        _show_finished(
            engine,
            project,
            next((training for training in trainings if training.id == session.peek("training")), trainings[0]),
        )


def history(engine: Engine, project: Project, trainings: Sequence[Training]) -> None:
    """A table of the trainings that are over; choosing a row shows its curves."""
    over = [training for training in trainings if not training.is_open]
    if not over:
        return
    models = {model.training_id: model for model in all_models(engine.lab, project_id=project.id)}
    st.subheader("Earlier trainings", anchor=False)
    picked = st.dataframe(
        [_row(training, models.get(training.id)) for training in over],
        hide_index=True,
        width="stretch",
        placeholder=NONE,
        on_select="rerun",
        selection_mode="single-row",
        key=f"history-{project.id}-{len(over)}",
        column_config={
            "Ended": st.column_config.DatetimeColumn(format="calendar"),
            "Mean IoU": st.column_config.NumberColumn(format="%.3f", help="On expert masks of validation images."),
            "Epoch kept": st.column_config.TextColumn(help="Of the network itself, not of coarser ones before it."),
        },
    )
    rows = picked.selection.rows
    chosen = over[rows[0]] if rows else None
    training_id = chosen.id if chosen else None
    if training_id != session.peek("training"):
        session.remember("training", training_id)
        st.rerun()
    if chosen is not None and len(over) < len(trainings):  # else it is shown above
        _show_finished(engine, project, chosen)


def _watch(engine: Engine, project: Project) -> None:
    try:
        situation = service.situation(engine.lab, project_id=project.id)
        if not situation.going:
            st.rerun(scope="app")
        _card(engine, situation.going[0], situation.curves, is_served=situation.is_served)
        for other in situation.going[1:]:
            _line(engine, other)
        draw_curves(project, situation.curves)
    except FcnlabError as failure:
        session.explained(failure)


def _show_finished(engine: Engine, project: Project, training: Training) -> None:
    """A training that is over, with its curves."""
    _result(engine, training)
    draw_curves(project, service.curves(engine.lab, training_id=training.id))


def _card(engine: Engine, training: Training, epochs: Sequence[Epoch], *, is_served: bool) -> None:
    """The training at work: how far, how well, and what can be done about it."""
    last = epochs[-1].progress if epochs else None
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{title_of(training)}** · {_state_in_words(training, is_served=is_served)}")
            st.space("stretch")
            with st.container(horizontal=True, width="content"):  # a narrow screen puts both on a line of their own
                _buttons(engine, training)
        st.progress(_fraction(training), f"Epoch {training.epoch} of {training.epochs}{_stage_in_words(training)}")
        numbers = st.columns(4)
        numbers[0].metric("Loss", f"{last.loss:.3f}" if last else NONE)
        score = last.score if last else None
        numbers[1].metric(figure_name(training.training.objective), figure(score) if score else NONE)
        numbers[2].metric("Images per second", f"{training.images_per_second:.1f}" if last else NONE)
        numbers[3].metric("Time left", duration_in_words(training.seconds_left) if last else _limit(training))
        _explain(score)
        if training.state is TrainingState.RUNNING and last is None:
            st.caption("Figures and curves come with the end of the first epoch.")
        _help_late_worker(engine, training, is_served=is_served)


def _line(engine: Engine, training: Training) -> None:
    """A training that waits its turn."""
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{title_of(training)}** · {_state_in_words(training, is_served=True)}")
        st.space("stretch")
        with st.container(horizontal=True, width="content"):
            _buttons(engine, training)


def _buttons(engine: Engine, training: Training) -> None:
    training_id, key = training.id, f"{training.id}-{training.state}"
    if training.wanted is Wanted.CANCEL:
        return
    if training.state is TrainingState.PAUSED or training.wanted is Wanted.PAUSE:
        if st.button("Resume", icon=":material/play_arrow:", type="primary", key=f"resume-{key}"):
            _resume(engine, training)
    elif st.button("Pause", icon=":material/pause:", key=f"pause-{key}"):
        _do(lambda: service.pause_training(engine.lab, training_id=training_id))
    with st.popover("Cancel", icon=":material/close:", key=f"ask-{training_id}"):
        st.write("This ends the training for good. Its curves stay, but no version comes of it.")
        if st.button("Cancel the training", type="primary", key=f"cancel-{key}"):
            _do(lambda: service.cancel_training(engine.lab, training_id=training_id))


def _resume(engine: Engine, training: Training) -> None:
    def resume() -> None:
        service.resume_training(engine.lab, training_id=training.id)
        ensure_worker(engine.lab, project_id=training.project_id)

    _do(resume)


def _help_late_worker(engine: Engine, training: Training, *, is_served: bool) -> None:
    is_due = training.state in (TrainingState.QUEUED, TrainingState.RUNNING) and not is_served
    since = max(training.created_at, training.started_at or training.created_at)
    if is_due and engine.lab.clock() - since > LATE_AFTER:
        st.warning(
            f"No worker has taken this up. The log of the last one is in {engine.lab.folders.logs}.",
            icon=":material/warning:",
        )
        if st.button("Start a worker", icon=":material/restart_alt:"):
            _do(lambda: ensure_worker(engine.lab, project_id=training.project_id))


def _result(engine: Engine, training: Training) -> None:
    """A training that is over, in one card."""
    models = {model.training_id: model for model in all_models(engine.lab, project_id=training.project_id)}
    model = models.get(training.id)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{title_of(training)}** · {_state_in_words(training, is_served=True)}")
            if training.state is TrainingState.FAILED:
                st.space("stretch")
                if st.button("Try again", icon=":material/replay:"):
                    _resume(engine, training)
            if model is not None:
                st.space("stretch")
                _use_button(engine, training.project_id, model)
        if training.message:
            st.error(session.escape_markdown(as_sentence(training.message)), icon=":material/error:")
        score = model.score if model else None
        _verdict(training, score)
        numbers = st.columns(4)
        numbers[0].metric("Epochs", training.epoch)
        numbers[1].metric(figure_name(training.training.objective), figure(score) if score else NONE)
        numbers[2].metric("Points", model.n_points if model else NONE)
        numbers[3].metric("Time", duration_in_words(training.seconds))
        _explain(replace(score, over_instant=None) if isinstance(score, PointScore) else score)


def _verdict(training: Training, score: Score | None) -> None:
    """Whether the network is worth using, before it is offered: better than the instant learner, and not cut short."""
    too_short = service.too_short_in_words([(title_of(training), training)])
    if too_short:
        st.warning(too_short, icon=":material/timer:")
    gain = score.over_instant if isinstance(score, PointScore) else None
    if score is not None and gain is not None:
        (st.success if gain.low > 0 else st.info)(gain_in_words(score), icon=":material/balance:")


def _use_button(engine: Engine, project_id: int, model: ModelRecord) -> None:
    """Let the version that a training made answer in the project, where it does not yet."""
    if project_of(engine.lab, project_id=project_id).model_id == model.id:
        st.markdown(IN_USE)
    elif st.button(
        "Use it", icon=":material/play_circle:", key=f"use-{model.id}", help="Use this version in the project."
    ):
        try:
            use_model(engine.lab, project_id=project_id, model_id=model.id)
        except FcnlabError as failure:
            session.explained(failure)
            return
        engine.jobs.changed(project_id)
        st.rerun(scope="app")


def _limit(training: Training) -> str:
    """The longest that a training takes, before its first epoch says more."""
    minutes = training.training.minutes
    return f"at most {minutes_in_words(minutes)}" if minutes else NONE


def _explain(score: Score | None) -> None:
    """What the figure above was taken on, and how sure it is."""
    if score is not None:
        st.caption(score_in_a_sentence(score))


def _row(training: Training, model: ModelRecord | None) -> dict[str, object]:
    score = model.score if model else None
    return {
        "No.": training.id,
        "Network": title_of(training),
        "State": training.state.value,
        "Epochs": training.epoch,
        figure_name(training.training.objective): figure_in_brief(score) if score else NONE,
        "Measured on": _measured_on(score) if score else NONE,
        "Mean IoU": score.mean_iou if isinstance(score, PointScore) else None,
        "Epoch kept": kept_in_brief(score, training.epoch if model else 0) or NONE,
        "Points": str(model.n_points) if model else NONE,
        "Time": duration_in_words(training.seconds),
        "By": training.labeller,
        "Ended": training.finished_at,
    }


def title_of(training: Training) -> str:
    """The network of a training, for people, and the comparison it belongs to."""
    title = NETWORKS[training.network.network].title
    if training.training.objective.is_counting:
        title = f"{title}, {training.training.objective}"
    return title if training.comparison_id is None else f"{title}, for comparison {training.comparison_id}"


def _state_in_words(training: Training, *, is_served: bool) -> str:
    if training.is_open and training.wanted is Wanted.CANCEL:
        return ":orange[ends in a moment]"
    if training.state is TrainingState.RUNNING:
        if training.wanted is Wanted.PAUSE:
            return ":orange[pauses in a moment]"
        return ":green[training]" if is_served else ":orange[interrupted, waiting for a worker]"
    if training.state is TrainingState.QUEUED:
        return ":gray[queued]" if is_served else ":gray[its worker is starting]"
    colours = {TrainingState.FAILED: "red", TrainingState.FINISHED: "green"}
    return f":{colours.get(training.state, 'gray')}[{training.state}]"


def _stage_in_words(training: Training) -> str:
    """The network of staged training that is at work, when it is not yet the last."""
    if training.network_now == training.network.network:
        return ""
    return f", now {NETWORKS[NetworkName(training.network_now)].title}"


def _fraction(training: Training) -> float:
    """How far a training is, by epochs or by its time limit, whichever ends first."""
    limit_s = training.training.minutes * 60
    parts = [training.epoch / training.epochs, training.seconds / limit_s if limit_s else 0.0]
    return min(1.0, max(parts))


def _measured_on(score: Score) -> str:
    if isinstance(score, CountScore):
        return f"{score.n_images} images"
    return sources_in_words(score)


def _do(change: Callable[[], object]) -> None:
    """Make a change and show what came of it, or explain why not."""
    try:
        change()
    except FcnlabError as failure:
        session.explained(failure)
        return
    st.rerun(scope="app")
