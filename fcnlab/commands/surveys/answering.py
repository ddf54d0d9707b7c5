"""`fcnlab survey points`, `answer`, `predict` and `teach`."""

from __future__ import annotations

from pathlib import Path

import click

from fcnlab.commands.common import found_project, json_option, learner_of, opened, print_result, project_option, say
from fcnlab.commands.output import show_progress
from fcnlab.commands.surveys.common import found_survey, survey_argument, survey_line, survey_values, write_to


@click.command()
@project_option
@click.option("--output", "-o", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file (CSV).")
@survey_argument
@click.pass_context
def points(ctx: click.Context, wanted: str, output: Path, name: str) -> None:
    """Write the points of a survey to a table, with the answers there are."""
    from fcnlab.services.surveys.answer_tables import points_table

    with opened(ctx) as lab:
        write_to(output, points_table(lab, survey_id=found_survey(lab, wanted, name).id))


@click.command()
@project_option
@click.option("--labeller", default="import", show_default=True, help="Whose answers they are.")
@json_option
@survey_argument
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_context
def answer(ctx: click.Context, wanted: str, labeller: str, as_json: bool, name: str, file: Path) -> None:
    """Store the answers of a table: all of them, or none when a line is wrong.

    FILE is CSV in UTF-8 with the columns image, row, col and class, as `fcnlab survey plan` writes it. The class is
    the name of a class, or ? for don't know; an empty one leaves the point as it is.
    """
    from fcnlab.services.surveys.answer_tables import import_answers

    with opened(ctx) as lab:
        survey = found_survey(lab, wanted, name)
        imported = import_answers(lab, file, survey_id=survey.id, labeller=labeller)
    values = {**survey_values(imported.survey), "changed": imported.changed, "passed_over": imported.passed_over}
    lines = [f"{imported.changed} answers stored, {imported.passed_over} lines say nothing new"]
    print_result(values, [*lines, survey_line(imported.survey)], as_json=as_json)


@click.command()
@project_option
@json_option
@survey_argument
@click.pass_context
def predict(ctx: click.Context, wanted: str, as_json: bool, name: str) -> None:
    """Predict all images of the population by what the project knows, so that answers and masks go together.

    What was predicted before is replaced once all images are.
    """
    from fcnlab.services.surveys.predicting import predict_survey
    from fcnlab.services.surveys.surveys import find_survey

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        survey = find_survey(lab, name, project_id=project.id)
        with learner_of(lab, project) as learner:
            for done, total, image in predict_survey(lab, lambda work: work(learner), survey_id=survey.id):
                show_progress(f"{done} of {total} {image}")
        show_progress("")
        survey = find_survey(lab, str(survey.spec.name), project_id=project.id)
    print_result(survey_values(survey), [survey_line(survey)], as_json=as_json)


@click.command()
@project_option
@json_option
@survey_argument
@click.pass_context
def teach(ctx: click.Context, wanted: str, as_json: bool, name: str) -> None:
    """Make the answers of a closed survey points of the project, once.

    Don't know teaches nothing, nor do answers on images that are done. The survey cannot be predicted any more.
    """
    from fcnlab.services.surveys.surveys import find_survey
    from fcnlab.services.surveys.surveys import teach as teach_answers

    with opened(ctx) as lab:
        survey = found_survey(lab, wanted, name)
        n_points = teach_answers(lab, survey_id=survey.id)
        survey = find_survey(lab, survey.spec.name, project_id=survey.project_id)
    say(f"{n_points} answers are points of the project now")
    print_result({**survey_values(survey), "taught": n_points}, [survey_line(survey)], as_json=as_json)
