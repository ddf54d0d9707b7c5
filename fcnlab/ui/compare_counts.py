"""The table of a comparison of networks that count."""

from __future__ import annotations

from collections.abc import Sequence

from fcnlab.comparisons import Measured, Participant
from fcnlab.counts import CountScore


def count_row(one: Participant, state: str) -> dict[str, object]:
    """One who takes part, in the table: how far counts are off, and how fast."""
    measured, score = one.measured, one.measured.score if one.measured else None
    score = score if isinstance(score, CountScore) else None
    return {
        "Network": one.title,
        "State": state,
        "Held-out MAE": score.mae if score else None,
        "RMSE": score.rmse if score else None,
        "MRE": 100 * score.mre if score else None,
        "GAME(3)": score.game[3] if score else None,
        "Precision": 100 * score.precision if score else None,
        "Recall": 100 * score.recall if score else None,
        "F": score.f_score if score else None,
        "Seconds per image": measured.timing.seconds if measured else None,
        "Seconds per epoch": one.seconds_per_epoch,
        "Epochs": one.training.epoch if one.training else None,
        "Parameters": measured.parameters if measured else None,
    }


def count_notes(results: Sequence[Measured]) -> list[str]:
    """What the figures of counters were taken on."""
    scores = [one.score for one in results if isinstance(one.score, CountScore)]
    if not scores:
        return ["Nothing was held out, so nobody knows how far counts are off."] if results else []
    return [
        f"Counts of {scores[0].n_images} held-out images with {scores[0].n_objects} objects. MAE and RMSE: by how many "
        "objects a count is off; MRE: the same as a part of the count; GAME(3): the errors of 64 parts of an image, "
        "added; F: of the objects found. Less is better, but of F."
    ]
