"""`fcnlab survey report`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcnlab.commands.common import json_option, opened, print_result, project_option
from fcnlab.commands.surveys.common import Command, found_survey, survey_argument, write_to

if TYPE_CHECKING:
    from fcnlab.services.surveys.report import CoverReport, SurveyReport

METHODS = ("best", "from_answers", "corrected", "by_confusion", "as_if_independent")
READINGS = ("left out", "a class")
HEADINGS = ("class", "cover", "interval", "answers", "worth", "masks")


def _file(option: str, what: str) -> Callable[[Command], Command]:
    return click.option(option, type=click.Path(dir_okay=False, path_type=Path), help=what)


@click.command()
@project_option
@click.option(
    "--dont-know",
    "reading_as",
    type=click.Choice(READINGS),
    default="left out",
    show_default=True,
    help="Shares of the pixels whose class can be told, or of all pixels.",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="best",
    show_default=True,
    help="Best: corrected by the predicted masks where there are any, else from the answers.",
)
@_file("--csv", "A line for each class of all strata, of each stratum and of each image.")
@_file("--coralnet", "Percent covers of images, as CoralNet writes them (CSV).")
@_file("--svg", "A figure.")
@click.option("--stratum", help="The figure is of this stratum alone.")
@json_option
@survey_argument
@click.pass_context
def report(
    ctx: click.Context,
    wanted: str,
    reading_as: Any,
    method: Any,
    csv: Path | None,
    coralnet: Path | None,
    svg: Path | None,
    stratum: str | None,
    as_json: bool,
    name: str,
) -> None:
    """Say how much each class covers, with intervals.

    Intervals hold the true share as often as the survey was planned for, images and pixels being drawn at random and
    pixels of an image being alike. "Worth" is how many independent answers would tell as much; "masks" is the share in
    the predicted masks as they are, and by how many percent points it seems too high.
    """
    from fcnlab.services.surveys.report import report_of
    from fcnlab.services.surveys.report_files import coralnet_csv, report_csv, report_svg, report_values

    if stratum is not None and svg is None:
        raise click.UsageError("--stratum goes with --svg")
    with opened(ctx) as lab:
        made = report_of(lab, survey_id=found_survey(lab, wanted, name).id, reading_as=reading_as)
    by = None if method == "best" else method
    if csv is not None:
        write_to(csv, report_csv(made, method=by))
    if coralnet is not None:
        write_to(coralnet, coralnet_csv(made))
    if svg is not None:
        write_to(svg, report_svg(made, stratum=stratum, method=by))
    covers = [made.total, *(made.strata if len(made.strata) > 1 else ())]
    lines = [line for cover in covers for line in _cover_lines(made, cover, by)]
    print_result(report_values(made) if as_json else {}, lines, as_json=as_json)


def _cover_lines(report: SurveyReport, cover: CoverReport, method: Any) -> list[str]:
    """A heading, a table, and what is missing and why."""
    from fcnlab.services.surveys.report import METHOD_WORDS

    title = cover.name or report.survey.spec.name
    unknown = f', {cover.n_unknown} "don\'t know" {report.reading}' if cover.n_unknown else ""
    head = f"{title}: {cover.n_surveyed} of {cover.n_images} images, {cover.n_answers} answers{unknown}"
    notes = [f"  {note}" for note in cover.notes]
    estimate = cover.estimate(method)
    if estimate is None:
        return [head, *(notes or ["  there is no estimate by this method: fcnlab survey predict comes before"])]
    rows: list[tuple[str, ...]] = [HEADINGS if cover.predicted else HEADINGS[:-1]]
    for index, each in enumerate(report.classes):
        share = estimate.classes[index]
        worth = f"{share.effective_answers:.1f}" if share.effective_answers < 1e9 else "all"
        interval = f"{100 * share.low:.1f} to {100 * share.high:.1f} %"
        row: tuple[str, ...] = (each.name, f"{100 * share.share:.1f} %", interval, str(share.n_answers), worth)
        if cover.predicted:
            guess = cover.predicted[index]
            row = (*row, f"{100 * guess.share:.1f} % ({100 * guess.bias:+.1f})")
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    method_line = f"  {METHOD_WORDS[estimate.method]}, {100 * estimate.level:g} % intervals"
    return [head, method_line, *(f"  {line}" for line in table), *notes]
