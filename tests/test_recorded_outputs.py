"""What fcnlab gave for fixed inputs when it was recorded, it gives now: exports, masks, counts, answers of the service.

A change that means to give something else records anew: FCNLAB_RECORD=1 pytest tests/test_recorded_outputs.py
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from click.testing import CliRunner
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

import fcnlab
from fcnlab.api.service import make_service
from fcnlab.cli import main
from fcnlab.domain.export import SplitSpec
from fcnlab.lab import Lab
from fcnlab.services.export.formats import formats_from
from tests.support.bars import Site, scene
from tests.support.stored_bench import StoredBench

RECORDED = Path(__file__).parent / "recorded"
RECORDS = os.environ.get("FCNLAB_RECORD") == "1"
TOKEN = "a-token-that-nobody-guesses"
SAME = 0.999
"""Share of pixels that processors of different kinds have to agree in; on one machine all do."""

PICTURES = {".png", ".jpg", ".tif"}


def digest(path: Path) -> str:
    """Of what is in a file: of pixels and type where it is a picture, for libraries pack the same ones differently."""
    if path.suffix in PICTURES:
        with Image.open(path) as picture:
            pixels = np.asarray(picture)
            palette = picture.getpalette() or []
        content = pixels.tobytes() + bytes(palette) + f"{picture.mode} {pixels.shape} {pixels.dtype}".encode()
    else:
        content = path.read_bytes()
    return hashlib.sha256(content).hexdigest()[:16]


def assert_recorded(name: str, given: object) -> None:
    """Plain values are those of tests/recorded/NAME.json."""
    path = RECORDED / f"{name}.json"
    if RECORDS:
        path.write_text(json.dumps(given, indent=1, sort_keys=True) + "\n")
    assert json.loads(json.dumps(given)) == json.loads(path.read_text())


def assert_masks_recorded(name: str, given: Mapping[str, NDArray[np.uint8]]) -> None:
    """Masks are those of tests/recorded/NAME.npz."""
    path = RECORDED / f"{name}.npz"
    if RECORDS:
        np.savez_compressed(path, **given)
    with np.load(path) as recorded:
        assert sorted(given) == sorted(recorded)
        for key, mask in given.items():
            assert mask.shape == recorded[key].shape
            assert mask.dtype == recorded[key].dtype
            assert float((mask == recorded[key]).mean()) >= SAME, key


@pytest.fixture
def client(lab: Lab) -> Iterator[TestClient]:
    with TestClient(make_service(lab, token=TOKEN), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("semantic", {}),
        ("instances", {"instances": True}),
        (
            "tidied",
            {"class_ids": (0, 2), "min_area": 40, "fill_holes": True, "border": 1, "split": SplitSpec(by="image")},
        ),
    ],
)
def test_exports_of_every_format(lab: Lab, tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    bench = StoredBench(lab, tmp_path, ["b.png", "a.png", "deep/c.png"])
    bench.click("a.png", (3, 5, 1))
    left_out = {"probabilities", "probabilities-npz"}  # of the learner, not of kept masks
    left_out |= set() if name == "instances" else {"instances"}  # sets the option
    folder, _ = bench.export(
        "out", formats=tuple(each.name for each in formats_from() if each.name not in left_out), **options
    )

    given = {str(path.relative_to(folder)): digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}

    assert_recorded(f"exports-{name}", given)


def test_masks_of_fixed_points() -> None:
    photo = skimage.data.chelsea()
    coins = skimage.data.coins()
    points = ([150, 40, 200, 20, 120], [230, 430, 180, 60, 300], [1, 0, 1, 0, 2])
    given = {}
    for name, options in {
        "default": {},
        "objects": {"object_mode": True},
        "head": {"refine": False, "position": False, "working_side": 256},
        "unbalanced": {"class_weight": "none", "regularisation": 0.1, "resolution": 2},
    }.items():
        seg = fcnlab.PointSegmenter(classes=["background", "cat", "nose"], **options)
        seg.add_points(seg.add_image(photo), rows=points[0], cols=points[1], class_ids=points[2])
        seg.fit()
        given[name] = seg.predict(photo)
        given[f"{name}, unclicked"] = seg.predict(coins)
    first = fcnlab.PointSegmenter(classes=["background", "cat"], object_mode=True)
    first.add_points(first.add_image(photo), rows=[150], cols=[230], class_ids=[1])
    first.fit()
    given["first guess"] = first.predict(photo)

    assert_masks_recorded("masks", given)


def test_answers_of_the_service_and_of_the_command_line(lab: Lab, client: TestClient, tmp_path: Path) -> None:
    site = Site(lab, 3)
    site.click(0, per_class=6)
    number, image = site.project.id, site.images[0]
    address = "/api/v1"
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/projects", {}),
        ("POST", "/projects", {"json": {"name": "made", "classes": ["ground", "bar"], "object_mode": True}}),
        ("GET", f"/projects/{number}", {}),
        ("GET", f"/projects/{number}/images", {"params": {"start": 1, "count": 2}}),
        ("GET", f"/images/{image}", {}),
        ("GET", f"/images/{image}/points", {}),
        ("POST", f"/images/{site.images[1]}/points", {"json": {"points": [{"row": 3, "col": 5, "class_id": 1}]}}),
        ("POST", f"/images/{site.images[1]}/points", {"json": {"points": [{"row": 999, "col": 5, "class_id": 1}]}}),
        ("PUT", f"/projects/{number}/background", {"json": {"background": "nowhere"}}),
        ("GET", "/projects/77", {}),
        ("GET", "/images/77/mask", {}),
        ("POST", f"/projects/{number}/fit", {}),
        ("GET", "/openapi.json", {}),
    ]
    answers = []
    for method, path, options in calls:
        prefix = "" if path == "/openapi.json" else address
        answer = client.request(method, prefix + path, **options)
        answers.append([method, path, answer.status_code, steady(answer.json())])
    mask = client.get(f"{address}/images/{image}/mask", params={"format": "npy"})
    (tmp_path / "new.png").write_bytes(scene(5))
    command = ["--data-dir", str(lab.data_dir), "predict", "--project", site.project.name]
    predicted = CliRunner().invoke(main, [*command, "--output", str(tmp_path / "out"), str(tmp_path / "new.png")])
    stats = CliRunner().invoke(
        main, ["--data-dir", str(lab.data_dir), "stats", "--json", "--project", site.project.name]
    )

    assert predicted.exit_code == 0, predicted.output
    assert stats.exit_code == 0, stats.output
    assert_recorded("answers", {"service": answers, "stats": steady(json.loads(stats.stdout))})
    with Image.open(next((tmp_path / "out").glob("*.png"))) as written:
        given = {"service": np.load(io.BytesIO(mask.content)), "command line": np.asarray(written)}
    assert_masks_recorded("answers", given)


def steady(value: object, name: str = "") -> object:
    """A JSON value without what differs from call to call: identities, times, versions, durations."""
    if isinstance(value, dict):
        return {key: steady(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [steady(one, name) for one in value]
    if name in {"uid", "version", "milliseconds", "checkpoint", "file", "seconds", "created_at"} and not isinstance(
        value, dict
    ):
        return f"<{name}>"
    return value
