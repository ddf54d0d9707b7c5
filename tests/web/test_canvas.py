import re
import tomllib
from pathlib import Path

import pytest

import fcnlab
from fcnlab.domain.events import UNDOABLE, Event, EventBatch, EventKind
from fcnlab.domain.project import ClassLabel, Project
from fcnlab.errors import InvalidEvent
from fcnlab.web.canvas.canvas import MAX_EVENTS, Constants, read_events, read_goto
from fcnlab.web.canvas.workspace import constants_of

TAB = "a1b2c3d4e5f6"
PAYLOADS = {
    "add": {"row": 7, "col": 300, "class_id": 1},
    "remove": {"uid": f"{TAB}:1"},
    "clear": {},
    "brush": {"top": 3, "left": 5, "height": 2, "width": 4, "class_id": 1, "runs": [1, 3, 2, 2]},
    "undo": {},
    "redo": {},
    "state": {"state": "done"},
    "take": {"done": True},
    "accept": {"complete": True, "points": [[3, 4, 1], [5, 6, 1]]},
    "complete": {"complete": True},
    "class_add": {"name": "root", "colour": "#0072b2"},
    "class_edit": {"class_id": 1, "name": "root", "colour": "#0072b2"},
    "class_remove": {"class_id": 1},
    "background": {"class_id": None},
}


def message(*entries: object, **changes: object) -> dict[str, object]:
    return {"client_id": TAB, "attempt": 17, "log": list(entries), **changes}


def entry(kind: object = "clear", *, seq: object = 1, image_id: object = 4, payload: object = None) -> dict:
    return {"seq": seq, "kind": kind, "image_id": image_id, "payload": {} if payload is None else payload}


def test_an_empty_log_is_an_empty_batch():
    assert read_events(message()) == EventBatch(TAB, ())


def test_every_kind_is_read_as_the_browser_wrote_it():
    assert set(PAYLOADS) == set(EventKind) - {EventKind.SCRIBBLE}  # these come from a page of their own

    for kind, payload in PAYLOADS.items():
        batch = read_events(message(entry(kind, seq=9, payload=payload)))

        assert batch.events == (Event(seq=9, kind=EventKind(kind), image_id=4, payload=payload),)


def test_events_stay_in_their_order():
    batch = read_events(message(entry(seq=3), entry("undo", seq=4), entry("redo", seq=11)))

    assert [event.seq for event in batch.events] == [3, 4, 11]


@pytest.mark.parametrize("source", ["click", "query", "random_query"])
def test_a_point_says_where_it_comes_from(source):
    batch = read_events(message(entry("add", payload={**PAYLOADS["add"], "source": source})))

    assert batch.events[0].payload == {**PAYLOADS["add"], "source": source}


def test_a_stroke_without_a_class_is_one_of_the_eraser():
    batch = read_events(message(entry("brush", payload={**PAYLOADS["brush"], "class_id": None})))

    assert batch.events[0].payload == {**PAYLOADS["brush"], "class_id": None}


@pytest.mark.parametrize("wrong", [None, 1, "true"])
def test_all_objects_are_marked_or_not_and_an_image_is_done_or_not(wrong):
    with pytest.raises(InvalidEvent, match="wanted true or false"):
        read_events(message(entry("complete", payload={"complete": wrong})))
    with pytest.raises(InvalidEvent, match="wanted true or false"):
        read_events(message(entry("take", payload={"done": wrong})))


def test_fields_nobody_documented_are_dropped():
    batch = read_events(message(entry("add", payload={**PAYLOADS["add"], "labeller": "somebody else"})))

    assert batch.events[0].payload == PAYLOADS["add"]


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (None, "wanted an object"),
        ([], "wanted an object"),
        ({}, "wanted the client id"),
        (message(client_id=3), "wanted the client id"),
        (message(client_id="short"), "8 to 64"),
        (message(client_id="../../etc/passwd"), "8 to 64"),
        (message(log=None), "wanted a list"),
        (message("add"), "wanted an object"),
        (message(entry("drop")), "'drop' is unknown"),
        (message(entry(None)), "is unknown"),
        (message(entry("scribble", payload={"points": [[1, 2, 0]]})), "is unknown"),
        (message(entry(["add"])), "is unknown"),
        (message(entry(seq=0)), "must be 1 or more"),
        (message(entry(seq="1")), "seq is"),
        (message(entry(seq=True)), "seq is"),
        (message(entry(seq=1.5)), "seq is"),
        (message(entry(seq=2**60)), "larger than any"),
        (message(entry(image_id=None)), "image_id is"),
        (message(entry(payload=[])), "payload of a clear event"),
        (message(entry("add", payload={"row": 1, "col": 2})), "class_id is"),
        (message(entry("add", payload={"row": 1.5, "col": 2, "class_id": 0})), "row is"),
        (message(entry("add", payload={"row": 1, "col": 2, "class_id": 255})), "outside 0..254"),
        (message(entry("add", payload={**PAYLOADS["add"], "source": "import"})), "no points from 'import'"),
        (message(entry("add", payload={**PAYLOADS["add"], "source": "guess"})), "no points from 'guess'"),
        (message(entry("add", payload={**PAYLOADS["add"], "source": 3})), "source is"),
        (message(entry("remove", payload={"uid": 3})), "uid is"),
        (message(entry("brush", payload={**PAYLOADS["brush"], "top": None})), "top is"),
        (message(entry("brush", payload={**PAYLOADS["brush"], "class_id": 255})), "outside 0..254"),
        (message(entry("brush", payload={**PAYLOADS["brush"], "runs": "12"})), "list of lengths"),
        (message(entry("brush", payload={**PAYLOADS["brush"], "runs": [1, -3]})), "no length"),
        (message(entry("brush", payload={**PAYLOADS["brush"], "runs": [1, True]})), "no length"),
        (message(entry("brush", payload={**PAYLOADS["brush"], "runs": [1, 2.5]})), "no length"),
        (message(entry("brush", payload={**PAYLOADS["brush"], "runs": [1] * 100_001})), "at most 100000"),
        (message(entry("state", payload={"state": "lost"})), "'lost' is unknown"),
        (message(entry("class_add", payload={"name": "x" * 201, "colour": "#000000"})), "201 characters"),
        (message(entry(seq=2), entry(seq=1)), "do not rise"),
        (message(entry(seq=2), entry(seq=2)), "do not rise"),
    ],
)
def test_anything_else_is_refused_with_a_reason(raw, complaint):
    with pytest.raises(InvalidEvent, match=complaint):
        read_events(raw)


def test_a_huge_log_is_refused_before_it_is_read():
    with pytest.raises(InvalidEvent, match="at most 10000"):
        read_events(message(log=[None] * (MAX_EVENTS + 1)))


def test_an_image_is_asked_for_by_its_id():
    assert read_goto({"image_id": 12, "n": 1760000000000}) == 12


@pytest.mark.parametrize("raw", [None, 12, {}, {"image_id": "12"}, {"image_id": True}, {"image_id": None}])
def test_a_request_without_an_image_is_refused(raw):
    with pytest.raises(InvalidEvent):
        read_goto(raw)


def test_the_package_tells_streamlit_where_the_component_is():
    package = Path(fcnlab.__file__).parent
    manifest = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))
    components = {one["name"]: one for one in manifest["tool"]["streamlit"]["component"]["components"]}

    assert manifest["project"]["name"] == "fcnlab"
    for name, files in (("workspace", {"canvas.js", "canvas.css"}), ("labeller", {"labeller.js"})):
        assets = package / components[name]["asset_dir"]
        assert files <= {path.name for path in assets.iterdir()}


def test_the_workspace_is_drawn_with_what_it_is_given():
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_function(_page).run()

    assert not app.exception
    (element,) = app.get("bidi_component")
    assert '"key": "k3y"' in element.proto.json
    assert element.proto.js_source_path == "canvas.js"


def _page() -> None:
    from fcnlab.web.canvas import canvas

    scene = {
        "project": {"id": 1, "name": "roots", "key": "k3y"},
        "labeller": "me",
        "n_images": 0,
        "classes": [],
        "colours": [],
        "image": None,
        "points": [],
        "n_strokes": 0,
        "acknowledged": None,
        "refusals": [],
        "object_mode": False,
        "notice": None,
    }
    canvas.draw(scene, key="workspace", on_goto=print)


def test_browser_and_server_name_the_same_constants():
    types = (Path(fcnlab.__file__).parent / "web" / "canvas" / "assets" / "types.js").read_text(encoding="utf-8")
    named = re.findall(r"@property \{[^}]+\} (\w+)", types[types.index("@typedef {object} Constants") :])

    assert set(named) == set(Constants.__annotations__)


def test_what_the_browser_is_told_it_may_send_is_taken():
    told = constants_of(Project(id=1, name="roots", key="k3y", classes=(ClassLabel(0, "soil", "#000000", 0),)))
    runs = [1] * told["runs"]

    clicks = read_events(message(*(entry("clear", seq=n + 1) for n in range(told["batch"]))))
    strokes = read_events(message(entry("brush", payload=PAYLOADS["brush"] | {"runs": runs})))

    assert len(clicks.events) == told["batch"]
    assert strokes.events[0].payload["runs"] == runs
    with pytest.raises(InvalidEvent):
        read_events(message(entry("brush", payload=PAYLOADS["brush"] | {"runs": [*runs, 1]})))
    assert {EventKind(kind) for kind in told["undoable"]} == UNDOABLE


def test_no_script_is_longer_than_a_module_may_be():
    assets = Path(fcnlab.__file__).parent / "web" / "canvas" / "assets"
    for path in assets.rglob("*.js"):
        lines = path.read_text(encoding="utf-8").splitlines()

        assert lines[0] == "// @ts-check", path.name
        assert len(lines) <= 450, path.name
