"""What the compare page shows of a comparison: how far it is, its table and charts, what to do with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from html import escape

import streamlit as st

from fcnlab.domain.comparison import Comparison, Measured, Participant, timing_in_words
from fcnlab.domain.project import Project
from fcnlab.domain.scores import PointScore, Score, duration_in_words, kappa_in_brief, kept_in_brief
from fcnlab.domain.training import TrainingState, Wanted
from fcnlab.errors import FcnlabError
from fcnlab.services.comparing import comparisons as service
from fcnlab.services.comparing.comparisons import ComparisonStatus
from fcnlab.services.training.workers import ensure_worker
from fcnlab.web import session
from fcnlab.web.panels.comparing.compare_charts import colours_of, draw_charts
from fcnlab.web.panels.comparing.compare_counts import count_notes, count_row, selection_notes
from fcnlab.web.panels.comparing.compare_masks import draw_masks
from fcnlab.web.session import Engine

REFRESH_S = 1.5
LATE_AFTER = timedelta(seconds=30)
"""A worker needs seconds to start; one that has not come by then will not."""

NONE = "–"
LIST_STYLE = (
    "<style>.fcnlab-list{display:grid;gap:.45rem 2.5rem;"
    "grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr))}"
    ".fcnlab-list>div{display:grid;grid-template-columns:.8rem 1fr;gap:.6rem;line-height:1.4}</style>"
)
STATE_WORDS = {
    TrainingState.QUEUED: "queued",
    TrainingState.RUNNING: "training",
    TrainingState.PAUSED: "paused",
    TrainingState.FINISHED: "done",
    TrainingState.CANCELLED: "cancelled",
    TrainingState.FAILED: "failed",
}


def chosen(comparisons: Sequence[Comparison]) -> Comparison:
    """The comparison to look at: the newest, or another one that is picked."""
    by_id = {comparison.id: comparison for comparison in comparisons}
    wanted = session.peek("comparison")
    if len(comparisons) == 1:
        return comparisons[0]
    comparison_id: int = st.selectbox(
        "Comparison",
        list(by_id),
        index=list(by_id).index(wanted) if wanted in by_id else 0,
        format_func=lambda comparison_id: _title(by_id[comparison_id]),
        label_visibility="collapsed",
        width=420,
        key=f"comparison-{comparisons[0].id}",
    )
    session.remember("comparison", comparison_id)
    return by_id[comparison_id]


def watch(engine: Engine, project: Project, status: ComparisonStatus) -> None:
    """Draw all of a comparison; while it goes on, what changes is drawn again by itself."""
    _head(engine, status)
    if status.is_open:
        st.fragment(_live, run_every=REFRESH_S)(engine, status.comparison.id, status.n_measured)
    else:
        _table(status)
        draw_charts(status)
    draw_masks(engine, project, status)
    _legend(status)
    _keep(engine, status)


def _live(engine: Engine, comparison_id: int, n_measured: int) -> None:
    """What changes while a comparison goes on; a new result draws the whole page again."""
    try:
        status = service.comparison_status(engine.lab, comparison_id=comparison_id)
    except FcnlabError as failure:
        session.explained(failure)
        return
    if not status.is_open or status.n_measured != n_measured:
        st.rerun(scope="app")
    _progress(engine, status)
    _table(status)
    draw_charts(status)


def _head(engine: Engine, status: ComparisonStatus) -> None:
    """What is compared on what, and the buttons that end or delete it."""
    spec, comparison_id = status.spec, status.comparison.id
    with st.container(horizontal=True, vertical_alignment="center"):
        is_training = any(participant.state is TrainingState.RUNNING for participant in status.participants)
        state = TrainingState.RUNNING if status.is_open and is_training else status.comparison.state
        st.subheader(_title(replace(status.comparison, state=state)), anchor=False)
        st.space("stretch")
        if status.is_open:
            with st.popover("Cancel", icon=":material/close:"):
                st.write("This ends all its trainings for good. Results that are in stay.")
                if st.button("Cancel the comparison", type="primary"):
                    _do(lambda: service.cancel_comparison(engine.lab, comparison_id=comparison_id))
        else:
            with st.popover("Delete", icon=":material/delete:"):
                st.write("This deletes its results and networks. Those saved as versions stay.")
                if st.button("Delete the comparison", type="primary"):
                    _do(lambda: service.delete_comparison(engine.lab, comparison_id=comparison_id))
    held = f"{len(spec.held_out)} for validation" if spec.held_out else "none for validation, so there are no scores"
    n_points = next(
        (participant.measured.n_points for participant in status.participants if participant.measured), None
    )
    learned = "" if n_points is None else f", {n_points:,} points learned from"
    size = f"at most {spec.working_side} pixels long"
    if spec.is_counting:
        size = f"enlarged {spec.magnification:.2g} times"
    st.caption(
        f"{len(spec.image_ids)} images, {held}{learned}; {_minutes(spec.minutes)} of training for each network, "
        f"input {size}. By {session.escape_markdown(status.comparison.labeller)}."
    )
    best, short = service.best_in_words(status), service.too_short(status)
    if best:
        st.markdown(session.escape_markdown(best))
    if short:
        st.warning(session.escape_markdown(short), icon=":material/timer:")


def _progress(engine: Engine, status: ComparisonStatus) -> None:
    networks = [participant for participant in status.participants if participant.training is not None]
    parts = [_part(participant, status) for participant in networks]
    at_work = next((participant for participant in networks if participant.state is TrainingState.RUNNING), None)
    left = sum((1 - part) * status.spec.minutes * 60 for part in parts)
    if status.comparison.state is TrainingState.QUEUED or at_work is None:
        words = "Queued" if status.is_served else "Its worker is starting"
    elif at_work.training is not None and at_work.training.wanted is Wanted.CANCEL:
        words = "Ends in a moment"
    elif (
        at_work.training is not None
        and not at_work.training.epoch
        and not any(participant.measured for participant in networks)
    ):
        words = f"Preparing {at_work.title}"
    else:
        words = f"{at_work.title} is training; about {duration_in_words(left)} of training left in all"
    n_over = sum(not participant.training.is_open for participant in networks if participant.training)
    st.progress(min(1.0, sum(parts) / len(parts)), f"{n_over} of {len(networks)} done. {words}.")
    is_due = not status.is_served and engine.lab.clock() - status.comparison.created_at > LATE_AFTER
    if is_due:
        st.warning(f"No worker is at work. The log of the last one is in {engine.lab.folders.logs}.")
        if st.button("Start a worker", icon=":material/restart_alt:"):
            _do(lambda: ensure_worker(engine.lab, project_id=status.comparison.project_id))


def _table(status: ComparisonStatus) -> None:
    st.dataframe(
        [_row(participant) for participant in status.participants],
        hide_index=True,
        width="stretch",
        height=35 * (len(status.participants) + 1) + 3,
        placeholder=NONE,
        column_config={
            "Parameters": st.column_config.NumberColumn(format="localized", help="All numbers in it."),
            "Learned": st.column_config.NumberColumn(format="localized", help="Those learned from the points."),
            "Seconds per image": st.column_config.NumberColumn(format="%.3g"),
            "Epoch kept": st.column_config.TextColumn(
                help="Of the network itself: FCN-16s and FCN-8s are trained coarse to fine, and never measured before "
                "their own stage."
            ),
            "Seconds per epoch": st.column_config.NumberColumn(format="%.2f"),
            "Mean IoU": st.column_config.NumberColumn(format="%.3f"),
            "MAE in grades": st.column_config.NumberColumn(
                format="%.2f", help="Mean absolute error of the grades among the validation points."
            ),
            "Weighted kappa": st.column_config.TextColumn(
                help="Quadratic weighted kappa of the grades, with its 95 % CI: 1 is perfect, 0 is chance."
            ),
            "Validation accuracy": st.column_config.NumberColumn(format="%.1f%%"),
            **{
                name: st.column_config.NumberColumn(format="%.2f")
                for name in ("Validation MAE", "RMSE", "GAME(3)", "F")
            },
            **{name: st.column_config.NumberColumn(format="%.1f%%") for name in ("MRE", "Precision", "Recall")},
        },
    )
    results = [participant.result for participant in status.participants if participant.result is not None]
    for line in count_notes(results) if status.spec.is_counting else [*_notes(results), *selection_notes(results)]:
        st.caption(line)
    for participant in status.participants:
        if participant.message and participant.state is TrainingState.FAILED:
            st.error(
                f"**{participant.title}** failed: {session.escape_markdown(participant.message)}",
                icon=":material/error:",
            )
        elif participant.message:
            st.info(
                f"**{participant.title}** has no result: {session.escape_markdown(participant.message)}.",
                icon=":material/info:",
            )


def _row(participant: Participant) -> dict[str, object]:
    measured, score = participant.result, participant.result.score if participant.result else None
    if participant.training is not None and participant.training.training.objective.is_counting:
        return count_row(participant, _state_in_words(participant))
    return {
        "Network": participant.title,
        "State": _state_in_words(participant),
        "Validation accuracy": 100 * score.accuracy if isinstance(score, PointScore) else None,
        "95 % CI": f"{score.low:.0%} to {score.high:.0%}" if isinstance(score, PointScore) else None,
        **_grade_figures(score),
        "Mean IoU": measured.mean_iou if measured else None,
        "Epoch kept": kept_in_brief(score, participant.training.epoch) if measured and participant.training else None,
        "Seconds per image": measured.timing.seconds if measured else None,
        "Quickest to slowest": measured.timing.spread() if measured else None,
        "At": _timed(measured) if measured else None,
        "Seconds per epoch": participant.seconds_per_epoch,
        "Epochs": participant.training.epoch if participant.training else None,
        "Learning": duration_in_words(measured.seconds) if measured else None,
        "Parameters": measured.parameters if measured else None,
        "Learned": measured.learned if measured else None,
    }


def _grade_figures(score: Score | None) -> dict[str, object]:
    """Figures of grades; no column where nobody has any."""
    grades = score.grades if isinstance(score, PointScore) else None
    return {} if grades is None else {"MAE in grades": grades.mae, "Weighted kappa": kappa_in_brief(grades) or None}


def _notes(results: Sequence[Measured]) -> list[str]:
    """What the figures of the table were taken on."""
    notes = []
    n_masks = max((measured.n_masks for measured in results), default=0)
    if any(measured.by_experts for measured in results):
        notes.append(f"Mean IoU on {n_masks} expert masks of validation images.")
    elif n_masks:
        notes.append(
            f"Mean IoU on the kept masks of {n_masks} done validation images. Labellers accepted them, but most of "
            "their pixels were drawn by a model, usually the instant learner, which favours it."
        )
    elif results:
        notes.append("Mean IoU needs validation images that are done or have expert masks; there are none.")
    if results:
        timing = results[0].timing
        where = "the graphics card" if not timing.threads else "one thread" if timing.threads == 1 else "all threads"
        part = (
            " Of a sliding window a part of the pixels is computed and the rest extrapolated; its mask is drawn by its "
            "twin, which gives the same scores at once."
            if any(measured.timing.is_extrapolated for measured in results)
            else ""
        )
        notes.append(
            f"Seconds per image: prediction at {timing.hw[1]} x {timing.hw[0]} pixels unless another size is given, "
            f"on {where}, while other work may go on; {timing_in_words(results)}.{part}"
        )
    return notes


def _legend(status: ComparisonStatus) -> None:
    """Each of those compared in one sentence, in its colour."""
    st.markdown("**What each of them does**")
    colours = colours_of(status.participants)
    entries = [
        f'<div style="background:{colours[participant.key]};width:.8rem;height:.8rem;border-radius:.2rem;'
        f'margin-top:.3rem"></div><div><strong>{escape(participant.title)}.</strong> '
        f"{escape(participant.summary)}</div>"
        for participant in status.participants
    ]
    st.html(LIST_STYLE + f'<div class="fcnlab-list">{"".join(f"<div>{entry}</div>" for entry in entries)}</div>')


def _keep(engine: Engine, status: ComparisonStatus) -> None:
    """Make a model of one of the networks."""
    ready = {
        participant.training.id: participant
        for participant in status.participants
        if participant.training is not None and participant.measured
    }
    if not ready:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="bottom"):
        training_id: int = st.selectbox(
            "Networks of a comparison are no versions of the project until you save one",
            list(ready),
            format_func=lambda training_id: (
                ready[training_id].title + (" (saved)" if ready[training_id].model_id else "")
            ),
            width=460,
        )
        if ready[training_id].model_id is not None:
            st.button("Saved as version", icon=":material/check:", disabled=True)
        elif st.button("Save as version", icon=":material/bookmark_add:"):
            _do(lambda: service.keep_as_version(engine.lab, training_id=training_id))


def _part(participant: Participant, status: ComparisonStatus) -> float:
    """How far the training of a network is, 0..1."""
    if participant.training is None or not participant.training.is_open:
        return 1.0
    return min(1.0, participant.training.seconds / (status.spec.minutes * 60))


def _state_in_words(participant: Participant) -> str:
    if participant.training is None:
        return "fitting" if participant.state is TrainingState.RUNNING else STATE_WORDS[participant.state]
    if (
        participant.state is TrainingState.RUNNING
        and not participant.training.seconds_left
        and participant.training.epoch
    ):
        return "being measured"
    if participant.state is TrainingState.FINISHED and participant.result is None:
        return "no result"
    return STATE_WORDS[participant.state]


def _timed(measured: Measured) -> str:
    height, width = measured.timing.hw
    return f"{width} x {height}{', extrapolated' if measured.timing.is_extrapolated else ''}"


def _title(comparison: Comparison) -> str:
    n_networks = len(comparison.spec["networks"]) * max(1, len(comparison.spec.get("objectives", ())))
    return (
        f"Comparison {comparison.id}: {n_networks} networks, {comparison.created_at:%d %b %Y %H:%M}, {comparison.state}"
    )


def _minutes(minutes: float) -> str:
    return duration_in_words(minutes * 60)


def _do(change: Callable[[], object]) -> None:
    """Make a change and show what came of it, or explain why not."""
    try:
        change()
    except FcnlabError as failure:
        session.explained(failure)
        return
    st.rerun(scope="app")
