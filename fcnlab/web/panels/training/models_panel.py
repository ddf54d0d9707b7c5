"""The versions of the models page: cards, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from fcnlab.core.networks.registry import NETWORKS
from fcnlab.domain.counting import Task
from fcnlab.domain.models import ModelKind, ModelRecord
from fcnlab.domain.network import ORDERS_IN_WORDS, SCRATCH, NetworkName
from fcnlab.domain.project import Project
from fcnlab.domain.scores import duration_in_words, figure, figure_name, score_in_a_sentence
from fcnlab.errors import FcnlabError
from fcnlab.services.export.target import download_url
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.models import models as service
from fcnlab.services.models.exports import FORMAT_WORDS, ModelFormat, offer_export
from fcnlab.services.models.files import SUFFIX
from fcnlab.services.models.model_import import MOST_BYTES, import_model
from fcnlab.services.projects.projects import Dashboard
from fcnlab.web import frame, session
from fcnlab.web.panels.projects.learner_settings import INSTANT
from fcnlab.web.session import Engine, escape_markdown

NONE = "–"
IN_USE = ":green-badge[:material/check: In use]"
HASH_CHARS = 8


def keep_button(engine: Engine, project: Project, overview: Dashboard) -> None:
    """A button that makes what the instant learner knows now a version; the instant counter has none."""
    if project.task is Task.COUNTS or not st.button(
        "Save the instant learner as a version",
        icon=":material/bookmark_add:",
        help="What all points teach it now, to compare with other versions or to go back to.",
        disabled=overview.n_points == 0,
    ):
        return

    labeller = session.labeller() or "anonymous"  # asked here: the compute thread knows no tab

    def keep(learner: ProjectLearner) -> ModelRecord:
        return service.keep_instant(engine.lab, learner, labeller=labeller)

    try:
        with st.spinner("Learning from all points"):
            record = engine.jobs.run(keep, project_id=project.id).result()
    except FcnlabError as failure:
        session.explained(failure)
        return
    session.remember("models_notice", f"Saved as version **{escape_markdown(record.name)}**, from {_points(record)}.")
    st.rerun()


def import_button(engine: Engine, project: Project) -> None:
    """A popover that takes in the file of a model."""
    with st.popover("Add a model file", icon=":material/upload_file:"):
        st.write("A checkpoint from this page or from `fcnlab models export`. Its classes are matched by name.")
        turn = session.peek("model_uploads", 0)  # another key empties the widget
        file = st.file_uploader(
            f"A .safetensors file of at most {MOST_BYTES / 1e9:.0f} GB",
            type=[SUFFIX.removeprefix(".")],
            key=f"model-{project.id}-{turn}",
        )
        if file is None or not st.button("Add to the versions", type="primary"):
            return
        data, name, labeller = file.getvalue(), file.name, session.labeller() or "anonymous"

        def run_import(_learner: ProjectLearner) -> ModelRecord:
            return import_model(engine.lab, data, project_id=project.id, name=name, labeller=labeller)

        try:
            with st.spinner("Checking the file"):
                record = engine.jobs.run(run_import, project_id=project.id).result()
        except FcnlabError as failure:
            session.explained(failure)
            return
        session.remember("models_notice", f"Saved as version **{escape_markdown(record.name)}**.")
        session.remember("model_uploads", turn + 1)
        st.rerun()


def notice() -> None:
    """What the last change did."""
    words = session.recall("models_notice")
    if words:
        st.success(words, icon=":material/check_circle:")


def versions(engine: Engine, project: Project, records: Sequence[ModelRecord], overview: Dashboard) -> None:
    """The instant learner, then every version, newest first."""
    if not records and overview.n_points == 0:
        words = "There is nothing to learn from yet: click a few pixels of each class on the **Label** page."
        frame.lead(
            project, words if overview.n_images else frame.NO_IMAGES, to="label" if overview.n_images else "projects"
        )
        return
    _instant_card(engine, project, overview.n_points)
    if not records:
        _invitation(project)
        return
    names = {record.id: record.name for record in records}
    for start in range(0, len(records), 2):
        for column, record in zip(st.columns(2), records[start : start + 2], strict=False):
            with column:
                _card(engine, project, record, names)


def _instant_card(engine: Engine, project: Project, count: int) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        badge = f" {IN_USE}" if project.model_id is None else ""
        st.markdown(
            f"**{INSTANT[project.task]}**{badge}  \n:small[:gray[Learns from every click at once; {count} "
            f"{'point' if count == 1 else 'points'} so far.]]"
        )
        st.space("stretch")
        if project.model_id is not None:
            _use_button(engine, project, None)


def _invitation(project: Project) -> None:
    with st.container(border=True):
        st.markdown("**No versions yet**")
        st.write(
            "Train a network on the points of this project, save what the instant learner knows, or add the file of a "
            "model from elsewhere. Every version can make the masks of the project: on the Label page, in done images "
            "and in exports. Your clicks always win over it."
        )
        if st.button("Train a network", icon=":material/model_training:", type="primary"):
            st.switch_page("pages/train.py", query_params={"project": str(project.id)})


def _card(engine: Engine, project: Project, record: ModelRecord, names: dict[int, str]) -> None:
    """One version: how good, from what, and what can be done with it."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{escape_markdown(record.name)}** {IN_USE if record.id == project.model_id else ''}")
            st.space("stretch")
            if record.id != project.model_id:
                _use_button(engine, project, record)
            _more(engine, project, record)
        st.caption(what_it_is(record))
        numbers = st.columns([4, 3, 3])
        score = record.score
        numbers[0].metric(figure_name(record.objective), figure(score) if score else NONE)
        numbers[1].metric("Points", record.n_points)
        numbers[2].metric("Time", duration_in_words(record.seconds) if record.seconds >= 1 else NONE)
        if score:
            st.caption(score_in_a_sentence(score))
        else:
            is_network = record.kind is ModelKind.NETWORK
            st.caption(
                "There were no validation images, so nobody knows how good it is on what it has not seen."
                if is_network
                else "Learned from every point, so none is left to measure it by; compare it with another."
            )
        st.caption(_origin(record, names))
        with st.expander("Classes and settings", icon=":material/list:"):
            _details(record)


def what_it_is(record: ModelRecord) -> str:
    """The kind of a model, its network and encoder."""
    if record.kind is ModelKind.INSTANT:
        return f"Version of the instant learner on {escape_markdown(str(record.spec.get('encoder', '')))}"
    title = NETWORKS[NetworkName(record.spec["network"])].title if record.spec.get("network") else "Network"
    encoder = record.spec.get("encoder")
    if record.objective.is_counting:
        title = f"{title}, {record.objective}"
    order = record.spec.get("order")
    of_grades = f", {ORDERS_IN_WORDS[order]}" if order in ORDERS_IN_WORDS else ""
    return f"{title}, {'from scratch' if encoder == SCRATCH else f'on {escape_markdown(str(encoder))}'}{of_grades}"


def _origin(record: ModelRecord, names: dict[int, str]) -> str:
    parts = [f"{record.created_at:%d %b %Y, %H:%M} by {escape_markdown(record.labeller)}"]
    if record.training_id is not None:
        parts.append(f"training {record.training_id}")
    if record.parent_id is not None:
        parts.append(f"from {escape_markdown(names.get(record.parent_id, f'version {record.parent_id}, deleted'))}")
    if record.point_set_hash:
        parts.append(f"points `{record.point_set_hash[:HASH_CHARS]}`")
    parts.append(f"{record.size / 1e6:.1f} MB")
    return " · ".join(parts)


def _details(record: ModelRecord) -> None:
    share = record.score.per_class if record.score else {}
    st.dataframe(
        [{"Class": name, **({"Right": share.get(class_id)} if share else {})} for class_id, name, _ in record.classes],
        hide_index=True,
        width="stretch",
        column_config={
            "Right": st.column_config.ProgressColumn(
                "Right on validation points", format="percent", min_value=0, max_value=1
            )
        },
    )
    settings: dict[str, Any] = dict(record.spec)
    if record.training is not None:
        settings |= record.training.to_dict()
    st.dataframe(
        [{"Setting": name.replace("_", " "), "Value": _in_words(value)} for name, value in settings.items()],
        hide_index=True,
        width="stretch",
        height=250,
    )


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(element) for element in value) or NONE
    return NONE if value in (None, "") else str(value)


def _use_button(engine: Engine, project: Project, record: ModelRecord | None) -> None:
    model_id = None if record is None else record.id
    if st.button("Use", key=f"use-{model_id}", icon=":material/play_circle:", help="Use it in this project."):
        _do(engine, project, partial(service.use_model, engine.lab, project_id=project.id, model_id=model_id))


def _more(engine: Engine, project: Project, record: ModelRecord) -> None:
    """Rename, fetch, delete."""
    with st.popover("More", help="Rename, download, delete"):
        name = st.text_input("Name", record.name, max_chars=80, key=f"name-{record.id}")
        if st.button("Rename", key=f"rename-{record.id}", disabled=name.strip() in ("", record.name)):
            _do(engine, project, lambda: service.rename_model(engine.lab, model_id=record.id, name=name))
        _download(engine, record)
        st.divider()
        is_used = record.id == project.model_id
        sure = st.checkbox(
            "Delete this version"
            + (": the project goes back to the instant learner" if is_used else "")
            + ". Done images keep their masks.",
            key=f"sure-{record.id}",
        )
        if st.button("Delete", key=f"delete-{record.id}", icon=":material/delete:", disabled=not sure):
            _do(engine, project, lambda: service.delete_model(engine.lab, model_id=record.id))


@st.fragment
def _download(engine: Engine, record: ModelRecord) -> None:
    """Make a file in the wanted format, then offer it; reruns alone, so that the popover stays open."""
    is_network = record.kind is ModelKind.NETWORK
    formats: list[ModelFormat] = list(FORMAT_WORDS) if is_network else ["checkpoint"]
    chosen = st.selectbox("Download", formats, format_func=FORMAT_WORDS.__getitem__, key=f"format-{record.id}")
    if st.button("Make the file", key=f"make-{record.id}", icon=":material/download:"):
        try:
            with st.spinner("Writing and checking the file" if chosen != "checkpoint" else "Copying"):
                path = offer_export(engine.lab, model_id=record.id, as_format=chosen)
            session.remember(f"model_file_{record.id}", (chosen, download_url(path), path.stat().st_size))
        except FcnlabError as failure:
            session.explained(failure)
    made = session.peek(f"model_file_{record.id}")
    if made is not None and made[0] == chosen:
        st.link_button(f"Download ({made[2] / 1e6:.1f} MB)", made[1], type="primary", icon=":material/download:")


def _points(record: ModelRecord) -> str:
    return f"{record.n_points} {'point' if record.n_points == 1 else 'points'}"


def _do(engine: Engine, project: Project, change: Callable[[], object]) -> None:
    """Make a change, make the masks looked at anew, and show what came of it; or explain why not."""
    try:
        change()
    except FcnlabError as failure:
        session.explained(failure)
        return
    engine.jobs.changed(project.id)
    st.rerun()
