"""The form that plans a survey, and what the page says before there is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import streamlit as st

from fcnlab.core.surveys.intervals import beta_interval
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import Project
from fcnlab.domain.survey import MOST_NAME_CHARS, MOST_POINTS, PLANS, Plan, SurveySpec
from fcnlab.errors import FcnlabError, InvalidSurvey
from fcnlab.services.projects import projects as project_service
from fcnlab.services.surveys.surveys import BY_FOLDER, plan_survey, strata_by, surveys
from fcnlab.web import frame, session
from fcnlab.web.session import Engine, escape_markdown

SECONDS_A_POINT = 2
LEVELS = (0.8, 0.9, 0.95)
IMAGES_AT_FIRST, POINTS_AT_FIRST = 20, 10
FEW_STRATA = 12
"""With so many at most, each can have a number of images of its own."""

STRATA_SHOWN = 200

PLAN_WORDS: dict[Plan, tuple[str, str]] = {
    "random": ("Random pixels", "Each pixel is drawn on its own."),
    "stratified": ("Stratified", "The image is cut into as many equal parts, and one pixel is drawn in each."),
    "grid": ("Grid", "A regular grid that starts at a random pixel."),
}
STRATA_WORDS = {
    "": "One: all images together",
    BY_FOLDER: "By folder",
    "pattern": "By image name",
}
PRIOR_WORDS = {
    "jeffreys": "Jeffreys: ½ for each class",
    "uniform": "Uniform: 1 for each class",
    "number": "Another number",
}
QUESTION = "What share of the sea floor is coral, and how sure are we?"


def empty_state(engine: Engine, project: Project) -> bool:
    """Say what is missing before a survey can be planned, and lead there; whether something is."""
    if project_service.images(engine.lab, project_id=project.id):
        return False
    frame.lead(project, frame.NO_IMAGES, to="projects")
    return True


def invitation(project: Project) -> None:
    """What a survey is for, and what happens after it is planned."""
    names = [label.name for label in project.classes]
    with st.container(border=True):
        st.subheader(QUESTION, anchor=False)
        st.write(
            "A survey answers that for the classes of this project and all of its images. fcnlab draws points by "
            "chance, you say what each of them is, and the report gives the share of every class with an interval: how "
            "far off it may be."
        )
        st.markdown(
            "1. **Plan**: which images, and how many points. A point is a pixel that is drawn by chance, so that "
            "the answers stand for all the others.\n"
            "2. **Answer** by one key each, about two seconds a point. No mask is shown meanwhile, so that nothing "
            "leads your eyes.\n"
            "3. **Read the report**: shares, intervals, how strata differ, and how many more images it takes. Masks of "
            "all images, where a model makes them, then make intervals shorter; they cannot make shares wrong."
        )
        if len(names) < 2:
            st.warning("Shares need two classes: add another one on the **Label** page.", icon=":material/info:")


def form(engine: Engine, project: Project) -> None:
    """Everything that a survey is planned by; planning it leads there."""
    images = project_service.images(engine.lab, project_id=project.id)
    name = st.text_input("Name", _free_name(engine, project), max_chars=MOST_NAME_CHARS)
    strata = _strata(images)
    if strata is None:
        return
    sizes = Counter(strata.values())
    n_images = _numbers_of_images(sizes)
    left, right = st.columns(2)
    n_per_image = int(
        left.number_input(
            "Points in each image", 1, 1000, POINTS_AT_FIRST, help="More images tell more than more points in each."
        )
    )
    plan: Plan = right.selectbox(
        "How pixels are drawn", list(PLANS), format_func=lambda plan: PLAN_WORDS[plan][0], help=_plan_help()
    )
    prior, level, seed = _more()
    n_points = sum(n_images.values()) * n_per_image
    st.markdown(_effort(sum(n_images.values()), n_points, level))
    if st.button("Plan the survey", type="primary", icon=":material/casino:"):
        try:
            spec = SurveySpec(name.strip(), n_images, n_per_image, plan, seed, prior, level)
            who = session.labeller() or frame.ANONYMOUS
            made = plan_survey(engine.lab, project_id=project.id, spec=spec, labeller=who, strata=strata)
        except FcnlabError as failure:
            session.explained(failure)
        else:
            session.show_survey(made.id)
            st.rerun()


def _free_name(engine: Engine, project: Project) -> str:
    taken = {survey.spec.name for survey in surveys(engine.lab, project_id=project.id)}
    return next(name for number in range(1, len(taken) + 2) if (name := f"Survey {number}") not in taken)


def _strata(images: tuple[ImageInfo, ...]) -> Mapping[int, str] | None:
    """The stratum of each image, with a list of them to look at; None: the pattern is none."""
    by = st.segmented_control(
        "Strata",
        list(STRATA_WORDS),
        default="",
        required=True,
        format_func=lambda by: STRATA_WORDS[by],
        help="Parts of the project that are surveyed and reported each for itself: sites, depths, years.",
    )
    if by == "pattern":
        by = st.text_input(
            "Pattern",
            placeholder=r"For example ^([^_]+)_ for what stands before the first underscore",
            help="A regular expression. What its groups match in the name of an image (or, without groups, all it "
            "matches) is the name of its stratum.",
        ).strip()
        if not by:
            st.caption("Type a pattern to see the strata that it makes.")
            return None
    try:
        strata = strata_by(images, by)
    except InvalidSurvey as failure:
        session.explained(failure)
        return None
    if by:
        _preview(Counter(strata.values()))
    return strata


def _preview(sizes: Mapping[str, int]) -> None:
    """The strata that would be, with their numbers of images."""
    words = "1 stratum" if len(sizes) == 1 else f"{len(sizes)} strata"
    st.caption(f"{words}, as they would be:")
    rows = [{"Stratum": name or "all", "Images": n} for name, n in sorted(sizes.items())[:STRATA_SHOWN]]
    st.dataframe(rows, hide_index=True, height=min(38 + 35 * len(rows), 213))


def _numbers_of_images(sizes: Mapping[str, int]) -> dict[str, int]:
    """How many images to draw from each stratum."""
    names = sorted(sizes)
    largest = max(sizes.values())
    is_apart = 1 < len(names) <= FEW_STRATA and st.toggle("Another number of images for each stratum")
    if not is_apart:
        words = "Images to ask about" if len(names) == 1 else "Images to ask about in each stratum"
        n = int(st.number_input(words, 1, largest, min(IMAGES_AT_FIRST, largest), help=_images_help(len(names))))
        return {name: min(n, sizes[name]) for name in names}
    columns = st.columns(min(3, len(names)))
    return {
        name: int(
            columns[place % len(columns)].number_input(
                f"{escape_markdown(name)} (of {sizes[name]})", 0, sizes[name], min(IMAGES_AT_FIRST, sizes[name])
            )
        )
        for place, name in enumerate(names)
    }


def _images_help(n_strata: int) -> str:
    words = "Drawn by chance. At least two, so that it shows how much images differ."
    return words if n_strata == 1 else f"{words} A stratum that has fewer gives all of them."


def _plan_help() -> str:
    return "\n\n".join(f"**{title}**: {words}" for title, words in PLAN_WORDS.values())


def _more() -> tuple[str | float, float, int]:
    """Prior, level and seed."""
    with st.expander("More"):
        level: float = st.segmented_control(
            "Intervals hold the truth in",
            LEVELS,
            default=0.9,
            required=True,
            format_func=lambda level: f"{100 * level:.0f} % of surveys",
        )
        prior: str | float = st.selectbox(
            "Prior of the curves",
            list(PRIOR_WORDS),
            format_func=lambda prior: PRIOR_WORDS[prior],
            help="Made-up answers that the curves of probability begin with. Shares and intervals have none.",
        )
        if prior == "number":
            prior = float(st.number_input("Made-up answers for each class", 0.01, 100.0, 0.5))
        seed = int(
            st.number_input("Seed", 0, 2**31 - 1, 0, help="The same images and pixels are drawn from the same seed.")
        )
    return prior, level, seed


def _effort(n_images: int, n_points: int, level: float) -> str:
    """How much there is to answer, how long that takes, and how sure it makes."""
    if not n_points or n_points > MOST_POINTS:
        return f"A survey has at least 1 and at most {MOST_POINTS:,} points."
    low, high = beta_interval(np.array([0.5]), np.array([float(n_points)]), level)
    reach = 100 * float(high[0] - low[0]) / 2
    images = "1 image" if n_images == 1 else f"{n_images:,} images"
    duration = duration_in_words(n_points * SECONDS_A_POINT)
    return (
        f"**{n_points:,} points in {images}: {duration} to answer** at {SECONDS_A_POINT} s each. A class that covers "
        f"half will be known to ± {reach:.{0 if reach >= 10 else 1}f} % at best, and less surely the more alike the "
        "points of one image are."
    )


def duration_in_words(seconds: float) -> str:
    """About how long something takes, for people."""
    if seconds < 90:
        return f"about {max(10, round(seconds / 10) * 10)} seconds"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {minutes} minutes"
    return f"about {minutes // 60} h {minutes % 60} min"
