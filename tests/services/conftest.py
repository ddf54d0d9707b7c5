"""A tab on an empty project."""

from __future__ import annotations

import pytest

from fcnlab.lab import Lab
from tests.support.tabs import Tab, new_project


@pytest.fixture
def tab(any_lab: Lab) -> Tab:
    project_id, images = new_project(any_lab)
    return Tab(any_lab, project_id=project_id, image_id=images[0])
