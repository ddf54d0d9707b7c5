"""Charts of a survey, written in Vega-Lite itself, as the curves of trainings are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from fcnlab.core.surveys.posterior import DirichletPosterior
from fcnlab.services.surveys.report import CoverReport, SurveyClass
from fcnlab.web.panels.surveys import report_words

Rows = list[dict[str, Any]]

ROW_PX, RAW_PX, CURVES_PX, WIDTHS_PX = 52, 20, 250, 170
GREY = "#8a8a8a"
STRUCK = "M-1,-1L1,1M1,-1L-1,1M-1.7,0L1.7,0"
"""A cross with a line through it: what is no estimate."""

CURVE_POINTS = 240
REACH = 0.0005
"""What curves leave out at either end, as probability."""


def covers(report: CoverReport, classes: Sequence[SurveyClass]) -> None:
    """A dot with the bar of its interval for each class, and what the masks alone would say, struck out."""
    st.vega_lite_chart(covers_spec(report, classes), width="stretch")


def cover_rows(report: CoverReport, classes: Sequence[SurveyClass]) -> Rows:
    """The rows of the chart, one for each class that has an estimate."""
    best = report.best
    if best is None:
        return []
    rows: Rows = []
    for index, (label, cover) in enumerate(zip(classes, best.classes, strict=True)):
        row = {
            "class": label.name,
            "share": cover.share,
            "low": cover.low,
            "high": cover.high,
            "answers": cover.n_answers,
            "words": report_words.cover_in_words(cover, best.level),
        }
        if report.predicted is not None and label.id is not None:
            raw = report.predicted[index]
            between = report_words.interval_in_words(raw.bias_low, raw.bias_high, raw.level)
            row["raw"] = raw.share
            row["bias"] = f"{report_words.percent(raw.bias)} ({between})"
        rows.append(row)
    return rows


def covers_spec(report: CoverReport, classes: Sequence[SurveyClass]) -> dict[str, Any]:
    """The chart of `cover_rows`."""
    rows = cover_rows(report, classes)
    top = min(1.0, 1.08 * max([0.01, *(row["high"] for row in rows), *(row.get("raw", 0) for row in rows)]))
    for row in rows:
        row["is_right"] = row["low"] > top / 2
    names = [label.name for label in classes]
    axis = {"format": ".0%" if top > 0.06 else ".1%", "tickCount": 6, "grid": True, "gridOpacity": 0.35}
    x = {
        "field": "share",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, top], "nice": False},
        "axis": axis,
    }
    y_axis = {"labelFontSize": 13, "ticks": False, "domain": False, "labelLimit": 160, "grid": False}
    y = {"field": "class", "type": "nominal", "title": None, "sort": names, "axis": y_axis}
    colour = {"field": "class", "type": "nominal", "scale": _colours(classes), "legend": None}
    tooltip = [
        {"field": "class", "type": "nominal"},
        {"field": "words", "type": "nominal", "title": "share"},
        {"field": "answers", "type": "quantitative"},
    ]
    bar = {"type": "rule", "strokeWidth": 9, "opacity": 0.5, "strokeCap": "round"}
    spread = {**x, "field": "low"}
    dot = {"type": "point", "filled": True, "size": 190, "opacity": 1, "stroke": GREY, "strokeWidth": 1}
    words: dict[str, Any] = {"type": "text", "baseline": "bottom", "dy": -11, "fontSize": 12, "color": ink()}
    layers: list[dict[str, Any]] = [
        {"mark": bar, "encoding": {"x": spread, "x2": {"field": "high"}, "y": y, "color": colour, "tooltip": tooltip}},
        {"mark": dot, "encoding": {"x": x, "y": y, "color": colour, "tooltip": tooltip}},
        *(
            {
                "transform": [{"filter": f"{'' if is_right else '!'}datum.is_right"}],
                "mark": words | {"align": "right" if is_right else "left"},
                "encoding": {"x": {**x, "field": field}, "y": y, "text": {"field": "words", "type": "nominal"}},
            }
            for is_right, field in ((False, "low"), (True, "high"))
        ),
    ]
    row_px = ROW_PX
    if any("raw" in row for row in rows):
        layers.append(_raw(x, y))
        row_px += RAW_PX
    return {"data": {"values": rows}, "layer": layers, "height": row_px * max(1, len(rows)) + 30}


def _raw(x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    """What the masks alone would say."""
    tooltip = [
        {"field": "class", "type": "nominal"},
        {"field": "raw", "type": "quantitative", "format": ".1%", "title": "share in the masks"},
        {"field": "bias", "type": "nominal", "title": "too high by"},
    ]
    mark = {"type": "point", "shape": STRUCK, "size": 90, "stroke": ink(), "strokeWidth": 1.6, "filled": False}
    return {
        "transform": [{"filter": "isValid(datum.raw)"}],
        "mark": {**mark, "yOffset": 13},
        "encoding": {"x": {**x, "field": "raw"}, "y": y, "tooltip": tooltip},
    }


def curves(posterior: DirichletPosterior, classes: Sequence[SurveyClass]) -> None:
    """How probable each share of a class is; curves narrow as answers come in."""
    st.vega_lite_chart(curves_spec(posterior, classes), width="stretch")


def curves_spec(posterior: DirichletPosterior, classes: Sequence[SurveyClass]) -> dict[str, Any]:
    """A curve for each class, all of one height, over the shares that are anyhow probable."""
    low, high = posterior.intervals(1 - 2 * REACH)
    top = float(np.clip(high.max(), 0.01, 1))
    shares = (np.arange(CURVE_POINTS) + 0.5) / CURVE_POINTS * top
    densities = posterior.densities(shares)
    heights = densities / densities.max(axis=1, keepdims=True)
    rows = [
        {"class": label.name, "share": round(share, 5), "height": round(height, 4)}
        for label, heights_of_class, start, end in zip(classes, heights.tolist(), low, high, strict=True)
        for share, height in zip(shares.tolist(), heights_of_class, strict=True)
        if start - 0.02 <= share <= end + 0.02
    ]
    axis = {"format": ".0%" if top > 0.06 else ".1%", "tickCount": 6, "grid": False}
    x = {
        "field": "share",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, top], "nice": False},
        "axis": axis,
    }
    scale = {"domain": [0, 1.05], "nice": False}
    y = {"field": "height", "type": "quantitative", "title": None, "axis": None, "stack": None, "scale": scale}
    legend = {"title": None, "orient": "top", "symbolType": "square", "labelFontSize": 12}
    colour = {"field": "class", "type": "nominal", "scale": _colours(classes), "legend": legend}
    return {
        "data": {"values": rows},
        "mark": {"type": "area", "line": {"strokeWidth": 2}, "fillOpacity": 0.22},
        "encoding": {"x": x, "y": y, "color": colour, "tooltip": [{"field": "class", "type": "nominal"}]},
        "height": CURVES_PX,
    }


def widths(rows: Rows, chosen: int) -> None:
    """How wide the interval of a class is expected to be after so many further images."""
    most, widest = max(row["images"] for row in rows), max(row["reach"] for row in rows)
    x = {
        "field": "images",
        "type": "quantitative",
        "title": "further images",
        "axis": {"grid": False, "tickMinStep": 1, "format": "d"},
        "scale": {"domain": [0, most], "nice": False},
    }
    y = {
        "field": "reach",
        "type": "quantitative",
        "title": None,
        "axis": {"format": ".0%" if widest > 0.04 else ".1%", "tickCount": 4, "gridOpacity": 0.35},
        "scale": {"domain": [0, 1.1 * widest], "nice": False},
    }
    tooltip = [
        {"field": "images", "type": "quantitative", "title": "further images"},
        {"field": "reach", "type": "quantitative", "format": ".1%", "title": "expected ±"},
    ]
    line = {
        "mark": {"type": "line", "color": ink(), "strokeWidth": 1.6},
        "encoding": {"x": x, "y": y, "tooltip": tooltip},
    }
    dot = {
        "transform": [{"filter": f"datum.images === {chosen}"}],
        "mark": {"type": "point", "filled": True, "size": 110, "color": ink(), "opacity": 1},
        "encoding": {"x": x, "y": y, "tooltip": tooltip},
    }
    st.vega_lite_chart({"data": {"values": rows}, "layer": [line, dot], "height": WIDTHS_PX}, width="stretch")


def ink() -> str:
    """A colour that is read on the background of the page."""
    return "#FAFAFA" if st.context.theme.type == "dark" else "#262730"


def _colours(classes: Sequence[SurveyClass]) -> dict[str, list[str]]:
    return {"domain": [label.name for label in classes], "range": [label.colour for label in classes]}
