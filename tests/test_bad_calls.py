"""Calls that cannot mean anything: each is refused with one explained line, and nothing is stored."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from PIL import Image

import fcnlab
from fcnlab.api.service import make_service
from fcnlab.cli import main
from fcnlab.errors import FcnlabError
from fcnlab.lab import open_lab
from fcnlab.services.projects.projects import create_project, projects
from fcnlab.settings import Settings

NAN, INF, HUGE = float("nan"), float("inf"), 10**20
MASK = np.zeros((3, 5), np.uint8)
PICTURE = np.zeros((64, 80, 3), np.uint8)

TEXT: tuple[Any, ...] = (None, 3, [], b"x")
FLAG: tuple[Any, ...] = (None, "yes", 3, 1, [])
WHOLE: tuple[Any, ...] = (None, "big", 1.5, True, NAN, HUGE, -HUGE, [1])
REAL: tuple[Any, ...] = (None, "x", True, NAN, INF, -1.0, [1.0])

CONSTRUCTOR: dict[str, tuple[Any, ...]] = {
    "device": (*TEXT, "", "gpu", "cuda:99", "cpu:x"),
    "seed": (None, "x", 1.5, True, [1]),
    "encoder": (*TEXT, "no_such_net", "../x", "\0"),
    "encoder_weights": (None, 3, "/nope.pth", "/tmp"),
    "scales": (1.0, None, "1", (), (0,), (1, 1), ("a",), (NAN,), {1.0}, (True,)),
    "working_side": (*WHOLE, 63, 8193),
    "object_mode": FLAG,
    "refine": FLAG,
    "position": FLAG,
    "class_weight": (*TEXT, "", "heavy"),
    "regularisation": (*REAL, 0, 0.0),
    "resolution": ("all", True, 0, 65, NAN, [2]),
    "no_such_option": (1,),
}
TRAINING: dict[str, tuple[Any, ...]] = {
    "network": (None, 3, "", "fcn", ["fcn8s"]),
    "encoder": (None, 3, "no_such_net"),
    "seed": (None, "x", -1, 1.5),
    "minutes": REAL,
    "epochs": (*WHOLE, 0),
    "batch_size": (*WHOLE[:5], 0, 257),
    "learning_rate": (*REAL, 0.0, 2.0),
    "crop": (1, 15, -1, 8193, "all"),
    "holdout": (*REAL, 1.0),
    "freeze_encoder": FLAG,
    "upsampling": (None, "cubic", 3),
    "width": (0, 1.5, "wide"),
    "input_hw": ([64], [64, 31], (64, "x"), 64),
    "source_weights": (("click",), ("click=-1",), ("nobody=1",), "click=2", (3,)),
    "objective": (None, "joy"),
    "no_such_option": (1,),
}
CLASSES: tuple[Any, ...] = (
    *(None, 5, "ab", {"a", "b"}, {"a": 1}, (), ["a", "a"], ["a", " a "], ["a", ""], ["a", None], [1, 2]),
    *(["a\0", "b"], ["a\nb", "c"], ["a", "\ud800"], ["x" * 81, "b"], [f"c{place}" for place in range(256)], b"ab"),
    iter(["a", "b"]),
)
IMAGES: tuple[Any, ...] = (
    *(None, 3, "x.png", [], [[1, 2], [3]], [[]], np.zeros(5, np.uint8), np.zeros((2, 3, 2), np.uint8)),
    *(np.zeros((0, 5), np.uint8), np.zeros((2, 3, 5), np.uint8), np.zeros((2, 3)), np.zeros((2, 3), bool)),
    *(np.zeros((2, 3), np.int64), np.array([["a", "b"]]), np.array([[object()]]), {}, np.zeros((1, 2, 3, 4), np.uint8)),
)
COLUMNS: tuple[Any, ...] = (
    *((-1, 0, 0), (64, 0, 0), (0, 80, 0), (0, 0, 2), (0, 0, -1), (HUGE, 0, 0), (0, HUGE, 0), (0, 0, HUGE)),
    *((None, 0, 0), ("1", 0, 0), (1.5, 0, 0), (0, NAN, 0), (True, 0, 0), ([1, 2], [1], [0]), ([[1]], [1], [0])),
    *(([1, [2]], [1, 2], [0, 0]), ({}, 0, 0), (0, 0, "b"), (0, 0, None), (np.zeros(1), 0, 0)),
)
MASKS: dict[str, tuple[Any, ...]] = {
    "names": (None, "a.png", ["a.png", "a.png"], [""], [3], ["a.png", "b.png"], []),
    "masks": (None, 3, [[1, 2]], [None], [MASK.astype(float)], [MASK + 9], [MASK[:0]], ["x"], [MASK] * 2, []),
    "classes": (*CLASSES[:12],),
    "to": (None, 3, []),
    "formats": (None, (), 3, "gif", ("coco", "gif"), "overlay", "measurements", [None]),
    "background": ("x", 9, -1, 1.5, True),
    "class_ids": ((9,), (-1,), (), "ab", 3, ("a",)),
    "min_area": (*WHOLE[:5], -1),
    "fill_holes": FLAG,
    "instances": FLAG,
    "border": (*WHOLE[:5], -1, 21),
    "no_such_option": (1,),
}
LABELS: dict[str, tuple[Any, ...]] = {
    "path": (None, 3, "", "/nope", "\0", []),
    "as_format": (None, "", "gif", 3),
    "rest": ("zzz", None, "", 3),
    "images": ("/nope", "", 3, "\0"),
    "table": ("/nope.csv", "", 3, "/tmp"),
}


def spread(options: dict[str, tuple[Any, ...]]) -> list[tuple[str, Any]]:
    return [(name, value) for name, values in options.items() for value in values]


def refused(call: Callable[[], object]) -> str:
    """What a refusal says: one line that a person can read."""
    with pytest.raises(FcnlabError) as caught:
        call()
    message = str(caught.value)
    assert message.strip()
    assert "\n" not in message
    message.encode()
    return message


@pytest.fixture(scope="module")
def segmenter() -> fcnlab.PointSegmenter:
    """One that has an image, two points of two classes, and no fit."""
    segmenter = fcnlab.PointSegmenter(["a", "b"], device="cpu")
    image = segmenter.add_image(PICTURE)
    segmenter.add_points(image, [1, 50], [2, 70], [0, 1])
    return segmenter


@pytest.mark.parametrize(("name", "value"), spread(CONSTRUCTOR))
def test_a_segmenter_is_not_made_with_an_option_that_means_nothing(name: str, value: Any) -> None:
    refused(lambda: fcnlab.PointSegmenter(["a", "b"], **{name: value}))


@pytest.mark.parametrize("classes", CLASSES)
def test_classes_are_different_names_that_can_be_shown_in_an_order(classes: Any) -> None:
    refused(lambda: fcnlab.PointSegmenter(classes))


@pytest.mark.parametrize(("name", "value"), spread(TRAINING))
def test_training_with_an_option_that_means_nothing_is_refused_at_the_call(
    segmenter: fcnlab.PointSegmenter, name: str, value: Any
) -> None:
    refused(lambda: segmenter.finetune(**{name: value}))


@pytest.mark.parametrize("image", IMAGES)
def test_what_is_no_image_is_refused(segmenter: fcnlab.PointSegmenter, image: Any) -> None:
    refused(lambda: segmenter.add_image(image))


@pytest.mark.parametrize("columns", COLUMNS)
def test_points_are_whole_numbers_inside_their_image(segmenter: fcnlab.PointSegmenter, columns: Any) -> None:
    image = segmenter.add_image(PICTURE)
    before = list(segmenter._points[str(image)])

    refused(lambda: segmenter.add_points(image, *columns))

    assert segmenter._points[str(image)] == before


@pytest.mark.parametrize("image", [None, 3, "nope", "", b"x", [], {}, PICTURE.tolist()])
@pytest.mark.parametrize("method", ["clear_points", "encode", "predict", "predict_proba"])
def test_what_was_never_added_is_no_image(segmenter: fcnlab.PointSegmenter, method: str, image: Any) -> None:
    refused(lambda: getattr(segmenter, method)(image))


@pytest.mark.parametrize("path", [None, 3, "", "\0", [], "/dev/null/model", "/tmp"])
@pytest.mark.parametrize("method", ["save", "load"])
def test_a_model_is_neither_saved_to_nor_loaded_from_what_is_no_file(method: str, path: Any) -> None:
    segmenter = fcnlab.PointSegmenter(["a", "b"], device="cpu")
    image = segmenter.add_image(PICTURE + np.arange(80, dtype=np.uint8)[:, None])
    segmenter.add_points(image, [1, 50], [2, 70], [0, 1])
    segmenter.fit()

    refused(lambda: getattr(segmenter, method)(path))


@pytest.mark.parametrize(("name", "value"), spread(MASKS))
def test_masks_are_not_written_by_an_argument_that_means_nothing(tmp_path: Path, name: str, value: Any) -> None:
    arguments: dict[str, Any] = {"names": ["a.png"], "masks": [MASK], "classes": ["a", "b"], "to": tmp_path / "out"}
    arguments = {**arguments, name: value}

    refused(lambda: fcnlab.write_masks(arguments.pop("names"), arguments.pop("masks"), **arguments))

    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("name", "value"), spread(LABELS))
def test_labels_are_not_read_by_an_argument_that_means_nothing(tmp_path: Path, name: str, value: Any) -> None:
    Image.fromarray(MASK).save(tmp_path / "a.png")
    arguments: dict[str, Any] = {"path": tmp_path, **{name: value}}

    def read() -> None:
        with fcnlab.read_labels(arguments.pop("path"), **arguments) as labels:
            list(labels.masks)

    refused(read)


COMMANDS = [
    line.split()
    for line in """
    import -p P EMPTY
    import -p P ***
    import -p P /nope
    import -p EMPTY a.png
    import --project= a.png
    import -p Q --classes a,a a.png
    import -p Q --classes , a.png
    fit -p EMPTY
    fit -p nobody
    fit -p P -o EMPTY
    predict -p P -o EMPTY
    predict --model /nope -o out a.png
    predict --model EMPTY -o out a.png
    predict -p P -o out EMPTY
    predict -p P -o out ***
    export -p P -o EMPTY
    export -p P -o out --format gif
    export -p P -o out --border 21
    export -p P -o out --min-size -1
    export -p P -o out --split 1,2,3
    train -p P --labeller EMPTY
    train -p P --crop 1
    train -p P --epochs 0
    train -p P --minutes nan
    train -p P --encoder no_such_net
    train -p P --width 1
    train -p P --from-model 99999999999999999999
    trainings cancel 99999999999999999999
    trainings pause -99999999999999999999
    trainings resume 7
    models use -p P 99999999999999999999
    models delete -p P 99999999999999999999
    models rename -p P 99999999999999999999 x
    models import -p P EMPTY
    models import -p P /nope
    models export -p P 99999999999999999999 -o out.onnx
    labels import -p P EMPTY
    labels import -p P /nope
    labels import -p P --points 999999999999 .
    labels remove -p P EMPTY
    convert --to index EMPTY out
    convert --to index . EMPTY
    convert --to index /nope out
    points import -p P EMPTY
    survey plan -p P -n many S
    survey plan -p P -n 1 EMPTY
    survey plan -p P -n 1 --strata ( S
    survey plan -p P -n 1 --level nan S
    survey plan -p P -n 1 --prior inf S
    survey plan -p P -n -1 S
    survey answer -p P nothing a.png
    survey report -p P 99999999999999999999
    survey more -p P -n -1 nothing
    survey delete -p P nothing
    points import -p P /nope.csv
    projects imaging -p P --channels 0
    projects imaging -p P --limits x
    compare -p P --networks nonsense
    count train -p P --group-by (a+
    count predict --model EMPTY a.png
    serve --host not.a.host.invalid
    app --host not.a.host.invalid
    backup EMPTY
    """.strip().splitlines()
]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad-calls")
    lab = open_lab(Settings(data_dir=folder / "data", device="cpu", demo=False))
    create_project(lab, name="P")
    lab.close()
    Image.fromarray(PICTURE).save(folder / "a.png")
    return folder


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_that_means_nothing_is_one_line_and_changes_nothing(
    installation: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(installation)
    words = ["" if word == "EMPTY" else word for word in words]

    result = CliRunner().invoke(main, ["--data-dir", "data", *words])

    assert result.exit_code in (1, 2), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert "Traceback" not in result.output
    last = [line for line in result.output.splitlines() if line.strip()][-1]
    assert len(last) > 10
    lab = open_lab(Settings(data_dir=installation / "data", device="cpu", demo=False))
    assert [project.name for project in projects(lab, include_archived=True) if project.name != "Q"] == ["P"]
    lab.close()


REQUESTS: list[tuple[str, str, Any]] = [
    *(("GET", f"projects/{number}", None) for number in (0, HUGE, "x", -1)),
    *(("GET", f"images/{rest}", None) for rest in (HUGE, f"{HUGE}/points", f"{HUGE}/mask", "1/mask")),
    ("GET", "exports/nope", None),
    *(("POST", "projects", body) for body in (None, [], {})),
    *(("POST", "projects", {"name": name}) for name in ("", 3, " ", "a\0b", "x" * 300)),
    *(
        ("POST", "projects", {"name": "R", "classes": names})
        for names in ([], ["a", "a"], [""], "ab", [3], ["x"] * 256)
    ),
    *(("POST", "projects", {"name": "R", flag: "maybe"}) for flag in ("object_mode", "no_such")),
    ("POST", "projects", {"name": "P"}),
    ("POST", f"projects/{HUGE}/fit", None),
    ("POST", "projects/1/fit", None),
    ("POST", "projects/1/exports", {"formats": ["gif"]}),
    ("POST", "projects/1/exports", {"formats": "coco"}),
    ("POST", f"images/{HUGE}/points", {"points": [{"row": 0, "col": 0, "class_id": 0}]}),
    ("POST", "images/1/points", {"points": [{"row": HUGE, "col": 0, "class_id": 0}]}),
    ("POST", "images/1/points", {"points": [{"row": "a", "col": 0, "class_id": 0}]}),
    ("POST", "images/1/points", {"points": []}),
    ("PUT", "images/1/state", {"state": "perfect"}),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    lab = open_lab(Settings(data_dir=tmp_path_factory.mktemp("rest"), device="cpu", demo=False))
    create_project(lab, name="P")
    with TestClient(make_service(lab, token=None), base_url="http://127.0.0.1") as client:
        yield client
    lab.close()


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
def test_a_request_that_means_nothing_is_answered_with_a_reason(
    service: TestClient, method: str, path: str, body: Any
) -> None:
    answer: httpx.Response = service.request(method, f"/api/v1/{path}", json=body)

    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"].strip()


def test_a_name_that_is_taken_is_a_conflict_and_not_a_missing_project(service: TestClient) -> None:
    taken = service.post("/api/v1/projects", json={"name": "P"})
    missing = service.get("/api/v1/projects/77")

    assert (taken.status_code, missing.status_code) == (409, 404)


def test_there_are_at_least_three_hundred_bad_calls() -> None:
    python = itertools.chain(*(spread(options) for options in (CONSTRUCTOR, TRAINING, MASKS, LABELS)))

    assert len([*python, *CLASSES, *IMAGES, *COLUMNS, *COMMANDS, *REQUESTS]) >= 300


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    segmenter = fcnlab.PointSegmenter(
        np.array(["a", "b"]), working_side=np.int64(64), regularisation=np.float32(2.0), scales=(np.float32(1.0),)
    )

    assert segmenter.spec.working_side == 64
    assert type(segmenter.spec.scales[0]) is float
