"""A project's learner: follows the points in the database and keeps the head that fits them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fcnlab.core.counting.counted import Counted
from fcnlab.core.images.coords import learner_hw
from fcnlab.core.images.painting import Painting
from fcnlab.core.learner import learner
from fcnlab.core.learner.head import Head, missing_message
from fcnlab.core.learner.learner import ImageSamples, Mark, unmarked
from fcnlab.core.learner.model import LabelledSamples, Model, canonical_samples, with_current_settings
from fcnlab.core.learner.samples import NEIGHBOURS_UP_TO, Clicks, SampleTable, canonical_clicks
from fcnlab.core.tiling.large import segment_any
from fcnlab.core.tiling.wide import is_wide
from fcnlab.core.training.network_output import ChosenNetwork
from fcnlab.domain.counting import Task
from fcnlab.domain.events import StoredPoint
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.models import ModelRecord
from fcnlab.domain.project import LearnerSpec, Project
from fcnlab.errors import NoPoints
from fcnlab.lab import Lab
from fcnlab.services.counting.instant_counter import InstantCounter
from fcnlab.services.labelling.newest_points import newest_per_pixel
from fcnlab.services.labelling.painting import painting_of
from fcnlab.services.live.change_detection import changes
from fcnlab.services.live.mask_source import MaskSource, ModelSource, NetworkSource
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.storage.database.engine import reading
from fcnlab.storage.database.repository_images import ImageAt
from fcnlab.storage.database.repository_projects import NOTHING_READ


def image_samples_of(labelled: Iterable[LabelledSamples]) -> list[ImageSamples]:
    """The samples of labelled images, in canonical order. Raises NoPoints: there are none."""
    image_samples = canonical_samples(labelled)
    if not image_samples:
        raise NoPoints(missing_message(()))
    return image_samples


def learns_otherwise(before: Project, after: Project) -> bool:
    """Whether samples extracted under the settings of before cannot be used any more."""

    def seen(spec: LearnerSpec) -> LearnerSpec:
        return replace(spec, refine=True, class_weight="balanced", regularisation=1.0, grades=())

    return (
        seen(before.learner) != seen(after.learner)
        or before.background != after.background
        or before.imaging != after.imaging
    )


class ProjectLearner:
    """What one project has learned. Used by one thread at a time; `refresh` first, then the rest."""

    def __init__(self, lab: Lab, pictures: PictureStore, *, project_id: int) -> None:
        self._lab = lab
        self._pictures = pictures
        self._project_id = project_id
        self._read_at = NOTHING_READ
        self._images: dict[int, ImageInfo] = {}
        self._clicks: dict[int, Clicks] = {}
        self._samples: dict[int, LabelledSamples] = {}
        self._exact: dict[int, LabelledSamples] = {}
        self._unsaved: set[int] = set()
        self._left_out: dict[int, str] = {}
        self._without_neighbours: set[int] = set()
        self.counter = InstantCounter(pictures)
        """What counts, in a project that counts; nothing else of what is learned is used there."""
        self._table = SampleTable()
        self._head: Head | None = None
        self._fitted = -1
        self._learned_at: dict[int, int] = {}
        self.others_wait = False
        """Whether clicks wait: an image takes the last head then, if that knows all its points."""
        self.is_behind = False
        """Whether `head_for` gave such a head, so that the mask has to be made again when there is time."""
        self._chosen: MaskSource
        self._chosen_at = (0, -1)
        self.project: Project | None = None
        self.record: ModelRecord | None = None
        """The model that the project chose; None stands for the instant learner."""
        self.revision = 0
        """Rises with every change of what a fit would learn from."""
        self._project_revision = 0

    def refresh(self, image_id: int | None = None) -> ImageAt | None:
        """Read what changed in the database since the last call; the image asked for besides, None where it is gone."""
        changed = changes(self._lab, project_id=self._project_id, revision=self._read_at, image_id=image_id)
        project, self.record = changed.project, changed.record
        if self.project is not None and learns_otherwise(self.project, project):
            self._samples.clear()
            self._exact.clear()
            self._without_neighbours.clear()
            self.counter.clear()
            self._head, self._table = None, SampleTable()
        if self.project != project or changed.points:
            self.revision += 1
        if self.project != project:
            self._project_revision = self.revision
        self.project = project
        for image_id, stored_points in changed.points.items():
            self._set_clicks(image_id, stored_points, changed.images.get(image_id))
        self._read_at = changed.revision
        self._trim()
        return changed.shown

    @property
    def scores_revision(self) -> int:
        """The revision from which `unrefined` says the same: a chosen model learns nothing from clicks."""
        return self.revision if self.record is None else self._project_revision

    @property
    def is_counting(self) -> bool:
        """Whether the project counts objects; `count` answers then, and there are no masks."""
        return self.project is not None and self.project.task is Task.COUNTS

    def clicks_of(self, image: ImageInfo) -> Clicks:
        """The live clicks of an image."""
        return self._clicks.get(image.id) or canonical_clicks([], image.hw)

    def painting_of(self, image: ImageInfo, *, revision: int | None = None) -> Painting:
        """What is painted on an image, read now: nothing is learned from strokes, they lie over what is learned.

        `revision`: that of its strokes, if it is known: 0 where there never was one.
        """
        if revision == 0:
            return Painting((), image.hw)
        with reading(self._lab.sessions) as session:
            return painting_of(session, image)

    def images_to_learn_from(self) -> list[ImageInfo]:
        """Images whose points are not learned from yet because they have to be encoded first."""
        asked = (image_id for image_id in sorted(self._clicks) if image_id not in self._left_out)
        return [self._images[image_id] for image_id in asked if not self._has_learned_from(image_id)]

    def _has_learned_from(self, image_id: int) -> bool:
        """Whether the newest points of an image are learned from, by the head or by the counter."""
        return image_id in self._samples or self.counter.has_learned_from(image_id)

    def n_images(self) -> int:
        """Number of images with points."""
        return len(self._clicks)

    def clicked_pictures(self) -> list[str]:
        """Names of the pictures with points, in order; one made in another way has another name."""
        return sorted(self._images[image_id].picture_id for image_id in self._clicks)

    def clicked_classes(self) -> frozenset[int]:
        """Ids of the classes that have points."""
        return frozenset(int(class_id) for clicks in self._clicks.values() for class_id in clicks.class_ids)

    def left_out(self) -> dict[int, str]:
        """Why labelled images are not learned from, by image id: those that can never be read."""
        return dict(self._left_out)

    def leave_out(self, image: ImageInfo, reason: str) -> None:
        """Do without an image that can never be read, until its points change or `try_again`."""
        if image.id in self._clicks:
            self._left_out[image.id] = reason
            self.revision += 1

    def try_again(self) -> None:
        """Learn from the images left out as well: somebody may have put their files back."""
        if self._left_out:
            self._left_out.clear()
            self.revision += 1

    @property
    def read_at(self) -> int:
        """The revision of the project whose points these are."""
        return self._read_at

    def learn_from(self, image: ImageInfo) -> None:
        """Take the points of an image into account; encodes it if it never was."""
        project, clicks = self._known_project(), self._clicks.get(image.id)
        if clicks is None or self._has_learned_from(image.id):
            return
        self.revision += 1
        self._learned_at[image.id] = self.revision
        if self.is_counting:
            self.counter.learn_from(project, self._images[image.id], clicks)
            return
        if self._is_wide(image):
            extracted = self._pictures.extract_samples_coarsely(
                image, clicks, project.learner, background=project.background
            )
        else:
            extracted = self._pictures.extract_samples(
                image, clicks, project.learner, background=project.background, neighbours=not self._is_crowded()
            )
            self._unsaved.add(image.id)
            if self._is_crowded():
                self._without_neighbours.add(image.id)
        self._samples[image.id] = LabelledSamples(image.content_hash, clicks, extracted)
        self._trim()

    def is_guessing(self) -> bool:
        """Whether masks are a first guess by few clicks of one class, none of them of the background."""
        n_points = sum(len(clicks) for clicks in self._clicks.values())
        if self.record is not None or self.is_counting or n_points > NEIGHBOURS_UP_TO:  # cheap to ask with every click
            return False
        return learner.wants_guess(self.clicked_classes(), n_points, self._known_project().background) and any(
            not self._is_wide(self._images[image_id]) for image_id in self._clicks
        )

    def _guess(self) -> None:
        """Give the samples of every image a guessed background while masks are a first guess, and only then."""
        project, is_guessing = self._known_project(), self.is_guessing()
        for image_id, labelled in self._samples.items():
            image, guess = self._images[image_id], labelled.samples.guess
            if not is_guessing or self._is_wide(image):  # all of a wide image would have to be encoded
                guess = None
            elif guess is None and project.background is not None:
                picture = self._pictures.passing_picture(image, project.learner)
                guess = learner.first_guess(picture, labelled.clicks, background=project.background)
            if guess is not labelled.samples.guess:
                self._samples[image_id] = replace(labelled, samples=replace(labelled.samples, guess=guess))

    def _is_wide(self, image: ImageInfo) -> bool:
        return is_wide(learner_hw(image.hw, self._known_project().learner))

    def fit(self) -> Head:
        """A head for all points learned from so far, starting at the last one.

        Raises:
            NoPoints: fewer than two classes have points, and no first guess can be made.
        """
        self._guess()
        spec = self._known_project().learner
        self._head = learner.fit(self._image_samples(), spec, start=self._head, table=self._table)
        self._fitted = self.revision
        return self._head

    def wants_preparation(self) -> bool:
        """Whether `prepare` would make the next fits quicker."""
        n_points = sum(len(labelled.clicks) for labelled in self._samples.values())
        return self._head is not None and learner.wants_preparation(self._head, n_points)

    def prepare(self) -> None:
        """Make the next fits quicker; for a moment between clicks. Nothing, where points came since the last fit."""
        if self._head is not None and self._fitted == self.revision and self.wants_preparation():
            self._head = learner.prepared(self._head, self._image_samples(), self._known_project().learner)

    def _image_samples(self) -> list[ImageSamples]:
        """The samples of all images, those that changed last behind: a fit that goes on from the last needs no order.

        Raises:
            NoPoints: there are none.
        """
        if not self._samples:
            raise NoPoints(missing_message(()))
        return [labelled.samples for labelled in self._samples.values()]

    def newest_head(self) -> Head:
        """As `fit`, which is spared when nothing changed since the last time."""
        if self._head is None or self._fitted != self.revision:
            return self.fit()
        return self._head

    def head_for(self, image: ImageInfo) -> Head:
        """The newest head; while others wait the last one, if it has learned from the points of this image.

        Raises:
            NoPoints: as `fit`.
        """
        changed_at = max(self._learned_at.get(image.id, 0), self._project_revision)
        if self.others_wait and self._head is not None and changed_at <= self._fitted < self.revision:
            self.is_behind = True
            return self._head
        return self.newest_head()

    def cold_model(self) -> Model:
        """The model that the points alone decide: the samples of every image, fitted from zero.

        Raises:
            NoPoints: fewer than two classes have points, and no first guess can be made.
        """
        project = self._known_project()
        if self.is_counting:
            raise NoPoints("this project counts objects and makes no masks: export its counts instead")
        for image in self.images_to_learn_from():
            self.learn_from(image)
        self._guess()
        labelled = tuple(self._exact_samples(image_id) for image_id in sorted(self._samples))
        head = learner.fit(image_samples_of(labelled), project.learner)
        classes = tuple((label.id, label.name) for label in project.classes)
        return Model(project.learner, classes, head, project.background, labelled)

    def _exact_samples(self, image_id: int) -> LabelledSamples:
        """The samples of an image however it was labelled: a wide one, learned from tile by tile, is encoded whole."""
        image, project = self._images[image_id], self._known_project()
        if not self._is_wide(image):
            return self._samples[image_id]
        if image_id not in self._exact:
            clicks = self._clicks[image_id]
            extracted = self._pictures.extract_samples(image, clicks, project.learner, background=project.background)
            self._exact[image_id] = LabelledSamples(image.content_hash, clicks, extracted)
        return self._exact[image_id]

    def source(self) -> MaskSource:
        """The mask source of the project at this moment: the model it chose, or a fit of all its points.

        Raises:
            NoPoints: it uses the instant learner, and fewer than two classes have points.
            CheckpointError, UnknownEncoder: the file of the chosen model cannot be used.
            InvalidClasses: the chosen model knows fewer than two classes in use.
        """
        return self.source_of(self.cold_model()) if self.record is None else self.chosen_source(self.record)

    def source_of(self, model: Model) -> MaskSource:
        """The mask source of a fitted model."""
        return ModelSource(model, self._pictures)

    def chosen_source(self, record: ModelRecord) -> MaskSource:
        """The mask source of a model of the project, with the clicks and settings of now; raises as `source`."""
        if (record.id, self.revision) != self._chosen_at:
            self._chosen, self._chosen_at = self._made_source(record), (record.id, self.revision)
        return self._chosen

    def _made_source(self, record: ModelRecord) -> MaskSource:
        project = self._known_project()
        content = self._pictures.model_cache.content(record)
        clicks = {self._images[image_id].content_hash: image_clicks for image_id, image_clicks in self._clicks.items()}
        if isinstance(content, Model):
            classes = tuple((label.id, label.name) for label in project.classes)
            model = with_current_settings(
                content, classes=classes, background=project.background, spec=project.learner, clicks=clicks
            )
            return ModelSource(model, self._pictures, name=record.name)
        name = f"{record.id} {record.file}"
        network = ChosenNetwork(content, name, project.learner, project.background, project.class_ids(), clicks)
        return NetworkSource(network, self._pictures, name=record.name)

    def count(self, image: ImageInfo, *, is_bare: bool = False) -> Counted:
        """The objects of an image by what is learned so far, its own points too, or by the chosen model; `is_bare`: by
        that, as if nothing were marked. Raises NoPoints, ImportRefused, CheckpointError."""
        project, current = self._known_project(), self._images.get(image.id, image)
        if self.record is not None:
            current = replace(current, is_complete=current.is_complete and not is_bare)
            clicks = canonical_clicks([], current.hw) if is_bare else self.clicks_of(current)
            return self._pictures.chosen_counts.count(self.record, project, current, clicks, keeps=not is_bare)
        self.counter.make_ready(project, current)
        self.learn_from(current)
        return self.counter.count(project, current, self.clicks_of(current))

    def segment(self, image: ImageInfo, head: Head, *, mark: Mark = unmarked) -> learner.Segmentation:
        """The mask of an image by a head of the instant learner."""
        project, clicks = self._known_project(), self.clicks_of(image)
        picture = self._pictures.picture(image, project.learner)
        return segment_any(picture, head, clicks, project.learner, background=project.background, mark=mark)

    def keep_samples(self) -> None:
        """Write new samples to the disk cache."""
        spec, background = self._known_project().learner, self._known_project().background
        for image_id in sorted(self._unsaved & set(self._samples)):
            image, labelled = self._images[image_id], self._samples[image_id]
            self._pictures.keep_samples(
                image,
                labelled.clicks,
                spec,
                labelled.samples,
                background=background,
                neighbours=image_id not in self._without_neighbours,
            )
        self._unsaved.clear()
        self._trim()

    def _known_project(self) -> Project:
        if self.project is None:
            self.refresh()
        assert self.project is not None
        return self.project

    def _is_crowded(self) -> bool:
        """Whether the project has too many points for the neighbours of its clicks to count."""
        return sum(len(clicks) for clicks in self._clicks.values()) > NEIGHBOURS_UP_TO

    def _trim(self) -> None:
        """Forget the neighbours of clicks while there are too many points for them to count; learn them again after.

        They are nine tenths of the samples of an image, and a project may have thousands of images.
        """
        if not self._is_crowded():
            for image_id in self._without_neighbours & set(self._samples):
                del self._samples[image_id]
            self._without_neighbours.clear()
            return
        for image_id in set(self._samples) - self._without_neighbours:
            labelled = self._samples[image_id]
            self._samples[image_id] = replace(labelled, samples=learner.without_neighbours(labelled.samples))
            self._without_neighbours.add(image_id)

    def _set_clicks(self, image_id: int, stored_points: Sequence[StoredPoint], image: ImageInfo | None) -> None:
        """Take over what an image has now; None for one that nothing is learned from any more."""
        self._without_neighbours.discard(image_id)
        self._left_out.pop(image_id, None)
        self.counter.forget(image_id)
        for by_image in (self._samples, self._exact, self._clicks):
            by_image.pop(image_id, None)
        self._learned_at[image_id] = self.revision
        if image is not None:
            self._images[image_id] = image
            newest = newest_per_pixel(stored_points)
            weights = [stored.weight for stored in newest]
            self._clicks[image_id] = canonical_clicks([stored.point for stored in newest], image.hw, weights)
        else:
            self._images.pop(image_id, None)
