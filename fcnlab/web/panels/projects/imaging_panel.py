"""The form that chooses channels and contrast of a project, with a picture that follows at once."""

from __future__ import annotations

import streamlit as st

from fcnlab.domain.images import ImageInfo, Imaging, Stretch
from fcnlab.domain.project import Project
from fcnlab.errors import FcnlabError
from fcnlab.services.images.imaging import Sample, set_imaging
from fcnlab.services.projects.projects import images
from fcnlab.web import session
from fcnlab.web.session import Engine

OFFERED = 200
"""Images one can try settings on."""

AS_THEY_COME, GREY, COLOUR = "As they come", "One, grey", "Three, colour"
AUTOMATIC, TOGETHER, EACH = "Automatic", "One range", "A range each"
WORDS = ("Red", "Green", "Blue")


def draw(engine: Engine, project: Project) -> None:
    """A closed section; nothing where there are no images. What is set stays until it is applied."""
    offered = images(engine.lab, project_id=project.id, count=OFFERED)
    if not offered:
        return
    with st.expander("Channels and contrast", icon=":material/contrast:"):
        _form(engine, project, offered)


@st.fragment
def _form(engine: Engine, project: Project, offered: tuple[ImageInfo, ...]) -> None:
    try:
        names, key = {image.id: image.name for image in offered}, f"imaging-{project.id}-image"
        image_id = st.selectbox("Try it on", list(names), format_func=lambda image_id: names[image_id], key=key)
        image = next(candidate for candidate in offered if candidate.id == image_id)
        sample = session.image_sample(engine, image)
        controls, preview = st.columns([1, 1], gap="medium")
        with controls:
            wanted = _wanted(project, sample)
        with preview:
            st.image(sample.picture(wanted)[0], width="stretch", alt=f"{image.name} with these channels and contrast")
        _buttons(engine, project, wanted)
    except FcnlabError as failure:
        session.explained(failure)


def _wanted(project: Project, sample: Sample) -> Imaging:
    """The imaging that the widgets are set to."""
    channels = _channels(project, len(sample.ranges))
    return Imaging(channels, _limits(project, sample, channels))


def _channels(project: Project, count: int) -> tuple[int, ...]:
    now, key = project.imaging.channels, f"imaging-{project.id}-{project.imaging.digest}"
    ways = {AS_THEY_COME: (), GREY: ("Grey",), COLOUR: WORDS}
    index = [len(words) for words in ways.values()].index(len(now))
    words = ways[st.radio("Channels", list(ways), index, key=f"{key}-way")]
    if not words:
        return ()
    before = now if len(now) == len(words) else tuple(range(1, len(words) + 1))
    numbers = list(range(1, max(count, *before) + 1))
    return tuple(
        column.selectbox(word, numbers, channel - 1, key=f"{key}-{word}")
        for column, word, channel in zip(st.columns(len(words)), words, before, strict=True)
    )


def _limits(project: Project, sample: Sample, channels: tuple[int, ...]) -> tuple[Stretch | None, ...]:
    now, key, count = project.imaging.limits, f"imaging-{project.id}-{project.imaging.digest}", len(sample.ranges)
    shown = [channel for channel in channels or range(1, min(count, 3) + 1) if channel <= count] or [1]
    ranges = [sample.ranges[channel - 1] for channel in shown]
    kinds = [AUTOMATIC, TOGETHER] if len(channels) == 1 or (not channels and count < 3) else [AUTOMATIC, TOGETHER, EACH]
    index = min(len(now), 2, len(kinds) - 1)
    kind = st.radio("Values shown", kinds, index, key=f"{key}-kind-{len(kinds)}")
    if kind == AUTOMATIC:
        return ()
    if kind == TOGETHER:
        whole = Stretch(min(stretch.low for stretch in ranges), max(stretch.high for stretch in ranges))
        return (_slider("Black and white", whole, now[0] if len(now) == 1 else None, key=f"{key}-all"),)
    ranges += ranges[-1:] * (3 - len(ranges))
    before = now if len(now) == 3 else (None, None, None)
    return tuple(
        _slider(word, stretch, limit, key=f"{key}-{word}")
        for word, stretch, limit in zip(WORDS, ranges, before, strict=True)
    )


def _slider(word: str, whole: Stretch, now: Stretch | None, *, key: str) -> Stretch:
    """The range that somebody draws; it starts as wide as the values are."""
    chosen = now or whole
    low, high = min(whole.low, chosen.low), max(whole.high, chosen.high)
    if low >= high:
        high = low + 1
    start = (chosen.low, chosen.high) if chosen.low < chosen.high else (low, high)
    picked = st.slider(word, low, high, start, step=(high - low) / 1000, format="%.6g", key=f"{key}-{low:g}-{high:g}")
    return Stretch(*picked) if picked[0] < picked[1] else Stretch(picked[0], picked[0] + (high - low) / 1000)


def _buttons(engine: Engine, project: Project, wanted: Imaging) -> None:
    with st.container(horizontal=True):
        applied = st.button("Apply to all images", type="primary", disabled=wanted == project.imaging)
        is_reset = st.button("Take images as they come", disabled=project.imaging.is_default)
    if not (applied or is_reset):
        st.caption("All images are prepared anew. Points stay, and so do the masks of done images.")
        return
    bar = st.progress(0.0, "Preparing images")
    refused = []
    try:
        for step in set_imaging(engine.lab, project_id=project.id, imaging=Imaging() if is_reset else wanted):
            bar.progress(step.done / step.total, f"{step.done} of {step.total}")
            if step.refused:
                refused.append(f"{step.name}: {step.refused}")
    except FcnlabError as refusal:
        session.explained(refusal)
        return
    engine.jobs.changed(project.id)
    if refused:
        st.warning("Some images stayed as they were.")
        for line in refused:
            st.text(line)
    else:
        st.rerun()
