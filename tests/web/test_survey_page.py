"""The Survey page, without a browser: planning, the report, and what is done with a survey."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from fcnlab.domain.counting import Task
from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.survey import Survey, SurveyAnswer, SurveySpec
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points
from fcnlab.services.projects import projects
from fcnlab.services.surveys.report import report_of
from fcnlab.services.surveys.surveys import (
    answer,
    close_survey,
    plan_survey,
    strata_by,
    survey_points,
    surveys,
)
from fcnlab.web import session
from fcnlab.web.panels.surveys import report_charts, report_panel, report_words
from tests.web.test_pages import labels, page, picture

N_IMAGES = 8


def reef(lab: Lab, name: str = "reef") -> int:
    """A project with eight images in two folders."""
    project = projects.create_project(lab, name=name, labels=projects.labels_of(["sand", "coral *hard*"]))
    files = [(f"{'ab'[seed % 2]}/{seed}.png", picture(seed)) for seed in range(N_IMAGES)]
    list(import_files(lab, files, project_id=project.id))
    return project.id


def planned(lab: Lab, project_id: int, *, name: str = "2026", n_images: int = 3, n_per_image: int = 10) -> Survey:
    strata = strata_by(projects.images(lab, project_id=project_id), "folder")
    spec = SurveySpec(name, dict.fromkeys("ab", n_images), n_per_image)
    return plan_survey(lab, project_id=project_id, spec=spec, labeller="ann", strata=strata)


def answered(lab: Lab, survey: Survey, *, n: int | None = None, unknown: float = 0.0) -> None:
    """Answer the first `n` points, or all of them: more coral in stratum a."""
    rng = np.random.default_rng(survey.id)
    in_a = {image.id for image in projects.images(lab, project_id=survey.project_id) if image.name.startswith("a")}
    answers = [
        SurveyAnswer(point.id, is_unknown=True)
        if rng.random() < unknown
        else SurveyAnswer(point.id, int(rng.random() < (0.7 if point.image_id in in_a else 0.2)))
        for point in survey_points(lab, survey_id=survey.id)[:n]
    ]
    answer(lab, answers, survey_id=survey.id, project_id=survey.project_id, labeller="ann")


def texts(shown: AppTest) -> str:
    return "\n".join(one.value for kind in (shown.markdown, shown.caption, shown.info) for one in kind)


def press(shown: AppTest, label: str) -> AppTest:
    next(button for button in shown.button if button.label == label).click().run()
    assert not shown.exception
    return shown


def field(shown: AppTest, label: str) -> object:
    kinds = (shown.number_input, shown.text_input, shown.selectbox, shown.toggle, shown.button_group)
    return next(one for kind in kinds for one in kind if one.label == label)


def test_the_page_says_what_is_missing(lab: Lab) -> None:
    assert "no project yet" in page("survey").info[0].value
    projects.create_project(lab, name="reef")
    assert "no images yet" in page("survey").info[0].value
    counting = projects.create_project(lab, name="counts", task=Task.COUNTS)
    assert "counts objects" in page("survey", project=counting.id).info[0].value


def test_a_survey_is_planned_by_folder_with_a_number_of_images_for_each(lab: Lab) -> None:
    project_id = reef(lab)
    shown = page("survey")
    assert "What share of the sea floor is coral" in shown.subheader[1].value

    field(shown, "Strata").set_value("folder").run()
    assert shown.dataframe[0].value.to_dict("list") == {"Stratum": ["a", "b"], "Images": [4, 4]}
    field(shown, "Another number of images for each stratum").set_value(True).run()
    field(shown, "a (of 4)").set_value(3).run()
    field(shown, "b (of 4)").set_value(2).run()
    field(shown, "Points in each image").set_value(5).run()
    field(shown, "Seed").set_value(7).run()
    assert "**25 points in 5 images: about 50 seconds to answer**" in texts(shown)
    press(shown, "Plan the survey")

    (survey,) = surveys(lab, project_id=project_id)
    assert survey.spec == SurveySpec("Survey 1", {"a": 3, "b": 2}, 5, "random", 7, "jeffreys", 0.9)
    assert survey.labeller == "ann"
    assert "Answer" in labels(shown)


def test_a_pattern_that_is_none_is_explained_and_plans_nothing(lab: Lab) -> None:
    project_id = reef(lab)
    shown = page("survey")
    field(shown, "Strata").set_value("pattern").run()
    assert "Plan the survey" not in labels(shown)

    field(shown, "Pattern").set_value("(").run()
    assert "is no pattern" in shown.error[0].value
    field(shown, "Pattern").set_value(r"^(.)/").run()
    assert shown.dataframe[0].value["Stratum"].to_list() == ["a", "b"]
    press(shown, "Plan the survey")

    assert surveys(lab, project_id=project_id)[0].spec.n_images == {"a": 4, "b": 4}


def test_the_report_is_the_one_of_the_service(lab: Lab) -> None:
    survey = planned(lab, reef(lab))
    answered(lab, survey)

    shown = page("survey")

    assert not shown.exception
    assert not shown.error
    best = report_of(lab, survey_id=survey.id).total.best
    assert best is not None
    figures = next(one.value for one in shown.dataframe if "Share" in one.value)
    assert figures["Stratum"].to_list() == ["All strata", "All strata", "a", "a", "b", "b"]
    assert figures["Share"].to_list()[:2] == pytest.approx([100 * cover.share for cover in best.classes])
    assert figures["from"].to_list()[:2] == pytest.approx([100 * cover.low for cover in best.classes])
    assert not figures.drop(columns=["Stratum", "Class"]).isna().any(axis=None)
    by_image = next(one.value for one in shown.dataframe if "Image" in one.value)
    assert len(by_image) == 6


def test_strata_are_compared_and_names_are_shown_as_they_are(lab: Lab) -> None:
    survey = planned(lab, reef(lab))
    answered(lab, survey)
    shown = page("survey")

    field(shown, "Class").set_value(1).run()

    words = next(one.value for one in shown.markdown if "Probability that there is more" in one.value)
    assert "percentage points more in a than in b" in words.replace("\\", "")
    assert "coral *hard*" not in texts(shown), "a name is no Markdown"


def test_without_answers_of_two_images_the_report_says_why_there_are_no_figures(lab: Lab) -> None:
    survey = planned(lab, reef(lab))
    answered(lab, survey, n=5)

    shown = page("survey")

    assert not shown.exception
    assert "trata without enough answers" in shown.info[0].value
    assert not [one for one in shown.dataframe if "Share" in one.value]


def test_both_readings_of_dont_know_are_shown_where_there_are_any(lab: Lab) -> None:
    survey = planned(lab, reef(lab))
    answered(lab, survey, unknown=0.2)
    shown = page("survey")
    assert "Of the points whose class was told / of all points" in texts(shown)

    field(shown, "Answers *don't know*").set_value("a class").run()

    figures = next(one.value for one in shown.dataframe if "Share" in one.value)
    assert "don't know" in figures["Class"].to_list()
    assert figures["Share"].to_list()[:3] == pytest.approx(
        [100 * share for share in report_of(lab, survey_id=survey.id, reading_as="a class").total.best.shares]
    )


def test_a_survey_is_closed_and_reopened_and_its_answers_teach_once_it_is_closed(lab: Lab) -> None:
    project_id = reef(lab)
    survey = planned(lab, project_id)
    answered(lab, survey)
    shown = page("survey")
    assert "Let the answers teach" not in labels(shown)

    press(shown, "Close")
    assert {"Reopen", "Let the answers teach"} <= set(labels(shown))
    assert "Go on answering" not in labels(shown)
    press(shown, "Reopen")
    assert surveys(lab, project_id=project_id)[0].is_open
    close_survey(lab, survey_id=survey.id)

    def script(project_id: int) -> None:
        from fcnlab.services.surveys.surveys import surveys
        from fcnlab.web import session
        from fcnlab.web.panels.surveys import survey_panel

        engine = session.engine()
        if not session.peek("is_done"):
            session.remember("is_done", True)
            survey_panel.let_teach(engine, surveys(engine.lab, project_id=project_id)[0])

    AppTest.from_function(script, args=(project_id,), default_timeout=60).run()
    assert projects.dashboard(lab, project_id=project_id).n_points == survey.n_points
    assert "Reopen" not in labels(page("survey"))


def test_the_images_that_help_most_are_asked_about_by_one_press(lab: Lab) -> None:
    project_id = reef(lab)
    survey = planned(lab, project_id, n_images=2)
    answered(lab, survey)
    shown = page("survey")

    field(shown, "Further images").set_value(3).run()
    assert "They help most in" in texts(shown)
    press(shown, "Ask about these 3 images")

    assert surveys(lab, project_id=project_id)[0].n_points == survey.n_points + 30
    assert "3 further images" in shown.success[0].value


def test_all_images_are_predicted_in_the_background_and_the_estimate_is_corrected(lab: Lab) -> None:
    project_id = reef(lab)
    for image in projects.images(lab, project_id=project_id):
        points = [Point(10, 10, 0), Point(30, 50, 1)]
        add_points(lab, points, image_id=image.id, labeller="ann", source=PointSource.CLICK)
    survey = planned(lab, project_id)
    answered(lab, survey)
    shown = page("survey")

    press(shown, "Predict all images")
    for _ in range(1200):
        status = session.survey_jobs().status(survey.id)
        assert status is not None
        if status.state != "running":
            break
        time.sleep(0.05)
    shown.run()

    assert (status.state, status.message) == ("finished", "")
    assert "Predict again" in labels(shown)
    assert report_words.METHODS["from_answers"] in texts(shown)
    next(one for one in shown.button_group if one.key == f"method-{survey.id}").set_value("corrected").run()
    assert report_words.METHODS["corrected"] in texts(shown)
    assert "may in a little less" in texts(shown)
    figures = next(one.value for one in shown.dataframe if "Share" in one.value)
    assert {"In masks", "Bias"} <= set(figures.columns)
    report = report_of(lab, survey_id=survey.id)
    assert any("raw" in row for row in report_charts.cover_rows(report.total, report.classes))


def test_predicting_what_cannot_be_predicted_says_why(lab: Lab) -> None:
    survey = planned(lab, reef(lab))
    answered(lab, survey)
    shown = page("survey")

    press(shown, "Predict all images")
    for _ in range(600):
        status = session.survey_jobs().status(survey.id)
        if status is not None and status.state != "running":
            break
        time.sleep(0.05)
    shown.run()

    assert "nothing can be learned yet" in shown.error[0].value.replace("\\", "")


def test_where_the_ground_is_known_there_are_areas(lab: Lab) -> None:
    survey = planned(lab, reef(lab))
    answered(lab, survey)
    report = report_of(lab, survey_id=survey.id)

    rows = report_panel.cover_rows(report, replace(report.total, area_m2=20_000))

    assert report.total.best is not None
    share = report.total.best.shares[1]
    assert rows[1]["Area (ha)"].startswith(f"{2 * share:.3g} (")
    assert "Area (ha)" not in report_panel.cover_rows(report, report.total)[1]


def test_curves_narrow_as_answers_come_in(lab: Lab) -> None:
    survey = planned(lab, reef(lab), n_images=4)
    spreads = []
    for n in (40, None):
        answered(lab, survey, n=n)
        report = report_of(lab, survey_id=survey.id)
        assert report.total.posterior is not None
        rows = report_charts.curves_spec(report.total.posterior, report.classes)["data"]["values"]
        shares = [row["share"] for row in rows if row["class"] == "sand" and row["height"] > 0.5]
        spreads.append(max(shares) - min(shares))

    assert spreads[1] < spreads[0]


def test_the_address_keeps_survey_and_answering_until_another_project_is_chosen(lab: Lab) -> None:
    first, second = reef(lab), reef(lab, "other")
    planned(lab, first)
    shown = page("survey", project=first)

    press(shown, "Answer")
    assert shown.query_params["answering"] == "1"
    assert shown.get("bidi_component")
    assert "Close" not in labels(shown)

    shown.selectbox[0].set_value(second).run()
    assert "survey" not in shown.query_params
    assert "answering" not in shown.query_params
