"""What a labeller was told is stored stays stored, even when the process is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fcnlab.domain.events import Point
from fcnlab.lab import open_lab
from fcnlab.services.images.import_batches import BATCH_MOST
from fcnlab.services.images.importing import read_picture
from fcnlab.services.images.pictures import shown_file, thumbnail_file
from fcnlab.services.labelling.events import acknowledged, points_of_project
from fcnlab.services.projects.projects import images, projects
from fcnlab.settings import Settings

CLICKER = """
import sys
from pathlib import Path
import numpy as np
from fcnlab.domain.events import Event, EventBatch, EventKind
from fcnlab.lab import open_lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import apply_events
from fcnlab.services.projects.projects import create_project
from fcnlab.settings import Settings
from PIL import Image
import io

lab = open_lab(Settings(data_dir=Path(sys.argv[1]), device="cpu"))
project = create_project(lab, name="cells")
png = io.BytesIO()
Image.fromarray(np.zeros((100, 1000, 3), np.uint8)).save(png, format="PNG")
(step,) = import_files(lab, [("a.png", png.getvalue())], project_id=project.id)
for seq in range(1, 10_000):
    event = Event(seq, EventKind.ADD, step.image_id, {"row": seq // 1000, "col": seq % 1000, "class_id": 1})
    applied = apply_events(lab, EventBatch("client-one", (event,)), project_id=project.id, labeller="ann")
    print(applied.acknowledged, flush=True)
"""

IMPORTER = """
import io, sys
from pathlib import Path
import numpy as np
from PIL import Image
from fcnlab.lab import open_lab
from fcnlab.services.images.importing import import_files
from fcnlab.services.projects.projects import create_project
from fcnlab.settings import Settings

def files():
    for seed in range(10_000):
        png = io.BytesIO()
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 70, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(png, format="PNG")
        yield f"{seed}.png", png.getvalue()

lab = open_lab(Settings(data_dir=Path(sys.argv[1]), device="cpu"))
project = create_project(lab, name="cells")
for step in import_files(lab, files(), project_id=project.id):
    print(step.done, flush=True)
"""


def test_kill_loses_no_imported_image_and_leaves_none_half(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", IMPORTER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = 0
    while told < 70:
        told = int(process.stdout.readline())
    process.kill()
    told = max([told, *(int(line) for line in process.stdout.read().splitlines())])
    process.wait(timeout=30)

    lab = open_lab(Settings(data_dir=tmp_path, device="cpu"))

    found = images(lab, project_id=1)
    assert told <= len(found) <= told + BATCH_MOST
    assert [one.name for one in found] == [f"{seed}.png" for seed in range(len(found))]
    for one in found:
        assert read_picture(lab, one).shape == (40, 70, 3)
        assert shown_file(lab, one).stat().st_size > 0
        assert thumbnail_file(lab, one).stat().st_size > 0
    lab.close()


def test_kill_loses_no_acknowledged_event(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", CLICKER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = 0
    while told < 150:
        told = int(process.stdout.readline())
    process.kill()
    told = max([told, *(int(line) for line in process.stdout.read().splitlines())])
    process.wait(timeout=30)

    lab = open_lab(Settings(data_dir=tmp_path, device="cpu"))

    stored = acknowledged(lab, client_id="client-one")
    (project,) = projects(lab)
    points = {found.point for found in points_of_project(lab, project_id=project.id)}
    lab.close()
    assert stored in (told, told + 1)
    assert points == {Point(seq // 1000, seq % 1000, 1) for seq in range(1, stored + 1)}
