"""Cover of classes as a figure for a paper: a dot and its interval for each class, as SVG."""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from fcnlab.core.surveys.estimates import ClassCover, CoverEstimate, Method, PredictedCover
from fcnlab.errors import InvalidSurvey
from fcnlab.services.surveys.report import METHOD_WORDS, CoverReport, SurveyClass, SurveyReport

WIDTH_MM = 160.0
"""Of the figure; its user unit is a millimetre."""

TITLE_MM, TEXT_MM, SMALL_MM = 4.0, 3.2, 2.8
"""Sizes of letters."""

EDGE_MM, GAP_MM, ROW_MM, LINE_MM = 3.0, 3.0, 7.0, 4.2
VALUES_MM = 40.0
"""Of the column with percentages."""

MOST_NAMES_MM = 48.0
EM = 0.56
"""Width of a letter to its size, on average."""

CAPTION_CHARS = 110
INK, FAINT, RULE = "#1a1a1a", "#555555", "#dddddd"
STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 25.0)
"""Percent from one tick of the axis to the next."""

MOST_TICKS = 6


@dataclass(frozen=True, slots=True)
class _Axis:
    """Percent from 0 to `most`, drawn from `left` to `right` (mm), with a tick every `step`."""

    most: float
    step: float
    left: float
    right: float

    def place(self, share: float) -> float:
        """Millimetres from the left of a share (0 to 1)."""
        return self.left + (self.right - self.left) * min(100 * share, self.most) / self.most

    @property
    def ticks(self) -> list[float]:
        """Percentages with a tick."""
        return [number * self.step for number in range(round(self.most / self.step) + 1)]


def report_svg(report: SurveyReport, *, stratum: str | None = None, method: Method | None = None) -> bytes:
    """The cover of each class with its interval, 160 mm wide, on white.

    Args:
        stratum: its name; None: all strata together.
        method: how shares are estimated; None: the best way there is.

    Raises:
        InvalidSurvey: no such stratum, or nothing can be estimated of it yet.
    """
    cover = _cover_of(report, stratum)
    estimate = cover.estimate(method)
    if estimate is None:
        reasons = cover.notes or ("there is no estimate by this method",)
        raise InvalidSurvey(f"no figure can be drawn of survey {report.survey.spec.name!r}: {'; '.join(reasons)}")
    names = max((_width(each.name, TEXT_MM) for each in report.classes), default=0.0)
    left = EDGE_MM + min(names, MOST_NAMES_MM) + GAP_MM
    shown = [share.high for share in estimate.classes] + [each.share for each in cover.predicted or ()]
    axis = _axis(max(shown), left, WIDTH_MM - EDGE_MM - VALUES_MM)
    caption = textwrap.wrap(_caption(report, cover, estimate), CAPTION_CHARS)
    top = EDGE_MM + TITLE_MM + GAP_MM
    bottom = top + ROW_MM * len(report.classes)
    height = bottom + 2 * LINE_MM + GAP_MM + LINE_MM * (len(caption) + (cover.predicted is not None)) + EDGE_MM
    svg = _canvas(height)
    title = report.survey.spec.name + (f", {cover.name}" if cover.name else "")
    SubElement(svg, "title").text = _printable(f"Cover: {title}")
    SubElement(svg, "rect", width=_mm(WIDTH_MM), height=_mm(height), fill="#ffffff")
    _text(svg, EDGE_MM, EDGE_MM + TITLE_MM * 0.8, _fitting(title, WIDTH_MM - 2 * EDGE_MM, TITLE_MM), size=TITLE_MM)
    _draw_axis(svg, axis, top, bottom)
    for index, each in enumerate(report.classes):
        guess = None if cover.predicted is None or each.id is None else cover.predicted[index]
        _draw_class(svg, axis, top + ROW_MM * (index + 0.5), each, estimate.classes[index], guess)
    line = bottom + 2 * LINE_MM + GAP_MM + SMALL_MM
    if cover.predicted is not None:
        _draw_crossed(svg, EDGE_MM + 1.5, line - SMALL_MM * 0.35)
        words = "share in the predicted masks, as they are: not an estimate of cover"
        _text(svg, EDGE_MM + 4.5, line, words, size=SMALL_MM, fill=FAINT)
        line += LINE_MM
    for number, words in enumerate(caption):
        _text(svg, EDGE_MM, line + number * LINE_MM, words, size=SMALL_MM, fill=FAINT)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(svg, encoding="unicode")}\n'.encode()


def _cover_of(report: SurveyReport, stratum: str | None) -> CoverReport:
    if stratum is None:
        return report.total
    for cover in report.strata:
        if cover.name == stratum:
            return cover
    names = ", ".join(repr(cover.name) for cover in report.strata)
    raise InvalidSurvey(f"there is no stratum {stratum!r} in survey {report.survey.spec.name!r}; it has {names}")


def _caption(report: SurveyReport, cover: CoverReport, estimate: CoverEstimate) -> str:
    unknown = ""
    if cover.n_unknown:
        treated = "left out" if report.reading == "left out" else "a class of its own"
        unknown = f' ("don\'t know", {cover.n_unknown} more: {treated})'
    return (
        f"{cover.n_surveyed} of {cover.n_images} images, {cover.n_answers} points{unknown}. "
        f"Method: {METHOD_WORDS[estimate.method]}; {100 * estimate.level:g} % intervals."
    )


def _axis(most: float, left: float, right: float) -> _Axis:
    percent = max(100 * most, 1e-3)
    step = next((step for step in STEPS if percent / step <= MOST_TICKS), STEPS[-1])
    return _Axis(min(100.0, step * math.ceil(round(percent / step, 9))), step, left, right)


def _canvas(height: float) -> Element:
    return Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "width": f"{WIDTH_MM:g}mm",
            "height": f"{_mm(height)}mm",
            "viewBox": f"0 0 {WIDTH_MM:g} {_mm(height)}",
            "role": "img",
            "font-family": "Helvetica, Arial, 'DejaVu Sans', sans-serif",
        },
    )


def _draw_axis(svg: Element, axis: _Axis, top: float, bottom: float) -> None:
    for tick in axis.ticks:
        x = axis.place(tick / 100)
        _line(svg, (x, top), (x, bottom), RULE, 0.2)
        words = f"{tick:g}" if tick < axis.most else f"{tick:g} %"
        _text(svg, x, bottom + LINE_MM, words, size=SMALL_MM, fill=FAINT, anchor="middle")
    _line(svg, (axis.left, bottom), (axis.right, bottom), INK, 0.25)
    middle = (axis.left + axis.right) / 2
    _text(svg, middle, bottom + 2 * LINE_MM, "cover", size=SMALL_MM, fill=FAINT, anchor="middle")


def _draw_class(
    svg: Element, axis: _Axis, y: float, each: SurveyClass, share: ClassCover, guess: PredictedCover | None
) -> None:
    """A name, an interval with its dot, the crossed-out share of the masks, and the numbers."""
    row = SubElement(svg, "g")
    SubElement(row, "title").text = _printable(f"{each.name}: {_percent(share)}")
    _text(row, EDGE_MM, y + TEXT_MM * 0.35, _fitting(each.name, MOST_NAMES_MM, TEXT_MM), size=TEXT_MM)
    low, middle, high = axis.place(share.low), axis.place(share.share), axis.place(share.high)
    _line(row, (low, y), (high, y), INK, 0.9)
    _line(row, (low, y), (high, y), each.colour, 0.5)
    for end in (low, high):
        _line(row, (end, y - 1.0), (end, y + 1.0), INK, 0.25)
    dot = {"cx": _mm(middle), "cy": _mm(y), "r": "1.3", "fill": each.colour, "stroke": INK, "stroke-width": "0.25"}
    SubElement(row, "circle", dot)
    if guess is not None:
        _draw_crossed(row, axis.place(guess.share), y)
    _text(row, axis.right + GAP_MM + 1.5, y + TEXT_MM * 0.35, _percent(share), size=TEXT_MM)


def _draw_crossed(svg: Element, x: float, y: float) -> None:
    """An open dot, crossed out."""
    dot = {"cx": _mm(x), "cy": _mm(y), "r": "1", "fill": "none", "stroke": FAINT, "stroke-width": "0.25"}
    SubElement(svg, "circle", dot)
    _line(svg, (x - 1.4, y - 1.4), (x + 1.4, y + 1.4), FAINT, 0.35)
    _line(svg, (x - 1.4, y + 1.4), (x + 1.4, y - 1.4), FAINT, 0.35)


def _percent(share: ClassCover) -> str:
    return f"{100 * share.share:.1f} % ({100 * share.low:.1f} to {100 * share.high:.1f})"


def _line(svg: Element, begin: Sequence[float], end: Sequence[float], colour: str, width: float) -> None:
    (x1, y1), (x2, y2) = begin, end
    ends = {"x1": _mm(x1), "y1": _mm(y1), "x2": _mm(x2), "y2": _mm(y2)}
    SubElement(svg, "line", {**ends, "stroke": colour, "stroke-width": f"{width:g}"})


def _text(svg: Element, x: float, y: float, words: str, *, size: float, fill: str = INK, anchor: str = "start") -> None:
    place = {"x": _mm(x), "y": _mm(y), "font-size": f"{size:g}", "fill": fill, "text-anchor": anchor}
    SubElement(svg, "text", place).text = _printable(words)


def _mm(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _width(words: str, size: float) -> float:
    """Millimetres that words take, about."""
    ems = (1.0 if unicodedata.east_asian_width(character) in "WF" else EM for character in words)
    return size * sum(ems)


def _fitting(words: str, width: float, size: float) -> str:
    """As much of the words as has room, with an ellipsis for the rest."""
    if _width(words, size) <= width:
        return words
    while words and _width(f"{words}…", size) > width:
        words = words[:-1]
    return f"{words}…"


def _printable(words: str) -> str:
    """Without the characters that XML cannot hold."""
    return "".join("�" if unicodedata.category(character) in ("Cc", "Cs", "Cn") else character for character in words)
