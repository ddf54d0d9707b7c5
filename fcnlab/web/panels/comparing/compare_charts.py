"""Charts of a comparison: accuracy with its interval, accuracy against time per image, learning curves.

Written in Vega-Lite itself, as the curves of a training: they are drawn again every moment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

from fcnlab.core.networks.registry import NETWORKS
from fcnlab.domain.comparison import Measured, Participant
from fcnlab.domain.scores import PointScore, taken_on
from fcnlab.errors import as_sentence
from fcnlab.services.comparing.comparisons import ComparisonStatus
from fcnlab.web.panels.projects.dashboard import legend

Rows = list[dict[str, Any]]

COLOURS = (
    "#7F7F7F",
    "#B0A18C",
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#8C6BB1",
    "#A6761D",
    "#66A61E",
    "#E7298A",
)
ROW_PX, CHART_PX = 27, 250


def colours_of(participants: Sequence[Participant]) -> dict[str, str]:
    """Colour of each participant by its key; greys for the instant learner."""
    instant = [participant for participant in participants if participant.training is None]
    networks = [participant for participant in participants if participant.training is not None]
    colours = {participant.key: COLOURS[index] for index, participant in enumerate(instant)}
    return colours | {
        participant.key: COLOURS[2 + index % (len(COLOURS) - 2)] for index, participant in enumerate(networks)
    }


def draw_charts(status: ComparisonStatus) -> None:
    """Draw accuracy, accuracy against time, and learning curves, as far as there are results."""
    scored = [
        (participant, participant.result)
        for participant in status.participants
        if participant.result is not None and isinstance(participant.result.score, PointScore)
    ]
    colours = colours_of(status.participants)
    if scored:
        left, right = st.columns(2, gap="large")
        with left:
            _draw_accuracy(scored, colours)
        with right:
            _draw_against_time(scored, colours)
    curves = [participant for participant in status.participants if _curve(status, participant)]
    if curves:
        st.markdown("**Learning curves** :gray[validation accuracy by seconds of training]")
        st.caption("Dashed: a coarser network that the one named begins from. Large: the epoch kept, as in the table.")
        _draw(_curves(status, curves, colours), height=CHART_PX)
        st.html(legend([(participant.title, colours[participant.key]) for participant in curves]))


def _draw_accuracy(scored: Sequence[tuple[Participant, Measured]], colours: dict[str, str]) -> None:
    score = scored[0][1].score
    assert isinstance(score, PointScore)
    words = taken_on(score)
    st.markdown(f"**Accuracy on {score.n_points} validation points** :gray[with its 95 % CI]")
    st.caption(f"{as_sentence(words)}.")
    rows = [_row(participant, measured) for participant, measured in scored]
    y = {
        "field": "who",
        "type": "nominal",
        "sort": [row["who"] for row in rows],
        "title": None,
        "axis": {"labelLimit": 190, "ticks": False, "domain": False, "grid": True},
    }
    layers = [
        {
            "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.4},
            "encoding": {"x": _share("low", rows), "x2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
            "encoding": {"x": _share("accuracy", rows), "tooltip": _tooltip()},
        },
    ]
    for layer in layers:
        layer["encoding"] |= {"y": y, "color": _colour(colours, scored)}  # type: ignore[operator]
    _draw([{"data": {"values": rows}, **layer} for layer in layers], height=ROW_PX * len(rows) + 40)


def _draw_against_time(scored: Sequence[tuple[Participant, Measured]], colours: dict[str, str]) -> None:
    st.markdown("**Accuracy against time per image** :gray[up and left is better; lines: quickest to slowest run]")
    has_guess = any(measured.timing.is_extrapolated for _, measured in scored)
    st.caption(
        "Seconds on a scale where each step is ten times the one before."
        + (" Hollow: extrapolated from a part of the image." if has_guess else "")
    )
    rows = [_row(participant, measured) for participant, measured in scored]
    powers = powers_of_ten([row["seconds"] for row in rows])
    x = {
        "field": "seconds",
        "type": "quantitative",
        "title": None,
        "scale": {"type": "log", "domain": [powers[0], powers[-1]]},
        "axis": {"values": powers, "labelExpr": "datum.value + ' s'"},
    }
    y = _share("accuracy", rows)
    spots = {
        "mark": {"type": "point", "size": 110, "strokeWidth": 2, "opacity": 1},
        "encoding": {
            "x": x,
            "y": y,
            "color": _colour(colours, scored),
            "fill": {
                "condition": {"test": "datum.extrapolated", "value": "transparent"},
                **_colour(colours, scored),
            },
            "tooltip": _tooltip(),
        },
    }
    spread = {
        "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.4},
        "encoding": {
            "x": {**x, "field": "quickest"},
            "x2": {"field": "slowest"},
            "y": y,
            "color": _colour(colours, scored),
        },
    }
    layers = [{"data": {"values": rows}, **layer} for layer in (spread, spots)]
    _draw(layers, height=max(CHART_PX, ROW_PX * len(rows) + 40))


def _curves(status: ComparisonStatus, curves: Sequence[Participant], colours: dict[str, str]) -> list[dict[str, Any]]:
    rows = [row for participant in curves for row in _curve(status, participant)]
    encoding = {
        "x": {
            "field": "training",
            "type": "quantitative",
            "title": None,
            "scale": {"zero": True},
            "axis": {"grid": False, "tickCount": 8},
        },
        "y": _share("accuracy", rows),
        "color": {
            "field": "who",
            "type": "nominal",
            "legend": None,
            "scale": {
                "domain": [participant.title for participant in curves],
                "range": [colours[participant.key] for participant in curves],
            },
        },
        "detail": {"field": "stage", "type": "nominal"},
        "tooltip": [
            {"field": "who", "type": "nominal"},
            {"field": "stage", "type": "nominal"},
            {"field": "epoch", "type": "quantitative"},
            {"field": "training", "type": "quantitative", "format": ".0f", "title": "seconds"},
            {"field": "accuracy", "type": "quantitative", "format": ".1%"},
        ],
    }
    lines = {"type": "line", "strokeWidth": 2, "point": {"size": 18}}
    layers = [
        ([row for row in rows if not row["coarser"]], lines),
        ([row for row in rows if row["coarser"]], {**lines, "strokeDash": [4, 4], "opacity": 0.6}),
        ([row for row in rows if row["kept"]], {"type": "point", "filled": True, "size": 110, "opacity": 1}),
    ]
    return [{"data": {"values": drawn}, "mark": mark, "encoding": encoding} for drawn, mark in layers if drawn]


def _curve(status: ComparisonStatus, participant: Participant) -> Rows:
    """The epochs of a network that were scored; `coarser`: of a network that it begins from, `kept`: what was kept."""
    score = participant.result.score if participant.result else None
    kept = score.kept.epoch if score is not None and score.kept is not None else None
    return [
        {
            "who": participant.title,
            "training": step.seconds,
            "accuracy": step.score.accuracy,
            "epoch": step.epoch,
            "stage": NETWORKS[step.network].title,
            "coarser": participant.training is not None and step.network is not participant.training.network.network,
            "kept": step.epoch == kept,
        }
        for step in status.curves.get(participant.key, ())
        if isinstance(step.score, PointScore)
    ]


def _row(participant: Participant, measured: Measured) -> dict[str, Any]:
    score, timing = measured.score, measured.timing
    assert isinstance(score, PointScore)
    return {
        "who": participant.title,
        "accuracy": score.accuracy,
        "low": score.low,
        "high": score.high,
        "seconds": timing.seconds,
        "quickest": timing.low or timing.seconds,
        "slowest": timing.high or timing.seconds,
        "extrapolated": timing.is_extrapolated,
    }


def powers_of_ten(seconds: Sequence[float]) -> list[float]:
    """Powers of ten from one below all to one above all of them."""
    lowest = math.floor(math.log10(max(min(seconds), 1e-5)))
    highest = max(lowest + 1, math.ceil(math.log10(max(*seconds, 1e-5))))
    return [10.0**power if power < 0 else float(10**power) for power in range(lowest, highest + 1)]


def _share(name: str, rows: Rows) -> dict[str, Any]:
    lowest = min(min(row["accuracy"], row.get("low", 1.0)) for row in rows)
    return {
        "field": name,
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [max(0.0, int(lowest * 10) / 10), 1]},
        "axis": {"format": "%", "tickCount": 5},
    }


def _colour(colours: dict[str, str], scored: Sequence[tuple[Participant, Measured]]) -> dict[str, Any]:
    scale = {
        "domain": [participant.title for participant, _ in scored],
        "range": [colours[participant.key] for participant, _ in scored],
    }
    return {"field": "who", "type": "nominal", "legend": None, "scale": scale}


def _tooltip() -> Rows:
    shares = [{"field": name, "type": "quantitative", "format": ".1%"} for name in ("accuracy", "low", "high")]
    seconds = [
        {"field": name, "type": "quantitative", "format": ".3~g", "title": title}
        for name, title in (("seconds", "seconds per image"), ("quickest", "quickest run"), ("slowest", "slowest run"))
    ]
    return [{"field": "who", "type": "nominal", "title": "network"}, *shares, *seconds]


def _draw(layers: list[dict[str, Any]], *, height: int) -> None:
    st.vega_lite_chart({"layer": layers, "height": height}, width="stretch")
