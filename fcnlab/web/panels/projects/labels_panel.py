"""Labels of experts on the projects page: what was found, importing it, taking it away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from fcnlab.domain.project import Project
from fcnlab.errors import FcnlabError
from fcnlab.services.labels.expert_masks import counted_by_source, remove_source
from fcnlab.services.labels.label_import import (
    AUTO,
    MOST_WEIGHT,
    LabelRequest,
    SentFile,
    found_labels,
    label_formats,
    sent_labels,
)
from fcnlab.services.labels.label_names import ClassMatch
from fcnlab.services.labels.taking import images_to_take, take_masks
from fcnlab.web import session
from fcnlab.web.panels.projects import label_classes
from fcnlab.web.session import Engine

TYPES = ["zip", "json", "xml", "csv", "txt", "yaml", "yml", "png", "tif", "tiff", "bmp"]


@dataclass(frozen=True)
class Given:
    """Label files on offer: sent by the browser, or a path of the server."""

    files: tuple[SentFile, ...] = ()
    path: Path | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """Tells one offer from another."""
        return (str(self.path), *((file.name, len(file.getbuffer())) for file in self.files))

    @contextmanager
    def opened(self, engine: Engine) -> Iterator[tuple[Path, str, bool]]:
        """A path, what to call it, and whether it may lie anywhere."""
        if self.path is not None:
            yield self.path, self.path.name, False
            return
        with sent_labels(engine.lab, self.files) as (path, name):
            yield path, name, True


def draw(engine: Engine, project: Project) -> None:
    """A closed section with the files, the options, and the labels that are there."""
    with st.expander("Labels from other tools", icon=":material/draw:"):
        st.caption(
            "Masks, polygons and points from COCO, YOLO, Pascal VOC, Cityscapes, LabelMe, CVAT, Label Studio and "
            "RootPainter, mask images, CSV. They are matched to the images by name, become training points, and models "
            "are measured on them. Clicks are never changed."
        )
        given = _given(engine, project)
        if given is not None:
            _offer(engine, project, given)
        _report(project)
        _sources(engine, project)


def _given(engine: Engine, project: Project) -> Given | None:
    turn = session.peek("label_uploads", 0)  # another key empties the widget
    sent = st.file_uploader(
        "Label files, or a zip archive of them",
        type=TYPES,
        accept_multiple_files=True,
        key=f"labels-{project.id}-{turn}",
    )
    if sent:
        return Given(files=tuple(sent))
    roots = engine.lab.settings.import_roots
    if not roots:
        return None
    typed = st.text_input(
        "Or a file or folder of the server", key=f"labels-path-{project.id}-{turn}", placeholder=f"Below {roots[0]}"
    )
    return Given(path=Path(typed.strip())) if typed.strip() else None


def _offer(engine: Engine, project: Project, given: Given) -> None:
    """Options, what was found, and the button."""
    request = _request(project)
    try:
        total, words, notes, classes = _found(engine, project, given, request)
    except FcnlabError as failure:
        session.explained(failure)
        return
    images = "" if total is None else f", {total} {'image' if total == 1 else 'images'}"
    st.text(f"{words}{images}.")
    for line in notes:
        st.text(line)
    mapping = label_classes.draw(project, classes)
    if st.button("Import the labels", type="primary", icon=":material/download_done:", disabled=mapping is None):
        request = replace(request, mapping=mapping or {}, add_classes=True)
        _import(engine, project, given, request)
        session.remember("label_uploads", session.peek("label_uploads", 0) + 1)
        st.rerun()


def _request(project: Project) -> LabelRequest:
    titles = {AUTO: "Detect automatically", **label_formats()}
    left, right = st.columns(2)
    key = project.id
    as_format = left.selectbox("Format", list(titles), format_func=titles.__getitem__, key=f"labels-format-{key}")
    ground = next((label.name for label in project.classes if label.id == project.background), None)
    rests: dict[Literal["auto", "background", "unknown"], str] = {
        "auto": ground or "unknown, unless the file has a background",
        "unknown": "unknown",
    }
    if ground is None:
        rests["background"] = "a background class"
    rest = right.selectbox(
        "Unlabelled pixels are",
        list(rests),
        format_func=rests.__getitem__,
        help="Unknown pixels teach nothing.",
        key=f"labels-rest-{key}-{ground}",
    )
    count = left.number_input(
        "Points from each mask",
        0,
        10_000,
        None,
        step=10,
        placeholder="automatic",
        help="Empty: 100, and of many masks fewer, so that learning stays quick. 0: only to measure models on.",
        key=f"labels-n-{key}",
    )
    weight = right.number_input(
        "Weight of a point", 0.01, MOST_WEIGHT, 1.0, step=0.1, help="A click counts 1.", key=f"labels-weight-{key}"
    )
    return LabelRequest(
        as_format=as_format,
        points_per_image=None if count is None else int(count),
        weight=float(weight),
        rest=rest,
        labeller=session.current_view().labeller or "import",
    )


def _found(
    engine: Engine, project: Project, given: Given, request: LabelRequest
) -> tuple[int | None, str, tuple[str, ...], Sequence[ClassMatch]]:
    """(images, what it was taken for, notes, classes) of what is on offer; opened again only when that changes."""
    key = (project, given.key, request.as_format, request.rest)
    remembered = session.peek("labels_found")
    if remembered is not None and remembered[0] == key:
        offer: tuple[int | None, str, tuple[str, ...], Sequence[ClassMatch]] = remembered[1]
        return offer
    with (
        st.spinner("Looking into it"),
        given.opened(engine) as (path, name, anywhere),
        found_labels(
            engine.lab, path, project_id=project.id, request=request, name=name, allow_anywhere=anywhere
        ) as opened,
    ):
        offer = (opened.total, opened.words, opened.notes, opened.classes)
    session.remember("labels_found", (key, offer))
    return offer


def _import(engine: Engine, project: Project, given: Given, request: LabelRequest) -> None:
    bar = st.progress(0.0, "Reading")
    counts: Counter[str] = Counter()
    left_out: list[tuple[str, str]] = []
    share = ""
    try:
        with (
            given.opened(engine) as (path, name, anywhere),
            found_labels(
                engine.lab, path, project_id=project.id, request=request, name=name, allow_anywhere=anywhere
            ) as labels,
        ):
            left_out += [(skipped.name, skipped.reason) for skipped in labels.left_out]
            for step in labels.steps:
                count = step.total or step.done
                bar.progress(
                    min(1.0, step.done / count), f"{step.done} of {count}: {session.escape_markdown(step.name)}"
                )
                counts[step.outcome.value] += 1
                counts["points"] += step.n_points
                left_out += [(step.name, step.reason)] if step.reason else []
                left_out += [
                    (f"class {class_name}", "left out; its pixels are unknown") for class_name in step.left_out_classes
                ]
                left_out += [(step.name, line) for line in step.notes]
                counts["noted"] += len(step.notes)
            share = labels.share().words
    except FcnlabError as failure:
        left_out.append(("The rest", str(failure)))
    engine.jobs.changed(project.id)
    session.remember("labels_imported", (project.id, dict(counts), left_out, share))


def _report(project: Project) -> None:
    """What the last import did."""
    report = session.peek("labels_imported")
    if report is None or report[0] != project.id:
        return
    counts: dict[str, Any] = report[1]
    left_out: list[tuple[str, str]] = report[2]
    stored = counts.get("stored", 0)
    words = f"{stored} {'image' if stored == 1 else 'images'} labelled, {counts.get('points', 0)} points"
    words += f", {counts['replaced']} replaced" if counts.get("replaced") else ""
    words += f", {counts['known']} there already" if counts.get("known") else ""
    n_noted = counts.get("noted", 0)
    words += f", {len(left_out) - n_noted} left out" if len(left_out) > n_noted else ""
    if n_noted:
        words += ", 1 mark not read as it was made" if n_noted == 1 else f", {n_noted} marks not read as they were made"
    words += f". {report[3]}." if report[3] else ""
    if not left_out:
        st.success(words, icon=":material/check_circle:")
        return
    st.warning(words, icon=":material/warning:")
    with st.container(height=160):
        for name, reason in left_out:
            st.text(f"{name}: {reason}")


def _sources(engine: Engine, project: Project) -> None:
    """Where the labels came from, each with a button that takes them away; and the one that uses their masks."""
    for index, (source, count, n_points) in enumerate(counted_by_source(engine.lab, project_id=project.id)):
        with st.container(horizontal=True, vertical_alignment="center"):
            as_format, _, name = source.partition(":")
            title = label_formats().get(as_format, as_format)
            st.text(f"{name} ({title}): {count} {'image' if count == 1 else 'images'}, {n_points} points")
            st.space("stretch")
            if st.button("Remove", key=f"labels-remove-{project.id}-{index}", icon=":material/undo:"):
                try:
                    remove_source(engine.lab, project_id=project.id, source=source)
                except FcnlabError as failure:
                    session.explained(failure)
                    return
                engine.jobs.changed(project.id)
                st.rerun()
    waiting = images_to_take(engine.lab, project_id=project.id)
    if waiting and st.button("Use the masks as they are", icon=":material/done_all:", key=f"labels-take-{project.id}"):
        _take(engine, project, len(waiting))


@st.dialog("Use imported masks")
def _take(engine: Engine, project: Project, count: int) -> None:
    """Ask, then make the imported masks those of their images."""
    images = "1 image that is not done becomes" if count == 1 else f"{count} images that are not done become"
    st.write(
        f"{images} done, with the imported mask as it is. It lies over what was clicked "
        "and painted there; pixels that the import left unknown get what is predicted. "
        "To look first, open an image on the Label page and choose **Imported** above the image. To take a mask back, "
        "reopen its image there and remove all points and strokes of it."
    )
    if not st.button("Use them and mark done", type="primary"):
        return
    refused: list[tuple[str, str]] = []
    bar = st.progress(0.0, "Starting")
    labeller = session.current_view().labeller or "import"
    for step in take_masks(engine.lab, project_id=project.id, labeller=labeller):
        bar.progress(step.done / step.total, f"{step.done} of {step.total}: {session.escape_markdown(step.name)}")
        refused += [(step.name, step.refused)] if step.refused is not None else []
    engine.jobs.changed(project.id)
    if not refused:
        st.rerun()
    for name, reason in refused:
        st.text(f"{name}: {reason}")
