"""The table of a comparison of networks that count."""

from __future__ import annotations

from collections.abc import Sequence

from fcnlab.domain.comparison import Measured, Participant, timing_in_words
from fcnlab.domain.counting import CountScore
from fcnlab.domain.scores import kept_in_brief


def count_row(participant: Participant, state: str) -> dict[str, object]:
    """The row of a participant in the table: errors of counts, and times."""
    measured, score = participant.result, participant.result.score if participant.result else None
    score = score if isinstance(score, CountScore) else None
    return {
        "Network": participant.title,
        "State": state,
        "Validation MAE": score.mae if score else None,
        "RMSE": score.rmse if score else None,
        "MRE": 100 * score.mre if score else None,
        "GAME(3)": score.game[3] if score else None,
        "Precision": 100 * score.precision if score else None,
        "Recall": 100 * score.recall if score else None,
        "F": score.f_score if score else None,
        "Epoch kept": kept_in_brief(score, participant.training.epoch) if measured and participant.training else None,
        "Seconds per image": measured.timing.seconds if measured else None,
        "Quickest to slowest": measured.timing.spread() if measured else None,
        "Seconds per epoch": participant.seconds_per_epoch,
        "Epochs": participant.training.epoch if participant.training else None,
        "Parameters": measured.parameters if measured else None,
    }


def count_notes(results: Sequence[Measured]) -> list[str]:
    """What the figures of counters were taken on."""
    scores = [measured.score for measured in results if isinstance(measured.score, CountScore)]
    if not scores:
        return ["There were no validation images, so nobody knows how far counts are off."] if results else []
    return [
        f"Counts of {scores[0].n_images} validation images with {scores[0].n_objects} objects. MAE and RMSE: by "
        "how many objects a count is off; MRE: the same as a part of the count; GAME(3): the errors of 64 parts of an "
        "image, added; F: of the objects found. Less is better, but of F.",
        *selection_notes(results),
        f"Seconds per image: {timing_in_words(results)}.",
    ]


def selection_notes(results: Sequence[Measured]) -> list[str]:
    """That the figures of networks are those of their best epoch, where validation data chose it."""
    kept = [
        measured.score.kept for measured in results if measured.score is not None and measured.score.kept is not None
    ]
    if not any(kept_epoch.n_compared > 1 for kept_epoch in kept):
        return []
    return [
        "Of each network the epoch is kept that did best on the same validation data, which flatters networks a little."
    ]
