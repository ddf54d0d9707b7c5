"""How well a model agrees with the points it learned from."""

from __future__ import annotations

import numpy as np

from fcnlab.core.learner.model import Model


def training_accuracy(model: Model) -> float:
    """Share of clicked pixels that the head alone, before any refinement, gives the class they were clicked as."""
    right, total = 0, 0
    for lesson in model.lessons:
        clicked = lesson.teaching.clicked
        if not len(clicked.class_ids):
            continue
        scores = clicked.features @ model.head.weights.T + model.head.bias
        found = np.asarray(model.head.class_ids)[scores.argmax(axis=1)]
        right += int((found == clicked.class_ids).sum())
        total += len(found)
    return right / total if total else 0.0
