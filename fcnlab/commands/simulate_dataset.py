"""`fcnlab simulate --protocol dataset`: a few pixels of every image of a data set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcnlab.commands.common import say, settings_of
from fcnlab.domain.network import SCRATCH, USUAL_UPSAMPLING, NetworkName, NetworkSpec
from fcnlab.domain.training import TrainingSpec
from fcnlab.errors import InvalidSetting

if TYPE_CHECKING:
    from fcnlab.evaluation.datasets import DatasetLearner

Options = dict[str, Any]


def run_dataset(ctx: click.Context, folder: Path, options: Options) -> Options:
    """Rounds of labelling, learning and scoring; each is told to people as it ends.

    Raises:
        InvalidSetting: a list, a number or a combination that makes no sense.
    """
    import numpy as np

    from fcnlab.evaluation.datasets import DatasetRun
    from fcnlab.evaluation.images import n_classes_of, read_example, read_names

    if options["test_file"] is None:
        raise InvalidSetting("--protocol dataset wants --test, the list of the images to score on")
    trained_on, scored_on = (read_names(_list_file(folder, options[name])) for name in ("train", "test_file"))
    trained_on = tuple(one for one in trained_on if not (options["without"] and one.startswith(options["without"])))
    trained_on, scored_on = (
        trained_on[: options["limit"]],
        tuple(one for one in scored_on if one.startswith(options["only"]))[: options["limit"]],
    )
    if not trained_on or not scored_on:
        raise InvalidSetting("--without or --only leaves no image: check how their names start")
    if both := set(trained_on) & set(scored_on):
        raise InvalidSetting(f"{min(both)} is in --train and in --test: what was learned from cannot be scored on")
    n_classes = max(n_classes_of([read_example(folder, one)]) for one in (*trained_on, *scored_on))
    run = DatasetRun(folder, trained_on, scored_on, n_classes)
    learner = _learner(options, n_classes, str(settings_of(ctx).device))
    rounds = []
    rng = np.random.default_rng(options["seed"])
    for one in run.rounds(learner, pixels=_numbers(options["pixels"]), pick=options["pick"], rng=rng):
        rounds.append(asdict(one))
        say(f"{one.pixels} pixels: mIoU {one.mean_iou:.3f} (fit {one.fit_s:.0f} s, query {one.query_s:.0f} s)")
    summary = {
        "trained_on": len(trained_on),
        "scored_on": len(scored_on),
        "encode_seconds": run.encode_s,
        "mean_iou": {str(one["pixels"]): one["mean_iou"] for one in rounds},
    }
    return {"summary": summary, "rounds": rounds}


def _learner(options: Options, n_classes: int, device: str) -> DatasetLearner:
    from fcnlab.evaluation import learners as learners

    name = options["learner"]
    if name == "forest":
        return learners.ForestDatasetLearner()
    if name in ("instant", "linear"):
        return learners.InstantDatasetLearner(device=device, linear=name == "linear")
    from fcnlab.core.networks.registry import NETWORKS

    network = NetworkName(name)
    spec = NetworkSpec(
        network,
        n_classes,
        encoder=options["encoder"] if NETWORKS[network].uses_encoder else SCRATCH,
        upsampling=USUAL_UPSAMPLING.get(network, "transposed"),
    )
    training = TrainingSpec(
        epochs=100_000,
        minutes=options["minutes"],
        seed=options["seed"],
        working_side=options["working_side"],
        holdout=0,
    )
    return learners.NetworkDatasetLearner(spec, training, device=device)


def _numbers(text: str) -> list[int]:
    """Pixels per image of each round, apart by commas. Raises InvalidSetting."""
    parts = [one.strip() for one in text.split(",")]
    if not all(one.isdecimal() for one in parts):
        raise InvalidSetting(f"--pixels {text!r} are no whole numbers apart by commas, such as 10,20,40")
    return [int(one) for one in parts]


def _list_file(folder: Path, wanted: str) -> Path:
    """A list: a path as it is, else inside the data folder."""
    path = Path(wanted)
    return path if path.is_file() else folder / wanted
