"""The points of a survey, to be answered: nothing else is on the page meanwhile."""

from __future__ import annotations

from fcnlab.domain.project import Project
from fcnlab.domain.survey import Survey
from fcnlab.services.projects.projects import images
from fcnlab.services.surveys.surveys import survey_points
from fcnlab.web import frame, session
from fcnlab.web.canvas import answering
from fcnlab.web.session import Engine


def draw(engine: Engine, project: Project, survey: Survey) -> None:
    """The component that asks; leaving it leads to the report."""
    points = survey_points(engine.lab, survey_id=survey.id)
    data = answering.answering_data(
        project,
        survey,
        points,
        images(engine.lab, project_id=project.id),
        labeller=session.labeller() or frame.ANONYMOUS,
    )
    answering.draw(data, key=f"survey-{survey.id}", on_left=lambda: session.show_survey(survey.id))
