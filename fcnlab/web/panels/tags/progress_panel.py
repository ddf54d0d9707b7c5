"""How far the tags of a project are, how good suggestions are, and what contradicts itself."""

from __future__ import annotations

from typing import Any

import streamlit as st

from fcnlab.core.tagging.from_labels import NO, UNKNOWN, YES
from fcnlab.core.tagging.scores import Interval, TagScore
from fcnlab.domain.project import Project
from fcnlab.errors import InvalidTag, as_sentence
from fcnlab.services.tags.jobs import TagsAtWork
from fcnlab.services.tags.reading import ProjectTags
from fcnlab.web import session
from fcnlab.web.panels.tags import tag_charts
from fcnlab.web.session import Engine, escape_markdown

CONTRADICTIONS_SHOWN = 20
TABLE_PX = 420
SCORED_FROM = 2
"""Images with a class, and as many without, that it takes to score it: one to learn from, and one to score."""

SCORES_HELP = (
    "Every answered image is judged by suggestions that were learned from the others. F1 weighs wrong suggestions and "
    "missed ones alike, at a probability of 50 %; micro counts every answer once, macro every class. Average precision "
    "asks whether images with the class come first when they are sorted by probability."
)


def draw(engine: Engine, project: Project, at_work: TagsAtWork) -> None:
    """Everything about the progress of tagging."""
    tags = at_work.tags
    n_tagged = int((tags.values != UNKNOWN).all(axis=1).sum())
    total = len(tags.images)
    st.progress(n_tagged / max(1, total), f"**{n_tagged:,}** of {total:,} images have all tags")
    left, right = st.columns([6, 6], gap="large")
    with left:
        _counts(at_work)
        _contradictions(at_work)
    with right:
        st.subheader("How good suggestions are", anchor=False, help=SCORES_HELP)
        _scores(engine, project, at_work)


def _counts(at_work: TagsAtWork) -> None:
    st.subheader("Images by class", anchor=False)
    counts, classes = at_work.tags.counts(), at_work.tags.classes
    tag_charts.counts(counts, classes)
    with st.expander("Figures"):
        rows = [
            {
                "Class": label.name,
                "Yes": counts[label.id].yes,
                "No": counts[label.id].no,
                "Unknown": counts[label.id].unknown,
                "Answered": counts[label.id].answered,
                "Contradictions": counts[label.id].contradicted,
            }
            for label in classes
        ]
        st.dataframe(rows, hide_index=True)


def _contradictions(at_work: TagsAtWork) -> None:
    tags = at_work.tags
    places = tags.contradictions()
    if not places:
        return
    st.subheader(f"Contradictions ({len(places):,})", anchor=False)
    st.caption("Answers that labels in the image contradict. Neither teaches anything: open the image and mend one.")
    names = {label.id: label.name for label in tags.classes}
    images = {image.id: image.name for image in tags.images}
    for image_id, class_id in places[:CONTRADICTIONS_SHOWN]:
        state = tags.state(image_id, class_id)
        words = f"{images[image_id]}, {names[class_id]}: answered {state.answer}, {state.labelled} {state.labelled_by}"
        if st.button(
            escape_markdown(words), type="tertiary", icon=":material/warning:", key=f"tags-open-{image_id}-{class_id}"
        ):
            session.show_tags_view("tag", image_id=image_id)
            st.rerun()
    if len(places) > CONTRADICTIONS_SHOWN:
        st.caption(f"And {len(places) - CONTRADICTIONS_SHOWN:,} more.")


def _scores(engine: Engine, project: Project, at_work: TagsAtWork) -> None:
    """Scores on images that were answered and not learned from, or how many answers it takes for them."""
    tags = at_work.tags
    few = missing(tags)
    if at_work.done < at_work.total:
        st.caption("This is told once all images were looked at.")
        return
    if sum(map(len, few.values())) == len(tags.class_ids):
        st.info(f"Too few answers to tell. What it takes: {missing_in_words(few)}.", icon=":material/info:")
        return
    try:
        scored = session.tag_scores(engine, project.id, tags.revision, repr(tags.project.learner.of_pictures))
    except InvalidTag as failure:
        st.info(escape_markdown(as_sentence(str(failure))), icon=":material/info:")
        return
    scores = scored.scores
    figures = (
        ("Micro F1", scores.micro_f1),
        ("Macro F1", scores.macro_f1),
        ("Average precision", scores.mean_average_precision),
    )
    for column, (title, interval) in zip(st.columns(3), figures, strict=True):
        column.metric(title, "-" if interval is None else percent(interval.value))
        if interval is not None:
            column.caption(f"{scores.level:.0%} CI {between(interval)}".replace("%", " %", 1))
    st.caption(f"On {scores.n_images:,} images, each predicted by what was learned from others that look otherwise.")
    rows = [score_row(label.name, score) for label, score in zip(scored.classes, scores.tags, strict=True)]
    formats: dict[str, Any] = {name: st.column_config.NumberColumn(name, format="%.0f %%") for name in ("F1", "AP")}
    st.dataframe(rows, hide_index=True, column_config=formats, height=min(38 + 35 * len(rows), TABLE_PX))
    if few:
        st.caption(f"Too few answers for a score. What it takes: {missing_in_words(few)}.")


def score_row(name: str, score: TagScore) -> dict[str, Any]:
    """A line of the table of scores."""
    f1, precision = score.f1, score.average_precision
    return {
        "Class": name,
        "F1": None if f1 is None else 100 * f1.value,
        "F1, CI": "" if f1 is None else between(f1),
        "AP": None if precision is None else 100 * precision.value,
        "AP, CI": "" if precision is None else between(precision),
        "Yes": score.n_yes,
        "No": score.n_no,
    }


def missing(tags: ProjectTags) -> dict[str, list[str]]:
    """Classes without a score by what they lack, in words; those that lack least first."""
    lacking: dict[tuple[int, str], list[str]] = {}
    for column, label in enumerate(tags.classes):
        answers = tags.teaching[:, column]
        wanted = [
            (max(0, SCORED_FROM - int((answers == code).sum())), words)
            for code, words in ((YES, "with it"), (NO, "without it"))
        ]
        parts = [f"{n} more image{'' if n == 1 else 's'} {words}" for n, words in wanted if n]
        if parts:
            lacking.setdefault((sum(n for n, _ in wanted), " and ".join(parts)), []).append(label.name)
    return {words: names for (_, words), names in sorted(lacking.items())}


def missing_in_words(few: dict[str, list[str]]) -> str:
    """What classes lack for a score, as Markdown."""
    return "; ".join(f"{escape_markdown(', '.join(names))}: {words}" for words, names in few.items())


def percent(share: float) -> str:
    """A share for people."""
    return f"{100 * share:.0f} %"


def between(interval: Interval) -> str:
    """The ends of an interval."""
    return f"{100 * interval.low:.0f} to {100 * interval.high:.0f} %"
