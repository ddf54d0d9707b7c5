"""What a survey says of the cover of its classes, and what it says where it cannot."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from sqlalchemy import update

from fcnlab.domain.images import PixelSize
from fcnlab.domain.survey import WHOLE, SurveyAnswer, SurveyPoint
from fcnlab.errors import UnknownSurvey
from fcnlab.lab import Lab
from fcnlab.services.projects.projects import remove_class
from fcnlab.services.surveys.report import READINGS, CoverReport, Reading, report_of, stratum_answers
from fcnlab.services.surveys.report_files import coralnet_csv, report_csv, report_json
from fcnlab.services.surveys.surveys import enlarge_survey
from fcnlab.storage.database.engine import writing
from fcnlab.storage.database.tables import ImageRow
from tests.support.survey_bench import AREA, THIRD, Bench, stripes
from tests.support.tabs import WIDTH

TRUE_SHARE = THIRD / WIDTH


@pytest.fixture
def bench(lab: Lab) -> Bench:
    return Bench(lab)


def numbers(value: object) -> Iterator[float]:
    """Every number in a value, however deep."""
    if isinstance(value, float | int | np.number):
        yield float(value)
    elif isinstance(value, np.ndarray):
        yield from value.ravel().tolist()
    elif isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from numbers(inner)
    elif is_dataclass(value):
        for each in fields(value):
            yield from numbers(getattr(value, each.name))


def unknown_at(rate: float) -> object:
    rng = np.random.default_rng(0)

    def truth(point: SurveyPoint) -> int | None:
        return None if rng.random() < rate else stripes(point)

    return truth


def pixel_size(lab: Lab, image_id: int, size: PixelSize) -> None:
    with writing(lab.sessions) as session:
        session.execute(update(ImageRow).where(ImageRow.id == image_id).values(pixel_size=size.to_dict()))


@pytest.mark.parametrize("plan", ["random", "stratified", "grid"])
@pytest.mark.parametrize("with_model", [False, True])
def test_the_interval_of_an_answered_survey_holds_the_true_share(bench: Bench, plan: str, with_model: bool) -> None:
    survey = bench.answer_all(bench.plan(n=6, n_per_image=20, plan=plan))
    if with_model:
        bench.predict(survey, THIRD)

    best = bench.report(survey).total.best

    assert best is not None
    assert best.method == ("corrected" if with_model else "from_answers")
    assert best.shares.sum() == pytest.approx(1)
    assert best.classes[1].low <= TRUE_SHARE <= best.classes[1].high
    assert 0 < best.classes[1].low < best.classes[1].share < best.classes[1].high < 1


def test_where_every_pixel_is_answered_the_share_is_that_of_the_mask_and_nothing_is_left_to_chance(lab: Lab) -> None:
    bench = Bench(lab, n_images=2)
    survey = bench.answer_all(bench.plan(n=2, n_per_image=AREA))

    report = bench.report(survey)

    best = report.total.best
    assert best is not None
    share = best.classes[1]
    assert share.share == pytest.approx(TRUE_SHARE)
    assert share.low == pytest.approx(share.high)
    assert math.isinf(share.effective_answers)
    assert report.total.posterior is None
    assert b"NaN" not in report_json(report)
    assert b"Infinity" not in report_json(report)
    assert b"nan" not in report_csv(report)


def test_strata_weigh_by_their_pixels_and_not_by_their_answers(bench: Bench) -> None:
    """In b everything is of class 1, in a nothing, and b has many more answers."""
    survey = bench.plan(n={"a": 2, "b": 4}, n_per_image=20)
    bench.answer_all(survey, lambda point: int(bench.strata[point.image_id] == "b"))

    report = bench.report(survey)

    assert report.total.best is not None
    assert report.total.best.classes[1].share == pytest.approx(0.5)
    naive = report.total.estimates["as_if_independent"].classes[1].share
    assert naive == pytest.approx(2 / 3)
    assert [cover.name for cover in report.strata] == ["a", "b"]
    assert [cover.best.classes[1].share for cover in report.strata if cover.best] == [0, 1]


@pytest.mark.parametrize("reading_as", READINGS)
def test_dont_know_is_left_out_or_a_class(bench: Bench, reading_as: Reading) -> None:
    survey = bench.answer_all(bench.plan(n=6, n_per_image=20), unknown_at(0.25))  # type: ignore[arg-type]

    report = bench.report(survey, reading_as)

    best = report.total.best
    assert best is not None
    assert best.shares.sum() == pytest.approx(1)
    n_unknown = report.total.n_unknown
    assert n_unknown == sum(cover.n_unknown for cover in report.images) > 10
    assert report.total.n_answers + n_unknown == 120
    if reading_as == "a class":
        assert [each.name for each in report.classes] == ["background", "cell", "don't know"]
        assert best.classes[2].share == pytest.approx(n_unknown / 120)
        assert best.n_answers == 120
    else:
        assert [each.name for each in report.classes] == ["background", "cell"]
        assert best.n_answers == 120 - n_unknown


@pytest.mark.parametrize("reading_as", READINGS)
def test_nothing_can_be_said_while_all_answers_are_dont_know(bench: Bench, reading_as: Reading) -> None:
    survey = bench.answer_all(bench.plan(), lambda _: None)

    report = bench.report(survey, reading_as)

    assert report.total.estimates == {}
    assert "don't know" in report.total.notes[0]
    assert (report.total.n_answers, report.total.n_unknown) == (0, 40)


def test_one_image_out_of_several_is_explained(bench: Bench) -> None:
    survey = bench.plan()
    first = bench.points(survey)[0].image_id
    given = [SurveyAnswer(p.id, stripes(p)) for p in bench.points(survey) if p.image_id == first]
    bench.answer(survey, *given)

    total = bench.report(survey).total

    assert "from_answers" not in total.estimates
    assert total.best is None
    assert "one image of the survey has answers, out of 8" in total.notes[0]
    assert total.posterior is None


def test_cover_of_all_strata_waits_for_answers_in_each(bench: Bench) -> None:
    survey = bench.plan(n={"a": 2, "b": 2})
    bench.answer(
        survey, *(SurveyAnswer(p.id, stripes(p)) for p in bench.points(survey) if bench.strata[p.image_id] == "a")
    )

    report = bench.report(survey)

    assert report.total.best is None
    assert "strata without enough answers: b" in report.total.notes[0]
    assert [cover.best is not None for cover in report.strata] == [True, False]
    assert "'b'" in report.strata[1].notes[0]
    assert set(stratum_answers(bench.lab, survey_id=survey.id)) == {"a"}


def test_a_class_that_is_removed_meanwhile_keeps_its_answers_and_its_name(bench: Bench) -> None:
    survey = bench.answer_all(bench.plan(n=6, n_per_image=10))
    before = bench.report(survey).total.best
    remove_class(bench.lab, project_id=bench.project_id, class_id=1)

    report = bench.report(survey)

    assert [each.name for each in report.classes] == ["background", "cell (removed)"]
    assert report.total.best == before


def test_a_class_that_was_removed_and_predicted_asks_for_predicting_again(bench: Bench) -> None:
    survey = bench.plan(n={"a": 3, "b": 3}, n_per_image=10)
    bench.answer_all(survey, lambda _: 0)
    bench.predict(survey)
    remove_class(bench.lab, project_id=bench.project_id, class_id=1)

    report = bench.report(survey)

    assert report.total.best is None
    assert all("classes" in cover.notes[0] for cover in report.strata)


def test_predictions_are_not_used_once_the_survey_has_points_without_them(bench: Bench) -> None:
    survey = bench.plan(n={"a": 2, "b": 2})
    bench.predict(survey)
    bench.answer_all(survey)
    assert "corrected" in bench.report(survey).total.estimates

    enlarge_survey(bench.lab, survey_id=survey.id, n_more={"a": 1})
    assert "corrected" in bench.report(survey).total.estimates  # nobody answered the new ones
    bench.answer_all(survey)

    total = bench.report(survey).total
    assert set(total.estimates) == {"as_if_independent", "from_answers"}
    assert total.predicted is None
    assert any("predict them again" in note for note in total.notes)


def test_the_bias_of_the_masks_is_what_they_show_too_much(bench: Bench) -> None:
    survey = bench.answer_all(bench.plan(n=8, n_per_image=40))
    bench.predict(survey, THIRD + 14)

    masks = bench.report(survey).total.predicted

    assert masks is not None
    assert masks[1].share == pytest.approx(TRUE_SHARE + 0.2)
    assert masks[1].bias == pytest.approx(0.2, abs=0.05)
    assert masks[1].bias_low <= 0.2 <= masks[1].bias_high


@pytest.mark.parametrize("prior", ["uniform", "jeffreys", 3.0])
def test_priors_move_the_posterior_and_no_estimate(bench: Bench, prior: str | float) -> None:
    usual, other = (bench.answer_all(bench.plan(name, prior=each)) for name, each in (("a", "jeffreys"), ("b", prior)))

    usual_total, total = bench.report(usual).total, bench.report(other).total

    assert total.best == usual_total.best
    assert total.posterior is not None
    pseudo_count = {"uniform": 1.0, "jeffreys": 0.5}.get(str(prior), prior)
    assert total.posterior.prior.tolist() == [pseudo_count] * 2
    assert bench.report(other).images[0].posterior.prior.tolist() == [pseudo_count] * 2


def test_images_count_by_their_ground_where_it_is_known_of_all(bench: Bench) -> None:
    survey = bench.plan(n=8, n_per_image=10)
    large = bench.images[0]
    bench.answer_all(survey, lambda point: int(point.image_id == large and point.col < THIRD))
    part = sum(bool(point.class_id) for point in bench.points(survey)) / 10
    by_pixels = bench.report(survey).total
    for image_id in bench.images:
        pixel_size(bench.lab, image_id, PixelSize(2.0 if image_id == large else 1.0, 1.0, "cm"))

    by_ground = bench.report(survey).total

    assert by_pixels.area_m2 is None
    assert by_pixels.best is not None
    assert by_ground.best is not None
    assert by_pixels.best.classes[1].share == pytest.approx(part / 8)
    assert by_ground.best.classes[1].share == pytest.approx(2 * part / 9)
    assert by_ground.area_m2 == pytest.approx(9 * AREA * 1e-4)
    header, _, line, *_ = report_csv(bench.report(survey)).decode().splitlines()
    row = dict(zip(header.split(","), line.split(","), strict=True))
    assert row["area_unit"] == "m²"
    assert float(row["area"]) == pytest.approx(2 * part * AREA * 1e-4, rel=1e-5)
    assert float(row["area_low"]) < float(row["area"]) < float(row["area_high"])


@pytest.mark.parametrize("side", [1e-3, 30.0])
def test_the_unit_of_pixel_sizes_changes_no_interval(bench: Bench, side: float) -> None:
    survey = bench.answer_all(bench.plan(n=8, n_per_image=10))
    before = bench.report(survey).total.best
    for image_id in bench.images:
        pixel_size(bench.lab, image_id, PixelSize(side, side, "m"))

    after = bench.report(survey).total.best

    assert before is not None
    assert after is not None
    assert [(each.low, each.high) for each in after.classes] == [
        (pytest.approx(each.low), pytest.approx(each.high)) for each in before.classes
    ]


def test_one_image_of_unknown_ground_leaves_pixels_to_count(bench: Bench) -> None:
    survey = bench.answer_all(bench.plan(n=8))
    for image_id in bench.images[:-1]:
        pixel_size(bench.lab, image_id, PixelSize(1.0, 1.0, "m"))
    pixel_size(bench.lab, bench.images[-1], PixelSize(1.0, 1.0, "degrees"))

    assert bench.report(survey).total.area_m2 is None


@pytest.mark.parametrize("reading_as", READINGS)
@pytest.mark.parametrize("share_answered", [0.0, 0.02, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("rate_unknown", [0.0, 0.5, 1.0])
def test_no_number_of_a_report_is_nan(
    bench: Bench, reading_as: Reading, share_answered: float, rate_unknown: float
) -> None:
    survey = bench.plan(n={"a": 3, "b": 2}, n_per_image=7)
    bench.predict(survey)
    rng = np.random.default_rng(7)
    truth = unknown_at(rate_unknown)
    for point in bench.points(survey):
        if rng.random() < share_answered:
            class_id = truth(point)  # type: ignore[operator]
            bench.answer(survey, SurveyAnswer(point.id, class_id, class_id is None))

    report = bench.report(survey, reading_as)

    assert not [value for value in numbers(report) if math.isnan(value)]
    for data in (report_csv(report), coralnet_csv(report), report_json(report)):
        assert b"nan" not in data.lower().replace(b"name", b"")
    covers: list[CoverReport] = [report.total, *report.strata]
    assert all(cover.best or cover.notes for cover in covers)


def test_images_with_answers_are_reported_in_import_order(bench: Bench) -> None:
    survey = bench.answer_all(bench.plan(n=6, n_per_image=9))

    covers = bench.report(survey).images

    ids = [cover.image.image_id for cover in covers]
    assert ids == sorted(ids)
    assert [(sum(cover.counts), cover.n_points) for cover in covers] == [(9, 9)] * 6


def test_a_survey_that_is_gone_has_no_report(lab: Lab) -> None:
    with pytest.raises(UnknownSurvey):
        report_of(lab, survey_id=1)
    with pytest.raises(UnknownSurvey):
        stratum_answers(lab, survey_id=1)


def test_without_strata_the_total_is_the_only_stratum(bench: Bench) -> None:
    report = bench.report(bench.answer_all(bench.plan()))

    assert [cover.name for cover in report.strata] == [WHOLE]
    assert report.total.best == report.strata[0].best
