"""Answers about classes in whole images: stored, taken back, and undone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from fcnlab.domain.project import ClassLabel
from fcnlab.domain.tags import ImageTag, TagAnswer, TagChange
from fcnlab.errors import Deleted, InvalidTag, UnknownImage, UnknownProject
from fcnlab.lab import Lab
from fcnlab.storage.database import repository_projects
from fcnlab.storage.database.engine import writing
from fcnlab.storage.database.tags import repository as repository_tags
from fcnlab.validation import clean_name

GONE = "this project was deleted: choose another one"
NO_IMAGE = "the image was deleted"
NO_CLASS = "the class was removed"
CHANGED = "answers changed since they were looked at: look at them again; nothing was stored"


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
    """A change with its number in the log of a browser tab.

    Attributes:
        is_conditional: the change is meant for a tag whose answer is `before`, and is refused where it is another one.
        before: the answer that the tab showed; None: there was none.
    """

    seq: int
    change: TagChange
    is_conditional: bool = False
    before: TagAnswer | None = None


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


def set_tags(
    lab: Lab,
    changes: Sequence[TagChange],
    *,
    project_id: int,
    labeller: str,
    expected: Collection[TagChange] | None = None,
) -> TagsSet:
    """Store answers, all or none; of several about one tag the last counts. They may come twice.

    Who answered last is stored, also where the answer is what it was.

    Args:
        lab: the installation.
        changes: the answers.
        project_id: whose images and classes they are about.
        labeller: who answers.
        expected: what `TagsSet.before` must be: the answers that somebody looked at before; None: whatever they are.

    Raises:
        UnknownProject: no such project.
        UnknownImage: an image is none of the project's.
        InvalidTag: a class is none that the project uses, or answers are other ones than expected.
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
        before = repository_tags.record_tags(
            session, project_id=project_id, changes=changes, labeller=who, now=lab.clock()
        )
        if expected is not None and set(before) != set(expected):
            raise InvalidTag(CHANGED)
        return TagsSet(before)


def store_tags(
    lab: Lab, log: Sequence[NumberedChange], *, client_id: str, project_id: int, labeller: str
) -> StoredChanges:
    """Store the changes of a browser tab that are new, and tell those that cannot be: it would send them for ever.

    Changes up to the last acknowledged one are passed over, so that a log may come twice, and late. A change for an
    answer that is another one by now is refused, see `NumberedChange`.

    Raises:
        Deleted: the project is gone. Nothing was stored.
        InvalidName: a name of the labeller that cannot be shown. Nothing was stored.
    """
    who = clean_name(labeller)
    try:
        with writing(lab.sessions) as session:
            project = repository_projects.project(session, project_id=project_id)
            last = repository_tags.acknowledged(session, project_id=project_id, client_id=client_id)
            fresh = [numbered for numbered in log if numbered.seq > last]
            image_ids = [numbered.change.image_id for numbered in fresh]
            there = repository_tags.images_among(session, project_id=project_id, image_ids=image_ids)
            sought = [numbered.change.image_id for numbered in fresh if numbered.is_conditional]
            stored = repository_tags.tags(session, project_id=project_id, image_ids=sorted(there & set(sought)))
            kept, refused = _sorted_out(fresh, project.classes, there, stored, who)
            before = repository_tags.record_tags(
                session, project_id=project_id, changes=kept, labeller=who, now=lab.clock()
            )
            last = max([last, *(numbered.seq for numbered in log)])
            repository_tags.acknowledge(session, project_id=project_id, client_id=client_id, seq=last)
    except UnknownProject as failure:
        raise Deleted(GONE) from failure
    return StoredChanges(last, tuple(refused), before)


def _sorted_out(
    fresh: Sequence[NumberedChange],
    classes: Sequence[ClassLabel],
    there: Collection[int],
    stored: Iterable[ImageTag],
    labeller: str,
) -> tuple[list[TagChange], list[RefusedChange]]:
    """The changes that can be stored, and the others: each is judged by what those before it make of its tag.

    What follows a refused change and builds on it, to take it back for example, is refused with it.
    """
    names = {label.id: label.name for label in classes}
    said = {(tag.image_id, tag.class_id): (tag.answer, tag.labeller) for tag in stored}
    kept, refused = [], []
    overtaken: dict[tuple[int, int], TagAnswer | None] = {}  # what refused changes would have left
    for numbered in fresh:
        change = numbered.change
        tag = change.image_id, change.class_id
        answer, by = said.get(tag, (None, ""))
        if change.image_id not in there:
            refused.append(RefusedChange(change, NO_IMAGE))
        elif change.class_id not in names:
            refused.append(RefusedChange(change, NO_CLASS))
        elif numbered.is_conditional and (
            answer is not numbered.before or (tag in overtaken and overtaken[tag] is numbered.before)
        ):
            overtaken[tag] = change.answer
            refused.append(RefusedChange(change, _meanwhile(names[change.class_id], answer, by)))
        else:
            kept.append(change)
            overtaken.pop(tag, None)
            said.pop(tag, None)
            if change.answer is not None:
                said[tag] = change.answer, labeller
    return kept, refused


def _meanwhile(class_name: str, answer: TagAnswer | None, labeller: str) -> str:
    """Why a change is refused whose tag has another answer than the tab showed."""
    if answer is None:
        return f"the answer about {class_name!r} was taken back meanwhile: nobody says whether it is there"
    is_there = "is there" if answer is TagAnswer.YES else "is not there"
    return f"another answer was given meanwhile: {class_name!r} {is_there}, says {labeller}"
