"""Points on their way out to a table and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcnlab.domain.events import Point, PointSource
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import add_points, points_of_image
from fcnlab.services.labelling.point_import import export_points, import_points
from tests.support.tabs import new_project


@pytest.mark.parametrize("source", list(PointSource))
def test_a_point_keeps_its_source(lab: Lab, tmp_path: Path, source: PointSource) -> None:
    project_id, (image_id, _) = new_project(lab)
    other_id, (copy_id, _) = new_project(lab, name="copy")
    add_points(lab, [Point(3, 50, 1)], image_id=image_id, labeller="ann", source=source)

    export_points(lab, project_id=project_id, to=tmp_path / "points.csv")
    import_points(lab, tmp_path / "points.csv", project_id=other_id)

    (stored,) = points_of_image(lab, image_id=copy_id)
    assert (stored.point, stored.labeller, stored.source) == (Point(3, 50, 1), "ann", source)
