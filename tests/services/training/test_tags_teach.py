"""Trainings that learn from tags which classes images do not contain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fcnlab.domain.tags import TagAnswer, TagChange
from fcnlab.errors import InvalidSetting
from fcnlab.lab import Lab
from fcnlab.services.tags.answering import set_tags
from fcnlab.services.training.finetuning import train
from tests.support.bars import QUICK, Site

TAUGHT = replace(QUICK, absent_weight=1.0)


@pytest.fixture
def site(lab: Lab) -> Site:
    """Six images of bars; the first four are clicked."""
    site = Site(lab, 6)
    for number in range(4):
        site.click(number)
    return site


def say(site: Site, number: int, *, no: tuple[int, ...] = (), yes: tuple[int, ...] = ()) -> None:
    """Answer tags of an image, by places of classes."""
    changes = [
        TagChange(site.images[number], site.project.classes[place].id, answer)
        for places, answer in ((no, TagAnswer.NO), (yes, TagAnswer.YES))
        for place in places
    ]
    set_tags(site.lab, changes, project_id=site.project.id, labeller="ann")


def test_images_without_points_teach_which_class_they_do_not_contain(site: Site) -> None:
    say(site, 4, no=(1,), yes=(0,))
    say(site, 5, yes=(0, 1))

    learned = {picture.image: picture for picture in site.points(TAUGHT).learned_from()}

    assert learned["4.png"].absent == (1,)
    assert len(learned["4.png"].rows) == 0
    assert "5.png" not in learned
    assert all(picture.absent == () for name, picture in learned.items() if name != "4.png")


def test_tags_teach_nothing_unless_they_are_asked_to_and_never_what_is_held_out(site: Site) -> None:
    say(site, 4, no=(1,))
    plain, taught = site.points(QUICK), site.points(TAUGHT)

    assert "4.png" not in {picture.image for picture in plain.learned_from()}
    assert {picture.image for picture in taught.held_out()} == {picture.image for picture in plain.held_out()}
    assert plain.point_set_hash() != taught.point_set_hash()
    assert taught.n_points() == plain.n_points()
    assert {image.name for image, _ in taught.clicks(held=False)} == {
        image.name for image, _ in plain.clicks(held=False)
    }


def test_what_labels_contradict_and_an_image_that_contains_nothing_teach_nothing(site: Site) -> None:
    say(site, 0, no=(1,))  # a point says that it is there
    say(site, 4, no=(0, 1))  # every pixel is of some class

    learned = site.points(TAUGHT).learned_from()

    assert all(picture.absent == () for picture in learned)
    assert "4.png" not in {picture.image for picture in learned}


def test_a_training_runs_on_points_and_tags(site: Site, tmp_path: Path) -> None:
    say(site, 4, no=(1,))
    steps = train(site.lab, site.job(TAUGHT), resume=None, checkpoint=tmp_path / "resume")

    progress = [next(steps) for _ in range(TAUGHT.epochs)]

    assert len(progress) == TAUGHT.epochs
    assert all(step.loss > 0 for step in progress)


def test_a_weight_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="absent_weight"):
        replace(QUICK, absent_weight=-1.0)
