"""The report of a survey as a table, as percent covers, as JSON and as a figure."""

from __future__ import annotations

import csv
import io
import json
import math
from xml.etree import ElementTree

import pytest

from fcnlab.domain.survey import SurveyAnswer, SurveySpec
from fcnlab.errors import InvalidSurvey
from fcnlab.lab import Lab
from fcnlab.services.surveys.report import SurveyReport
from fcnlab.services.surveys.report_files import (
    COLUMNS,
    coralnet_csv,
    report_csv,
    report_json,
    report_svg,
    report_values,
)
from fcnlab.services.surveys.surveys import plan_survey
from tests.support.survey_bench import Bench, stripes

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def bench(lab: Lab) -> Bench:
    return Bench(lab)


@pytest.fixture
def report(bench: Bench) -> SurveyReport:
    """A survey of two strata, a point of which is "don't know", with predictions."""
    survey = bench.plan(n={"a": 3, "b": 2}, n_per_image=12)
    first = bench.points(survey)[0].id
    bench.answer_all(survey, lambda point: None if point.id == first else stripes(point))
    bench.predict(survey)
    return bench.report(survey)


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def texts_of(svg: bytes) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_table_has_a_line_for_each_class_of_all_of_each_stratum_and_of_each_image(report: SurveyReport) -> None:
    rows = rows_of(report_csv(report))

    assert tuple(rows[0]) == COLUMNS
    assert [(row["scope"], row["stratum"]) for row in rows[:6:2]] == [("all", ""), ("stratum", "a"), ("stratum", "b")]
    assert len(rows) == 2 * (1 + 2 + len(report.images))
    assert {row["class"] for row in rows} == {"background", "cell"}


def test_the_table_says_what_the_report_says(report: SurveyReport) -> None:
    best, masks = report.total.best, report.total.predicted
    assert best is not None
    assert masks is not None

    row = rows_of(report_csv(report))[1]

    assert row["method"] == "corrected"
    assert float(row["share"]) == pytest.approx(best.classes[1].share, rel=1e-5)
    assert float(row["low"]) == pytest.approx(best.classes[1].low, rel=1e-5)
    assert int(row["answers"]) == best.classes[1].n_answers
    assert int(row["answers_in_all"]) == 59
    assert float(row["predicted_share"]) == pytest.approx(0.3)
    assert float(row["bias"]) == pytest.approx(masks[1].bias, rel=1e-4)
    assert row["area"] == ""


def test_another_method_can_be_asked_for(report: SurveyReport) -> None:
    rows = rows_of(report_csv(report, method="from_answers"))

    assert {row["method"] for row in rows if row["scope"] != "image"} == {"from_answers"}


def test_percent_covers_are_laid_out_as_coralnet_writes_them(report: SurveyReport) -> None:
    lines = list(csv.reader(io.StringIO(coralnet_csv(report).decode())))

    assert lines[0] == ["Image ID", "Image name", "Annotation status", "Points", "background", "cell"]
    assert len(lines) == 1 + len(report.images) + 1
    assert {line[2] for line in lines[1:-1]} == {"Confirmed"}
    assert {line[3] for line in lines[1:-1]} == {"12"}
    assert all(sum(map(float, line[4:])) == pytest.approx(100, abs=0.01) for line in lines[1:])
    assert lines[-1][:4] == ["ALL IMAGES", "", "", ""]
    mean = sum(float(line[5]) for line in lines[1:-1]) / len(report.images)
    assert float(lines[-1][5]) == pytest.approx(mean, abs=0.001)


def test_an_image_half_answered_is_unconfirmed_and_one_without_a_counted_answer_left_out(bench: Bench) -> None:
    survey = bench.plan(n=3, n_per_image=4)
    points = bench.points(survey)
    first, second, third = dict.fromkeys(point.image_id for point in points)
    known = {point.id for point in points if point.image_id == first}
    bench.answer_all(survey, lambda point: 1 if point.id in known else None)
    half = next(point for point in points if point.image_id == second)
    bench.answer(survey, SurveyAnswer(half.id, 0), SurveyAnswer(points[-1].id))
    taken_back = [point for point in points if point.image_id == second][1]
    bench.answer(survey, SurveyAnswer(taken_back.id))

    lines = list(csv.reader(io.StringIO(coralnet_csv(bench.report(survey)).decode())))

    status = {int(line[0]): line[2] for line in lines[1:-1]}
    assert status == {first: "Confirmed", second: "Unconfirmed"}
    assert third not in status


def test_json_holds_all_and_never_what_json_is_not(report: SurveyReport) -> None:
    values = json.loads(report_json(report), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))

    assert values == json.loads(json.dumps(report_values(report)))
    assert values["total"]["best"] == "corrected"
    assert set(values["total"]["estimates"]) == {"as_if_independent", "from_answers", "corrected", "by_confusion"}
    assert [each["class"] for each in values["total"]["estimates"]["corrected"]["classes"]] == ["background", "cell"]
    assert [stratum["stratum"] for stratum in values["strata"]] == ["a", "b"]
    assert len(values["images"]) == 5


@pytest.mark.parametrize("n_answered", [0, 1])
def test_a_survey_without_enough_answers_is_written_too_and_says_why(bench: Bench, n_answered: int) -> None:
    survey = bench.plan()
    given = {point.id for point in bench.points(survey)[:n_answered]}
    bench.answer(survey, *(SurveyAnswer(point_id, 1) for point_id in given))
    report = bench.report(survey)

    rows, values = rows_of(report_csv(report)), json.loads(report_json(report))

    assert [row["share"] for row in rows[:4]] == [""] * 4
    assert values["total"]["notes"]
    assert len(coralnet_csv(report).splitlines()) == 1 + n_answered
    with pytest.raises(InvalidSurvey, match="no figure can be drawn"):
        report_svg(report)


def test_the_figure_shows_every_class_with_its_numbers(report: SurveyReport) -> None:
    best = report.total.best
    assert best is not None

    svg = report_svg(report)

    root = ElementTree.fromstring(svg)
    words = texts_of(svg)
    assert root.get("width") == "160mm"
    assert {"background", "cell"} <= set(words)
    share = best.classes[1]
    assert f"{100 * share.share:.1f} % ({100 * share.low:.1f} to {100 * share.high:.1f})" in words
    caption = " ".join(words)
    assert "5 of 8 images, 59 points" in caption
    assert "90 % intervals" in caption
    assert "not an estimate" in caption


def test_marks_of_the_figure_lie_where_their_numbers_are(report: SurveyReport) -> None:
    best = report.total.best
    assert best is not None
    root = ElementTree.fromstring(report_svg(report, method="from_answers"))
    dots = [float(dot.get("cx", "")) for dot in root.iter(f"{SVG}circle") if dot.get("r") == "1.3"]
    ticks = [
        (float((text.text or "").removesuffix(" %")), float(text.get("x", "")))
        for text in root.iter(f"{SVG}text")
        if text.get("text-anchor") == "middle" and (text.text or "")[0].isdigit()
    ]

    (first, left), (last, right) = ticks[0], ticks[-1]
    shares = [(dot - left) / (right - left) * (last - first) / 100 for dot in dots]

    assert shares == pytest.approx(report.total.estimates["from_answers"].shares.tolist(), abs=2e-3)
    assert all(0 <= dot <= 160 for dot in dots)


def test_a_figure_of_a_stratum_is_asked_for_by_its_name(report: SurveyReport) -> None:
    assert "cover, a" in texts_of(report_svg(report, stratum="a"))
    with pytest.raises(InvalidSurvey, match="it has 'a', 'b'"):
        report_svg(report, stratum="c")


def test_names_that_are_markup_or_too_long_do_no_harm(lab: Lab) -> None:
    bench = Bench(lab)
    survey = bench.plan("<b>&" + "x" * 60, n_per_image=6)
    bench.answer_all(survey)

    words = texts_of(report_svg(bench.report(survey)))

    assert words[0].startswith("<b>&xxx")
    assert math.isfinite(len(words[0]))


def test_formulas_of_names_do_not_reach_a_spreadsheet(lab: Lab) -> None:
    bench = Bench(lab)
    spec = SurveySpec("cover", {"=1+1": 4}, n_per_image=6)
    strata = dict.fromkeys(bench.images, "=1+1")
    survey = plan_survey(lab, project_id=bench.project_id, spec=spec, labeller="ann", strata=strata)
    bench.answer_all(survey)

    assert "'=1+1" in {row["stratum"] for row in rows_of(report_csv(bench.report(survey)))}
