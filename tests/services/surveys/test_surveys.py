"""Planning a survey, answering it, closing it, and letting its answers teach."""

from __future__ import annotations

import pytest

from fcnlab.domain.counting import Task
from fcnlab.domain.events import PointSource
from fcnlab.domain.images import ImageState
from fcnlab.domain.survey import WHOLE, SurveyAnswer, SurveyPoint, SurveySpec
from fcnlab.errors import FcnlabError, InvalidName, InvalidSurvey, UnknownProject, UnknownSurvey
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import points_of_image, points_of_project, set_image_state
from fcnlab.services.projects.projects import delete_project, images, project, remove_class
from fcnlab.services.surveys.surveys import (
    close_survey,
    delete_survey,
    enlarge_survey,
    find_survey,
    plan_survey,
    reopen_survey,
    strata_by,
    survey_images,
    survey_points,
    surveys,
    teach,
)
from tests.support.survey_bench import Bench, stripes
from tests.support.tabs import HEIGHT, WIDTH, new_project

Pixel = tuple[int, int, int]


def pixels(points: tuple[SurveyPoint, ...]) -> list[Pixel]:
    return [(point.image_id, point.row, point.col) for point in points]


@pytest.fixture
def bench(any_lab: Lab) -> Bench:
    return Bench(any_lab)


@pytest.fixture
def small(lab: Lab) -> Bench:
    """The same on SQLite alone, for what no database changes."""
    return Bench(lab)


@pytest.mark.parametrize("plan", ["random", "stratified", "grid"])
def test_the_same_seed_asks_about_the_same_points(small: Bench, plan: str) -> None:
    first, again, other = (small.plan(name, plan=plan, seed=seed) for name, seed in (("a", 5), ("b", 5), ("c", 6)))

    assert pixels(small.points(first)) == pixels(small.points(again))
    assert pixels(small.points(first)) != pixels(small.points(other))


def test_points_are_different_pixels_inside_their_images(bench: Bench) -> None:
    survey = bench.plan(n=8, n_per_image=50)

    points = pixels(bench.points(survey))

    assert len(set(points)) == len(points) == survey.n_points == 400
    assert all(0 <= row < HEIGHT and 0 <= col < WIDTH for _, row, col in points)
    assert max(col for _, _, col in points) >= HEIGHT  # rows and columns are not swapped


def test_strata_are_asked_by_turns_so_that_a_survey_that_ends_early_is_a_smaller_one(small: Bench) -> None:
    survey = small.plan(n={"a": 3, "b": 2}, n_per_image=4)

    turns = list(dict.fromkeys(point.image_id for point in small.points(survey)))

    assert "".join(small.strata[image_id] for image_id in turns) == "ababa"


def test_a_stratum_with_too_few_images_gives_all_it_has(small: Bench) -> None:
    survey = small.plan(n={"a": 100, "b": 1}, n_per_image=2)

    asked = {point.image_id for point in small.points(survey)}

    assert sorted(small.strata[image_id] for image_id in asked) == ["a"] * 4 + ["b"]
    assert len(survey_images(small.lab, survey_id=survey.id)) == 8


def test_enlarging_keeps_the_points_and_answers_there_are(bench: Bench) -> None:
    survey = bench.answer_all(bench.plan(n={"a": 1, "b": 1}))
    before = bench.points(survey)

    larger = enlarge_survey(bench.lab, survey_id=survey.id, n_more={"a": 2})

    after = bench.points(survey)
    assert after[: len(before)] == before
    assert (larger.n_points, larger.n_answered) == (40, 20)
    assert {bench.strata[point.image_id] for point in after[len(before) :]} == {"a"}
    assert larger.spec.n_images == {"a": 3, "b": 1}


def test_a_survey_enlarged_in_steps_is_the_one_that_was_large_at_once(small: Bench) -> None:
    grown = small.plan("grown", n=2)
    for _ in range(3):
        enlarge_survey(small.lab, survey_id=grown.id, n_more={WHOLE: 2})
    at_once = small.plan("at once", n=8)

    assert pixels(small.points(grown)) == pixels(small.points(at_once))
    with pytest.raises(InvalidSurvey, match="all of these images already"):
        enlarge_survey(small.lab, survey_id=grown.id, n_more={WHOLE: 1})


@pytest.mark.parametrize(("n_more", "reason"), [({"c": 1}, "no stratum 'c'"), ({"a": -1, "b": 3}, "0 or more")])
def test_a_survey_grows_by_images_of_its_strata(small: Bench, n_more: dict[str, int], reason: str) -> None:
    survey = small.plan(n={"a": 2, "b": 2})

    with pytest.raises(InvalidSurvey, match=reason):
        enlarge_survey(small.lab, survey_id=survey.id, n_more=n_more)

    assert find_survey(small.lab, "cover", project_id=small.project_id) == survey


def test_strata_are_folders_or_what_a_pattern_finds(small: Bench) -> None:
    infos = images(small.lab, project_id=small.project_id)

    assert set(strata_by(infos, "").values()) == {WHOLE}
    assert set(strata_by(infos, "folder").values()) == {"."}
    assert list(strata_by(infos, r"\d(?=\.png)").values()) == list("01234567")
    assert list(strata_by(infos, r"([02])\.(p)").values()) == ["0 p", "other", "2 p", *["other"] * 5]
    with pytest.raises(InvalidSurvey, match="no pattern"):
        strata_by(infos, "(")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"n": 0},
        {"n": {"a": -1, "b": 2}},
        {"n": {"c": 1}},
        {"n_per_image": 0},
        {"n_per_image": HEIGHT * WIDTH + 1},
        {"n_per_image": 200_000},
        {"plan": "anyhow"},
        {"level": float("nan")},
        {"level": 1.0},
        {"prior": "none"},
        {"prior": float("nan")},
        {"prior": 0.0},
        {"prior": 1e308},
    ],
)
def test_what_cannot_be_asked_is_refused_and_nothing_is_stored(small: Bench, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidSurvey):
        small.plan(**wrong)  # type: ignore[arg-type]

    assert surveys(small.lab, project_id=small.project_id) == ()


def test_a_name_is_cleaned_and_taken_once(bench: Bench) -> None:
    survey = bench.plan("  reef   flat ")

    assert survey.spec.name == "reef flat"
    with pytest.raises(InvalidSurvey, match="already"):
        bench.plan("reef flat ")
    with pytest.raises(InvalidName):
        bench.plan("a\0b")


def test_a_survey_is_found_by_its_name_before_its_number(small: Bench) -> None:
    first = small.plan("2")
    second = small.plan("1")

    assert find_survey(small.lab, "2", project_id=small.project_id) == first
    assert find_survey(small.lab, "1", project_id=small.project_id) == second
    assert find_survey(small.lab, f"#{first.id}", project_id=small.project_id) == first
    with pytest.raises(UnknownSurvey, match="it has '1', '2'"):
        find_survey(small.lab, "3", project_id=small.project_id)


def test_a_project_without_images_is_not_surveyed(lab: Lab) -> None:
    project_id, _ = new_project(lab, n_images=0)
    spec = SurveySpec("cover", {WHOLE: 1})

    with pytest.raises(InvalidSurvey, match="import some"):
        plan_survey(lab, project_id=project_id, spec=spec, labeller="ann")
    with pytest.raises(UnknownProject):
        plan_survey(lab, project_id=77, spec=spec, labeller="ann")


def test_answers_given_twice_are_given_once_and_the_last_counts(bench: Bench) -> None:
    survey = bench.plan()
    point = bench.points(survey)[3]

    bench.answer(survey, SurveyAnswer(point.id, 1), SurveyAnswer(point.id, 0))
    once = bench.points(survey)[3]
    bench.answer(survey, SurveyAnswer(point.id, 0))
    again = bench.answer(survey, SurveyAnswer(point.id, is_unknown=True), who="bob")

    assert (once.class_id, once.labeller) == (0, "ann")
    last = bench.points(survey)[3]
    assert (last.class_id, last.is_unknown, last.labeller) == (None, True, "bob")
    assert (again.n_answered, again.n_unknown) == (1, 1)


def test_an_answer_taken_back_leaves_the_point_as_it_was(bench: Bench) -> None:
    survey = bench.plan()
    before = bench.points(survey)

    bench.answer_all(survey)
    bench.answer(survey, *(SurveyAnswer(point.id) for point in before))

    assert bench.points(survey) == before


@pytest.mark.parametrize(
    "bad",
    [
        SurveyAnswer(10**12, 1),
        SurveyAnswer(-1, 1),
        SurveyAnswer(4711, 1),
        SurveyAnswer(1, 9),
        SurveyAnswer(1, 1, is_unknown=True),
    ],
)
def test_answers_are_stored_all_or_none(bench: Bench, bad: SurveyAnswer) -> None:
    survey = bench.plan()
    before = bench.points(survey)

    with pytest.raises(InvalidSurvey):
        bench.answer(survey, SurveyAnswer(before[1].id, 1), bad)

    assert bench.points(survey) == before


def test_answers_of_another_project_are_refused(small: Bench) -> None:
    survey, other = small.plan(), Bench(small.lab, name="other")

    with pytest.raises(UnknownSurvey):
        other.answer(survey, SurveyAnswer(small.points(survey)[0].id, 1))


def test_a_closed_survey_takes_no_answers_until_it_is_reopened(bench: Bench) -> None:
    survey = bench.plan()
    answer = SurveyAnswer(bench.points(survey)[0].id, 1)
    closed = close_survey(bench.lab, survey_id=survey.id)

    with pytest.raises(InvalidSurvey, match="closed"):
        bench.answer(survey, answer)
    with pytest.raises(InvalidSurvey, match="closed"):
        enlarge_survey(bench.lab, survey_id=survey.id, n_more={WHOLE: 1})

    assert not closed.is_open
    assert close_survey(bench.lab, survey_id=survey.id) == closed
    assert reopen_survey(bench.lab, survey_id=survey.id).is_open
    assert bench.answer(survey, answer).n_answered == 1


def test_answers_teach_once_with_their_labeller_as_pixels_drawn_at_random(bench: Bench) -> None:
    survey = bench.plan(n=8, n_per_image=5)
    points = bench.points(survey)
    bench.answer(survey, *(SurveyAnswer(point.id, stripes(point)) for point in points[:20]), who="ann")
    bench.answer(survey, *(SurveyAnswer(point.id, stripes(point)) for point in points[20:30]), who="bob")
    bench.answer(survey, *(SurveyAnswer(point.id, is_unknown=True) for point in points[30:35]))
    with pytest.raises(InvalidSurvey, match="close survey"):
        teach(bench.lab, survey_id=survey.id)
    close_survey(bench.lab, survey_id=survey.id)

    n = teach(bench.lab, survey_id=survey.id)

    taught = points_of_project(bench.lab, project_id=bench.project_id)
    assert n == len(taught) == 30
    assert {point.source for point in taught} == {PointSource.RANDOM_QUERY}
    assert sorted(point.labeller for point in taught) == ["ann"] * 20 + ["bob"] * 10
    assert {(each.image_id, each.point.row, each.point.col) for each in taught} == set(pixels(points[:30]))
    with pytest.raises(InvalidSurvey, match="teach already"):
        teach(bench.lab, survey_id=survey.id)
    with pytest.raises(InvalidSurvey, match="teach already"):
        reopen_survey(bench.lab, survey_id=survey.id)
    assert len(points_of_project(bench.lab, project_id=bench.project_id)) == 30


def test_done_images_and_removed_classes_learn_nothing(bench: Bench) -> None:
    survey = bench.answer_all(bench.plan(n=8, n_per_image=6))
    set_image_state(bench.lab, image_id=bench.images[0], state=ImageState.DONE, labeller="ann")
    remove_class(bench.lab, project_id=bench.project_id, class_id=1)
    close_survey(bench.lab, survey_id=survey.id)
    expected = [p for p in bench.points(survey) if p.image_id != bench.images[0] and p.class_id == 0]

    n = teach(bench.lab, survey_id=survey.id)

    assert n == len(expected) > 0
    assert points_of_image(bench.lab, image_id=bench.images[0]) == ()
    assert len(points_of_project(bench.lab, project_id=bench.project_id)) == n


def test_answers_are_no_objects_of_a_project_that_counts(lab: Lab) -> None:
    bench = Bench(lab)
    bench.project_id, bench.images = new_project(lab, name="counting", task=Task.COUNTS)
    survey = bench.answer_all(bench.plan(n=2))
    close_survey(lab, survey_id=survey.id)

    with pytest.raises(InvalidSurvey, match="counts"):
        teach(lab, survey_id=survey.id)

    assert points_of_project(lab, project_id=bench.project_id) == ()


def test_a_survey_is_deleted_alone_and_what_it_taught_stays(bench: Bench) -> None:
    survey, other = bench.answer_all(bench.plan()), bench.plan("other")
    close_survey(bench.lab, survey_id=survey.id)
    n = teach(bench.lab, survey_id=survey.id)

    delete_survey(bench.lab, survey_id=survey.id)

    assert surveys(bench.lab, project_id=bench.project_id) == (other,)
    assert len(bench.points(other)) == 40
    assert len(points_of_project(bench.lab, project_id=bench.project_id)) == n
    calls = (survey_points, survey_images, close_survey, reopen_survey, delete_survey, teach)
    for call in calls:
        with pytest.raises(UnknownSurvey):
            call(bench.lab, survey_id=survey.id)  # type: ignore[operator]


def test_the_number_of_a_deleted_survey_is_never_given_again(bench: Bench) -> None:
    survey = bench.plan()
    delete_survey(bench.lab, survey_id=survey.id)

    assert bench.plan().id > survey.id


def test_a_deleted_project_takes_its_surveys_along(bench: Bench) -> None:
    survey, other = bench.answer_all(bench.plan()), Bench(bench.lab, name="other")
    kept = other.plan()

    delete_project(bench.lab, project_id=bench.project_id)

    with pytest.raises(UnknownSurvey):
        bench.points(survey)
    assert len(other.points(kept)) == 40
    with pytest.raises(FcnlabError):
        project(bench.lab, project_id=bench.project_id)
