"""A project in numbers and charts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from fcnlab.domain.counting import Task
from fcnlab.domain.images import ImageState
from fcnlab.domain.project import Project
from fcnlab.services.counting.project_counts import MarkedTotals, marked_totals
from fcnlab.services.projects.projects import dashboard
from fcnlab.services.projects.statistics import kept_mask_files, point_counts
from fcnlab.web import session
from fcnlab.web.session import Engine

STATE_WORDS = {ImageState.DONE: "done", ImageState.IN_PROGRESS: "in progress", ImageState.NEW: "new"}
STATE_COLOURS = {"done": "#009E73", "all marked": "#009E73", "in progress": "#56B4E9", "new": "#B8BCC4"}
BAR_PX, ROW_PX = 22, 34


def draw(engine: Engine, project: Project) -> None:
    """Numbers, then a chart each of images by state, points by labeller and class, and area by class."""
    overview = dashboard(engine.lab, project_id=project.id)
    numbers = st.columns(4)
    numbers[0].metric("Images", overview.n_images)
    if project.task is Task.COUNTS:
        marked = marked_totals(engine.lab, project_id=project.id)
        numbers[1].metric("All marked", marked.n_complete, help="Images whose points are their exact count.")
        numbers[2].metric("Objects marked", marked.n_objects)
        states = _marked_states(marked)
    else:
        numbers[1].metric("Done", overview.images[ImageState.DONE])
        numbers[2].metric("Points", overview.n_points)
        states = {words: overview.images[state] for state, words in STATE_WORDS.items()}
    numbers[3].metric("Labellers", len(overview.points_by_labeller))
    if not overview.n_images:
        st.caption("Add images, then click a few pixels of them on the **Label** page. Charts of the work come here.")
    if overview.n_images:
        st.markdown("**Images by state**")
        _chart(_states(states), height=BAR_PX + 12)
        st.html(legend([(f"{words}: {n}", STATE_COLOURS[words]) for words, n in states.items()]))
        if st.button("Find images by tag", type="tertiary", icon=":material/label:"):
            st.switch_page("pages/tags.py", query_params={"project": str(project.id), "view": "images"})
    if overview.n_points:
        st.markdown("**Points by labeller and class**")
        _chart(_points(engine, project), height=ROW_PX * len(overview.points_by_labeller) + 36)
        st.html(legend([(label.name, label.colour) for label in project.classes]))
    areas = _areas(engine, project)
    if areas:
        st.markdown("**Area by class, in done images**")
        _chart(_area_bars(project, areas), height=ROW_PX * len(areas) + 36)


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """HTML of coloured spots with their names; `entries` are (name, #rrggbb)."""
    spots = "".join(
        f'<span style="display:inline-flex;align-items:center;gap:.4rem;margin-right:1rem">'
        f'<span style="width:.8rem;height:.8rem;border-radius:.2rem;background:{colour}"></span>'
        f"{escape(name)}</span>"
        for name, colour in entries
    )
    return f'<div style="font-size:.875rem">{spots}</div>'


def _chart(chart: Any, *, height: int) -> None:
    st.altair_chart(chart.properties(height=height), width="stretch")


def _marked_states(marked: MarkedTotals) -> dict[str, int]:
    rest = marked.n_images - marked.n_complete - marked.n_begun
    return {"all marked": marked.n_complete, "in progress": marked.n_begun, "new": rest}


def _states(states: dict[str, int]) -> Any:
    rows = [{"state": words, "images": n, "place": index} for index, (words, n) in enumerate(states.items())]
    names = list(states)
    return _bars(rows).encode(
        x=alt.X("images:Q", stack="zero", title=None, axis=None),
        color=alt.Color(
            "state:N",
            scale=alt.Scale(domain=names, range=[STATE_COLOURS[words] for words in names]),
            sort=names,
            legend=None,
        ),
        order=alt.Order("place:Q"),
        tooltip=["state:N", "images:Q"],
    )


def _points(engine: Engine, project: Project) -> Any:
    names = {label.id: label.name for label in project.classes}
    order = {label.id: index for index, label in enumerate(project.classes)}
    rows = [
        {
            "labeller": point_count.labeller,
            "class": names[point_count.class_id],
            "points": point_count.count,
            "place": order[point_count.class_id],
        }
        for point_count in point_counts(engine.lab, project_id=project.id)
        if point_count.class_id in names
    ]
    return _bars(rows).encode(
        x=alt.X("points:Q", title=None, axis=alt.Axis(format="d", tickMinStep=1, grid=False, tickCount=6)),
        y=alt.Y("labeller:N", sort="-x", title=None, axis=alt.Axis(labelLimit=140)),
        color=_class_colours(project),
        order=alt.Order("place:Q"),
        tooltip=["labeller:N", "class:N", "points:Q"],
    )


def _area_bars(project: Project, areas: dict[int, float]) -> Any:
    rows = [{"class": label.name, "share": areas[label.id]} for label in project.classes if label.id in areas]
    return _bars(rows).encode(
        x=alt.X(
            "share:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", grid=False, tickCount=5)
        ),
        y=alt.Y("class:N", sort=[str(row["class"]) for row in rows], title=None, axis=alt.Axis(labelLimit=140)),
        color=_class_colours(project),
        tooltip=["class:N", alt.Tooltip("share:Q", format=".1%")],
    )


def _bars(rows: list[dict[str, Any]]) -> Any:
    """A bar chart of these rows, still without its axes."""
    return alt.Chart(pd.DataFrame(rows)).mark_bar(size=BAR_PX, cornerRadius=2)


def _class_colours(project: Project) -> Any:
    names = [label.name for label in project.classes]
    colours = [label.colour for label in project.classes]
    return alt.Color("class:N", scale=alt.Scale(domain=names, range=colours), sort=names, legend=None)


def _areas(engine: Engine, project: Project) -> dict[int, float]:
    """Share of each class in use among the pixels of all kept masks; nothing when none is kept."""
    pixels: Counter[int] = Counter()
    for file in kept_mask_files(engine.lab, project_id=project.id):
        pixels.update(session.mask_area(str(file)))
    total = sum(pixels.values())
    return {label.id: pixels[label.id] / total for label in project.classes} if total else {}
