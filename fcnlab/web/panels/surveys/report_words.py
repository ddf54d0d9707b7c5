"""Figures of surveys in words."""

from __future__ import annotations

from fcnlab.core.surveys.estimates import OFFERED, ClassCover, CoverEstimate, Method
from fcnlab.core.surveys.posterior import Compared
from fcnlab.domain.survey import Survey
from fcnlab.services.surveys.report import CoverReport

LARGEST_RATIO = 100
ALIKE_FROM = 1.15
"""Less of a widening is not worth a sentence."""

ALL_STRATA = "All strata"
METHODS: dict[Method, str] = {
    "from_answers": "Answers alone",
    "corrected": "Answers, with the masks of all images",
}
METHODS_HELP = (
    "The masks make intervals shorter the better the model is, and the answers correct its errors. On images with "
    "known masks intervals with a model held the truth in 86 to 97 of 100 surveys where they should in 90, those of "
    "the answers alone in 89 to 97. Rely on the answers alone where a decision hangs on it."
)


def percent(share: float) -> str:
    """A share for people, with as many digits as say something."""
    value = 100 * share
    return f"{value:.2f} %" if 0 < abs(value) < 0.995 else f"{value:.1f} %"


def interval_in_words(low: float, high: float, level: float) -> str:
    """An interval with its level."""
    return f"{level:.0%} CI {percent(low).removesuffix(' %')} to {percent(high)}".replace("%", " %", 1)


def cover_in_words(cover: ClassCover, level: float) -> str:
    """A share with its interval."""
    return f"{percent(cover.share)} ({interval_in_words(cover.low, cover.high, level)})"


def coverage_in_words(estimate: CoverEstimate) -> str:
    """How often bars hold the true share."""
    if estimate.method in OFFERED:
        return f"Bars hold the true share in {100 * estimate.level:.0f} % of surveys."
    return f"Bars should hold the true share in {100 * estimate.level:.0f} % of surveys, and may in a little less."


def alike_in_words(report: CoverReport, names: list[str]) -> str:
    """By how much intervals are wider because points of an image are alike; empty where they are not."""
    plain = report.estimates.get("from_answers")
    if plain is None:
        return ""
    widening, name = max((cover.widening, name) for cover, name in zip(plain.classes, names, strict=True))
    if widening < ALIKE_FROM:
        return ""
    times = "" if len(names) == 1 else f" ({name})"
    return (
        f"Intervals are up to {widening:.1f} times as wide{times} as if every point told of itself alone, because "
        "points of one image are alike. More images help more than more points in each."
    )


def shorter_in_words(report: CoverReport, names: list[str]) -> str:
    """By how much the masks shorten intervals; empty where they do not."""
    plain, helped = report.estimates.get("from_answers"), report.estimates.get("corrected")
    if plain is None or helped is None:
        return ""
    gains = [
        ((before.high - before.low) / (after.high - after.low), name)
        for before, after, name in zip(plain.classes, helped.classes, names, strict=True)
        if after.high > after.low
    ]
    gain, name = max(gains, default=(1.0, ""))
    if gain < ALIKE_FROM:
        return "The masks make no interval shorter here: they agree too little with the answers."
    return f"The masks make intervals up to {gain:.1f} times as short ({name}) as answers alone."


def status_in_words(survey: Survey) -> str:
    """How far a survey is."""
    words = f"{survey.n_answered:,} of {survey.n_points:,} points answered"
    if survey.n_unknown:
        words += f", {survey.n_unknown:,} of them *don't know*"
    return words


def difference_in_words(compared: Compared, first: str, second: str) -> str:
    """How much more there is in a stratum than in another, in percentage points."""
    more, less = (first, second) if compared.median >= 0 else (second, first)
    return (
        f"{100 * abs(compared.median):.1f} percentage points more in {more} than in {less} "
        f"({compared.level:.0%} CI of {first} minus {second}: {100 * compared.low:+.1f} to {100 * compared.high:+.1f})"
    ).replace("% CI", " % CI")


def ratio_in_words(compared: Compared, first: str, second: str) -> str:
    """How many times as much there is in a stratum as in another."""
    low, high = _times(compared.low), _times(compared.high)
    return (
        f"{_times(compared.median)} times as much in {first} as in {second} "
        f"({compared.level:.0%} CI {low} to {high})".replace("% CI", " % CI")
    )


def _times(ratio: float) -> str:
    if ratio > LARGEST_RATIO:
        return f"more than {LARGEST_RATIO}"
    return f"{ratio:.2f}" if ratio >= 0.01 or ratio == 0 else "less than 0.01"


def probability_in_words(probability: float) -> str:
    """A probability that never claims to be certain."""
    if probability > 0.999:
        return "more than 99.9 %"
    if probability < 0.001:
        return "less than 0.1 %"
    return f"{100 * probability:.1f} %"
