"""`fcnlab compare`: several networks on the same points, for the same time."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from fcnlab.commands.common import found_project, opened, project_option, say
from fcnlab.commands.training import INTERRUPTED
from fcnlab.domain.comparison import ComparisonSpec, Measured, Participant, timing_in_words
from fcnlab.domain.counting import CountScore
from fcnlab.domain.network import NetworkName, NetworkSpec, Order, Upsampling
from fcnlab.domain.scores import (
    PointScore,
    duration_in_words,
    figure,
    figure_in_brief,
    kappa_in_brief,
    kept_in_brief,
    taken_on,
)
from fcnlab.domain.training import TrainingProgress, TrainingState
from fcnlab.errors import InvalidSetting

if TYPE_CHECKING:
    from fcnlab.domain.project import Project
    from fcnlab.lab import Lab
    from fcnlab.services.comparing.comparisons import ComparisonStatus

HEADINGS = ("", "validation", "95 % CI", "mIoU", "epoch kept", "s/epoch", "s/image", "runs", "parameters")
GRADE_HEADINGS = ("MAE in grades", "kappa")
"""Behind the interval, in a project with grades."""

COUNT_HEADINGS = ("", "MAE", "RMSE", "MRE", "GAME(3)", "F", "epoch kept", "s/epoch", "s/image", "runs", "parameters")


@click.command()
@project_option
@click.option(
    "--networks", default="", help="Commas between, such as fcn32s,fcn8s:bilinear,unet:corn. Empty: a telling choice."
)
@click.option("--minutes", default=1.0, show_default=True, help="Of training for each network.")
@click.option("--holdout", default=0.25, show_default=True, help="Part of the images kept for validation.")
@click.option("--working-side", default=384, show_default=True, help="Input size: longer side of an image.")
@click.option("--staged/--all-at-once", default=True, show_default=True, help="FCNs: coarse to fine, or not.")
@click.option("--seed", default=0, show_default=True)
@click.option("--absent-weight", default=0.0, show_default=True, help="Weight of tags that say what is not there.")
@click.option("--instant/--no-instant", default=True, show_default=True, help="Let the instant learner take part.")
@click.option("--labeller", default="command line", show_default=True, help="Who asks for it.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True), help="- prints.")
@click.pass_context
def compare(
    ctx: click.Context, /, wanted: str, networks: str, instant: bool, labeller: str, json_file: Path | None, **more: Any
) -> None:
    """Train several networks on the same points for the same time, and measure them alike.

    All see the same points and the same validation images. Ctrl-C ends the comparison; results that are in stay, and
    the Compare page shows them.
    """
    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        spec = ComparisonSpec(_networks(networks), has_instant=instant, **more)
        status = _compare_here(lab, project, spec, labeller)
    click.echo("\n".join(table(status)))
    if json_file is not None:
        text = json.dumps(to_dict(status), ensure_ascii=False, indent=1) + "\n"
        if str(json_file) == "-":
            click.echo(text, nl=False)
        else:
            json_file.write_text(text, encoding="utf-8")
    if status.comparison.state is not TrainingState.FINISHED:
        ctx.exit(INTERRUPTED if status.comparison.state is TrainingState.CANCELLED else 1)


def table(status: ComparisonStatus) -> list[str]:
    """The results as lines, and below them what they were taken on, who did best, and what means nothing."""
    from fcnlab.services.comparing.comparisons import best_in_words, too_short

    headings: tuple[str, ...]
    headings, row_of = (COUNT_HEADINGS, _count_row) if status.spec.is_counting else (HEADINGS, _row)
    if status.spec.grades:
        headings, row_of = _with_grades(HEADINGS, GRADE_HEADINGS), _grades_row
    rows = [headings, *(row_of(participant) for participant in status.participants)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(headings))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    results = [participant.result for participant in status.participants if participant.result is not None]
    return [
        *lines,
        *_notes(results),
        *filter(None, (best_in_words(status), too_short(status))),
        *(f"{participant.title}: {participant.message}" for participant in status.participants if participant.message),
    ]


def to_dict(status: ComparisonStatus) -> dict[str, Any]:
    """The results in plain values."""
    return {
        "comparison": status.comparison.id,
        "state": status.comparison.state.value,
        "spec": status.spec.to_dict(),
        "participants": [
            {
                "key": participant.key,
                "title": participant.title,
                "state": participant.state.value,
                "message": participant.message,
                "seconds_per_epoch": participant.seconds_per_epoch,
                "has_result": participant.result is not None,
                "measured": None if participant.measured is None else participant.measured.to_dict(),
            }
            for participant in status.participants
        ],
    }


def _row(participant: Participant) -> tuple[str, ...]:
    measured, epoch = participant.result, participant.seconds_per_epoch
    if measured is None:
        return (participant.title, _state(participant), *[""] * (len(HEADINGS) - 2))
    score, timing = measured.score, measured.timing
    return (
        participant.title,
        "" if score is None else figure(score),
        f"{score.low:.0%} to {score.high:.0%}" if isinstance(score, PointScore) else "",
        "" if measured.mean_iou is None else f"{measured.mean_iou:.3f}",
        _kept(participant),
        "" if epoch is None else f"{epoch:.2f}",
        f"{timing.seconds:.3g}{' (extrapolated)' if timing.is_extrapolated else ''}",
        timing.spread(),
        f"{measured.parameters:,}",
    )


def _grades_row(participant: Participant) -> tuple[str, ...]:
    score = participant.result.score if participant.result else None
    grades = score.grades if isinstance(score, PointScore) else None
    mae = "" if grades is None or grades.mae is None else f"{grades.mae:.2f}"
    return _with_grades(_row(participant), (mae, kappa_in_brief(grades)))


def _with_grades(row: tuple[str, ...], figures: tuple[str, ...]) -> tuple[str, ...]:
    place = HEADINGS.index("mIoU")
    return (*row[:place], *figures, *row[place:])


def _state(participant: Participant) -> str:
    """Why there are no figures, in a word."""
    return "no result" if participant.state is TrainingState.FINISHED else participant.state.value


def _kept(participant: Participant) -> str:
    """Which epoch of a network was kept; nothing for the instant learner, which has none."""
    score = participant.result.score if participant.result else None
    return "" if participant.training is None else kept_in_brief(score, participant.training.epoch)


def _count_row(participant: Participant) -> tuple[str, ...]:
    measured, epoch = participant.result, participant.seconds_per_epoch
    if measured is None:
        return (participant.title, _state(participant), *[""] * (len(COUNT_HEADINGS) - 2))
    score = measured.score
    figures = [""] * 5
    if isinstance(score, CountScore):
        figures = [f"{score.mae:.2f}", f"{score.rmse:.2f}", f"{score.mre:.1%}", f"{score.game[3]:.2f}"]
        figures.append(f"{score.f_score:.3f}")
    speed = (f"{measured.timing.seconds:.3g}", measured.timing.spread())
    return (
        participant.title,
        *figures,
        _kept(participant),
        "" if epoch is None else f"{epoch:.2f}",
        *speed,
        f"{measured.parameters:,}",
    )


def _notes(results: list[Measured]) -> list[str]:
    notes = []
    score = next((result.score for result in results if result.score is not None), None)
    if isinstance(score, PointScore):
        notes.append(f"validation: accuracy on {score.n_points} points, {taken_on(score)}")
    if any(isinstance(result.score, PointScore) and result.score.grades for result in results):
        notes.append("MAE, kappa: of the grades among these points; kappa is quadratic weighted, with its 95 % CI")
    if isinstance(score, CountScore):
        notes.append(
            f"Counts of {score.n_images} validation images with {score.n_objects} objects; less is better, but of F"
        )
    n_masks = max((result.n_masks for result in results), default=0)
    if any(result.by_experts for result in results):
        notes.append(f"mIoU: on {n_masks} expert masks of validation images")
    elif n_masks:
        notes.append(f"mIoU: on the kept masks of {n_masks} done validation images, most of them the instant learner's")
    if results:
        timing = results[0].timing
        on = f"threads: {timing.threads}" if timing.threads else "on the graphics card"
        size = f"an image of {timing.hw[1]} x {timing.hw[0]} pixels, {on}"
        notes.append(f"s/image: {size}; {timing_in_words(results)}; runs: the quickest to the slowest")
    if any(
        result.score is not None and result.score.kept is not None and result.score.kept.n_compared > 1
        for result in results
    ):
        notes.append("epoch kept: the one that did best on the same validation data, which flatters networks a little")
    return notes


def _line(progress: TrainingProgress) -> str:
    parts = [f"epoch {progress.epoch}", progress.network.value, f"loss {progress.loss:.4f}"]
    if progress.score is not None:
        parts.append(f"validation {figure_in_brief(progress.score)}")
    return "  ".join([*parts, f"{duration_in_words(progress.seconds_left)} left"])


def _networks(text: str) -> tuple[NetworkSpec, ...]:
    """Networks from `fcn8s:bilinear,unet:corn`. Raises InvalidSetting for a name, an upsampling or an order of grades
    nobody knows."""
    from fcnlab.services.comparing.comparisons import TELLING, candidate

    if not text.strip():
        return tuple(candidate(name, upsampling) for name, upsampling in TELLING)
    specs = []
    for part in text.split(","):
        name, *choices = part.strip().split(":")
        if name not in list(NetworkName):
            raise InvalidSetting(f"there is no network {name!r}; known: {', '.join(NetworkName)}")
        spec = candidate(NetworkName(name))
        for choice in filter(None, choices):
            if choice in get_args(Order):
                spec = replace(spec, order=choice)  # type: ignore[arg-type]
            elif choice in get_args(Upsampling):
                spec = replace(spec, upsampling=choice)  # type: ignore[arg-type]
            else:
                choosable = ", ".join((*get_args(Upsampling), *get_args(Order)))
                raise InvalidSetting(f"upsampling or order {choice!r} is none of {choosable}")
        specs.append(spec)
    return tuple(specs)


def _compare_here(lab: Lab, project: Project, spec: ComparisonSpec, labeller: str) -> ComparisonStatus:
    """Compare in this process; how it ended. Ctrl-C cancels what still goes on."""
    from fcnlab.services.comparing.comparisons import cancel_comparison, comparison_status, start_comparison
    from fcnlab.services.training.lease_holder import LeaseHolder
    from fcnlab.services.training.worker import fine_tune, work_on
    from fcnlab.services.training.workers import ensure_workers

    with LeaseHolder(lab, project_id=project.id) as holder:
        made = start_comparison(lab, project_id=project.id, spec=spec, labeller=labeller)
        now = comparison_status(lab, comparison_id=made.id)
        say(
            f"Comparison {made.id} on {len(now.spec.image_ids)} images of {project.name!r}, "
            f"{len(now.spec.held_out)} of them for validation; {spec.minutes:g} min for each network; Ctrl-C ends it"
        )
        try:
            for participant in now.participants:
                if participant.training is None:
                    continue
                say(f"{participant.title}:")
                with closing(work_on(lab, holder, participant.training, fine_tune)) as steps:
                    for progress in steps:
                        say(f"  {_line(progress)}")
        except KeyboardInterrupt:
            say("Stopped")
            cancel_comparison(lab, comparison_id=made.id)
    ensure_workers(lab)  # what was queued meanwhile
    return comparison_status(lab, comparison_id=made.id)
