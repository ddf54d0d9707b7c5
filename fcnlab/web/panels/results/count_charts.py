"""Predicted counts against true ones, written in Vega-Lite itself, as the curves of trainings are."""

from __future__ import annotations

from typing import Any

import streamlit as st

from fcnlab.domain.project import Project
from fcnlab.services.counting.exports import CountTable

HEIGHT_PX = 300
UNSEEN, SEEN = "not learned from", "learned from"


def scatter(project: Project, table: CountTable) -> None:
    """One spot per class and image whose objects are all marked; hollow where the counter learned from the image."""
    rows = spots(project, table)
    if not rows:
        st.caption(
            "Here, every image whose objects are all marked shows what the counter says of it against the truth. No "
            "fully marked image to test on yet."
        )
        return
    st.vega_lite_chart(spec(project, rows), width="stretch")
    if any(row["image was"] == SEEN for row in rows):
        st.caption("Hollow spots: the counter learned from these images, so they prove nothing.")


def spots(project: Project, table: CountTable) -> list[dict[str, Any]]:
    """The spots of the chart: true and predicted numbers, with the names of image and class."""
    names = {label.id: label.name for label in project.classes}
    return [
        {
            "image": row.image.name,
            "class": names[class_count.class_id],
            "true": class_count.marked,
            "predicted": round(row.predicted[class_count.class_id], 2),
            "image was": SEEN if row.is_seen else UNSEEN,
        }
        for row in table.rows
        for class_count in row.counts
        if class_count.is_exact and class_count.class_id in row.predicted and class_count.class_id in names
    ]


def spec(project: Project, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The chart: the diagonal of perfect counts, and the spots, over one range on both axes."""
    top = max(1.0, 1.05 * max(max(row["true"], row["predicted"]) for row in rows))
    low = min(0.0, min(row["predicted"] for row in rows))
    scale = {"domain": [low, top], "nice": False}
    axis = {"tickCount": 6, "grid": True, "gridOpacity": 0.4}
    colours = {
        "domain": [label.name for label in project.objects],
        "range": [label.colour for label in project.objects],
    }
    x = {"field": "true", "type": "quantitative", "title": "True", "scale": scale, "axis": axis}
    y = {"field": "predicted", "type": "quantitative", "title": "Predicted", "scale": scale, "axis": axis}
    legend: Any = None if len(project.objects) < 2 else {"title": None, "orient": "top"}
    colour = {"field": "class", "type": "nominal", "scale": colours, "legend": legend}
    filled = {"condition": {"test": f"datum['image was'] === '{UNSEEN}'", "value": 0.75}, "value": 0}
    diagonal = {
        "data": {"values": [{"true": low, "predicted": low}, {"true": top, "predicted": top}]},
        "mark": {"type": "line", "strokeDash": [5, 4], "strokeWidth": 1.3, "color": "#888888"},
        "encoding": {"x": x, "y": y},
    }
    points = {
        "data": {"values": rows},
        "mark": {"type": "point", "filled": False, "size": 70, "strokeWidth": 1.6},
        "encoding": {
            "x": x,
            "y": y,
            "stroke": colour,
            "fill": {**colour, "legend": None},
            "fillOpacity": filled,
            "tooltip": [
                *({"field": name, "type": "nominal"} for name in ("image", "class")),
                {"field": "true", "type": "quantitative"},
                {"field": "predicted", "type": "quantitative", "format": ".1f"},
                {"field": "image was", "type": "nominal"},
            ],
        },
    }
    return {"layer": [diagonal, points], "height": HEIGHT_PX}
