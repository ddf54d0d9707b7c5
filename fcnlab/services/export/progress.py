"""How far an export has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Phase = Literal["learning", "keeping", "splitting", "writing", "finished"]

NOTHING_LEARNED = "nothing can be learned yet: click pixels of two classes, on any image"


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """One step further; the last one has the phase "finished".

    Attributes:
        done, total: steps of this phase.
        name: the image of this step.
        n_stored, n_predicted: masks written so far, kept ones of done images and predicted ones.
        n_resumed: images that were finished before an interruption, among them.
        left_out: images without a mask in the export, and why.
    """

    phase: Phase
    done: int
    total: int
    name: str = ""
    n_stored: int = 0
    n_predicted: int = 0
    n_resumed: int = 0
    left_out: tuple[tuple[str, str], ...] = ()
