"""Pictures ready for clicks: encoded once, and kept in memory and on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from cachetools import LRUCache
from numpy.typing import NDArray

from fcnlab.core.counting.instant import CountPicture, ready_to_count
from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.encoding.stages import Stages, stages_from_tensors, stages_to_tensors
from fcnlab.core.images.coords import learner_hw, learner_picture
from fcnlab.core.learner import learner
from fcnlab.core.learner.head import Head
from fcnlab.core.learner.model import image_samples_from_arrays, image_samples_to_arrays
from fcnlab.core.learner.samples import Clicks
from fcnlab.core.tagging.pooling import POOLING_VERSION, pooled_features
from fcnlab.core.tiling.large import AnyPicture, is_large, open_picture, unrefined_of, unrefined_probabilities
from fcnlab.core.tiling.wide import TILE_SIDE, WidePicture, is_wide
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import FcnlabError
from fcnlab.lab import Lab
from fcnlab.services.counting.chosen_counts import ChosenCounts
from fcnlab.services.images.importing import read_picture
from fcnlab.services.models.model_cache import ModelCache
from fcnlab.storage.files.filestore import CACHE_NAME_CHARS
from fcnlab.storage.files.tensor_cache import Entry, TensorCache
from fcnlab.storage.files.weights import load_encoder, weights_fingerprint

CACHE_VERSION = "2"
"""Raise when the stages or samples of an unchanged setting change."""

SAMPLES_VERSION = "2"
"""Likewise, of what samples hold. Before 2, some that lacked neighbours were kept as if they had them."""

PICTURES_KEPT = 2
"""Pictures held ready: the one shown and the one before."""

MOST_READY, READY_BYTES = 32, 600_000_000
"""While several people label, each of their pictures is held ready, as long as they take no more memory."""

BYTES_PER_PIXEL = 90
"""About what a picture held ready takes."""

WIDE_KEPT = 1
"""Wide images held ready: the one that is labelled."""

POOLED_SIDE = 1536
"""Pixels of the longer side at which a picture is looked at as a whole whose stages are never held at once."""

POOLED_MEMORY_BYTES, POOLED_DISK_BYTES = 16_000_000, 1_000_000_000
"""Of some kilobytes a picture: so that an answer about a whole picture need not wait for the encoder."""

SAMPLES_MEMORY_BYTES = 32_000_000
SAMPLES_DISK_BYTES = 2_000_000_000


class PictureStore:
    """Encodes pictures and keeps them. Used by one thread at a time.

    `between` is called now and then while a picture is encoded; see `StageEncoder`. `later` gets what can wait until
    somebody has seen the mask: writing to the disk what was encoded for it.
    """

    def __init__(
        self,
        lab: Lab,
        *,
        between: Callable[[], None] | None = None,
        later: Callable[[Callable[[], None]], None] = lambda write: write(),
    ) -> None:
        self._lab, self._between, self._later = lab, between, later
        self.model_cache = ModelCache(lab)
        self.chosen_counts = ChosenCounts(lab, self.model_cache)
        settings = lab.settings
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self._stages = TensorCache(
            lab.folders.features / "stages",
            memory_bytes=settings.cache_memory_mb * 1_000_000,
            disk_bytes=int(settings.cache_disk_gb * 1e9),
        )
        self._samples = TensorCache(
            lab.folders.features / "lessons",
            memory_bytes=SAMPLES_MEMORY_BYTES,
            disk_bytes=min(SAMPLES_DISK_BYTES, int(settings.cache_disk_gb * 1e9)),
        )
        self._pooled = TensorCache(
            lab.folders.features / "pooled",
            memory_bytes=POOLED_MEMORY_BYTES,
            disk_bytes=min(POOLED_DISK_BYTES, int(settings.cache_disk_gb * 1e9)),
        )
        self._encoders: dict[tuple[str, str], StageEncoder] = {}
        self._fingerprints: dict[tuple[str, str], str] = {}
        self._ready: LRUCache[str, AnyPicture] = LRUCache(MOST_READY)
        self._n_watched = 1
        self._wide: LRUCache[str, WidePicture] = LRUCache(WIDE_KEPT)
        self._counted: LRUCache[str, CountPicture] = LRUCache(PICTURES_KEPT)

    def picture(self, image: ImageInfo, spec: LearnerSpec) -> AnyPicture:
        """The picture made ready, encoded now if it never was.

        Raises:
            ImportRefused: the original is gone or damaged.
        """
        key = self._key(image, spec)
        ready = self._ready.get(key)
        if ready is None:
            self._make_room(learner_hw(image.hw, spec))
            ready = self._ready[key] = self._made_ready(image, spec, key)
        return ready

    def expect(self, n_watched: int) -> None:
        """So many pictures are looked at at once: they are held ready if there is room."""
        self._n_watched = n_watched

    def _make_room(self, hw: tuple[int, int]) -> None:
        """Let go of pictures that were not asked for longest, for one more of this size."""
        room = READY_BYTES // (BYTES_PER_PIXEL * hw[0] * hw[1])
        kept = max(PICTURES_KEPT, min(self._n_watched + 1, room))
        while len(self._ready) >= kept:
            self._ready.popitem()

    def passing_picture(self, image: ImageInfo, spec: LearnerSpec) -> AnyPicture:
        """As `picture`, without pushing out another that is held ready."""
        key = self._key(image, spec)
        return self._ready.get(key) or self._made_ready(image, spec, key)

    def unrefined(self, image: ImageInfo, spec: LearnerSpec, head: Head) -> NDArray[np.float32]:
        """Probabilities of a picture by a head alone, (K, h, w) float32; the stages of others stay in memory.

        Raises:
            ImportRefused: the original is gone or damaged.
        """
        with torch.inference_mode():
            if is_large(learner_hw(image.hw, spec)):
                return unrefined_of(self.passing_picture(image, spec), head)
            entry = self._stages_of(image, spec, self._key(image, spec), is_passing=True)
            return unrefined_probabilities(stages_from_tensors(entry.tensors, entry.description), head)

    def is_ready(self, image: ImageInfo, spec: LearnerSpec) -> bool:
        """Whether `picture` answers at once."""
        return self._key(image, spec) in self._ready

    def counted_picture(self, image: ImageInfo, spec: LearnerSpec, *, keeps: bool = True) -> CountPicture:
        """The picture made ready to be counted in; `keeps`: it is held ready, and so may push out another.

        Raises:
            ImportRefused: the original is gone or damaged.
        """
        key = self._key(image, spec)
        picture = self._counted.get(key)
        if picture is None:
            entry = self._stages_of(image, spec, key, is_passing=not keeps)
            stages = stages_from_tensors(entry.tensors, entry.description)
            picture = ready_to_count(entry.tensors["rgb"].cpu().numpy(), stages)
        if keeps:
            self._counted[key] = picture
        return picture

    def is_counted_ready(self, image: ImageInfo, spec: LearnerSpec) -> bool:
        """Whether `counted_picture` answers at once."""
        return self._key(image, spec) in self._counted

    def kept_pooled(self, image: ImageInfo, spec: LearnerSpec) -> NDArray[np.float32] | None:
        """As `pooled`, if it is kept; None: the picture was not looked at yet."""
        entry = self._pooled.get(self._pooled_key(image, spec))
        return None if entry is None else entry.tensors["pooled"].numpy()

    def pooled(self, image: ImageInfo, spec: LearnerSpec) -> NDArray[np.float32]:
        """The features of a whole picture, (F,) float32; its stages are kept only if they were before.

        Raises:
            ImportRefused: the original is gone or damaged.
        """
        kept = self.kept_pooled(image, spec)
        if kept is not None:
            return kept
        seen = _seen_at_once(image, spec)
        entry = self._stages.get(self._key(image, seen), device=self._lab.device, is_passing=True)
        if entry is None:
            rgb = learner_picture(read_picture(self._lab, image), seen)
            stages = self._encoder(seen).encode(rgb, scales=seen.scales, position=seen.position)
        else:
            stages = stages_from_tensors(entry.tensors, entry.description)
        pooled = np.ascontiguousarray(pooled_features(stages), np.float32)
        self._pooled.put(self._pooled_key(image, spec), Entry({"pooled": torch.from_numpy(pooled)}, {}))
        return pooled

    def _pooled_key(self, image: ImageInfo, spec: LearnerSpec) -> str:
        return f"{self._key(image, _seen_at_once(image, spec))}-{POOLING_VERSION}"

    def warm_up(self) -> None:
        """Load the default encoder and run it once; the first picture is then as fast as the next."""
        spec = LearnerSpec()
        with suppress(FcnlabError):  # whoever needs the encoder is told why it cannot be loaded
            grey = np.full((64, 64, 3), 128, np.uint8)
            self._encoder(spec).encode(grey, scales=spec.scales, position=spec.position)

    def encode_ahead(self, image: ImageInfo, spec: LearnerSpec) -> None:
        """Fill the cache for a picture that will be shown soon; a wide one would take too long."""
        if not is_wide(learner_hw(image.hw, spec)):
            self._stages_of(image, spec, self._key(image, spec))

    def extract_samples(
        self, image: ImageInfo, clicks: Clicks, spec: LearnerSpec, *, background: int | None, neighbours: bool = True
    ) -> learner.ImageSamples:
        """The samples at the clicks of an image, with their neighbours or without: from the cache, or from its stages.

        Raises:
            ImportRefused: the original is gone or damaged.
        """
        kinds = () if self.is_ready(image, spec) else ((True,) if neighbours else (False, True))
        keys = (self._samples_key(image, clicks, spec, background, neighbours=kind) for kind in kinds)
        cached = next((entry for key in keys if (entry := self._samples.get(key)) is not None), None)
        if cached is not None:
            extracted = image_samples_from_arrays({name: tensor.numpy() for name, tensor in cached.tensors.items()})
        else:
            extracted = learner.extract_samples(self.picture(image, spec), clicks, spec, background=background)
        return extracted if neighbours else learner.without_neighbours(extracted)

    def extract_samples_coarsely(
        self, image: ImageInfo, clicks: Clicks, spec: LearnerSpec, *, background: int | None
    ) -> learner.ImageSamples:
        """The samples at the clicks of a wide image while it is labelled: only tiles that hold a click are encoded."""
        seen = replace(spec, object_mode=False)  # its border would be
        return learner.extract_samples(self.wide_picture(image, spec), clicks, seen, background=background)

    def wide_picture(self, image: ImageInfo, spec: LearnerSpec) -> WidePicture:
        """A wide image ready to be labelled tile by tile. Raises ImportRefused: the original is gone or damaged."""
        key = self._key(image, spec)
        picture = self._wide.get(key)
        if picture is None:
            rgb = learner_picture(read_picture(self._lab, image), spec)
            tile_cache = self._stages.tile_cache(f"{key}-wide{TILE_SIDE}")
            picture = WidePicture(self._encoder(spec), rgb, spec, tile_cache=tile_cache, side=TILE_SIDE)
            self._wide[key] = picture
        return picture

    def keep_samples(
        self,
        image: ImageInfo,
        clicks: Clicks,
        spec: LearnerSpec,
        extracted: learner.ImageSamples,
        *,
        background: int | None,
        neighbours: bool,
    ) -> None:
        """Write the samples of an image to the disk, so that a restart need not encode it again.

        `neighbours`: whether the samples have those of its clicks.
        """
        arrays = image_samples_to_arrays(replace(extracted, guess=None))  # made anew while it is wanted
        tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
        key = self._samples_key(image, clicks, spec, background, neighbours=neighbours)
        self._samples.put(key, Entry(tensors, {}))

    def _key(self, image: ImageInfo, spec: LearnerSpec) -> str:
        weights = (spec.encoder, spec.encoder_weights)
        if weights not in self._fingerprints:
            self._fingerprints[weights] = weights_fingerprint(*weights)
        seen = [CACHE_VERSION, self._fingerprints[weights], spec.scales, learner_hw(image.hw, spec), spec.position]
        if image.imaging is not None:
            seen.append(image.imaging.digest)
        return f"{image.content_hash[:CACHE_NAME_CHARS]}-{hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]}"

    def _samples_key(
        self, image: ImageInfo, clicks: Clicks, spec: LearnerSpec, background: int | None, *, neighbours: bool
    ) -> str:
        """Hash of all that decides samples: the picture as it is encoded, its clicks, their neighbours, the border."""
        border_of = background if spec.object_mode else None
        said = [SAMPLES_VERSION, self._key(image, spec), border_of, neighbours, len(clicks), clicks.image_hw]
        digest = hashlib.sha256(json.dumps(said).encode())
        for column in (clicks.rows, clicks.cols, clicks.class_ids, clicks.weights):
            digest.update(np.ascontiguousarray(column).tobytes())
        return f"{image.content_hash[:CACHE_NAME_CHARS]}-{digest.hexdigest()[:40]}"

    def _encoder(self, spec: LearnerSpec) -> StageEncoder:
        key = (spec.encoder, spec.encoder_weights)
        if key not in self._encoders:
            trained = load_encoder(*key)
            self._encoders[key] = StageEncoder.of(trained, device=self._lab.device, between=self._between)
        return self._encoders[key]

    def _made_ready(self, image: ImageInfo, spec: LearnerSpec, key: str) -> AnyPicture:
        if is_large(learner_hw(image.hw, spec)):
            rgb = learner_picture(read_picture(self._lab, image), spec)
            return open_picture(self._encoder(spec), rgb, spec, tile_cache=self._stages.tile_cache(key))
        entry = self._stages_of(image, spec, key)
        return learner.prepare(
            entry.tensors["rgb"].cpu().numpy(), stages_from_tensors(entry.tensors, entry.description)
        )

    def _stages_of(self, image: ImageInfo, spec: LearnerSpec, key: str, *, is_passing: bool = False) -> Entry:
        entry = self._stages.get(key, device=self._lab.device, is_passing=is_passing)
        if entry is None:
            rgb = learner_picture(read_picture(self._lab, image), spec)
            stages = self._encoder(spec).encode(rgb, scales=spec.scales, position=spec.position)
            entry = _entry(rgb, stages)
            if is_passing:
                self._stages.put(key, entry, is_passing=True)
            else:
                self._stages.keep_in_memory(key, entry)
                self._later(partial(self._stages.write, key, entry))
        return entry


def _seen_at_once(image: ImageInfo, spec: LearnerSpec) -> LearnerSpec:
    """The settings, at a smaller size where all stages of the picture would not be held at once."""
    return replace(spec, resolution=None, working_side=POOLED_SIDE) if is_large(learner_hw(image.hw, spec)) else spec


def _entry(rgb: NDArray[np.uint8], stages: Stages) -> Entry:
    tensors, description = stages_to_tensors(stages)
    return Entry({"rgb": torch.from_numpy(np.ascontiguousarray(rgb)), **tensors}, description)
