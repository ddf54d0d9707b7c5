"""Charts of tags, written in Vega-Lite itself, as those of surveys are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from fcnlab.domain.project import ClassLabel
from fcnlab.domain.tags import TagCounts

ROW_PX = 26
COLOURS = {"Yes": "#2f7fd1", "No": "#b0682c", "Unknown": "#8a8a8a55"}


def counts(of_classes: Mapping[int, TagCounts], classes: Sequence[ClassLabel]) -> None:
    """A bar for each class: images with it, without it, and those nobody said anything of."""
    st.vega_lite_chart(counts_spec(of_classes, classes), width="stretch")


def counts_spec(of_classes: Mapping[int, TagCounts], classes: Sequence[ClassLabel]) -> dict[str, Any]:
    """The chart of `counts`."""
    rows = [
        {"class": label.name, "said": said, "images": n, "place": place}
        for label in classes
        for place, (said, n) in enumerate(_said(of_classes[label.id]).items())
    ]
    names = [label.name for label in classes]
    y_axis = {"labelFontSize": 13, "ticks": False, "domain": False, "labelLimit": 160, "grid": False}
    encoding = {
        "y": {"field": "class", "type": "nominal", "title": None, "sort": names, "axis": y_axis},
        "x": {
            "field": "images",
            "type": "quantitative",
            "title": None,
            "axis": {"tickMinStep": 1, "tickCount": 6, "gridOpacity": 0.35, "format": "d"},
        },
        "color": {
            "field": "said",
            "type": "nominal",
            "title": None,
            "scale": {"domain": list(COLOURS), "range": list(COLOURS.values())},
            "legend": {"orient": "top"},
        },
        "order": {"field": "place"},
        "tooltip": [
            {"field": "class", "type": "nominal"},
            {"field": "said", "type": "nominal"},
            {"field": "images", "type": "quantitative"},
        ],
    }
    mark = {"type": "bar", "height": {"band": 0.66}}
    return {"data": {"values": rows}, "mark": mark, "encoding": encoding, "height": {"step": ROW_PX}}


def _said(of_class: TagCounts) -> dict[str, int]:
    return {"Yes": of_class.yes, "No": of_class.no, "Unknown": of_class.unknown}
