"""The masks of a comparison, side by side."""

from __future__ import annotations

from base64 import b64encode
from html import escape

import streamlit as st

from fcnlab.domain.project import Project
from fcnlab.services.comparing.comparisons import ComparisonStatus
from fcnlab.services.comparing.model_difference import Gallery, galleries
from fcnlab.web import session
from fcnlab.web.panels.projects.dashboard import legend
from fcnlab.web.session import Engine

STYLE = (
    "<style>.fcnlab-masks{display:grid;grid-template-columns:repeat(auto-fill,minmax(145px,1fr));gap:.6rem}"
    ".fcnlab-masks figure{margin:0}.fcnlab-masks img{width:100%;display:block;border-radius:.3rem}"
    ".fcnlab-masks figcaption{font-size:.8rem;padding:.15rem 0 .3rem;line-height:1.25}</style>"
)


def draw_masks(engine: Engine, project: Project, status: ComparisonStatus) -> None:
    """Draw each image beside the masks of all participants."""
    shown = galleries(engine.lab, status)
    if not shown:
        return
    st.markdown("**Masks side by side**")
    st.html(legend([(label.name, label.colour) for label in project.objects]))
    for gallery in shown:
        where = "validation image" if gallery.is_held_out else "learned from"
        st.caption(f"{session.escape_markdown(gallery.image.name)}, {where}")
        st.html(STYLE + _grid(project, gallery))


def _grid(project: Project, gallery: Gallery) -> str:
    figures = []
    for tile in gallery.tiles:
        data = session.mask_tile(
            str(gallery.picture), "" if tile.mask is None else str(tile.mask), project.classes, project.background
        )
        source = f"data:image/jpeg;base64,{b64encode(data).decode()}"
        title = escape(tile.title)
        figures.append(f'<figure><img src="{source}" alt="{title}"><figcaption>{title}</figcaption></figure>')
    return f'<div class="fcnlab-masks">{"".join(figures)}</div>'
