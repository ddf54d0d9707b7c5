"""Statistics of a project: they count what is live, and the table says the same."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from fcnlab.cli import main
from fcnlab.domain.images import ImageState, StoredMask
from fcnlab.errors import UnknownProject
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import points_of_image, remove_points, set_image_state
from fcnlab.services.projects.statistics import image_statistics, statistics_csv
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import writing
from tests.support.bars import HEIGHT, WIDTH, Site


@pytest.fixture
def site(lab: Lab) -> Site:
    """Three images: one clicked and done, one clicked, one new."""
    site = Site(lab, 3)
    site.click(0, per_class=4)
    site.click(1, per_class=2)
    set_image_state(lab, image_id=site.images[0], state=ImageState.DONE, labeller="ann")
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:12] = site.project.classes[1].id
    path = lab.folders.masks / "kept.png"
    Image.fromarray(mask).save(path)
    with writing(lab.sessions) as session:
        kept = StoredMask("kept.png", "model", "hash", lab.clock())
        repository_images.store_mask(session, image_id=site.images[0], mask=kept)
    return site


def test_points_pixels_and_labellers_are_those_of_each_image(site: Site) -> None:
    background, bar = (label.id for label in site.project.classes)
    (gone, *_) = points_of_image(site.lab, image_id=site.images[1])
    remove_points(site.lab, [gone.uid], image_id=site.images[1], labeller="ben")

    first, second, third = image_statistics(site.lab, project_id=site.project.id)

    assert first.points == {background: 4, bar: 4}
    assert first.pixels == {background: (HEIGHT - 12) * WIDTH, bar: 12 * WIDTH}
    assert sum(second.points.values()) == 3
    assert second.labellers == ("ann",)
    assert (third.points, third.pixels, third.labellers) == ({}, {}, ())


def test_the_table_has_a_line_per_image(site: Site) -> None:
    rows = list(image_statistics(site.lab, project_id=site.project.id))

    first, second, third = csv.DictReader(io.StringIO(statistics_csv(rows, site.project.classes).decode()))

    assert first["image"] == "0.png"
    assert float(first["share object"]) == pytest.approx(12 / HEIGHT, abs=1e-6)
    assert (second["points background"], second["share object"]) == ("2", "")
    assert third["state"] == "new"


def test_the_command_counts_like_the_service(site: Site) -> None:
    folder = site.lab.folders.images.parent

    done = CliRunner().invoke(
        main, ["--data-dir", str(folder), "stats", "--project", "bars", "--csv", str(folder / "t.csv"), "--json"]
    )

    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["points"] == 12
    assert [one["images"] for one in found["classes"]] == [2, 2]
    assert found["classes"][1]["share"] == pytest.approx(12 / HEIGHT)
    assert len((folder / "t.csv").read_text("utf-8").splitlines()) == 4


def test_a_project_that_does_not_exist_has_none(lab: Lab) -> None:
    with pytest.raises(UnknownProject):
        next(image_statistics(lab, project_id=7))
