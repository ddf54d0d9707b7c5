"""Tags in the database: they go with their image, stay with their class, and raise a revision."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from fcnlab.domain.images import Recipe
from fcnlab.domain.tags import TagAnswer, TagChange
from fcnlab.storage.database import repository_images, repository_projects
from fcnlab.storage.database.engine import Sessions, reading, writing
from fcnlab.storage.database.tags import repository as repository_tags
from tests.support.tables import NOW, make_project

CELL = 5
Y, N = TagAnswer.YES, TagAnswer.NO


@pytest.fixture
def images(sessions: Sessions, project_id: int) -> list[int]:
    with writing(sessions) as session:
        added = [
            repository_images.add_image(
                session,
                project_id=project_id,
                name=f"{number}.png",
                content_hash=f"{number:064x}",
                image_hw=(9, 7),
                dtype="uint8",
                channels=3,
                turned=False,
                recipe=Recipe(),
                pixel_size=None,
                position=number,
                now=NOW,
            ).id
            for number in range(3)
        ]
    return added


def record(sessions: Sessions, project_id: int, *changes: TagChange) -> tuple[TagChange, ...]:
    with writing(sessions) as session:
        return repository_tags.record_tags(session, project_id=project_id, changes=changes, labeller="ann", now=NOW)


def answers(sessions: Sessions, project_id: int) -> dict[tuple[int, int], TagAnswer]:
    with reading(sessions) as session:
        stored = repository_tags.tags(session, project_id=project_id)
    return {(tag.image_id, tag.class_id): tag.answer for tag in stored}


def revision(sessions: Sessions, project_id: int) -> tuple[int, int]:
    with reading(sessions) as session:
        return repository_tags.tag_revision(session, project_id=project_id)


def test_a_tag_has_one_answer_and_what_it_was_before_is_told(
    sessions: Sessions, project_id: int, images: list[int]
) -> None:
    first, second, _ = images

    assert record(sessions, project_id, TagChange(first, CELL, Y), TagChange(second, 0, N)) == (
        TagChange(first, CELL, None),
        TagChange(second, 0, None),
    )
    assert record(sessions, project_id, TagChange(first, CELL, N), TagChange(second, 0, N)) == (
        TagChange(first, CELL, Y),
    )
    assert answers(sessions, project_id) == {(first, CELL): N, (second, 0): N}

    record(sessions, project_id, TagChange(first, CELL, None))

    assert answers(sessions, project_id) == {(second, 0): N}


def test_a_class_that_is_removed_and_brought_back_has_its_tags_again(
    sessions: Sessions, project_id: int, images: list[int]
) -> None:
    record(sessions, project_id, TagChange(images[0], CELL, Y), TagChange(images[1], 0, N))
    with writing(sessions) as session:
        repository_projects.remove_class(session, project_id=project_id, class_id=CELL, now=NOW)

    assert answers(sessions, project_id) == {(images[1], 0): N}

    with writing(sessions) as session:
        session.execute(text("UPDATE classes SET removed_at = NULL"))

    assert answers(sessions, project_id) == {(images[0], CELL): Y, (images[1], 0): N}


def test_tags_go_with_their_image(sessions: Sessions, project_id: int, images: list[int]) -> None:
    record(sessions, project_id, *(TagChange(image_id, CELL, Y) for image_id in images))

    with writing(sessions) as session:
        session.execute(text("DELETE FROM images WHERE id = :id"), {"id": images[1]})

    assert answers(sessions, project_id) == {(images[0], CELL): Y, (images[2], CELL): Y}


def test_tags_go_with_their_project_and_those_of_others_stay(
    sessions: Sessions, project_id: int, images: list[int]
) -> None:
    other = make_project(sessions, "other")
    record(sessions, project_id, *(TagChange(image_id, CELL, Y) for image_id in images))
    with writing(sessions) as session:
        repository_tags.acknowledge(session, project_id=project_id, client_id="tab", seq=4)
        repository_tags.acknowledge(session, project_id=other, client_id="tab", seq=7)
        repository_projects.begin_deletion(session, project_id=project_id, now=NOW)
        while repository_projects.delete_some(session, project_id=project_id, count=2):
            pass

    with reading(sessions) as session:
        assert session.execute(text("SELECT count(*) FROM image_tags")).scalar_one() == 0
        assert session.execute(text("SELECT project_id, seq FROM tag_tabs")).all() == [(other, 7)]


def test_the_revision_of_tags_rises_with_every_write_of_them_and_with_nothing_else(
    sessions: Sessions, project_id: int, images: list[int]
) -> None:
    seen = [revision(sessions, project_id)]
    for answer in (Y, N, None):
        record(sessions, project_id, TagChange(images[0], CELL, answer))
        seen.append(revision(sessions, project_id))

    assert [of_tags for _, of_tags in seen] == sorted({of_tags for _, of_tags in seen})
    assert len({of_points for of_points, _ in seen}) == 1, "nothing is learned anew from points"

    with writing(sessions) as session:
        repository_projects.rename_project(session, project_id=project_id, name="renamed")
    assert revision(sessions, project_id) == seen[-1]


def test_what_the_same_labeller_answered_already_is_not_written_again(
    sessions: Sessions, project_id: int, images: list[int]
) -> None:
    record(sessions, project_id, *(TagChange(image_id, CELL, Y) for image_id in images))
    then = revision(sessions, project_id)

    assert record(sessions, project_id, TagChange(images[0], CELL, Y), TagChange(images[0], 0, None)) == ()
    assert revision(sessions, project_id) == then

    with writing(sessions) as session:
        changed = repository_tags.record_tags(
            session,
            project_id=project_id,
            changes=[
                TagChange(images[0], CELL, Y),
                TagChange(images[1], CELL, N),
                TagChange(images[2], CELL, None),
                TagChange(images[2], 0, N),
            ],
            labeller="bob",
            now=NOW,
        )
        stored = repository_tags.tags(session, project_id=project_id)
    assert changed == (TagChange(images[1], CELL, Y), TagChange(images[2], CELL, Y), TagChange(images[2], 0, None))
    assert {(tag.image_id, tag.class_id, tag.answer, tag.labeller) for tag in stored} == {
        (images[0], CELL, Y, "bob"),
        (images[1], CELL, N, "bob"),
        (images[2], 0, N, "bob"),
    }
    assert revision(sessions, project_id) > then


def test_the_image_of_a_tag_that_changed_is_known_by_its_revision(
    sessions: Sessions, project_id: int, images: list[int]
) -> None:
    def changed_since(then: int) -> list[int]:
        with reading(sessions) as session:
            listed = repository_tags.taggable_images(session, project_id=project_id)
        return [image.id for image in listed if image.revision > then]

    record(sessions, project_id, *(TagChange(image_id, CELL, Y) for image_id in images))
    _, then = revision(sessions, project_id)
    assert changed_since(then) == []
    assert changed_since(0) == images

    record(sessions, project_id, TagChange(images[1], CELL, None))

    assert changed_since(then) == [images[1]]


def test_a_tag_is_yes_or_no_of_a_class_and_an_image_that_there_are(
    sessions: Sessions, project_id: int, images: list[int]
) -> None:
    insert = text(
        "INSERT INTO image_tags (image_id, class_id, project_id, answer, labeller, answered_at) "
        "VALUES (:image, :class, :project, :answer, 'ann', '2026-01-02 03:04:05')"
    )
    good = {"image": images[0], "class": CELL, "project": project_id, "answer": "yes"}

    for wrong in ({"answer": "perhaps"}, {"class": 3}, {"image": 999}):
        with pytest.raises(Exception, match=r"(?i)constraint"), writing(sessions) as session:
            session.execute(insert, {**good, **wrong})

    assert answers(sessions, project_id) == {}


def test_more_tags_than_a_statement_takes_are_stored_at_once(
    sessions: Sessions, project_id: int, images: list[int]
) -> None:
    strange = range(1, 33_000)

    with reading(sessions) as session:
        assert repository_tags.images_among(session, project_id=project_id, image_ids=strange) == set(images)
