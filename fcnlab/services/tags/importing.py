"""Tags from a table: looked through first, then stored all or none; answers that are there stay unless it is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fcnlab.core.tagging.from_labels import UNKNOWN
from fcnlab.domain.project import ClassLabel
from fcnlab.domain.tags import TagAnswer, TagChange
from fcnlab.errors import InvalidTag
from fcnlab.lab import Lab
from fcnlab.services.tags.answering import CHANGED, set_tags
from fcnlab.services.tags.reading import ANSWERS, CODES, ProjectTags, tags_of
from fcnlab.storage.formats.tables.table import TableLine
from fcnlab.storage.formats.tags.tag_table import IMAGE, WORDS, class_heading, read_tags_csv

MOST_TOLD = 10
"""Lines of a kind in one message."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A tag that a table gives another answer than is stored, or than labels in the image give.

    `labeller`: who answered; empty where it is labels that say so.
    """

    line: int
    image: str
    class_name: str
    stored: TagAnswer
    wanted: TagAnswer
    labeller: str = ""

    def in_words(self) -> str:
        """A line for people."""
        by = f"{self.labeller} answered" if self.labeller else "labels in the image say"
        return f"line {self.line}: {self.image}, {self.class_name}: {by} {self.stored}, the table says {self.wanted}"


@dataclass(frozen=True, slots=True)
class TagImportPlan:
    """What importing a table would do.

    Attributes:
        changes: answers that are new or other ones.
        before: what is stored of the same tags, in this order.
        n_new, n_same: of the answers of the table, how many are about tags nobody answered, and how many are stored.
        n_empty: cells that say nothing.
        contradicting: answers that would take the place of other ones.
        against_labels: answers that would contradict labels in the image; those stay, and the contradiction is shown.
        problems: why the table cannot be imported, by line.
    """

    changes: tuple[TagChange, ...]
    before: tuple[TagChange, ...]
    n_new: int
    n_same: int
    n_empty: int
    contradicting: tuple[Disagreement, ...]
    against_labels: tuple[Disagreement, ...]
    problems: tuple[str, ...]


def plan_import(lab: Lab, file: Path, *, project_id: int) -> TagImportPlan:
    """Look through a table of tags; nothing is stored.

    Args:
        lab: the installation.
        file: CSV with a column `image` and one for each class; see `storage.formats.tags.tag_table`.
        project_id: whose images and classes it names.

    Raises:
        UnknownProject: no such project.
        InvalidTag: the file cannot be read as a table at all.
    """
    tags = tags_of(lab, project_id=project_id)
    headings, lines = read_tags_csv(file)
    problems: list[str] = []
    classes = _classes_of(headings, tags, problems)
    image_ids = _ids_by_name(tags)
    seen: dict[int, int] = {}
    plan = _Plan(tags)
    for line in lines:
        name = line.values[IMAGE].strip()
        image_id = image_ids.get(name)
        if image_id is None:
            problems.append(
                f"line {line.line}: the project has no image {name!r}, or several: write its name as in the project"
            )
            continue
        if image_id in seen:
            problems.append(f"line {line.line}: image {name!r} stands on line {seen[image_id]} already")
            continue
        seen[image_id] = line.line
        for heading, label in classes.items():
            _take_cell(plan, line, heading, label, image_id, problems)
    return TagImportPlan(
        tuple(plan.changes),
        tuple(plan.before),
        plan.n_new,
        plan.n_same,
        plan.n_empty,
        tuple(plan.contradicting),
        tuple(plan.against_labels),
        tuple(problems),
    )


def import_tags(
    lab: Lab,
    file: Path,
    *,
    project_id: int,
    labeller: str,
    overwrite: bool = False,
    shown: TagImportPlan | None = None,
) -> TagImportPlan:
    """Store the answers of a table, all or none; empty cells leave a tag as it is. What was done.

    Args:
        lab: the installation.
        file: as `plan_import`.
        project_id: whose tags they are.
        labeller: whose answers they are; those that are stored already keep theirs.
        overwrite: an answer of the table takes the place of another one that is stored.
        shown: the plan that somebody agreed to; the import is refused where it would change something else.

    Raises:
        UnknownProject: no such project.
        InvalidTag: lines are wrong, and the message names them, answers would be overwritten, or they are other ones
            than when they were looked at. Nothing was stored.
    """
    plan = plan_import(lab, file, project_id=project_id)
    if plan.problems:
        raise InvalidTag(f"{file}: {told(plan.problems)}; nothing was stored")
    if shown is not None and (plan.changes, plan.before) != (shown.changes, shown.before):
        raise InvalidTag(CHANGED)
    if plan.contradicting and not overwrite:
        lines = [each.in_words() for each in plan.contradicting]
        raise InvalidTag(
            f"{file}: {told(lines)}; nothing was stored: import with overwriting to take the answers of the table"
        )
    set_tags(lab, plan.changes, project_id=project_id, labeller=labeller, expected=plan.before)
    return plan


def told(lines: Sequence[str]) -> str:
    """The first MOST_TOLD lines, and how many more there are."""
    more = f"; and {len(lines) - MOST_TOLD} more" if len(lines) > MOST_TOLD else ""
    return "; ".join(lines[:MOST_TOLD]) + more


class _Plan:
    """What a table says, cell by cell, against what is stored."""

    def __init__(self, tags: ProjectTags) -> None:
        self._tags = tags
        self.changes: list[TagChange] = []
        self.before: list[TagChange] = []
        self.n_new = self.n_same = self.n_empty = 0
        self.contradicting: list[Disagreement] = []
        self.against_labels: list[Disagreement] = []

    def take(self, image_id: int, label: ClassLabel, answer: TagAnswer, *, line: int) -> None:
        """An answer of the table."""
        place = self._tags.row_of[image_id], self._tags.column_of[label.id]
        name, said = self._tags.images[place[0]].name, self._tags.state(image_id, label.id)
        if said.labelled is not None and said.labelled is not answer:
            self.against_labels.append(Disagreement(line, name, label.name, said.labelled, answer))
        stored = int(self._tags.answered[place])
        if stored == CODES[answer]:
            self.n_same += 1
            return
        self.changes.append(TagChange(image_id, label.id, answer))
        self.before.append(TagChange(image_id, label.id, ANSWERS[stored]))
        if stored == UNKNOWN:
            self.n_new += 1
        else:
            assert said.answer is not None
            self.contradicting.append(Disagreement(line, name, label.name, said.answer, answer, said.labeller))


def _ids_by_name(tags: ProjectTags) -> dict[str, int]:
    """The image of each name, and of each file name that only one image has; a name that is nearly one is none."""
    by_file: dict[str, list[int]] = {}
    for image in tags.images:
        by_file.setdefault(PurePosixPath(image.name).name, []).append(image.id)
    unique = {name: image_ids[0] for name, image_ids in by_file.items() if len(image_ids) == 1}
    return unique | {image.name: image.id for image in tags.images}


def _classes_of(headings: Sequence[str], tags: ProjectTags, problems: list[str]) -> dict[str, ClassLabel]:
    """The class of each column that has one; what is wrong with others is added to the problems."""
    by_name = {label.name: label for label in tags.classes}
    classes: dict[str, ClassLabel] = {}
    for heading in headings:
        try:
            name = class_heading(heading, list(by_name))
        except InvalidTag as refusal:
            problems.append(f"line 1: {refusal}")
            continue
        if name is None:
            continue
        label = by_name[name]
        if label in classes.values():
            problems.append(f"line 1: two columns are of class {label.name!r}")
        classes[heading] = label
    if not classes and not problems:
        problems.append("line 1: no column is of a class of the project")
    return classes


def _take_cell(
    plan: _Plan, line: TableLine, heading: str, label: ClassLabel, image_id: int, problems: list[str]
) -> None:
    word = line.values[heading].strip()
    if not word:
        plan.n_empty += 1
    elif word.casefold() in WORDS:
        plan.take(image_id, label, WORDS[word.casefold()], line=line.line)
    else:
        problems.append(
            f"line {line.line}: {word!r} says nothing of class {label.name!r}: write yes or no (1 or 0), or leave it "
            "empty"
        )
