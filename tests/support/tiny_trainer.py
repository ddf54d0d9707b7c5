"""A trainer that is quick and real: it fits a line between two classes of points, and goes on from its resume file."""

from __future__ import annotations

import io
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fcnlab.domain.scores import PointScore
from fcnlab.domain.training import Training, TrainingProgress
from fcnlab.lab import Lab
from fcnlab.storage.database import repository_points
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files.whole_files import write_whole


@dataclass(frozen=True)
class TinyTrained:
    arrays: dict[str, NDArray[Any]]
    spec: dict[str, Any]
    score: PointScore | None
    point_set_hash: str
    n_points: int


@dataclass(frozen=True)
class TinyTrainer:
    """`epoch_s`: how long an epoch takes at least."""

    epoch_s: float = 0.0

    def __call__(
        self, lab: Lab, training: Training, *, resume: Path | None, checkpoint: Path
    ) -> Generator[TrainingProgress, None, TinyTrained]:
        model = torch.nn.Linear(2, 2)
        torch.nn.init.zeros_(model.weight)
        torch.nn.init.zeros_(model.bias)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
        start, n_points = 0, 0
        if resume is not None:
            kept = torch.load(resume, weights_only=True)
            model.load_state_dict(kept["model"])
            start = kept["epoch"]
        for epoch in range(start + 1, training.training.epochs + 1):
            with reading(lab.sessions) as session:
                points = repository_points.points_of_project(session, project_id=training.project_id)
            n_points = len(points)
            where = torch.tensor([[one.point.row / 40, one.point.col / 70] for one in points])
            classes = torch.tensor([one.point.class_id for one in points])
            loss = torch.nn.functional.cross_entropy(model(where), classes)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            time.sleep(self.epoch_s)
            buffer = io.BytesIO()
            torch.save({"model": model.state_dict(), "epoch": epoch}, buffer)
            write_whole(checkpoint, buffer.getvalue())
            share = float((model(where).argmax(dim=1) == classes).float().mean())
            yield TrainingProgress(
                epoch=epoch,
                epochs=training.training.epochs,
                network=training.network.network,
                loss=float(loss.detach()),
                seconds=epoch * self.epoch_s,
                images_per_second=10.0,
                seconds_left=(training.training.epochs - epoch) * self.epoch_s,
                score=PointScore(share, 0.0, 1.0, n_points, {0: share}),
                is_best=epoch == 1,
            )
        arrays = {name: np.asarray(value.detach()) for name, value in model.state_dict().items()}
        with reading(lab.sessions) as session:
            points_hash = repository_points.point_set_hash(session, project_id=training.project_id)
        spec = {"network": training.network.to_dict(), "classes": [[0, "background"], [1, "cell"]]}
        return TinyTrained(arrays, spec, None, points_hash, n_points)
