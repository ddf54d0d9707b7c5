"""How good a model is, on what that was taken, and how it is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fcnlab.domain.counting import CountScore, KeptEpoch, Objective
from fcnlab.domain.events import PointSource

EXPERT_MASK = "expert_mask"
"""Source of points that were drawn from an expert mask, at random and away from borders."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What a network has over the instant learner, both asked about the same points that neither learned from.

    Attributes:
        instant: accuracy of the instant learner there, every class counting alike, 0 to 1.
        gain: accuracy of the network less that.
        low, high: 95 % interval of the gain, the points paired.
        n_points: number of points.
    """

    instant: float
    gain: float
    low: float
    high: float
    n_points: int


@dataclass(frozen=True, slots=True)
class GradeScore:
    """How far grades are off, where truth and answer are both grades; counted in places of their order.

    Attributes:
        mae: mean absolute error; None without such points.
        kappa: quadratic weighted kappa, at most 1, and 0 of answers that know nothing of the truth; None where the
            truth has one grade only.
        low, high: 95 % interval of kappa; None where nothing tells how sure it is.
        n_points: number of such points, or pixels of masks.
        lost: those of a grade that were answered with a class that is none. added: the reverse.
        n_images: images they are of; the interval is over images. 0 where nobody knows: it is over points.
    """

    mae: float | None
    kappa: float | None
    low: float | None
    high: float | None
    n_points: int
    lost: int = 0
    added: int = 0
    n_images: int = 0


@dataclass(frozen=True, slots=True)
class PointScore:
    """How well points that training did not see are told apart.

    Attributes:
        accuracy: share of right ones, every class counting alike.
        low, high: 95 % interval of the accuracy.
        n_points: number of points.
        per_class: share of right ones by class id.
        sources: how many of the points came from where: a PointSource, or EXPERT_MASK; {} where nobody knows.
        mean_iou: over the classes, on the expert masks of held-out images; None where there are none.
        n_masks: number of those masks.
        kept: the weights it is of; None where it was not recorded, and of weights that no epochs made.
        over_instant: what it has over the instant learner; None where that was not measured.
        grades: how far grades are off; None in a project without grades, and of versions that did not measure it.
    """

    accuracy: float
    low: float
    high: float
    n_points: int
    per_class: dict[int, float] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    mean_iou: float | None = None
    n_masks: int = 0
    kept: KeptEpoch | None = None
    over_instant: Gain | None = None
    grades: GradeScore | None = None


Score = PointScore | CountScore
"""How well a network does on what it did not learn from: points told apart, or objects counted."""


SOURCES_IN_WORDS = {
    EXPERT_MASK: ("point drawn from expert masks", "points drawn from expert masks"),
    PointSource.RANDOM_QUERY: ("randomly drawn pixel", "randomly drawn pixels"),
    PointSource.QUERY: ("answer about an uncertain pixel", "answers about uncertain pixels"),
    PointSource.CLICK: ("click", "clicks"),
    PointSource.ACCEPTED: ("accepted object", "accepted objects"),
    PointSource.SCRIBBLE: ("point of scribbles", "points of scribbles"),
    PointSource.IMPORT: ("imported point", "imported points"),
    PointSource.SIMULATION: ("simulated click", "simulated clicks"),
}
"""Points by their source, one and several, in the order in which they are named."""

TOO_LOW: dict[str, str] = {
    PointSource.CLICK: "labellers click where the mask is wrong",
    PointSource.QUERY: "the page asks where the mask is unsure",
    PointSource.SIMULATION: "simulated labellers click where the mask is wrong",
}

TOO_HIGH: dict[str, str] = {EXPERT_MASK: "points of expert masks lie away from borders"}

AS_IT_IS: dict[str, str] = {PointSource.RANDOM_QUERY: "nobody chose where they lie"}
"""Why accuracy on points of a source is lower than on all pixels, higher, or neither; of others that is not known."""


def sources_in_words(score: PointScore) -> str:
    """What the points of a score are: `100 points drawn from expert masks and 20 clicks`."""
    named = [
        f"{count:,} {SOURCES_IN_WORDS[source][count != 1]}"
        for source in SOURCES_IN_WORDS
        if (count := score.sources.get(source, 0))
    ]
    if not named:
        return f"{score.n_points:,} points of unknown origin"
    return " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))


def taken_on(score: PointScore) -> str:
    """What a score was taken on, and which way that bends it if that is known; every door says it beside the figure."""
    sources = [source for source in SOURCES_IN_WORDS if score.sources.get(source)]
    directions = [(TOO_LOW, "so this is rather too low"), (TOO_HIGH, "so this is rather too high"), (AS_IT_IS, "")]
    bend = "whether this is too high or too low is not known"
    for reasons, result in directions:
        bent = [reasons[source] for source in sources if source in reasons]
        if bent and all(source in reasons or source in AS_IT_IS for source in sources):
            bend = ", ".join(filter(None, (" and ".join(bent), result)))
            break
    return f"on {sources_in_words(score)}: {bend}"


def kept_in_words(score: Score) -> str:
    """Which epoch a score is of, and what chose it, in a sentence; empty where that was not recorded."""
    kept = score.kept
    if kept is None:
        return ""
    kind = "points" if isinstance(score, PointScore) else "images"
    if kept.is_untrained:
        which = f"epoch {kept.epoch} of {kept.epochs}"
        return f"No epoch was better than the untrained network: {which} is kept, train longer."
    if not kept.epoch:
        began = {"model": "the version it began with", "fitted": "the head it began with, fitted to the points,"}
        return f"No epoch was better: {began.get(kept.start, 'what it began with')} is kept."
    if kept.n_compared < 2:
        return f"Of epoch {kept.epoch} of {kept.epochs}."
    return f"Epoch {kept.epoch} of {kept.epochs} was chosen by the same {kind}: expect a little less on new images."


def kept_in_brief(score: Score | None, epochs: int) -> str:
    """Which epoch was kept, for a table: `12 of 40`; the last one where nothing was held out that could choose."""
    kept = None if score is None else score.kept
    if kept is None:
        return "" if score is not None or not epochs else f"{epochs} of {epochs}, the last"
    if not kept.epoch:
        return "none: " + {"model": "the version before", "fitted": "the fitted head"}.get(kept.start, "the start")
    return f"{kept.epoch} of {kept.epochs}" + (", no better than untrained" if kept.is_untrained else "")


def mean_iou_in_words(score: PointScore) -> str:
    """Mean IoU on the expert masks of validation images, in a sentence; empty where there are none."""
    if score.mean_iou is None:
        return ""
    masks = "expert mask" if score.n_masks == 1 else "expert masks"
    return f"Mean IoU {score.mean_iou:.3f} on {score.n_masks} {masks} of validation images."


def kappa_in_brief(grades: GradeScore | None) -> str:
    """Quadratic weighted kappa with its interval, for a table; empty where there is none."""
    if grades is None or grades.kappa is None:
        return ""
    interval = "" if grades.low is None or grades.high is None else f" ({grades.low:.2f}–{grades.high:.2f})"
    return f"{grades.kappa:.2f}{interval}"


def grades_in_words(grades: GradeScore | None, *, what: str = "point") -> str:
    """How far grades are off, in sentences; empty where no class is a grade.

    Args:
        grades: the figures.
        what: what was told apart, one of them.
    """
    if grades is None:
        return ""
    n_points = f"{grades.n_points:,} {what}{'' if grades.n_points == 1 else 's'}"
    left_out = (
        f"Left out of this: {grades.lost:,} of a grade told as a class that is none, {grades.added:,} the reverse."
    )
    rest = left_out if grades.lost or grades.added else ""
    if grades.mae is None:
        return f"No {what} of a grade was told as a grade, so nothing says how far grades are off. {rest}".strip()
    off = f"Grades are off by {grades.mae:.2f} on average (MAE, in grades) on {n_points}; "
    if grades.kappa is None:
        kappa = "quadratic weighted kappa needs at least two grades, and all of these are of one."
    elif grades.low is None or grades.high is None:
        kappa = f"quadratic weighted kappa {grades.kappa:.2f}, without an interval: more images are needed."
    else:
        over = "over images" if grades.n_images else "over points"
        kappa = f"quadratic weighted kappa {grades.kappa:.2f} (95 % CI {grades.low:.2f} to {grades.high:.2f}, {over})."
    return f"{off}{kappa} {rest}".strip()


def gain_in_words(score: Score) -> str:
    """Whether a network is better than the instant learner, in a sentence; empty where nobody measured it."""
    gain = score.over_instant if isinstance(score, PointScore) else None
    if gain is None:
        return ""
    verdict = "Better than" if gain.low > 0 else "Worse than" if gain.high < 0 else "Not clearly better than"
    return (
        f"{verdict} the instant learner, which is right on {gain.instant:.0%} of the same points: "
        f"{100 * gain.gain:+.1f} percentage points (95 % CI {100 * gain.low:+.1f} to {100 * gain.high:+.1f})."
    )


def duration_in_words(seconds: float) -> str:
    """A span of time for people: `40 s`, `12 min`, `1.5 h`."""
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    return f"{whole / 60:.0f} min" if whole < 5400 else f"{whole / 3600:.1f} h"


def score_to_dict(score: Score) -> dict[str, Any]:
    """Plain values for JSON, whose keys are texts; `score_from_dict` is the inverse."""
    fields = {**asdict(score), "per_class": {str(class_id): share for class_id, share in score.per_class.items()}}
    if isinstance(score, CountScore):
        return {**fields, "game": list(score.game)}
    return fields if score.grades is not None else {name: fields[name] for name in fields if name != "grades"}


def score_from_dict(values: Mapping[str, Any]) -> Score:
    """The score that `score_to_dict` wrote; one of counts is known by its mean absolute error."""
    kept = values.get("kept")
    fields = {
        **values,
        "per_class": {int(class_id): share for class_id, share in values["per_class"].items()},
        "kept": None if kept is None else KeptEpoch(**kept),
    }
    if fields.get("over_instant") is not None:
        fields["over_instant"] = Gain(**fields["over_instant"])
    if fields.get("grades") is not None:
        fields["grades"] = GradeScore(**fields["grades"])
    if "mae" in values:
        return CountScore(**fields | {"game": tuple(float(error) for error in values["game"])})
    if fields.pop("drawn", "") == "query":  # versions before this one knew randomly drawn pixels from all others
        fields["sources"] = {PointSource.RANDOM_QUERY.value: values["n_points"]}
    return PointScore(**fields)


def figure_name(objective: Objective) -> str:
    """Name of the figure by which models of one objective are compared."""
    return "Validation MAE" if objective.is_counting else "Validation accuracy"


def figure(score: Score) -> str:
    """The figure of a score that `figure_name` names: accuracy, or mean absolute error of the counts."""
    return f"{score.mae:.2f}" if isinstance(score, CountScore) else f"{score.accuracy:.1%}"


def figure_in_brief(score: Score) -> str:
    """A score in a few words: how good, and how sure that is."""
    if isinstance(score, CountScore):
        return f"{score.mae:.2f} (F {score.f_score:.2f})"
    return f"{score.accuracy:.1%} ({score.low:.0%}–{score.high:.0%})"


def score_in_a_sentence(score: Score) -> str:
    """What a score says and what it was taken on, for people."""
    if isinstance(score, CountScore):
        counts = (
            f"Counts of {score.n_images} validation images with {score.n_objects} objects: off by {score.mae:.2f} on "
            f"average (MAE), which is {score.mre:.0%} of the count; precision {score.precision:.0%}, recall "
            f"{score.recall:.0%} of the objects found."
        )
        return " ".join(filter(None, (counts, kept_in_words(score))))
    accuracy = (
        f"Accuracy on {score.n_points} validation points (95 % CI {100 * score.low:.0f} to {100 * score.high:.0f} %), "
        f"{taken_on(score)}."
    )
    parts = (
        accuracy,
        gain_in_words(score),
        grades_in_words(score.grades),
        mean_iou_in_words(score),
        kept_in_words(score),
    )
    return " ".join(filter(None, parts))
