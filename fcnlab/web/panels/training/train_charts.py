"""Curves of a training: loss, and held-out accuracy or error of counts, against the epochs.

Written in Vega-Lite itself: they are drawn again every moment, and Altair takes many times as long to say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from fcnlab.domain.counting import CountScore
from fcnlab.domain.project import Project
from fcnlab.domain.scores import PointScore, taken_on
from fcnlab.domain.training import Epoch
from fcnlab.errors import as_sentence
from fcnlab.web.panels.projects.dashboard import legend

Rows = list[dict[str, Any]]

LOSS_PX, ACCURACY_PX = 130, 190
DRAWN_AT_MOST = 300
"""Epochs in a curve; of more, every second, third, ... one and the last are drawn."""


def draw_curves(project: Project, epochs: Sequence[Epoch]) -> None:
    """Loss, then validation: accuracy on points with its 95 % band and per class, or the error of counts."""
    shown = thinned(epochs)
    if not shown:
        return
    st.markdown("**Loss in training** :gray[by epoch]")
    _draw([_loss(shown)], height=LOSS_PX)
    counted = [
        (epoch.progress.epoch, epoch.progress.score) for epoch in shown if isinstance(epoch.progress.score, CountScore)
    ]
    if counted:
        _draw_errors(project, counted)
        return
    scored = [
        (epoch.progress.epoch, epoch.progress.score) for epoch in shown if isinstance(epoch.progress.score, PointScore)
    ]
    if not scored:
        return
    last = scored[-1][1]
    st.markdown(f"**Accuracy on {last.n_points} validation points** :gray[by epoch]")
    words = taken_on(last)
    st.caption(f"{as_sentence(words)}.")
    _draw(_accuracy(project, scored), height=ACCURACY_PX)
    names = [(label.name, label.colour) for label in project.classes if label.id in last.per_class]
    st.html(legend([("All classes, 95 % CI", _ink()), *names]))


def _draw_errors(project: Project, counted: Sequence[tuple[int, CountScore]]) -> None:
    last = counted[-1][1]
    st.markdown(f"**Error of the counts of {last.n_images} validation images** :gray[objects, by epoch]")
    st.caption("Mean absolute error: by how many objects the count of an image is off on average. Less is better.")
    _draw(_errors(project, counted), height=ACCURACY_PX)
    names = [(label.name, label.colour) for label in project.classes if label.id in last.per_class]
    st.html(legend([("All classes", _ink()), *(names if len(names) > 1 else [])]))


def thinned(epochs: Sequence[Epoch]) -> list[Epoch]:
    """At most about DRAWN_AT_MOST epochs, evenly spread, the newest one always among them."""
    step = -(-len(epochs) // DRAWN_AT_MOST) or 1
    return list(epochs[::-1][::step][::-1])


def _draw(layers: list[dict[str, Any]], *, height: int) -> None:
    x = {
        "field": "epoch",
        "type": "quantitative",
        "title": None,
        "scale": {"nice": False, "zero": False},
        "axis": {"format": "d", "tickMinStep": 1, "grid": False, "tickCount": 8},
    }
    for layer in layers:
        layer["encoding"]["x"] = x
    st.vega_lite_chart({"layer": layers, "height": height}, width="stretch")


def _loss(epochs: Sequence[Epoch]) -> dict[str, Any]:
    rows = [
        {"epoch": epoch.progress.epoch, "loss": epoch.progress.loss, "network": epoch.progress.network.value}
        for epoch in epochs
    ]
    y = {"field": "loss", "type": "quantitative", "title": None, "axis": {"tickCount": 4}}
    tooltip = [*_words("epoch", "network"), {"field": "loss", "type": "quantitative", "format": ".4f"}]
    return {"data": {"values": rows}, "mark": _line(rows), "encoding": {"y": y, "tooltip": tooltip}}


def _errors(project: Project, counted: Sequence[tuple[int, CountScore]]) -> list[dict[str, Any]]:
    names = {label.id: label.name for label in project.classes}
    whole: Rows = [{"epoch": epoch, "error": score.mae, "F": score.f_score} for epoch, score in counted]
    by_class: Rows = [
        {"epoch": epoch, "class": names[class_id], "error": error}
        for epoch, score in counted
        for class_id, error in score.per_class.items()
        if class_id in names and len(score.per_class) > 1
    ]
    y = {"field": "error", "type": "quantitative", "title": None, "axis": {"tickCount": 5}}
    colours = {
        "domain": [label.name for label in project.classes],
        "range": [label.colour for label in project.classes],
    }
    error = [{"field": name, "type": "quantitative", "format": ".2f"} for name in ("error", "F")]
    return [
        {
            "data": {"values": by_class},
            "mark": _line(by_class, strokeWidth=1.3),
            "encoding": {
                "y": y,
                "color": {"field": "class", "type": "nominal", "scale": colours, "legend": None},
                "tooltip": [*_words("class", "epoch"), error[0]],
            },
        },
        {
            "data": {"values": whole},
            "mark": _line(whole, color=_ink(), strokeWidth=2.5),
            "encoding": {"y": y, "tooltip": [*_words("epoch"), *error]},
        },
    ]


def _accuracy(project: Project, scored: Sequence[tuple[int, PointScore]]) -> list[dict[str, Any]]:
    whole: Rows = []
    by_class: Rows = []
    names = {label.id: label.name for label in project.classes}
    for epoch, score in scored:
        at = {"epoch": epoch}
        whole.append({**at, "accuracy": score.accuracy, "low": score.low, "high": score.high})
        by_class += [
            {**at, "class": names[class_id], "accuracy": share}
            for class_id, share in score.per_class.items()
            if class_id in names
        ]
    y = {
        "field": "accuracy",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, 1]},
        "axis": {"format": "%", "tickCount": 5},
    }
    colours = {
        "domain": [label.name for label in project.classes],
        "range": [label.colour for label in project.classes],
    }
    return [
        {
            "data": {"values": whole},
            "mark": {"type": "area", "color": _ink(), "opacity": 0.13},
            "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "data": {"values": by_class},
            "mark": _line(by_class, strokeWidth=1.3),
            "encoding": {
                "y": y,
                "color": {"field": "class", "type": "nominal", "scale": colours, "legend": None},
                "tooltip": [*_words("class", "epoch"), *_shares("accuracy")],
            },
        },
        {
            "data": {"values": whole},
            "mark": _line(whole, color=_ink(), strokeWidth=2.5),
            "encoding": {"y": y, "tooltip": [*_words("epoch"), *_shares("accuracy", "low", "high")]},
        },
    ]


def _line(rows: Rows, **style: object) -> dict[str, Any]:
    """A line, and a spot where there is one epoch only."""
    return {"type": "line", "point": len({row["epoch"] for row in rows}) < 2, **style}


def _words(*names: str) -> Rows:
    return [{"field": name, "type": "nominal"} for name in names]


def _shares(*names: str) -> Rows:
    return [{"field": name, "type": "quantitative", "format": ".1%"} for name in names]


def _ink() -> str:
    """A colour that is read on the background of the page."""
    return "#FAFAFA" if st.context.theme.type == "dark" else "#262730"
