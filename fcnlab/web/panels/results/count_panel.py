"""The count page: how many objects there are, how sure that is, and files of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import streamlit as st

from fcnlab.domain.counting import CountScore, Task
from fcnlab.domain.project import Project
from fcnlab.errors import FcnlabError, as_sentence
from fcnlab.services.counting.exports import CountRow, CountTable, made_from
from fcnlab.services.counting.jobs import Counting
from fcnlab.services.counting.project_counts import MarkedTotals, marked_totals
from fcnlab.services.export.target import download_url
from fcnlab.services.models.models import model
from fcnlab.web import frame, session
from fcnlab.web.panels.results import count_charts, count_view
from fcnlab.web.session import Engine, escape_markdown

POLLED_EVERY_S = 1.0
FILES = (
    ("Counts", "csv", "One line per image and class: counted, marked, interval."),
    ("Objects", "csv", "One line per object: row, column, class, score."),
    ("COCO keypoints", "json", "One annotation per object, with its centre as the keypoint."),
)


def empty_state(engine: Engine, project: Project) -> bool:
    """Say what is missing before anything can be counted, and lead there; whether something is."""
    marked = marked_totals(engine.lab, project_id=project.id)
    words, page = _missing(project, marked)
    if words:
        frame.lead(project, words, to=page)
    return bool(words)


def _missing(project: Project, marked: MarkedTotals) -> tuple[str, str]:
    if project.task is not Task.COUNTS:
        words = (
            "This project makes masks. To count objects, make a project that counts on the **Projects** page: one "
            "click on each object teaches it, and the rest is found and numbered."
        )
        return words, "projects"
    if marked.n_images == 0:
        return frame.NO_IMAGES, "projects"
    if marked.n_objects == 0 and marked.n_complete == 0:
        words = (
            "No object is marked yet. Click once on a few of them on the **Label** page; others like them are found at "
            "once, and counted here in all images."
        )
        return words, "label"
    return "", ""


def draw(engine: Engine, project: Project) -> None:
    """Everything below the choice of the project; reruns by itself while images are counted."""
    status = session.count_jobs().status(project.id)
    is_running = status is not None and status.state == "running"
    st.fragment(_watched, run_every=POLLED_EVERY_S if is_running else None)(engine, project, is_running=is_running)


def _watched(engine: Engine, project: Project, *, is_running: bool) -> None:
    status = session.count_jobs().status(project.id)
    if is_running and (status is None or status.state != "running"):
        st.rerun(scope="app")
    try:
        _news(engine, project, status)
        if status is not None and status.table is not None:
            _results(engine, project, status.table)
        else:
            _invitation(engine, project)
    except FcnlabError as failure:
        session.explained(failure)


def start_button(engine: Engine, project: Project) -> None:
    """The button that starts a count, and the name of the counter."""
    status = session.count_jobs().status(project.id)
    words = "Count again" if status is not None and status.table is not None else "Count all images"
    is_running = status is not None and status.state == "running"
    if st.button(words, type="primary", icon=":material/tag:", disabled=is_running):
        session.count_jobs().start(project.id)
        st.rerun()
    st.caption(f":material/deployed_code: Counted by {_counter(engine, project)}", width="content")


def _news(engine: Engine, project: Project, status: Counting | None) -> None:
    """How far it is, and what went wrong."""
    if status is None:
        return
    if status.state == "running":
        part = status.done / status.total if status.total else 0.0
        st.progress(min(1.0, part), f"Counting: {status.done} of {status.total or '…'}")
    elif status.state == "failed":
        st.error(escape_markdown(as_sentence(status.message)), icon=":material/error:")
    elif status.table is not None and status.table.made_from != made_from(engine.lab, project_id=project.id):
        st.warning("Points, images or the counter changed since these were counted.", icon=":material/update:")


def _counter(engine: Engine, project: Project) -> str:
    if project.model_id is None:
        return "the **instant counter**"
    return f"**{escape_markdown(model(engine.lab, model_id=project.model_id).name)}**"


def _invitation(engine: Engine, project: Project) -> None:
    marked = marked_totals(engine.lab, project_id=project.id)
    with st.container(border=True):
        st.markdown("**From clicks to counts**")
        st.write(
            f"{marked.n_objects} objects are marked so far, and all objects in {marked.n_complete} of "
            f"{marked.n_images} images. Counting goes through all images; you may close this page meanwhile."
        )
        st.write(
            "Images in which you marked all objects are the test of the counter: it counts each of them as if nothing "
            "were marked there. Mark all objects of a few images before you trust the others."
        )


def _results(engine: Engine, project: Project, table: CountTable) -> None:
    _totals(project, table)
    left, right = st.columns([6, 5], gap="large")
    with left:
        _rows(project, table)
        _files(table)
    with right:
        st.markdown("**Predicted against true** :gray[images that are all marked]")
        count_charts.scatter(project, table)
        _about(project, table.score)
        count_view.draw(engine, project, table)


def _totals(project: Project, table: CountTable) -> None:
    """The sums over the project, one class beside the other."""
    objects = project.objects
    tiles = st.columns(max(6, len(objects) + 4))
    for tile, label in zip(tiles, objects, strict=False):
        class_counts = [
            class_count for row in table.rows for class_count in row.counts if class_count.class_id == label.id
        ]
        total = sum(class_count.count for class_count in class_counts)
        bounds = [
            (class_count.count, class_count.count) if class_count.is_exact else (class_count.low, class_count.high)
            for class_count in class_counts
        ]
        intervals = [(low, high) for low, high in bounds if low is not None and high is not None]
        between = None
        if class_counts and len(intervals) == len(class_counts):
            between = f"{sum(low for low, _ in intervals):.0f} to {sum(high for _, high in intervals):.0f}"
        tile.metric(
            escape_markdown(label.name),
            f"{total:,.0f}",
            between,
            delta_color="off",
            delta_arrow="off",
            help="Over all images. The interval adds those of the images: it holds even if all err the same way.",
        )
    n_exact = sum(row.image.is_complete for row in table.rows)
    rest = tiles[len(objects) :]
    rest[0].metric("All marked", f"{n_exact} of {len(table.rows)}", help="Images whose count is exact.")
    if table.score is not None:
        score = table.score
        rest[1].metric("Mean error", f"{score.mae:.2f}", help="MAE: mean absolute error of the count of an image.")
        rest[2].metric("Relative error", f"{score.mre:.0%}", help="Mean of |predicted - true| / true.")
        words = f"F-score of the objects. Precision {score.precision:.0%}, recall {score.recall:.0%}."
        rest[3].metric("Found", f"{score.f_score:.0%}", help=words)
    if table.left_out:
        with st.expander(f"{len(table.left_out)} images could not be counted", icon=":material/warning:"):
            for name, reason in table.left_out:
                st.text(f"{name}: {reason}")


def _rows(project: Project, table: CountTable) -> None:
    """One line per image, with columns for each class."""
    objects = project.objects
    is_one = len(objects) == 1
    lines = [_line(project, row, is_one=is_one) for row in table.rows]
    link = st.column_config.LinkColumn(
        "", display_text=":material/open_in_new:", width=36, help="Open on the label page"
    )
    st.dataframe(
        lines,
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * max(1, len(lines)), 460),
        column_config={"open": link, "image": st.column_config.TextColumn("Image", width="medium")},
    )


def _line(project: Project, row: CountRow, *, is_one: bool) -> dict[str, Any]:
    line: dict[str, Any] = {"open": label_link(project, row), "image": row.image.name}
    by_class = {class_count.class_id: class_count for class_count in row.counts}
    for label in project.objects:
        before = "" if is_one else f"{label.name}: "
        count = by_class.get(label.id)
        said = row.predicted.get(label.id)
        is_exact = count is not None and count.is_exact
        line[f"{before}Marked"] = None if count is None else count.marked
        line[f"{before}Predicted"] = None if said is None else round(said, 1)
        low, high = (None, None) if count is None or is_exact else (count.low, count.high)
        line[f"{before}Interval"] = "" if low is None or high is None else f"{low:.0f} to {high:.0f}"
        line[f"{before}Error"] = (
            f"{round(said - count.marked, 1):+g}" if is_exact and count and said is not None else ""
        )
    return line | {"All marked": row.image.is_complete} | ({"Learned from": True} if row.is_seen else {})


def label_link(project: Project, row: CountRow) -> str:
    """The address of an image on the label page."""
    return f"/?project={project.id}&image={row.image.id}&labeller={quote(session.labeller() or 'anonymous')}"


def _about(project: Project, score: CountScore | None) -> None:
    if score is None:
        st.caption(
            "No image says yet how good the counter is: mark all objects of one that it did not learn from. The "
            "instant counter needs two such images, and counts each by what it learned from the others."
        )
        return
    games = ", ".join(f"{value:.2f}" for value in score.game)
    words = (
        f"On {score.n_images} images with {score.n_objects} objects that are all marked and that the counter did not "
        f"learn from. RMSE {score.rmse:.2f}, GAME 0 to 3: {games}."
    )
    if len(score.per_class) > 1:
        names = {label.id: label.name for label in project.classes}
        errors = (f"{names.get(class_id, class_id)} {mae:.2f}" for class_id, mae in score.per_class.items())
        words += f" Mean error by class: {', '.join(errors)}."
    st.caption(words)


def _files(table: CountTable) -> None:
    with st.container(horizontal=True):
        for path, (name, ending, help_words) in zip(table.files, FILES, strict=True):
            if path.is_file():
                text = f"{name} ({ending.upper()})"
                st.link_button(text, download_url(path), icon=":material/download:", help=help_words)
