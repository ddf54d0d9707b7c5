"""Answers about whole images: stored once, by whoever answered last, and taken back."""

from __future__ import annotations

import pytest

from fcnlab.domain.tags import TagAnswer, TagChange
from fcnlab.errors import Deleted, InvalidName, InvalidTag, UnknownImage, UnknownProject
from fcnlab.lab import Lab
from fcnlab.services.projects import projects
from fcnlab.services.tags.answering import NumberedChange, set_tags, store_tags
from tests.support.tag_bench import CELL, GROUND, N, TagBench, Y


@pytest.fixture
def bench(any_lab: Lab) -> TagBench:
    return TagBench(any_lab)


def log(bench: TagBench, *numbered: tuple[int, int, TagAnswer | None]) -> list[NumberedChange]:
    return [NumberedChange(seq, TagChange(bench.images[number], CELL, given)) for seq, number, given in numbered]


def test_whoever_answered_last_is_stored(bench: TagBench) -> None:
    bench.say({(0, CELL): Y}, who="ann")
    bench.say({(0, CELL): Y}, who="bob")

    state = bench.state(0, CELL)

    assert (state.answer, state.source, state.labeller) == (Y, "answered", "bob")
    assert state.answered_at is not None


def test_setting_what_was_before_undoes_changes(bench: TagBench) -> None:
    bench.say({(0, CELL): Y, (1, CELL): N})
    before = bench.tags().answered.copy()

    done = bench.say({(0, CELL): N, (1, CELL): None, (2, GROUND): Y})
    assert done.n_changed == 3
    set_tags(bench.lab, done.before, project_id=bench.project_id, labeller="ann")

    assert (bench.tags().answered == before).all()


def test_the_last_of_several_answers_to_one_tag_counts(bench: TagBench) -> None:
    image_id = bench.images[0]
    changes = [TagChange(image_id, CELL, given) for given in (Y, None, N)]

    assert set_tags(bench.lab, changes, project_id=bench.project_id, labeller="ann").n_changed == 1
    assert bench.state(0, CELL).answer is N


def test_nothing_is_stored_where_one_change_cannot_be(bench: TagBench) -> None:
    strange = TagBench(bench.lab, name="others")
    good = TagChange(bench.images[0], CELL, Y)

    for wrong, error in (
        (TagChange(strange.images[0], CELL, Y), UnknownImage),
        (TagChange(2**40, CELL, Y), UnknownImage),
        (TagChange(bench.images[0], 7, Y), InvalidTag),
    ):
        with pytest.raises(error):
            set_tags(bench.lab, [good, wrong], project_id=bench.project_id, labeller="ann")
    with pytest.raises(InvalidName):
        set_tags(bench.lab, [good], project_id=bench.project_id, labeller=" ")
    with pytest.raises(UnknownProject):
        set_tags(bench.lab, [good], project_id=999, labeller="ann")

    assert bench.state(0, CELL).answer is None


def test_a_log_that_comes_twice_and_late_is_stored_once(bench: TagBench) -> None:
    def send(*numbered: tuple[int, int, TagAnswer | None]) -> int:
        stored = store_tags(
            bench.lab, log(bench, *numbered), client_id="tab", project_id=bench.project_id, labeller="ann"
        )
        return stored.acknowledged

    assert send((1, 0, Y), (2, 1, N)) == 2
    bench.say({(0, CELL): N}, who="bob")

    assert send((1, 0, Y), (2, 1, N)) == 2
    assert bench.state(0, CELL).answer is N, "bob came later"
    assert send((2, 1, N), (3, 1, None)) == 3
    assert bench.state(1, CELL).answer is None
    other = store_tags(
        bench.lab, log(bench, (1, 2, Y)), client_id="other tab", project_id=bench.project_id, labeller="bob"
    )
    assert other.acknowledged == 1
    assert bench.state(2, CELL).answer is Y


def test_what_a_tab_cannot_store_is_told_and_the_rest_is_stored(bench: TagBench) -> None:
    gone = NumberedChange(2, TagChange(999, CELL, Y))
    removed = NumberedChange(3, TagChange(bench.images[0], 9, Y))

    stored = store_tags(
        bench.lab,
        [*log(bench, (1, 0, Y)), gone, removed],
        client_id="tab",
        project_id=bench.project_id,
        labeller="ann",
    )

    assert stored.acknowledged == 3
    assert [(refusal.change, refusal.reason.split()[1]) for refusal in stored.refused] == [
        (gone.change, "image"),
        (removed.change, "class"),
    ]
    assert bench.state(0, CELL).answer is Y


def test_a_tab_of_a_deleted_project_is_told_so(bench: TagBench) -> None:
    changes = log(bench, (1, 0, Y))
    projects.delete_project(bench.lab, project_id=bench.project_id)

    with pytest.raises(Deleted):
        store_tags(bench.lab, changes, client_id="tab", project_id=bench.project_id, labeller="ann")


def test_a_change_for_an_answer_that_is_another_one_by_now_is_refused_and_the_rest_is_stored(bench: TagBench) -> None:
    def change(seq: int, number: int, given: TagAnswer | None, before: TagAnswer | None) -> NumberedChange:
        return NumberedChange(seq, TagChange(bench.images[number], CELL, given), True, before)

    bench.say({(0, CELL): N, (2, CELL): Y}, who="bob")
    refused = [change(1, 0, Y, None), change(2, 0, None, Y), change(3, 1, N, Y)]
    stored = store_tags(
        bench.lab,
        [*refused, change(4, 1, Y, None), change(5, 1, None, Y), change(6, 1, Y, None), change(7, 2, N, Y)],
        client_id="tab",
        project_id=bench.project_id,
        labeller="ann",
    )

    assert stored.acknowledged == 7
    assert [refusal.change for refusal in stored.refused] == [numbered.change for numbered in refused]
    assert "'cell' is not there, says bob" in stored.refused[0].reason
    assert "taken back" in stored.refused[2].reason
    assert [(bench.state(n, CELL).answer, bench.state(n, CELL).labeller) for n in range(3)] == [
        (N, "bob"),
        (Y, "ann"),
        (N, "ann"),
    ]


def test_taking_back_what_was_refused_does_not_take_back_the_same_answer_of_somebody_else(bench: TagBench) -> None:
    bench.say({(0, CELL): Y}, who="bob")
    accepted = NumberedChange(1, TagChange(bench.images[0], CELL, Y), True, None)
    undone = NumberedChange(2, TagChange(bench.images[0], CELL, None), True, Y)

    stored = store_tags(bench.lab, [accepted, undone], client_id="tab", project_id=bench.project_id, labeller="ann")

    assert len(stored.refused) == 2
    assert (bench.state(0, CELL).answer, bench.state(0, CELL).labeller) == (Y, "bob")


def test_a_change_without_a_condition_takes_the_place_of_any_answer(bench: TagBench) -> None:
    bench.say({(0, CELL): N}, who="bob")

    stored = store_tags(bench.lab, log(bench, (1, 0, Y)), client_id="tab", project_id=bench.project_id, labeller="ann")

    assert stored.refused == ()
    assert bench.state(0, CELL).answer is Y
