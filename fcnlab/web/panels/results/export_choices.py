"""What people choose on the export page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from fcnlab.domain.export import (
    DEFAULT_FORMATS,
    EMBEDDED,
    LOCAL_FILES,
    MOST_BORDER,
    ExportSpec,
    SplitBy,
    SplitSpec,
)
from fcnlab.domain.project import Project
from fcnlab.errors import ExportFailed
from fcnlab.services.export.formats import Format, Need, formats_from
from fcnlab.services.export.plan import ExportSummary
from fcnlab.web import session

KEEP_TOGETHER: dict[SplitBy, str] = {
    "look": "Images that look alike",
    "folder": "Images of one folder",
    "image": "Nothing",
}


def choices(summary: ExportSummary, project: Project) -> ExportSpec | None:
    """What to export; None while something is missing or impossible, which is said."""
    st.subheader("What to export", anchor=False)
    formats = _formats()
    st.subheader("Images to include", anchor=False)
    done_only = st.toggle(
        "Only images marked done",
        disabled=summary.n_done == 0,
        help="Images that are not done get a mask predicted from all points of the project.",
    )
    done_only = done_only and summary.n_done > 0
    if summary.n_done == 0:
        st.caption("No image is marked done yet, so all masks are predicted.")
    with_points = st.toggle("Only images with points", help="Images that nobody clicked stay out.")
    st.markdown(_in_words(summary, done_only=done_only))
    if with_points:
        st.caption("Of these, images without points stay out.")
    regions = _regions(formats, project)
    prefix = LOCAL_FILES
    if any("image_prefix" in each.options for each in formats):
        prefix = st.text_input(
            "Image addresses for Label Studio begin with",
            LOCAL_FILES,
            help="As it stands, images are written beside the tasks, and Label Studio serves the folder. Or the "
            f"address of a web server, or the word {EMBEDDED}: images are part of the tasks then.",
        )
    try:
        split = _split()
        if not formats:
            st.caption("Choose at least one format.")
            return None
        return ExportSpec(
            tuple(each.name for each in formats),
            done_only=done_only,
            with_points=with_points,
            split=split,
            image_prefix=prefix,
            **regions,
        )
    except ExportFailed as failure:
        session.explained(failure)
        return None


def _formats() -> tuple[Format, ...]:
    declared = {each.name: each for each in formats_from()}
    chosen: set[str] = set()
    for group in dict.fromkeys(each.group for each in declared.values()):
        options = [key for key, each in declared.items() if each.group == group]
        chosen |= set(
            st.pills(
                group,
                options,
                selection_mode="multi",
                default=[key for key in options if key in DEFAULT_FORMATS],
                format_func=lambda key: declared[key].title,
                key=f"formats-{group}",
            )
        )
    formats = tuple(each for each in declared.values() if each.name in chosen)
    st.caption("  \n".join(f"**{each.title}**: {each.description}" for each in formats))
    return formats


def _regions(formats: tuple[Format, ...], project: Project) -> dict[str, Any]:
    """Fields of the spec about classes and regions."""
    with st.expander("Classes and regions", icon=":material/category:"):
        objects = project.objects
        nothing = "unlabelled (255)" if project.background is None else "background"
        names = {label.id: label.name for label in objects}
        kept = st.multiselect(
            "Classes",
            list(names),
            default=list(names),
            format_func=lambda class_id: names[class_id],
            help=f"The others become {nothing}.",
            key=f"classes-{project.id}-{len(names)}",
        )
        instances = any(Need.PARTS in each.needs for each in formats)
        if any(Need.REGIONS in each.needs for each in formats) and not instances:
            kinds = ("One per class", "One per connected part")
            kind = st.segmented_control(
                "Regions", kinds, default=kinds[0], required=True, help="For shapes and measurements."
            )
            instances = kind == kinds[1]
        min_area = st.number_input(
            "Minimum region size (px)", 0, value=0, help=f"Smaller connected parts become {nothing}."
        )
        fill_holes = st.toggle(
            "Fill holes",
            disabled=project.background is None,
            help="Background that a part of a class encloses becomes of that class; without a background there "
            "is nothing to fill.",
        )
        border = 0
        if any("border" in each.options for each in formats):
            border = st.number_input(
                "Border of Pascal VOC masks, in pixels",
                0,
                MOST_BORDER,
                value=0,
                help="So many pixels on either side of every edge are 255: not to be counted.",
            )
    if objects and not kept:
        return {"class_ids": ()}
    return {
        "class_ids": None if len(kept) == len(objects) else tuple(kept),
        "instances": instances,
        "min_area": int(min_area),
        "fill_holes": fill_holes,
        "border": int(border),
    }


def _split() -> SplitSpec | None:
    if not st.toggle("Split into train, val and test", help="For training elsewhere."):
        return None
    left, middle, right = st.columns(3)
    val = left.number_input("Val, %", 0, 100, value=20)
    test = middle.number_input("Test, %", 0, 100 - int(val), value=min(10, 100 - int(val)))
    seed = right.number_input("Seed", 0, value=0, help="Another seed makes another split.")
    by = st.selectbox("Keep together", list(KEEP_TOGETHER), format_func=lambda choice: KEEP_TOGETHER[choice])
    shares = (100 - int(val) - int(test)) / 100, int(val) / 100, int(test) / 100
    st.caption(f"{shares[0]:.0%} train, {shares[1]:.0%} val, {shares[2]:.0%} test, to whole groups of images.")
    return SplitSpec(shares, seed=int(seed), by=by)


def _in_words(summary: ExportSummary, *, done_only: bool) -> str:
    n_predicted = 0 if done_only or not summary.can_predict else summary.n_predicted
    parts = []
    if summary.n_done:
        parts.append(f"**{summary.n_done}** kept {_plural(summary.n_done, 'mask')} of done images")
    if n_predicted:
        parts.append(f"**{n_predicted}** predicted {_plural(n_predicted, 'mask')}")
    skipped = summary.n_images - summary.n_done - n_predicted
    words = " and ".join(parts)
    stays = "1 image stays out" if skipped == 1 else f"{skipped} images stay out"
    return f"{words}; {stays}." if skipped else f"{words}."


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"
