"""`fcnlab simulate`: what a learner reaches with how few clicks, on single images and on data sets."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcnlab.commands.common import say, settings_of
from fcnlab.domain.network import SCRATCH, USUAL_UPSAMPLING, NetworkName, NetworkSpec
from fcnlab.domain.project import LearnerSpec
from fcnlab.domain.scores import GradeScore, kappa_in_brief
from fcnlab.domain.training import TrainingSpec
from fcnlab.errors import InvalidSetting

if TYPE_CHECKING:
    from fcnlab.evaluation.datasets import DatasetLearner, Round
    from fcnlab.evaluation.images import Learner, SeedRun


Options = dict[str, Any]


def run_dataset(ctx: click.Context, folder: Path, options: Options) -> Options:
    """Rounds of labelling, learning and scoring; each is told to people as it ends.

    Raises:
        InvalidSetting: a list, a number or a combination that makes no sense.
    """
    import numpy as np

    from fcnlab.evaluation.datasets import DatasetRun
    from fcnlab.evaluation.images import grades_below, n_classes_of, read_example, read_names

    if options["test_file"] is None:
        raise InvalidSetting("--protocol dataset wants --test, the list of the images to score on")
    trained_on, scored_on = (read_names(_list_file(folder, options[name])) for name in ("train", "test_file"))
    trained_on = tuple(name for name in trained_on if not (options["without"] and name.startswith(options["without"])))
    trained_on, scored_on = (
        trained_on[: options["limit"]],
        tuple(name for name in scored_on if name.startswith(options["only"]))[: options["limit"]],
    )
    if not trained_on or not scored_on:
        raise InvalidSetting("--without or --only leaves no image: check how their names start")
    if both := set(trained_on) & set(scored_on):
        raise InvalidSetting(f"{min(both)} is in --train and in --test: what was learned from cannot be scored on")
    n_classes = max(n_classes_of([read_example(folder, name)]) for name in (*trained_on, *scored_on))
    grades = grades_below(n_classes, _grades(folder, options["grades"]))
    run = DatasetRun(folder, trained_on, scored_on, n_classes, grades=grades)
    learner = _learner(options, n_classes, grades, str(settings_of(ctx).device))
    rounds = []
    rng = np.random.default_rng(options["seed"])
    for scored in run.rounds(learner, pixels=_numbers(options["pixels"]), pick=options["pick"], rng=rng):
        rounds.append(_plain(scored))
        seconds = f"fit {scored.fit_s:.0f} s, query {scored.query_s:.0f} s"
        say(f"{scored.pixels} pixels: mIoU {scored.mean_iou:.3f} ({seconds}){_grades_in_brief(scored.grades)}")
    summary = {
        "trained_on": len(trained_on),
        "scored_on": len(scored_on),
        "encode_seconds": run.encode_s,
        "mean_iou": {str(figures["pixels"]): figures["mean_iou"] for figures in rounds},
        **({"grades": {str(figures["pixels"]): figures["grades"] for figures in rounds}} if grades else {}),
    }
    return {"summary": summary, "rounds": rounds}


def _learner(options: Options, n_classes: int, grades: tuple[int, ...], device: str) -> DatasetLearner:
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
        grades=grades,
    )
    return learners.NetworkDatasetLearner(spec, training, device=device)


def _plain(figures: SeedRun | Round) -> Options:
    """Figures for JSON; without grades nothing is said of them."""
    return {name: value for name, value in asdict(figures).items() if name != "grades" or value is not None}


def _grades_in_brief(grades: GradeScore | None) -> str:
    if grades is None or grades.mae is None:
        return ""
    return f", MAE {grades.mae:.3f} grades, weighted kappa {kappa_in_brief(grades) or 'not defined'}"


def _grades(folder: Path, text: str) -> tuple[int, ...]:
    """Class ids from `1,2,3`, or names in DATA/classes.txt, one a line from id 0 on. Raises InvalidSetting."""
    if not text.strip():
        return ()
    parts = [part.strip() for part in text.split(",")]
    names_file = folder / "classes.txt"
    names = names_file.read_text("utf-8", errors="replace").splitlines() if names_file.is_file() else []
    ids = {name.strip(): class_id for class_id, name in enumerate(names)}
    ids |= {part: int(part) for part in parts if part.isdecimal()}
    if unknown := [part for part in parts if part not in ids]:
        raise InvalidSetting(
            f"--grades names {unknown[0]!r}, which is no class id and stands in no line of {names_file.name} in the "
            "data folder: give ids, the lowest grade first, such as 1,2,3"
        )
    return LearnerSpec(grades=tuple(ids[part] for part in parts)).grades


def _numbers(text: str) -> list[int]:
    """Pixels per image of each round, apart by commas. Raises InvalidSetting."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InvalidSetting(f"--pixels {text!r} are no whole numbers separated by commas, such as 10,20,40")
    return [int(part) for part in parts]


def _list_file(folder: Path, wanted: str) -> Path:
    """A list: a path as it is, else inside the data folder."""
    path = Path(wanted)
    return path if path.is_file() else folder / wanted


LEARNERS = ("instant", "linear", "forest", *(name.value for name in NetworkName))
OF_DATASET = (
    "protocol",
    "learner",
    "limit",
    "train",
    "test_file",
    "without",
    "only",
    "pixels",
    "pick",
    "seed",
    "minutes",
    "grades",
)
"""What a data set is measured with; the instant learner has its own scales and settings there."""

PICKS = ("random", "margin", "entropy", "least-confidence")


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--list", "list_file", type=click.Path(dir_okay=False, path_type=Path), help="A file, here or in DATA.")
@click.option("--protocol", type=click.Choice(["clicks", "images", "dataset"]), default="clicks", show_default=True)
@click.option("--learner", type=click.Choice(LEARNERS), default="instant", show_default=True)
@click.option("--clicks", type=click.IntRange(2), default=20, show_default=True, help="Per image.")
@click.option("--style", type=click.Choice(["centre", "jittered", "random"]), default="centre", show_default=True)
@click.option("--limit", type=click.IntRange(1), help="Take the first images of the list only.")
@click.option(
    "--train", default="10", show_default=True, help="How many images to learn from (images), or a list file (dataset)."
)
@click.option("--test", "test_file", help="List file of the images to score on (dataset).")
@click.option("--without", default="", help="Leave images whose name starts so out of --train (dataset).")
@click.option("--only", default="", help="Score only on images whose name starts so (dataset).")
@click.option(
    "--pixels", default="10", show_default=True, help="Per image; for dataset one number per round: 10,20,40."
)
@click.option("--pick", type=click.Choice(PICKS), default="random", show_default=True, help="After round 1 (dataset).")
@click.option("--minutes", type=float, default=10.0, show_default=True, help="To train a network (dataset).")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--seeds", type=click.IntRange(1), default=3, show_default=True, help="How many, from --seed on (images)."
)
@click.option("--object-mode/--no-object-mode", default=None, help="Default: on for clicks, off for images.")
@click.option("--refine/--no-refine", default=True, show_default=True)
@click.option("--position/--no-position", default=True, show_default=True)
@click.option("--working-side", type=int, default=1536, show_default=True)
@click.option("--scales", default="1,0.5", show_default=True)
@click.option("--regularisation", type=float, default=1.0, show_default=True)
@click.option("--grades", default="", help="Ids or names (DATA/classes.txt) of classes with an order, lowest first.")
@click.option("--encoder", default="tf_efficientnet_lite0", show_default=True)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True), help="- prints.")
@click.pass_context
def simulate(ctx: click.Context, /, list_file: Path | None, json_file: Path | None, **options: Any) -> None:
    """Measure with a simulated labeller.

    It clicks on DATA/images/*, whose truth is in DATA/masks/<stem>.png: class ids, 255 where nobody knows.
    "clicks" labels each image from nothing, first the object, then the background, then the largest wrong region;
    "images" learns from a few random pixels of some images and scores on others; "dataset" labels a few pixels of
    every image of one list, in rounds, and scores on another list after each.
    """
    from fcnlab.evaluation.images import read_names

    folder: Path = options["data"]
    if options["protocol"] == "dataset":
        used = {name: options[name] for name in OF_DATASET}
        _write({"settings": {**used, "data": folder.name}, **run_dataset(ctx, folder, options)}, json_file)
        return
    names = read_names(_list_of(folder, list_file))[: options["limit"]]
    grades = _grades(folder, options["grades"])
    make = _maker(options, grades, str(settings_of(ctx).device))
    run = _clicks if options["protocol"] == "clicks" else _across
    _write({"settings": {**options, "data": folder.name}, **run(folder, names, make, options, grades)}, json_file)


def _write(result: Options, json_file: Path | None) -> None:
    """The whole result to the file, the summary to people."""
    text = json.dumps(result, indent=1, ensure_ascii=False)
    if json_file is not None and str(json_file) != "-":
        json_file.write_text(text + "\n", "utf-8")
    if str(json_file) == "-":
        click.echo(text)
    else:
        click.echo(json.dumps(result["summary"], indent=1))


def _maker(options: Options, grades: tuple[int, ...], device: str) -> Callable[[int], Learner]:
    from fcnlab.errors import InvalidSetting
    from fcnlab.evaluation.images import ForestLearner, instant_learners

    if options["learner"] not in ("instant", "forest"):
        raise InvalidSetting(f"learner {options['learner']!r} is measured on data sets only: --protocol dataset")
    if options["learner"] == "forest":
        return lambda _n_classes: ForestLearner()
    try:
        scales = tuple(float(scale) for scale in options["scales"].split(","))
    except ValueError as failure:
        raise InvalidSetting(f"scales {options['scales']!r} are no numbers separated by commas") from failure
    object_mode = options["protocol"] == "clicks" if options["object_mode"] is None else options["object_mode"]
    chosen = {name: options[name] for name in ("refine", "position", "working_side", "regularisation", "encoder")}
    chosen["grades"] = list(grades)
    return instant_learners(device=device, scales=scales, object_mode=object_mode, **chosen)


def _clicks(
    folder: Path, names: Sequence[str], make: Callable[[int], Learner], options: Options, grades: tuple[int, ...]
) -> Options:
    from fcnlab.evaluation.images import grades_below, label_images, n_classes_of, read_example, summary_of_clicks

    n_classes = max(n_classes_of([read_example(folder, name)]) for name in names)
    grades = grades_below(n_classes, grades)
    examples = (read_example(folder, name) for name in names)
    clicks = options["clicks"]
    runs = []
    for run in label_images(
        examples,
        make,
        n_classes=n_classes,
        clicks=clicks,
        style=options["style"],
        seed=options["seed"],
        has_grades=bool(grades),
    ):
        runs.append(run)
        last = run.ious[max(run.ious)]
        say(f"{len(runs)}/{len(names)} {run.name}: IoU {last:.3f} after {max(run.ious)} clicks")
    summary = summary_of_clicks(runs, clicks=clicks, grades=grades)
    for n_clicks, figures in summary.get("grades", {}).items():
        say(f"{n_clicks} clicks{_grades_in_brief(GradeScore(**figures))}")
    images = [{name: value for name, value in asdict(run).items() if name != "confusions"} for run in runs]
    return {"summary": summary, "images": images}


def _across(
    folder: Path, names: Sequence[str], make: Callable[[int], Learner], options: Options, grades: tuple[int, ...]
) -> Options:
    from fcnlab.evaluation.images import label_across

    n_train, pixels = (_whole(options[name], name) for name in ("train", "pixels"))
    runs = []
    for seed in range(options["seed"], options["seed"] + options["seeds"]):
        run = label_across(folder, names, make, n_train=n_train, pixels=pixels, seed=seed, grades=grades)
        runs.append(run)
        say(f"Seed {seed}: mean IoU {run.mean_iou:.3f} on {len(run.scored_on)} images{_grades_in_brief(run.grades)}")
    mean = sum(run.mean_iou for run in runs) / len(runs)
    summary: Options = {"mean_iou": mean, "seeds": len(runs)}
    if grades:
        of_grades = [run.grades for run in runs if run.grades is not None]
        summary["grades"] = {name: _mean_of(of_grades, name) for name in ("mae", "kappa")}
    return {"summary": summary, "runs": [_plain(run) for run in runs]}


def _mean_of(scores: Sequence[GradeScore], name: str) -> float | None:
    """The mean of a figure over the seeds that have it; None without any."""
    values = [value for score in scores if (value := getattr(score, name)) is not None]
    return sum(values) / len(values) if values else None


def _whole(text: str, name: str) -> int:
    """A number of images or pixels, at least one."""
    from fcnlab.errors import InvalidSetting

    if not text.isdecimal() or int(text) < 1:
        raise InvalidSetting(f"--{name} {text!r} is no whole number of at least 1, as --protocol images wants it")
    return int(text)


def _list_of(folder: Path, wanted: Path | None) -> Path:
    """The list file: a path as it is, else inside the data folder."""
    if wanted is not None and wanted.is_file():
        return wanted
    return folder / (wanted or "list.txt")
