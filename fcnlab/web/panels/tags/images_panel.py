"""Images chosen by their tags: a grid of them, those that most probably contain the class first."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import urlencode

import streamlit as st

from fcnlab.domain.project import Project
from fcnlab.domain.tags import LIKELY, TagChoice, TagFilter
from fcnlab.services.tags.choosing import images_with
from fcnlab.services.tags.jobs import TagsAtWork
from fcnlab.web import session
from fcnlab.web.session import Engine, escape_markdown

CHOICES: dict[TagChoice, str] = {
    "yes": "Yes",
    "no": "No",
    "unknown": "Unknown",
    "predicted": "Predicted",
    "likely": "Yes or predicted",
}
CHOICE_HELP = (
    "Yes and no: what people said of the image, or labels in it say. Predicted: nobody said anything, and the class is "
    "suggested."
)
ON_A_PAGE = 60

STYLE = """<style>
.fcnlab-found { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px; }
.fcnlab-found a { display: block; color: inherit; text-decoration: none; border-radius: 6px; }
.fcnlab-found img {
  display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: cover; border-radius: 6px; background: #8883;
}
.fcnlab-found a:hover img, .fcnlab-found a:focus-visible img { outline: 2px solid currentColor; outline-offset: 2px; }
.fcnlab-found span { display: flex; gap: 8px; justify-content: space-between; font-size: 0.8rem; padding-top: 3px; }
.fcnlab-found b { flex: none; font-weight: 600; font-variant-numeric: tabular-nums; }
.fcnlab-found i { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-style: normal; }
</style>"""
CELL = """<a href="{href}" title="{title}"><img src="/fcnlab/{key}/thumb/{id}" alt="" loading="lazy">
<span><i>{name}</i><b>{share}</b></span></a>"""


def draw(_engine: Engine, project: Project, at_work: TagsAtWork) -> None:
    """The choice and what passes it."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        by_id = {label.id: label.name for label in project.classes}
        class_id: int = st.selectbox("Class", list(by_id), format_func=by_id.__getitem__, width=220)
        wanted: TagChoice = st.segmented_control(
            "Is in the image",
            list(CHOICES),
            default="yes",
            required=True,
            format_func=CHOICES.__getitem__,
            help=CHOICE_HELP,
        )
        threshold = LIKELY
        if wanted in ("predicted", "likely"):
            threshold = st.slider("Probability from", 0.05, 0.95, LIKELY, 0.05, width=200)
        not_done = st.toggle("Not done", help="Leave out images that somebody marked done on the Label page.")
    if wanted in ("predicted", "likely") and class_id not in at_work.suggestions.class_ids:
        st.info(_nothing_predicted(at_work, class_id, by_id[class_id]), icon=":material/info:")
        if wanted == "predicted":
            return
        wanted = "yes"
    chosen = by_probability(
        images_with(
            at_work.tags,
            [TagFilter(class_id, wanted, threshold)],
            suggestions=at_work.suggestions,
            not_done=not_done,
        ),
        at_work,
        class_id,
    )
    _grid(project, at_work, chosen, class_id)


def by_probability(image_ids: Sequence[int], at_work: TagsAtWork, class_id: int) -> list[int]:
    """Those that most probably contain the class first; those of which nothing is suggested last, in import order."""
    shares = {image_id: at_work.suggestions.probability(image_id, class_id) for image_id in image_ids}
    return sorted(image_ids, key=lambda image_id: -(shares[image_id] or 0.0))


def _nothing_predicted(at_work: TagsAtWork, class_id: int, name: str) -> str:
    if at_work.done < at_work.total:
        return "Suggestions come while images are looked at."
    counts = at_work.tags.counts()[class_id]
    kinds = [words for n, words in ((counts.yes, "one image with it"), (counts.no, "one image without it")) if not n]
    words = f"Nothing can be predicted of **{escape_markdown(name)}** yet"
    return f"{words}: answer for {' and '.join(kinds)}." if kinds else f"{words}: it is being learned."


def _grid(project: Project, at_work: TagsAtWork, chosen: Sequence[int], class_id: int) -> None:
    total = len(at_work.tags.images)
    if not chosen:
        st.caption(f"None of {total:,} images passes this choice.")
        return
    n_pages = -(-len(chosen) // ON_A_PAGE)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{len(chosen):,}** of {total:,} images. A click opens one on the **Label** page.", width="content"
        )
        page = 1
        if n_pages > 1:
            page = int(st.number_input(f"Page (of {n_pages:,})", 1, n_pages, 1, width=140))
    shown = chosen[(page - 1) * ON_A_PAGE : page * ON_A_PAGE]
    names = {image.id: image.name for image in at_work.tags.images}
    cells = [_cell(project, image_id, names[image_id], at_work, class_id) for image_id in shown]
    st.html(f'{STYLE}<div class="fcnlab-found">{"".join(cells)}</div>')


def _cell(project: Project, image_id: int, name: str, at_work: TagsAtWork, class_id: int) -> str:
    probability = at_work.suggestions.probability(image_id, class_id)
    address = {"project": project.id, "image": image_id, "labeller": session.labeller() or ""}
    return CELL.format(
        href=escape("./?" + urlencode({name: value for name, value in address.items() if value})),
        title=escape(name),
        key=project.key,
        id=image_id,
        name=escape(name),
        share="" if probability is None else f"{100 * probability:.0f} %",
    )
