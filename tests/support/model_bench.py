"""A project of discs with a network that knows them: trained in no time, on colour alone."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fcnlab.core.networks.base import PointNetwork
from fcnlab.core.networks.registry import build_network
from fcnlab.core.training.network_model import NetworkModel, network_to_arrays
from fcnlab.domain.models import ModelDraft, ModelKind, ModelRecord
from fcnlab.domain.network import SCRATCH, NetworkName, NetworkSpec
from fcnlab.domain.scores import PointScore
from fcnlab.domain.training import TrainingSpec
from fcnlab.lab import Lab
from fcnlab.storage.database import repository_models
from fcnlab.storage.database.engine import writing
from fcnlab.storage.files.checkpoints import save_checkpoint
from tests.support.export_bench import picture

SPREAD = 3.0
CLASSES = ((0, "background"), (1, "object"))
SCORE = PointScore(0.8125, 0.7, 0.9, 48, {0: 0.9, 1: 0.7}, {"random_query": 48})


def small_network(n_classes: int = 2, *, seed: int = 0) -> PointNetwork:
    """A U-Net with random weights, the same ones for the same seed, whose classes all occur in `picture(0)`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(NetworkSpec(NetworkName.UNET, n_classes, encoder=SCRATCH, width=4), None).eval()
    score = network.score
    assert isinstance(score, torch.nn.Conv2d)
    assert score.bias is not None
    rgb = np.array(Image.open(io.BytesIO(picture(0))))
    with torch.inference_mode():
        logits = network(torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255)[0]
    with torch.no_grad():
        spread = logits.std(dim=(1, 2))
        score.bias.sub_(logits.mean(dim=(1, 2))).div_(spread / SPREAD)
        score.weight.div_(spread[:, None, None, None] / SPREAD)
    return network


def write_network(
    path: Path, *, classes: tuple[tuple[int, str], ...] = CLASSES, seed: int = 0, **values: Any
) -> NetworkModel:
    """The file of a network."""
    model = NetworkModel(small_network(len(classes), seed=seed), classes, TrainingSpec(working_side=128), **values)
    save_checkpoint(path, *network_to_arrays(model))
    return model


def add_network(
    lab: Lab,
    project_id: int,
    *,
    classes: tuple[tuple[int, str], ...] = CLASSES,
    seed: int = 0,
    name: str = "unet 1",
    score: PointScore | None = SCORE,
) -> ModelRecord:
    """A network among the models of a project."""
    path = lab.folders.checkpoints / f"network-{project_id}-{name.replace(' ', '-')}.safetensors"
    model = write_network(path, classes=classes, seed=seed, score=score, point_set_hash="ab12", n_points=40)
    draft = ModelDraft(
        name=name,
        kind=ModelKind.NETWORK,
        spec=model.network.spec.to_dict(),
        training=model.training,
        classes=tuple((class_id, label, "#0072B2") for class_id, label in classes),
        point_set_hash="ab12",
        n_points=40,
        score=score,
        parent_id=None,
        training_id=None,
        labeller="ann",
        file=path.name,
        size=path.stat().st_size,
        seconds=60.0,
    )
    with writing(lab.sessions) as session:
        return repository_models.add_model(session, project_id=project_id, draft=draft, now=lab.clock())
