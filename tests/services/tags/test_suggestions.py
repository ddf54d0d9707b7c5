"""Suggestions: from what people said of some images to the others, in the background and behind clicks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.domain.project import LearnerSpec
from fcnlab.domain.tags import LIKELY, TagAnswer, TagFilter
from fcnlab.errors import InvalidTag, UnknownProject, WeightsUnavailable
from fcnlab.lab import Lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import set_image_state
from fcnlab.services.live.compute import in_words
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.projects import projects
from fcnlab.services.tags.choosing import chosen_images, filters_of, images_with
from fcnlab.services.tags.jobs import TagJobs, TagsAtWork
from fcnlab.services.tags.reading import ProjectTags, tags_of
from fcnlab.services.tags.scoring import score_tags
from fcnlab.services.tags.suggestions import (
    SeenImages,
    TagSuggestions,
    look_at_images,
    most_doubtful_image,
    suggest,
)
from fcnlab.storage.files.filestore import find_original
from tests.support.tag_bench import N, PhotoSite, Y, photo

PATIENCE_S = 120.0


@pytest.fixture
def site(lab: Lab) -> PhotoSite:
    return PhotoSite(lab)


@pytest.fixture
def jobs(lab: Lab) -> Iterator[Jobs]:
    jobs = Jobs(lab)
    yield jobs
    jobs.close()


def seen_by(site: PhotoSite) -> SeenImages:
    seen = SeenImages()
    for _ in look_at_images(site.lab, PictureStore(site.lab), project_id=site.project.id, seen=seen):
        pass
    return seen


def suggested(site: PhotoSite) -> tuple[ProjectTags, TagSuggestions]:
    tags = tags_of(site.lab, project_id=site.project.id)
    return tags, suggest(tags, seen_by(site).features)


def likely(suggestions: TagSuggestions, image_id: int, class_id: int) -> TagAnswer | None:
    probability = suggestions.probability(image_id, class_id)
    return None if probability is None else Y if probability >= LIKELY else N


def until(work: TagJobs, project_id: int, is_so: Callable[[TagsAtWork], bool]) -> TagsAtWork:
    ends = time.monotonic() + PATIENCE_S
    while not is_so(at_work := work.at_work(project_id)):
        assert time.monotonic() < ends, at_work
        time.sleep(0.05)
    return at_work


def is_ready(at_work: TagsAtWork) -> bool:
    return at_work.done == at_work.total and not at_work.suggestions.is_behind and at_work.suggestions.n_waiting == 0


def test_images_nobody_answered_get_what_those_that_look_alike_have(site: PhotoSite) -> None:
    _, suggestions = suggested(site)

    assert suggestions.class_ids == (site.bar,), "of the ground nobody said anything"
    for number in range(6, 12):
        wanted = Y if site.has_bar(number) else N
        assert likely(suggestions, site.images[number], site.bar) is wanted
    assert suggestions.n_waiting == 0


def test_without_both_answers_nothing_is_suggested_and_the_first_open_image_is_asked_about(lab: Lab) -> None:
    site = PhotoSite(lab, said=1)
    tags, suggestions = suggested(site)

    assert suggestions.class_ids == ()
    assert suggestions.of_image(site.images[3]) == {}
    assert most_doubtful_image(tags, suggestions) == site.images[0], "of its ground nothing is known"
    with pytest.raises(InvalidTag, match="nothing can be predicted of class 'bar'"):
        images_with(tags, [TagFilter(site.bar, "predicted")], suggestions=suggestions)


def test_the_next_image_is_one_whose_tag_nobody_knows(site: PhotoSite) -> None:
    tags, suggestions = suggested(site)

    first = most_doubtful_image(tags, suggestions)
    second = most_doubtful_image(tags, suggestions, besides=first)

    assert first in site.images[6:]
    assert second in site.images[6:]
    assert first != second


def test_contradictions_teach_nothing(lab: Lab) -> None:
    site = PhotoSite(lab, n_images=4, said=2)
    tags = tags_of(lab, project_id=site.project.id)
    seen = seen_by(site)
    assert suggest(tags, seen.features).class_ids == (site.bar,)

    tags.labelled[1, tags.column_of[site.bar]] = 1
    contradicted = ProjectTags(
        tags.project, tags.images, tags.answered, tags.labelled, tags.answers, tags.labels, tags.revision
    )

    assert suggest(contradicted, seen.features).class_ids == ()


def test_features_are_looked_up_after_a_restart_and_do_not_change(site: PhotoSite) -> None:
    first = seen_by(site)
    image = projects.image(site.lab, image_id=site.images[0])
    find_original(site.lab.folders, content_hash=image.content_hash).unlink()

    again = seen_by(site)

    assert again.left_out == {}, "kept on the disk, so that the file is not needed"
    for image_id, features in first.features.items():
        assert np.array_equal(features, again.features[image_id])
    assert all(vector.dtype == np.float32 and vector.ndim == 1 for vector in first.features.values())


def test_an_image_that_cannot_be_read_is_named_and_the_others_are_looked_at(site: PhotoSite) -> None:
    image = projects.image(site.lab, image_id=site.images[3])
    find_original(site.lab.folders, content_hash=image.content_hash).write_bytes(b"no image")

    seen = seen_by(site)

    assert set(seen.left_out) == {site.images[3]}
    assert len(seen.features) == 11


def test_suggestions_come_in_the_background_and_follow_answers(site: PhotoSite, jobs: Jobs) -> None:
    work = TagJobs(site.lab, jobs)
    ready = until(work, site.project.id, is_ready)
    last = site.images[11]
    assert likely(ready.suggestions, last, site.bar) is N
    _, at_once = suggested(site)
    assert ready.suggestions.class_ids == at_once.class_ids
    assert np.allclose(ready.suggestions.probabilities, at_once.probabilities, atol=1e-3)

    site.answer(range(6, 12))
    behind = work.at_work(site.project.id)
    assert behind.suggestions.is_behind
    assert behind.tags.state(last, site.bar).answer is N

    done = until(work, site.project.id, is_ready)
    assert done.tags.state(last, site.bar).answer is N
    assert done.most_doubtful() == site.images[0], "only the ground is unknown"


def test_images_are_not_encoded_while_somebody_clicks(site: PhotoSite, jobs: Jobs) -> None:
    work = TagJobs(site.lab, jobs)
    clicking = threading.Event()

    def click() -> None:
        while not clicking.wait(0.05):
            jobs.gains.clicked()

    jobs.gains.clicked()
    thread = threading.Thread(target=click)
    thread.start()
    try:
        ends = time.monotonic() + 3
        while time.monotonic() < ends:
            at_work = work.at_work(site.project.id)
            time.sleep(0.1)
        assert at_work.done == 0
    finally:
        clicking.set()
        thread.join()

    assert until(work, site.project.id, is_ready).done == 12


def test_an_image_that_comes_later_is_looked_at_too(site: PhotoSite, jobs: Jobs) -> None:
    work = TagJobs(site.lab, jobs)
    until(work, site.project.id, is_ready)

    (step,) = import_files(site.lab, [("later.png", photo(40, bar=True))], project_id=site.project.id)

    ready = until(work, site.project.id, is_ready)
    assert ready.total == 13
    assert likely(ready.suggestions, step.image_id or 0, site.bar) is Y


def test_settings_that_change_no_picture_leave_what_was_seen(site: PhotoSite, jobs: Jobs) -> None:
    work = TagJobs(site.lab, jobs)
    until(work, site.project.id, is_ready)
    learner = replace(site.project.learner, refine=False, regularisation=3.0, class_weight="none", object_mode=True)

    projects.set_learner(site.lab, project_id=site.project.id, learner=learner)

    at_work = work.at_work(site.project.id)
    assert at_work.done == at_work.total


def test_other_settings_of_the_learner_look_again(site: PhotoSite, jobs: Jobs) -> None:
    work = TagJobs(site.lab, jobs)
    before = until(work, site.project.id, is_ready).suggestions
    projects.set_learner(site.lab, project_id=site.project.id, learner=replace(site.project.learner, scales=(1.0,)))

    after = until(work, site.project.id, is_ready).suggestions

    assert before.tagger is not None
    assert after.tagger is not None
    assert before.probabilities.shape == after.probabilities.shape
    assert not np.array_equal(before.probabilities, after.probabilities)


def test_a_deleted_project_has_no_tags(site: PhotoSite, jobs: Jobs) -> None:
    work = TagJobs(site.lab, jobs)
    work.at_work(site.project.id)
    projects.delete_project(site.lab, project_id=site.project.id)

    with pytest.raises(UnknownProject):
        work.at_work(site.project.id)


def test_images_are_chosen_by_what_people_say_and_what_is_predicted(site: PhotoSite) -> None:
    tags, suggestions = suggested(site)

    def chosen(text: str) -> set[int]:
        ids = images_with(tags, filters_of([text], tags.classes), suggestions=suggestions)
        return {site.images.index(image_id) for image_id in ids}

    assert chosen("bar") == chosen("bar=yes") == {0, 2, 4}
    assert chosen("bar=no") == {1, 3, 5}
    assert chosen("bar=unknown") == set(range(6, 12))
    assert chosen("bar=predicted") == {6, 8, 10}
    assert chosen("bar=likely") == {0, 2, 4, 6, 8, 10}
    assert chosen("bar=predicted:0") == set(range(6, 12))
    likely = chosen_images(site.lab, filters_of(["bar=likely"], tags.classes), project_id=site.project.id)
    assert {site.images.index(image_id) for image_id in likely} == {0, 2, 4, 6, 8, 10}


@pytest.mark.parametrize("text", ["fish", "bar=perhaps", "bar=likely:x", "bar=likely:2", "bar=yes:0.5", "=yes"])
def test_a_choice_that_is_none_is_explained(site: PhotoSite, text: str) -> None:
    with pytest.raises(InvalidTag):
        filters_of([text], site.project.classes)


def test_done_images_can_be_left_out(site: PhotoSite) -> None:
    set_image_state(site.lab, image_id=site.images[2], state=ImageState.DONE, labeller="ann")
    tags = tags_of(site.lab, project_id=site.project.id)

    assert images_with(tags, [TagFilter(site.bar)], not_done=True) == (site.images[0], site.images[4])
    assert len(images_with(tags, [], not_done=True)) == 11


def test_scores_are_of_images_that_were_not_learned_from(lab: Lab) -> None:
    site = PhotoSite(lab, n_images=16, said=16)
    tags, seen = tags_of(lab, project_id=site.project.id), seen_by(site)

    scored = score_tags(lab, tags, seen.features)

    (tag,) = scored.scores.tags
    assert [label.name for label in scored.classes] == ["bar"]
    assert (tag.n_yes, tag.n_no) == (8, 8)
    assert tag.average_precision is not None
    assert 0 <= tag.average_precision.low <= tag.average_precision.value <= tag.average_precision.high <= 1
    assert tag.average_precision.value > 0.8, "bars are easy to see"

    rng = np.random.default_rng(0)
    noise = {image_id: rng.normal(size=50).astype(np.float32) for image_id in seen.features}
    by_chance = score_tags(lab, tags, noise).scores.tags[0].average_precision
    assert by_chance is not None
    assert by_chance.value < tag.average_precision.value


def test_with_too_few_answers_scores_are_refused_and_it_is_said_what_is_missing(lab: Lab) -> None:
    site = PhotoSite(lab, n_images=4, said=3)
    tags = tags_of(lab, project_id=site.project.id)

    with pytest.raises(InvalidTag, match="two images with a class and two without"):
        score_tags(lab, tags, seen_by(site).features)


def test_a_click_goes_first_while_tags_are_learned(
    site: PhotoSite, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = TagJobs(site.lab, jobs)
    until(work, site.project.id, is_ready)
    begun, may_end = threading.Event(), threading.Event()

    def slowly(*given: object, **more: object) -> TagSuggestions:
        begun.set()
        assert may_end.wait(PATIENCE_S)
        return suggest(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("fcnlab.services.tags.jobs.suggest", slowly)
    site.answer(range(6, 12))
    work.at_work(site.project.id)
    assert begun.wait(PATIENCE_S)
    jobs.opened(site.project.id, site.images[0])
    shown = jobs.consult(lambda _learner, _said: "shown", project_id=site.project.id, image_id=site.images[0])

    assert shown.result(PATIENCE_S) == "shown"
    assert work.at_work(site.project.id).suggestions.is_behind, "still at it"
    may_end.set()
    assert until(work, site.project.id, is_ready).suggestions.tagger is not None


@pytest.mark.parametrize("failure", [WeightsUnavailable("no weights here"), RuntimeError("a fault")])
def test_an_image_that_fails_holds_up_no_other_one_and_is_tried_until_it_can_be_looked_at(
    site: PhotoSite, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    pooled, mended, tried = PictureStore.pooled, threading.Event(), []

    def fragile(store: PictureStore, image: ImageInfo, spec: LearnerSpec) -> NDArray[np.float32]:
        if image.id == site.images[0] and not mended.is_set():
            tried.append(image.id)
            raise failure
        return pooled(store, image, spec)

    monkeypatch.setattr(PictureStore, "pooled", fragile)
    monkeypatch.setattr("fcnlab.services.tags.jobs.RETRY_S", 0.02)
    work = TagJobs(site.lab, jobs)
    stuck = until(work, site.project.id, lambda at_work: at_work.done == 11 and len(tried) > 4)

    assert stuck.suggestions.left_out == {}
    assert stuck.message == in_words(failure, doing="looking at an image")
    assert (
        until(work, site.project.id, lambda at_work: not at_work.suggestions.is_behind).suggestions.tagger is not None
    )

    mended.set()
    assert until(work, site.project.id, is_ready).message == ""


def test_what_is_said_of_a_failure_goes_when_learning_succeeds(
    site: PhotoSite, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = TagJobs(site.lab, jobs)
    until(work, site.project.id, is_ready)

    def failing(*_given: object, **_more: object) -> TagSuggestions:
        raise MemoryError

    with monkeypatch.context() as during:
        during.setattr("fcnlab.services.tags.jobs.suggest", failing)
        site.answer(range(6, 12))
        assert "memory" in until(work, site.project.id, lambda at_work: bool(at_work.message)).message

    assert until(work, site.project.id, lambda at_work: is_ready(at_work) and not at_work.message).done == 12
