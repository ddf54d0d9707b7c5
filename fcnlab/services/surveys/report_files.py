"""The report of a survey as files: a table, percent covers as CoralNet writes them, JSON; the figure is beside."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fcnlab.core.surveys.areas import CoverArea, area_of, readable_unit
from fcnlab.core.surveys.estimates import ClassCover, CoverEstimate, Method
from fcnlab.core.surveys.posterior import DirichletPosterior
from fcnlab.services.surveys.report import CoverReport, ImageCover, SurveyReport
from fcnlab.services.surveys.report_figure import report_svg
from fcnlab.storage.formats.tables.table import csv_lines

__all__ = ["coralnet_csv", "report_csv", "report_json", "report_svg", "report_values"]

COLUMNS = (
    *("scope", "stratum", "image", "class", "method", "share", "low", "high", "level"),
    *("answers", "answers_in_all", "effective_answers", "widening"),
    *("predicted_share", "bias", "bias_low", "bias_high", "area", "area_low", "area_high", "area_unit"),
)
"""Shares are 0 to 1; a cell is empty where its number is not known, `effective_answers` where nothing is left to
chance."""

ENDLESS = 1e9
"""So many effective answers leave nothing to chance."""

POSTERIOR = "posterior"
"""The method of the shares of an image: the mean of its posterior, and the ends of the equal-tailed interval."""

CORALNET = ("Image ID", "Image name", "Annotation status", "Points")


def report_csv(report: SurveyReport, *, method: Method | None = None) -> bytes:
    """A line for each class in all strata together (scope "all"), in each stratum, and in each image with answers.

    Args:
        method: by which shares of strata are estimated; None: the best of each.
    """
    rows: list[Sequence[object]] = [COLUMNS]
    total = report.total.area_m2
    unit = None if total is None else readable_unit(total)
    covers = [("all", report.total), *(("stratum", stratum) for stratum in report.strata)]
    for scope, cover in covers:
        rows += _stratum_rows(report, scope, cover, method, unit)
    for image in report.images:
        rows += _image_rows(report, image)
    return csv_lines(rows)


def coralnet_csv(report: SurveyReport) -> bytes:
    """Percent covers of images as CoralNet exports them: a line for each image, a column for each class, and a last
    line with the means over images where there are several.

    Percentages are of the answers of an image that are counted in this reading. An image all of whose points are
    answered is Confirmed, others are Unconfirmed; one without a counted answer is left out.

    Reference: https://github.com/coralnet/coralnet, project/export/views.py (ImageCoversExportView).
    """
    rows: list[Sequence[object]] = [(*CORALNET, *(each.name for each in report.classes))]
    shares = []
    for cover in report.images:
        counts = np.array(cover.counts, np.float64)
        if not counts.sum() > 0:
            continue
        shares.append(counts / counts.sum())
        n_answered = sum(cover.counts) + (cover.n_unknown if report.reading == "left out" else 0)
        status = "Confirmed" if n_answered == cover.n_points else "Unconfirmed"
        rows.append((cover.image.image_id, cover.image.name, status, cover.n_points, *_percentages(shares[-1])))
    if len(shares) > 1:
        rows.append(("ALL IMAGES", "", "", "", *_percentages(np.mean(shares, axis=0))))
    return csv_lines(rows)


def report_json(report: SurveyReport) -> bytes:
    """All of the report, UTF-8; null stands for what is not known, and for an endless number of effective answers."""
    return json.dumps(report_values(report), ensure_ascii=False, indent=1, allow_nan=False).encode()


def report_values(report: SurveyReport) -> dict[str, Any]:
    """All of the report as plain values, as `report_json` writes them."""
    survey = report.survey
    predicted_by = survey.predicted_by
    return {
        "survey": {
            "id": survey.id,
            "project": survey.project_id,
            **survey.spec.to_dict(),
            "labeller": survey.labeller,
            "created_at": survey.created_at.isoformat(),
            "closed_at": None if survey.closed_at is None else survey.closed_at.isoformat(),
            "points": survey.n_points,
            "answered": survey.n_answered,
            "unknown": survey.n_unknown,
            "predicted_by": None
            if predicted_by is None
            else {"model": predicted_by.model, "revision": predicted_by.revision, "at": predicted_by.at},
        },
        "reading": report.reading,
        "classes": [{"id": each.id, "name": each.name, "colour": each.colour} for each in report.classes],
        "total": _cover_values(report, report.total),
        "strata": [_cover_values(report, stratum) for stratum in report.strata],
        "images": [
            {
                "id": cover.image.image_id,
                "name": cover.image.name,
                "stratum": cover.image.stratum,
                "points": cover.n_points,
                "counts": list(cover.counts),
                "unknown": cover.n_unknown,
                "posterior": _posterior_values(cover.posterior, survey.spec.level),
            }
            for cover in report.images
        ],
    }


def _cover_values(report: SurveyReport, cover: CoverReport) -> dict[str, Any]:
    best = cover.best
    return {
        "stratum": cover.name,
        "images": cover.n_images,
        "surveyed": cover.n_surveyed,
        "answers": cover.n_answers,
        "unknown": cover.n_unknown,
        "area_m2": cover.area_m2,
        "best": None if best is None else best.method,
        "estimates": {method: _estimate_values(report, each, cover) for method, each in cover.estimates.items()},
        "posterior": None if cover.posterior is None else _posterior_values(cover.posterior, report.survey.spec.level),
        "predicted": None
        if cover.predicted is None
        else [
            {"share": each.share, "bias": each.bias, "bias_low": each.bias_low, "bias_high": each.bias_high}
            for each in cover.predicted
        ],
        "notes": list(cover.notes),
    }


def _estimate_values(report: SurveyReport, estimate: CoverEstimate, cover: CoverReport) -> dict[str, Any]:
    return {
        "level": estimate.level,
        "answers": estimate.n_answers,
        "images": estimate.n_images,
        "effective_answers": _finite(_counted(estimate.effective_answers)),
        "classes": [
            {
                "class": each.name,
                "share": share.share,
                "low": share.low,
                "high": share.high,
                "answers": share.n_answers,
                "effective_answers": _finite(_counted(share.effective_answers)),
                "widening": _finite(share.widening),
                "area": _area_values(share, cover.area_m2),
            }
            for each, share in zip(report.classes, estimate.classes, strict=True)
        ],
    }


def _area_values(share: ClassCover, total_m2: float | None) -> dict[str, Any] | None:
    if total_m2 is None:
        return None
    area = area_of(share, total_m2)
    return {"area": area.area, "low": area.low, "high": area.high, "unit": area.unit}


def _posterior_values(posterior: DirichletPosterior, level: float) -> dict[str, Any]:
    low, high = posterior.intervals(level)
    return {
        "counts": posterior.counts.tolist(),
        "prior": posterior.prior.tolist(),
        "mean": posterior.mean.tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
    }


def _stratum_rows(
    report: SurveyReport, scope: str, cover: CoverReport, method: Method | None, unit: str | None
) -> Iterator[Sequence[object]]:
    """A line for each class; what could not be estimated is empty."""
    estimate = cover.estimate(method)
    for index, each in enumerate(report.classes):
        begin = (scope, cover.name, "", each.name)
        if estimate is None:
            yield (*begin, "", *("" for _ in COLUMNS[5:]))
            continue
        share = estimate.classes[index]
        guess = None if cover.predicted is None else cover.predicted[index]
        area = None if cover.area_m2 is None else area_of(share, cover.area_m2, unit)
        yield (
            *begin,
            estimate.method,
            *map(_cell, (share.share, share.low, share.high, estimate.level)),
            share.n_answers,
            estimate.n_answers,
            *map(_cell, (_counted(share.effective_answers), share.widening)),
            *(("",) * 4 if guess is None else map(_cell, (guess.share, guess.bias, guess.bias_low, guess.bias_high))),
            *_area_cells(area),
        )


def _image_rows(report: SurveyReport, cover: ImageCover) -> Iterator[Sequence[object]]:
    """A line for each class; shares are empty where no answer is counted."""
    level, n_counted = report.survey.spec.level, sum(cover.counts)
    low, high = cover.posterior.intervals(level)
    for index, each in enumerate(report.classes):
        shares = (float(cover.posterior.mean[index]), float(low[index]), float(high[index]), level)
        yield (
            *("image", cover.image.stratum, cover.image.name, each.name),
            *((POSTERIOR, *map(_cell, shares)) if n_counted else ("",) * 5),
            cover.counts[index],
            n_counted,
            *("" for _ in COLUMNS[11:]),
        )


def _area_cells(area: CoverArea | None) -> tuple[str, ...]:
    return ("",) * 4 if area is None else (*map(_cell, (area.area, area.low, area.high)), area.unit)


def _percentages(shares: Sequence[float] | np.ndarray[Any, np.dtype[np.float64]]) -> list[str]:
    return [f"{100 * share:.3f}" for share in shares]


def _cell(value: float) -> str:
    """Six digits; empty for what is no finite number."""
    return format(round(value, 12) + 0.0, ".6g") if math.isfinite(value) else ""


def _counted(effective_answers: float) -> float:
    """Infinite where rounding alone keeps it finite."""
    return effective_answers if effective_answers < ENDLESS else math.inf


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
