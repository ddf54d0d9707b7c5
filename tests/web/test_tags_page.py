"""The Tags page, without a browser: what is missing, images by their tags, scores, contradictions, files."""

from __future__ import annotations

import time

import pytest
from streamlit.testing.v1 import AppTest

from fcnlab.domain.counting import Task
from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import ImageState
from fcnlab.domain.tags import TagAnswer, TagChange
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points, set_image_state
from fcnlab.services.projects import projects
from fcnlab.services.tags.answering import set_tags
from fcnlab.services.tags.reading import tags_of
from fcnlab.web import session
from fcnlab.web.panels.tags import images_panel, progress_panel
from tests.web.test_pages import ROUTER, labels, page, picture

SAND, CORAL = 0, 1
N_IMAGES = 4


def reef(lab: Lab) -> tuple[int, list[int]]:
    """A project with four images, of which nothing is said."""
    project = projects.create_project(lab, name="reef", labels=projects.labels_of(["sand", "coral *hard*"]))
    files = [(f"{seed}.png", picture(seed)) for seed in range(N_IMAGES)]
    steps = list(import_files(lab, files, project_id=project.id))
    return project.id, [step.image_id or 0 for step in steps]


def tagged(lab: Lab, project_id: int, *answers: tuple[int, int, str]) -> None:
    changes = [TagChange(image_id, class_id, TagAnswer(said)) for image_id, class_id, said in answers]
    set_tags(lab, changes, project_id=project_id, labeller="ann")


def view(name: str) -> AppTest:
    shown = AppTest.from_file(str(ROUTER), default_timeout=60).run()
    shown.query_params["labeller"], shown.query_params["view"] = "ann", name
    shown.switch_page("pages/tags.py").run()
    assert not shown.exception
    return shown


def looked_at(project_id: int) -> None:
    """Wait until suggestions are what the answers say."""
    tag_jobs = session.engine().tags
    for _ in range(1200):
        at_work = tag_jobs.at_work(project_id)
        if at_work.done == at_work.total and not at_work.suggestions.is_behind:
            return
        time.sleep(0.05)
    raise AssertionError(at_work)


def texts(shown: AppTest) -> str:
    return "\n".join(one.value for kind in (shown.markdown, shown.caption, shown.info) for one in kind)


def found(shown: AppTest) -> str:
    return "".join(element.proto.body for element in shown.get("html"))


def field(shown: AppTest, label: str) -> object:
    kinds = (shown.selectbox, shown.toggle, shown.button_group, shown.radio, shown.multiselect, shown.checkbox)
    return next(one for kind in kinds for one in kind if one.label == label)


def test_the_page_says_what_is_missing(lab: Lab) -> None:
    assert "no project yet" in page("tags").info[0].value
    projects.create_project(lab, name="reef")
    assert "no images yet" in page("tags").info[0].value


def test_one_class_is_tagged_too_and_says_that_others_can_be_added(lab: Lab) -> None:
    project = projects.create_project(lab, name="reef", labels=projects.labels_of(["coral"]))
    list(import_files(lab, [("a.png", picture(0))], project_id=project.id))

    shown = page("tags")

    assert shown.get("bidi_component")
    assert "one class so far" in texts(shown)


def test_images_are_tagged_where_objects_are_counted_too(lab: Lab) -> None:
    project = projects.create_project(lab, name="counts", task=Task.COUNTS)
    list(import_files(lab, [("a.png", picture(0))], project_id=project.id))

    assert page("tags").get("bidi_component")


def test_images_are_found_by_what_is_said_of_them(lab: Lab) -> None:
    project_id, images = reef(lab)
    tagged(lab, project_id, (images[0], CORAL, "yes"), (images[1], CORAL, "yes"), (images[2], CORAL, "no"))
    set_image_state(lab, image_id=images[1], state=ImageState.DONE, labeller="ann")
    shown = view("images")
    field(shown, "Class").set_value(CORAL).run()
    assert "**2** of 4 images" in texts(shown)
    assert f"image={images[0]}&amp;labeller=ann" in found(shown)

    field(shown, "Not done").set_value(True).run()
    assert "**1** of 4 images" in texts(shown)
    assert f"image={images[1]}&" not in found(shown)
    field(shown, "Is in the image").set_value("unknown").run()
    assert f"image={images[3]}&" in found(shown)


def test_the_projects_page_leads_to_images_by_tag(lab: Lab) -> None:
    project_id, images = reef(lab)
    tagged(lab, project_id, (images[0], SAND, "yes"))
    shown = page("projects", project=project_id)

    next(button for button in shown.button if button.label == "Find images by tag").click().run()

    assert not shown.exception
    assert shown.query_params["view"] == "images"
    assert "**1** of 4 images" in texts(shown)


def test_what_cannot_be_predicted_says_what_it_takes_and_later_comes_sorted(lab: Lab) -> None:
    project_id, images = reef(lab)
    looked_at(project_id)
    shown = view("images")
    field(shown, "Class").set_value(CORAL).run()
    field(shown, "Is in the image").set_value("predicted").run()
    assert "answer for one image with it" in texts(shown)

    tagged(lab, project_id, (images[0], CORAL, "yes"), (images[1], CORAL, "no"))
    looked_at(project_id)
    at_work = session.engine().tags.at_work(project_id)
    order = images_panel.by_probability(images, at_work, CORAL)

    probabilities = [at_work.suggestions.probability(image_id, CORAL) for image_id in order]
    assert probabilities == sorted(probabilities, reverse=True)


def test_a_score_says_how_many_answers_it_takes_and_then_stands_there(lab: Lab) -> None:
    project_id, images = reef(lab)
    tagged(lab, project_id, (images[0], CORAL, "yes"))
    looked_at(project_id)
    shown = view("progress")
    assert "1 more image with it and 2 more images without it" in texts(shown)
    assert "coral *hard*" not in texts(shown), "a name is no Markdown"

    tagged(lab, project_id, *((image_id, CORAL, "yes" if n % 2 else "no") for n, image_id in enumerate(images)))
    looked_at(project_id)
    shown = view("progress")

    assert [one.label for one in shown.metric] == ["Micro F1", "Macro F1", "Average precision"]
    assert "90 % CI" in texts(shown)


def test_a_contradiction_is_listed_and_opens_its_image(lab: Lab) -> None:
    project_id, images = reef(lab)
    add_points(lab, [Point(3, 3, CORAL)], image_id=images[2], labeller="bo", source=PointSource.CLICK)
    tagged(lab, project_id, (images[2], CORAL, "no"))
    shown = view("progress")
    contradiction = next(button for button in shown.button if button.label.startswith("2"))
    assert "answered no, yes from points" in contradiction.label.replace("\\", "")

    contradiction.click().run()

    assert not shown.exception
    assert shown.query_params["image"] == str(images[2])
    assert shown.get("bidi_component")


def test_the_figures_are_those_of_the_service(lab: Lab) -> None:
    project_id, images = reef(lab)
    tagged(lab, project_id, (images[0], CORAL, "yes"), (images[1], CORAL, "no"), (images[1], SAND, "yes"))

    figures = next(one.value for one in view("progress").dataframe if "Unknown" in one.value)

    assert figures[["Yes", "No", "Unknown"]].to_numpy().tolist() == [[1, 0, 3], [1, 1, 2]]
    assert progress_panel.missing(tags_of(lab, project_id=project_id)) == {
        "1 more image with it and 1 more image without it": ["coral *hard*"],
        "1 more image with it and 2 more images without it": ["sand"],
    }


def test_tags_are_exported_and_a_format_that_cannot_say_unknown_says_what_it_takes(lab: Lab) -> None:
    project_id, images = reef(lab)
    tagged(lab, project_id, (images[0], CORAL, "yes"))
    shown = view("files")
    assert shown.get("download_button")
    assert "4 images" in texts(shown)

    field(shown, "Format").set_value("yolo").run()

    assert not shown.get("download_button")
    assert "cannot say unknown" in texts(shown)
    field(shown, "Classes").set_value([CORAL]).run()
    assert "1 image; 3 left out" in texts(shown)


def table(shown: AppTest, text: str) -> AppTest:
    shown.file_uploader[0].upload("tags.csv", text.encode(), "text/csv").run()
    assert not shown.exception
    return shown


@pytest.mark.skipif(not hasattr(AppTest, "file_uploader"), reason="this Streamlit cannot test uploads")
def test_a_table_is_looked_through_before_anything_is_stored(lab: Lab) -> None:
    project_id, images = reef(lab)
    tagged(lab, project_id, (images[0], SAND, "yes"))
    shown = table(view("files"), "image,sand\n0.png,no\n1.png,yes\n")
    assert "**1** new answers, **1** that differ" in texts(shown)
    button = next(each for each in shown.button if each.label == "Import 2 answers")
    assert button.disabled

    shown.checkbox[0].set_value(True).run()
    next(each for each in shown.button if each.label == "Import 2 answers").click().run()

    assert not shown.exception
    assert shown.success[0].value == "2 answers stored."
    answers = tags_of(lab, project_id=project_id).answers
    assert {place: tag.answer.value for place, tag in answers.items()} == {
        (images[0], SAND): "no",
        (images[1], SAND): "yes",
    }


@pytest.mark.skipif(not hasattr(AppTest, "file_uploader"), reason="this Streamlit cannot test uploads")
def test_a_table_that_cannot_be_imported_says_why(lab: Lab) -> None:
    reef(lab)

    shown = table(view("files"), "image,sand\nz.png,no\n")

    assert "cannot be imported" in shown.error[0].value
    assert "z.png" in shown.dataframe[0].value["Problem"][0]
    assert not [label for label in labels(shown) if label.startswith("Import")]


@pytest.mark.skipif(not hasattr(AppTest, "file_uploader"), reason="this Streamlit cannot test uploads")
def test_a_click_stores_what_was_shown_or_nothing(lab: Lab) -> None:
    project_id, images = reef(lab)
    tagged(lab, project_id, (images[0], SAND, "yes"))
    shown = table(view("files"), "image,sand\n0.png,no\n1.png,yes\n2.png,yes\n")
    shown.checkbox[0].set_value(True).run()
    tagged(lab, project_id, (images[1], SAND, "no"), (images[2], SAND, "yes"))

    next(each for each in shown.button if each.label.startswith("Import")).click().run()

    assert "changed since" in shown.error[0].value
    answers = tags_of(lab, project_id=project_id).answers
    assert [answers[image, SAND].answer.value for image in images[:3]] == ["yes", "no", "yes"]
    next(each for each in shown.button if each.label == "Import 2 answers").click().run()
    assert shown.success[0].value == "2 answers stored."
