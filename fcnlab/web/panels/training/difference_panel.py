"""Two models side by side, on the models page."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.domain.models import ModelRecord
from fcnlab.domain.project import Project
from fcnlab.domain.scores import grades_in_words
from fcnlab.errors import FcnlabError
from fcnlab.services.comparing.model_difference import MOST_IMAGES, ModelDifference, Versions, model_differences
from fcnlab.services.comparing.truth_scores import MOST_IMAGES as MOST_MEASURED
from fcnlab.services.comparing.truth_scores import TruthProgress, truth_scores
from fcnlab.services.labels.expert_masks import images_with_truth
from fcnlab.services.projects.projects import images as project_images
from fcnlab.web import frame, session
from fcnlab.web.panels.projects.dashboard import legend
from fcnlab.web.panels.results.export_panel import runner_of
from fcnlab.web.session import Engine, escape_markdown

OFFERED = 500
"""Images to choose from: a longer list helps nobody find one."""

SIDES = ("Left", "Right")
INSTANT = "Instant learner, as it is now"


@st.fragment
def draw(engine: Engine, project: Project, records: Sequence[ModelRecord]) -> None:
    """Choices, the button, and the masks; reruns alone."""
    images = project_images(engine.lab, project_id=project.id, count=OFFERED)
    if not images:
        frame.lead(project, frame.NO_IMAGES, to="projects")
        return
    if not records:
        st.info("Two models can be compared once there is a version.", icon=":material/compare:", width=frame.GUIDE_PX)
        return
    options: list[ModelRecord | None] = [None, *records]
    first, second, chosen = st.columns([3, 3, 5], vertical_alignment="bottom")
    left = first.selectbox("Left", options, index=0, format_func=_name)
    right = second.selectbox("Right", options, index=1, format_func=_name)
    by_id = {image.id: image for image in images}
    order = sorted(by_id, key=lambda image_id: (by_id[image_id].state is not ImageState.DONE, image_id))
    picked = chosen.multiselect(
        "Images",
        list(by_id),
        default=order[:2],
        format_func=lambda image_id: by_id[image_id].name,
        max_selections=MOST_IMAGES,
        help="Both are measured against the expert mask, or in done images against the one they keep.",
    )
    if left == right:
        st.caption("Choose two different models.")
    key = (project.id, getattr(left, "id", None), getattr(right, "id", None), tuple(picked))
    with st.container(horizontal=True):
        wants_masks = st.button(
            "Compare", type="primary", icon=":material/compare:", disabled=left == right or not picked
        )
        wants_scores = _experts_button(engine, project, (left, right))
    if wants_masks:
        new_differences = _made(engine, project, [by_id[image_id] for image_id in picked], (left, right))
        if new_differences is not None:
            session.remember("model_difference", (key, new_differences))
    _on_experts(engine, project, (left, right), wanted=wants_scores)
    made = session.peek("model_difference")
    if made is not None and made[0] == key:
        st.html(legend([(label.name, label.colour) for label in project.classes]))
        for difference in made[1]:
            _show(difference, (_name(left), _name(right)))


def _experts_button(engine: Engine, project: Project, versions: Versions) -> bool:
    """Whether both are to be measured on the masks of experts; no button where there are none."""
    count = min(len(images_with_truth(engine.lab, project_id=project.id)), MOST_MEASURED)
    if not count:
        return False
    words = f"Measure on {_masks(count)}"
    return st.button(words, icon=":material/straighten:", disabled=versions[0] == versions[1])


def _masks(count: int) -> str:
    return f"{count} expert {'mask' if count == 1 else 'masks'}"


def _on_experts(engine: Engine, project: Project, versions: Versions, *, wanted: bool) -> None:
    """Measure if wanted, and show what came out."""
    key = (project.id, *(getattr(version, "id", None) for version in versions))
    if wanted:
        measured = _measured(engine, project, versions)
        if measured is not None:
            session.remember("truth_scores", (key, measured))
    made = session.peek("truth_scores")
    if made is None or made[0] != key or made[1].scores is None:
        return
    names, scores = [f"{side}: {_name(version)}" for side, version in zip(SIDES, versions, strict=True)], made[1].scores
    rows = [{"Class": "Mean", names[0]: scores[0].mean_iou, names[1]: scores[1].mean_iou}]
    for label in project.classes:
        left, right = (score.per_class.get(label.id) for score in scores)
        if left is not None or right is not None:
            rows.append({"Class": label.name, names[0]: left, names[1]: right})
    config = {name: st.column_config.NumberColumn(format="%.3f") for name in names}
    st.dataframe(rows, hide_index=True, width="content", column_config=config)
    st.caption(
        f"IoU with {_masks(made[1].n_images)}, clicks obeyed. Points drawn from these masks teach models too: on "
        "images a model learned from, it looks better than it is. The Compare page measures on validation images."
    )
    for name, score in zip(names, scores, strict=True):
        if score.grades is not None:
            st.caption(f"{escape_markdown(name)}. {grades_in_words(score.grades, what='pixel')}")
    for name in made[1].left_out[:5]:
        st.text(f"Left out {name}: its image or mask cannot be read")


def _measured(engine: Engine, project: Project, versions: Versions) -> TruthProgress | None:
    bar, step = st.progress(0.0, "Starting"), None
    try:
        for step in truth_scores(engine.lab, runner_of(engine, project), project_id=project.id, versions=versions):
            words = "Learning from labelled images" if not step.n_images else "Measuring"
            bar.progress(step.done / max(1, step.total), f"{words}: {step.done} of {step.total}")
    except FcnlabError as failure:
        session.explained(failure)
        return None
    finally:
        bar.empty()
    return step


def _made(
    engine: Engine, project: Project, images: Sequence[ImageInfo], versions: Versions
) -> list[ModelDifference] | None:
    bar = st.progress(0.0, "Starting")
    made: list[ModelDifference] = []
    try:
        for step in model_differences(engine.lab, runner_of(engine, project), images=images, versions=versions):
            words = "Learning from labelled images" if step.difference is None else "Making masks"
            bar.progress(step.done / step.total, f"{words}: {step.done} of {step.total}")
            made += [step.difference] if step.difference is not None else []
    except FcnlabError as failure:
        session.explained(failure)
        return None
    finally:
        bar.empty()
    return made


def _show(difference: ModelDifference, names: tuple[str, str]) -> None:
    with st.container(border=True):
        st.markdown(
            f"**{escape_markdown(difference.image.name)}** · {difference.equal:.1%} of its pixels have the same class"
        )
        columns = st.columns(3)
        for index, column in enumerate(columns[:2]):
            column.image(difference.pictures[index], width="stretch")
            truth = "the expert mask" if difference.by_expert else "the mask it keeps"
            iou = f" · IoU {difference.ious[index]:.3f} with {truth}" if difference.ious else ""
            column.caption(f"{escape_markdown(names[index])}{iou}")
        columns[2].image(difference.differing, width="stretch")
        columns[2].caption("Where they differ")


def _name(record: ModelRecord | None) -> str:
    return INSTANT if record is None else record.name
