"""Answers about classes in whole images: stored, taken back, and undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fcnlab.domain.tags import TagAnswer, TagChange
from fcnlab.errors import Deleted, InvalidTag, UnknownImage, UnknownProject
from fcnlab.lab import Lab
from fcnlab.storage.database import repository_projects
from fcnlab.storage.database.engine import writing
from fcnlab.storage.database.tags import repository as repository_tags
from fcnlab.validation import clean_name

GONE = "this project was deleted: choose another one"
NO_IMAGE = "the image was deleted"
NO_CLASS = "the class was removed"


@dataclass(frozen=True, slots=True)
class TagsSet:
    """What changes did: `before` are the answers of each tag that was another one, so that setting them undoes it."""

    before: tuple[TagChange, ...]

    @property
    def n_changed(self) -> int:
        """How many tags are other ones now."""
        return len(self.before)


@dataclass(frozen=True, slots=True)
class NumberedChange:
    """A change with its number in the log of a browser tab."""

    seq: int
    change: TagChange


@dataclass(frozen=True, slots=True)
class RefusedChange:
    """A change that was not stored, and why."""

    change: TagChange
    reason: str


@dataclass(frozen=True, slots=True)
class StoredChanges:
    """What became of a log: changes up to number `acknowledged` of the tab are stored or refused.

    `before` as in TagsSet.
    """

    acknowledged: int
    refused: tuple[RefusedChange, ...]
    before: tuple[TagChange, ...]


def set_tags(lab: Lab, changes: Sequence[TagChange], *, project_id: int, labeller: str) -> TagsSet:
    """Store answers, all or none; of several about one tag the last counts. They may come twice.

    Who answered last is stored, also where the answer is what it was.

    Raises:
        UnknownProject: no such project.
        UnknownImage: an image is none of the project's.
        InvalidTag: a class is none that the project uses.
        InvalidName: a name of the labeller that cannot be shown.
    """
    who = clean_name(labeller)
    with writing(lab.sessions) as session:
        class_ids = repository_projects.project(session, project_id=project_id).class_ids()
        there = repository_tags.images_among(
            session, project_id=project_id, image_ids=[change.image_id for change in changes]
        )
        for change in changes:
            if change.image_id not in there:
                raise UnknownImage(f"there is no image {change.image_id} in this project; it may have been deleted")
            if change.class_id not in class_ids:
                raise InvalidTag(f"there is no class {change.class_id} in this project; it may have been removed")
        return TagsSet(
            repository_tags.record_tags(session, project_id=project_id, changes=changes, labeller=who, now=lab.clock())
        )


def set_tag(
    lab: Lab, *, project_id: int, image_id: int, class_id: int, answer: TagAnswer | None, labeller: str
) -> TagsSet:
    """As `set_tags`, for one of them."""
    return set_tags(lab, [TagChange(image_id, class_id, answer)], project_id=project_id, labeller=labeller)


def store_tags(
    lab: Lab, log: Sequence[NumberedChange], *, client_id: str, project_id: int, labeller: str
) -> StoredChanges:
    """Store the changes of a browser tab that are new, and tell those that cannot be: it would send them for ever.

    Changes up to the last acknowledged one are passed over, so that a log may come twice, and late.

    Raises:
        Deleted: the project is gone. Nothing was stored.
        InvalidName: a name of the labeller that cannot be shown. Nothing was stored.
    """
    who = clean_name(labeller)
    try:
        with writing(lab.sessions) as session:
            class_ids = repository_projects.project(session, project_id=project_id).class_ids()
            last = repository_tags.acknowledged(session, project_id=project_id, client_id=client_id)
            fresh = [numbered.change for numbered in log if numbered.seq > last]
            image_ids = [change.image_id for change in fresh]
            there = repository_tags.images_among(session, project_id=project_id, image_ids=image_ids)
            refused = [
                RefusedChange(change, NO_CLASS if change.image_id in there else NO_IMAGE)
                for change in fresh
                if change.image_id not in there or change.class_id not in class_ids
            ]
            left_out = {refusal.change for refusal in refused}
            kept = [change for change in fresh if change not in left_out]
            before = repository_tags.record_tags(
                session, project_id=project_id, changes=kept, labeller=who, now=lab.clock()
            )
            last = max([last, *(numbered.seq for numbered in log)])
            repository_tags.acknowledge(session, project_id=project_id, client_id=client_id, seq=last)
    except UnknownProject as failure:
        raise Deleted(GONE) from failure
    return StoredChanges(last, tuple(refused), before)
