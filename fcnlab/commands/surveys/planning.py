"""`fcnlab survey plan`, `more`, `list`, `close`, `reopen` and `delete`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcnlab.commands.common import found_project, json_option, opened, print_result, project_option, say
from fcnlab.commands.surveys.common import found_survey, survey_argument, survey_line, survey_values, write_to
from fcnlab.commands.tags.choosing import chosen_by_tag, tag_option
from fcnlab.domain.survey import PLANS, PRIORS, SurveySpec
from fcnlab.errors import InvalidSurvey

if TYPE_CHECKING:
    from fcnlab.services.surveys.growth import SurveyGrowth


@click.command()
@project_option
@click.option(
    "--images",
    "-n",
    "counts",
    multiple=True,
    required=True,
    metavar="N|STRATUM=N",
    help="Images to draw from each stratum, or from one; may be given several times.",
)
@click.option("--points", "n_per_image", default=10, show_default=True, help="Pixels to ask about in an image.")
@click.option(
    "--plan",
    type=click.Choice(PLANS),
    default="random",
    show_default=True,
    help="Pixels anywhere, one in each of as many equal parts, or a grid with a random start.",
)
@click.option("--seed", default=0, show_default=True, help="The same images and pixels come from the same seed.")
@click.option(
    "--strata",
    metavar="folder|PATTERN",
    help="Parts of the images to draw from: their folders, or what a regular expression finds in their names.",
)
@tag_option
@click.option("--prior", default="jeffreys", show_default=True, help="uniform, jeffreys, or pseudo-counts of a class.")
@click.option("--level", default=0.9, show_default=True, help="How often intervals hold the true share, 0.5 to 1.")
@click.option("--labeller", default="command line", show_default=True, help="Who plans it.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Table of the points (CSV).")
@json_option
@click.argument("name")
@click.pass_context
def plan(
    ctx: click.Context,
    wanted: str,
    counts: tuple[str, ...],
    n_per_image: int,
    plan: Any,
    seed: int,
    strata: str | None,
    tag_texts: tuple[str, ...],
    prior: str,
    level: float,
    labeller: str,
    output: Path | None,
    as_json: bool,
    name: str,
) -> None:
    """Draw images and pixels at random, to be answered one by one.

    All images of the project are the population, or those that --tag chooses. The table that --output writes has an
    empty class for each pixel: fill it in and give it to `fcnlab survey answer`, or answer on the Survey page.
    """
    from fcnlab.services.projects.projects import images
    from fcnlab.services.surveys.answer_tables import points_table
    from fcnlab.services.surveys.surveys import plan_survey, strata_by

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        chosen = chosen_by_tag(lab, project, tag_texts)
        population = [each for each in images(lab, project_id=project.id) if chosen is None or each.id in chosen]
        by_image = strata_by(population, strata or "")
        spec = SurveySpec(
            name, n_images_of(counts, set(by_image.values())), n_per_image, plan, seed, prior_of(prior), level
        )
        survey = plan_survey(lab, project_id=project.id, spec=spec, labeller=labeller, strata=by_image)
        if output is not None:
            write_to(output, points_table(lab, survey_id=survey.id))
    asked = survey.n_points // spec.n_per_image
    lines = [f"Survey {survey.id}, {survey.spec.name!r}: {survey.n_points} points in {asked} of {len(by_image)} images"]
    print_result(survey_values(survey), lines, as_json=as_json)


def n_images_of(counts: Sequence[str], strata: set[str]) -> dict[str, int]:
    """Images of each stratum, from "5" for all of them and "reef=7" for one.

    Raises:
        InvalidSurvey: no number, or no such stratum.
    """
    n_images: dict[str, int] = {}
    for text in sorted(counts, key=lambda text: "=" in text):
        stratum, is_named, number = text.rpartition("=")
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise InvalidSurvey(f"--images {text}: write a number, or STRATUM=NUMBER")
        if is_named and stratum not in strata:
            names = ", ".join(sorted(strata - {""})) or "no strata: see --strata"
            raise InvalidSurvey(f"--images {text}: there is no stratum {stratum!r}; there are {names}")
        for each in (stratum,) if is_named else strata:
            n_images[each] = int(number)
    return n_images


def prior_of(text: str) -> str | float:
    """A prior by its name, or by its pseudo-counts. Raises InvalidSurvey: neither."""
    if text in PRIORS:
        return text
    try:
        return float(text)
    except ValueError:
        raise InvalidSurvey(f"there is no prior {text!r}: take uniform, jeffreys, or a number above 0") from None


@click.command("list")
@project_option
@json_option
@click.pass_context
def list_surveys(ctx: click.Context, wanted: str, as_json: bool) -> None:
    """The surveys of a project, newest first."""
    from fcnlab.services.surveys.surveys import surveys

    with opened(ctx) as lab:
        all_surveys = surveys(lab, project_id=found_project(lab, wanted).id)
    lines = [survey_line(survey) for survey in all_surveys] or ["No surveys yet: fcnlab survey plan makes one"]
    print_result([survey_values(survey) for survey in all_surveys], lines, as_json=as_json)


@click.command()
@project_option
@click.option("--images", "-n", "n_more", type=click.IntRange(0), required=True, help="Further images, of all strata.")
@click.option("--class", "class_name", help="Whose share shall be surest; otherwise all alike.")
@click.option("--add", is_flag=True, help="Ask about these images.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Table of all points (CSV).")
@json_option
@survey_argument
@click.pass_context
def more(
    ctx: click.Context,
    wanted: str,
    n_more: int,
    class_name: str | None,
    add: bool,
    output: Path | None,
    as_json: bool,
    name: str,
) -> None:
    """Say what further images would tell, and ask about them.

    They are shared out among strata so that the shares are surest (Neyman), by the answers so far. Images that were
    drawn already and have no answer yet are the first of them.
    """
    from fcnlab.services.projects.projects import class_named, project
    from fcnlab.services.surveys.answer_tables import points_table
    from fcnlab.services.surveys.growth import growth_of
    from fcnlab.services.surveys.surveys import enlarge_survey

    with opened(ctx) as lab:
        survey = found_survey(lab, wanted, name)
        classes = project(lab, project_id=survey.project_id).classes
        class_id = None if class_name is None else class_named(classes, class_name)
        growth = growth_of(lab, survey_id=survey.id)
        index = None if class_id is None else [each.id for each in growth.classes].index(class_id)
        shares = growth.shared_out(n_more, index, waiting_first=True)
        to_draw = growth.to_draw(shares)
        if add and any(to_draw.values()):
            survey = enlarge_survey(lab, survey_id=survey.id, n_more=to_draw)
        if output is not None:
            write_to(output, points_table(lab, survey_id=survey.id))
    indices = range(len(growth.classes))
    widths = {
        "now": [growth.width_now(each) for each in indices],
        "then": [growth.width_with(to_draw, each) for each in indices],
    }
    rows = zip(growth.names, growth.answers, growth.waiting, strict=True)
    values = {
        "survey": survey.id,
        "more": n_more,
        "drawn": {name: n for name, n in to_draw.items() if n} if add else {},
        "points": survey.n_points,
        "classes": [each.name for each in growth.classes],
        "widths": widths,
        "strata": [
            {"stratum": stratum, "answered": answers.n_images, "waiting": waiting, "more": shares[stratum]}
            for stratum, answers, waiting in rows
        ],
    }
    print_result(values, _growth_lines(growth, shares, widths), as_json=as_json)
    if add:
        say(f"Survey {survey.spec.name!r} asks about {survey.n_points} points now")


def _growth_lines(growth: SurveyGrowth, n_more: Mapping[str, int], widths: Mapping[str, Sequence[float]]) -> list[str]:
    lines = [f"{sum(n_more.values())} further images of {growth.survey.spec.n_per_image} points each"]
    for name, answers, n_waiting in zip(growth.names, growth.answers, growth.waiting, strict=True):
        waiting = f", {n_waiting} wait for answers" if n_waiting else ""
        where = f"{name}: " if name else ""
        lines.append(f"  {where}{answers.n_images} images answered{waiting}, {n_more[name]} more")
    for each, now, then in zip(growth.classes, widths["now"], widths["then"], strict=True):
        lines.append(f"{each.name}: interval {100 * now:.1f} percent points wide now, about {100 * then:.1f} then")
    return lines


@click.command()
@project_option
@json_option
@survey_argument
@click.pass_context
def close(ctx: click.Context, wanted: str, as_json: bool, name: str) -> None:
    """Take no answers any more."""
    from fcnlab.services.surveys.surveys import close_survey

    with opened(ctx) as lab:
        survey = close_survey(lab, survey_id=found_survey(lab, wanted, name).id)
    print_result(survey_values(survey), [survey_line(survey)], as_json=as_json)


@click.command()
@project_option
@json_option
@survey_argument
@click.pass_context
def reopen(ctx: click.Context, wanted: str, as_json: bool, name: str) -> None:
    """Take answers again; not once they teach."""
    from fcnlab.services.surveys.surveys import reopen_survey

    with opened(ctx) as lab:
        survey = reopen_survey(lab, survey_id=found_survey(lab, wanted, name).id)
    print_result(survey_values(survey), [survey_line(survey)], as_json=as_json)


@click.command()
@project_option
@survey_argument
@click.pass_context
def delete(ctx: click.Context, wanted: str, name: str) -> None:
    """Delete a survey with its answers; what they taught stays."""
    from fcnlab.services.surveys.surveys import delete_survey

    with opened(ctx) as lab:
        survey = found_survey(lab, wanted, name)
        delete_survey(lab, survey_id=survey.id)
    say(f"Survey {survey.id}, {survey.spec.name!r}, is deleted with its {survey.n_answered} answers")
