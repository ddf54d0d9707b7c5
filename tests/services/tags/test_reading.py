"""What is said of images: by people who answered, and by labels; what contradicts is shown and nothing changed."""

from __future__ import annotations

import pytest

from fcnlab.domain.counting import Task
from fcnlab.domain.events import EventKind
from fcnlab.errors import UnknownImage
from fcnlab.lab import Lab
from fcnlab.services.labels.expert_masks import remove_source
from fcnlab.services.tags.reading import TagReader, tags_of
from tests.support.tabs import Tab, new_project
from tests.support.tag_bench import CELL, GROUND, N, TagBench, Y


@pytest.fixture
def bench(any_lab: Lab) -> TagBench:
    return TagBench(any_lab)


def test_without_labels_and_answers_all_is_unknown(bench: TagBench) -> None:
    assert (bench.tags().values == -1).all()
    assert bench.state(0, CELL).source is None


def test_a_point_says_yes_and_of_other_classes_nothing(bench: TagBench) -> None:
    bench.tab(1).add(3, 4, CELL)

    assert (bench.state(1, CELL).answer, bench.state(1, CELL).source) == (Y, "from points")
    assert bench.state(1, GROUND).answer is None
    assert bench.state(0, CELL).answer is None


def test_the_newest_point_of_a_pixel_counts_alone(bench: TagBench) -> None:
    tab = bench.tab(0)
    tab.add(3, 4, CELL)
    tab.add(3, 4, GROUND)

    assert bench.state(0, CELL).answer is None
    assert bench.state(0, GROUND).answer is Y

    tab.do(EventKind.UNDO)

    assert bench.state(0, CELL).answer is Y


def test_a_stroke_says_yes_until_nothing_of_it_is_to_be_seen(bench: TagBench) -> None:
    tab = bench.tab(0)
    tab.brush(3, 4, 6, 5, CELL)
    assert (bench.state(0, CELL).answer, bench.state(0, CELL).source) == (Y, "from strokes")

    tab.brush(3, 4, 6, 4, GROUND)
    assert bench.state(0, CELL).answer is Y, "a column of it is left"

    tab.brush(0, 8, 20, 1, None)
    assert bench.state(0, CELL).answer is None
    assert bench.state(0, GROUND).answer is Y


def test_a_click_over_the_last_pixel_of_a_stroke_hides_it(bench: TagBench) -> None:
    reader = TagReader(bench.lab, project_id=bench.project_id)
    tab = bench.tab(0)
    tab.brush(3, 4, 1, 1, CELL)
    assert reader.read().state(bench.images[0], CELL).answer is Y

    tab.add(3, 4, GROUND)

    assert reader.read().state(bench.images[0], CELL).answer is None


def test_a_mask_that_knows_every_pixel_says_no_too(bench: TagBench) -> None:
    bench.mask(0)
    bench.mask(1, cell=False)
    bench.mask(2, cell=False, unknown=True)

    said = [(bench.state(number, CELL).answer, bench.state(number, CELL).source) for number in range(3)]

    assert said == [(Y, "from mask"), (N, "from mask"), (None, None)]
    assert bench.state(2, GROUND).answer is Y


def test_a_mask_that_was_taken_away_says_nothing_any_more(bench: TagBench) -> None:
    reader = TagReader(bench.lab, project_id=bench.project_id)
    bench.mask(0)
    assert reader.read().state(bench.images[0], CELL).answer is Y

    remove_source(bench.lab, project_id=bench.project_id, source="masks.zip")

    assert reader.read().state(bench.images[0], CELL).answer is None


def test_of_a_removed_class_nothing_is_known_in_a_mask_that_has_it(bench: TagBench) -> None:
    tab = bench.tab(0)
    tab.do(EventKind.CLASS_ADD, name="dust", colour="#123456")
    bench.mask(0)

    assert bench.state(0, 2).answer is N
    tab.do(EventKind.CLASS_REMOVE, class_id=CELL)

    assert bench.state(0, 2).answer is None, "a pixel that was a cell may be dust"


def test_an_answer_stays_whatever_labels_say_and_the_contradiction_is_shown(bench: TagBench) -> None:
    bench.say({(0, CELL): N, (1, CELL): Y, (2, CELL): Y})
    bench.tab(0).add(3, 4, CELL)
    bench.mask(1, cell=False)
    bench.mask(2)

    tags = bench.tags()

    assert tags.contradictions() == ((bench.images[0], CELL), (bench.images[1], CELL))
    state = tags.state(bench.images[0], CELL)
    assert state.is_contradicted
    assert (state.answer, state.source, state.labelled, state.labelled_by) == (N, "answered", Y, "from points")
    assert not tags.state(bench.images[2], CELL).is_contradicted
    row, column = tags.row_of[bench.images[0]], tags.column_of[CELL]
    assert tags.teaching[row, column] == -1, "a contradiction teaches nothing"
    assert tags.counts()[CELL].to_dict() == {"yes": 2, "no": 1, "unknown": 1, "answered": 3, "contradicted": 2}

    bench.say({(0, CELL): None})

    assert bench.state(0, CELL).source == "from points"


def test_an_image_all_objects_of_which_are_marked_contains_no_other(any_lab: Lab) -> None:
    project_id, images = new_project(any_lab, task=Task.COUNTS)
    tab = Tab(any_lab, project_id=project_id, image_id=images[0])
    tab.do(EventKind.COMPLETE, complete=True)

    tags = tags_of(any_lab, project_id=project_id)

    assert (tags.state(images[0], CELL).answer, tags.state(images[0], CELL).source) == (N, "from points")
    assert tags.state(images[0], GROUND).answer is None, "nobody marks the background"
    assert tags.state(images[1], CELL).answer is None


def test_a_reader_tells_the_same_as_one_that_reads_for_the_first_time(bench: TagBench) -> None:
    reader = TagReader(bench.lab, project_id=bench.project_id)
    tab = bench.tab(0)
    steps = [
        lambda: tab.add(3, 4, CELL),
        lambda: bench.say({(1, CELL): Y}),
        lambda: tab.brush(3, 4, 6, 5, GROUND),
        lambda: bench.mask(2),
        lambda: tab.do(EventKind.CLEAR),
        lambda: tab.do(EventKind.CLASS_ADD, name="dust", colour="#123456"),
        lambda: tab.do(EventKind.CLASS_REMOVE, class_id=CELL),
    ]
    for step in steps:
        step()
        remembered, anew = reader.read(), bench.tags()
        assert (remembered.values == anew.values).all()
        assert remembered.labels == anew.labels
        assert reader.read() is remembered, "nothing changed since"


def test_an_image_of_another_project_has_no_tags_here(bench: TagBench) -> None:
    with pytest.raises(UnknownImage):
        bench.tags().state(999, CELL)
