"""What `other_programs.py` does with a running Label Studio, as its page and its users do, in its own environment.

    python benchmarks/other_programs_studio.py label-studio FOLDER STUDIO token
    python benchmarks/other_programs_studio.py label-studio FOLDER STUDIO MODEL FCNLAB TOKEN

STUDIO is the address of Label Studio, MODEL the one that `fcnlab serve` names for it, FCNLAB that of the REST service.
The first form prints a personal access token; the second one JSON list of [what was done, differing, total].
"""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import requests
from label_studio_sdk.converter import brush
from PIL import Image

FOLDER, STUDIO = Path(sys.argv[2]), sys.argv[3]
NAMES = json.loads((FOLDER / "names.json").read_text("utf-8"))
WAIT_S = 30


def tags(kind: str, name: str, more: str = "") -> str:
    labels = "".join(f'<Label value="{label}"{more}/>' for label in NAMES[1:])
    return f'<{kind} name="{name}" toName="image"{more}>{labels}</{kind}>'


CONFIG = (
    '<View><Image name="image" value="$image"/>'
    + tags("BrushLabels", "tag")
    + tags("KeyPointLabels", "key", ' smart="true"')
    + "</View>"
)


class Studio:
    """A logged-in session."""

    def __init__(self) -> None:
        self.session = requests.Session()
        login = f"{STUDIO}/user/login/"
        self.session.get(login)
        form = {"email": "trial@example.com", "password": "Trial-password-1"}
        form["csrfmiddlewaretoken"] = self.session.cookies["csrftoken"]
        self.session.post(login, data=form, headers={"Referer": login})

    def call(self, method: str, path: str, **more: Any) -> Any:
        headers = {"X-CSRFToken": self.session.cookies["csrftoken"], "Referer": STUDIO}
        answer = self.session.request(method, STUDIO + path, headers=headers, **more)
        answer.raise_for_status()
        return answer.json() if answer.content and "json" in answer.headers["Content-Type"] else answer.content

    def project(self, title: str) -> int:
        return int(self.call("POST", "/api/projects", json={"title": title, "label_config": CONFIG})["id"])


def decoded(result: dict[str, Any]) -> Any:
    hw = result["original_height"], result["original_width"]
    return brush.decode_rle(result["value"]["rle"]).reshape(*hw, 4)[..., 3] > 0


def laid(results: list[dict[str, Any]], hw: tuple[int, int]) -> Any:
    mask = np.zeros(hw, np.uint8)
    for result in results:
        if result["type"] == "brushlabels":
            mask[decoded(result)] = NAMES.index(result["value"]["brushlabels"][0])
    return mask


def keypoint(truth: Any, label: str, *, positive: bool = True, index: int = 0) -> dict[str, Any]:
    """A click in the middle of the pixels of a class, or of none of them."""
    where = np.argwhere(truth == (NAMES.index(label) if positive else 0))
    row, col = where[(len(where) // 2 + 37 * index) % len(where)].tolist()
    height, width = truth.shape
    at = {"x": 100 * (col + 0.5) / width, "y": 100 * (row + 0.5) / height, "width": 0.5}
    return {
        "id": f"{label}{positive}{index}",
        "type": "keypointlabels",
        "from_name": "key",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "is_positive": positive,
        "value": {**at, "keypointlabels": [label]},
    }


class Trial:
    """The rows of what was tried; a yes or no is a row of 0 or 1 wrong of 1."""

    def __init__(self, model: str, service: str, token: str) -> None:
        self.studio, self.model, self.service = Studio(), model, service
        self.show = {"Authorization": f"Bearer {token}"}
        self.rows: list[tuple[str, int, int]] = []

    def ask(self, path: str) -> Any:
        answer = requests.get(f"{self.service}/api/v1{path}", headers=self.show, timeout=60)
        answer.raise_for_status()
        return answer.json() if "json" in answer.headers["Content-Type"] else answer.content

    def check(self, what: str, is_so: bool) -> None:
        self.rows.append((what, int(not is_so), 1))

    def images(self, project: int) -> list[int]:
        """Ids of the images that fcnlab has of a project of Label Studio."""
        ours = next(candidate for candidate in self.ask("/projects") if candidate["name"] == f"Label Studio {project}")
        return [image["id"] for image in self.ask(f"/projects/{ours['id']}/images")]

    def points(self, project: int) -> list[dict[str, Any]]:
        """All points that fcnlab has of them."""
        return [point for image in self.images(project) for point in self.ask(f"/images/{image}/points")]

    def wait_for_points(self, project: int, count: int) -> bool:
        for _ in range(WAIT_S):
            if len(self.points(project)) == count:
                return True
            time.sleep(1)
        return False

    def label(self) -> None:
        """Upload a picture, connect the model, click two labels, submit, delete."""
        name, truth = next(iter(truths().items()))
        project = self.studio.project("clicks")
        file = {"file": (f"{name}.png", (FOLDER / "images" / f"{name}.png").read_bytes())}
        self.studio.call("POST", f"/api/projects/{project}/import", files=file)
        wanted = {"project": project, "url": self.model, "is_interactive": True, "title": "fcnlab"}
        backend = self.studio.call("POST", "/api/ml", json=wanted)
        self.check("connects at the address that `fcnlab serve` names", backend["state"] == "CO")
        (task,) = self.studio.call("GET", f"/api/tasks?project={project}")["tasks"]

        def clicked(*keypoints: dict[str, Any]) -> list[dict[str, Any]]:
            wanted = {"task": task["id"], "context": {"result": list(keypoints)}}
            answer = self.studio.call("POST", f"/api/ml/{backend['id']}/interactive-annotating", json=wanted)
            return list(answer["data"]["result"])

        road = [keypoint(truth, "road"), keypoint(truth, "road", positive=False), keypoint(truth, "road", index=1)]
        first = clicked(*road)
        self.check(
            "clicks of one label give its mask", "road" in {region["value"]["brushlabels"][0] for region in first}
        )
        both = clicked(keypoint(truth, "car"))
        labels = {region["value"]["brushlabels"][0] for region in both}
        self.check("a click of another label leaves them alone", {"road", "car"} <= labels)
        self.check("and so does fcnlab", len(self.points(project)) == len(road) + 1)
        (image,) = self.images(project)
        mask = np.array(Image.open(io.BytesIO(self.ask(f"/images/{image}/mask"))))
        laid_mask = laid(both, truth.shape)
        self.rows.append(("the mask, decoded by label-studio-sdk", int((laid_mask != mask).sum()), truth.size))
        self.submit(project, task["id"], truth)
        self.train(project, backend["id"], task, truth)

    def submit(self, project: int, task: int, truth: Any) -> None:
        result = [keypoint(truth, "road"), keypoint(truth, "person"), keypoint(truth, "car", positive=False)]
        made = self.studio.call("POST", f"/api/tasks/{task}/annotations", json={"result": result, "lead_time": 1})
        self.check("its own webhook teaches what is submitted", self.wait_for_points(project, len(result)))
        self.studio.call("DELETE", f"/api/annotations/{made['id']}")
        self.check("and unteaches what is deleted", self.wait_for_points(project, 0))

    def train(self, project: int, backend: int, task: dict[str, Any], truth: Any) -> None:
        annotations = [{"result": [keypoint(truth, "road"), keypoint(truth, "car")]}]
        tasks = [{"data": task["data"], "annotations": annotations}]
        self.studio.call("POST", f"/api/projects/{project}/import", json=tasks)
        self.studio.call("POST", f"/api/ml/{backend}/train", json={})
        self.check("annotations that were imported teach", self.wait_for_points(project, 2))
        versions = self.studio.call("GET", f"/api/ml/{backend}/versions")
        self.check(
            "versions are answered", versions.get("versions") == ["fcnlab-instant"] and "message" not in versions
        )

    def open_export(self) -> None:
        """Import an export of fcnlab, look at its pictures and masks, and export it again."""
        project = self.studio.project("export")
        folder = {"project": project, "title": "pictures", "path": str(FOLDER / "out/label_studio/images")}
        self.studio.call("POST", "/api/storages/localfiles", json={**folder, "use_blob_urls": True})
        tasks = json.loads((FOLDER / "out/label_studio/tasks.json").read_text("utf-8"))
        self.studio.call("POST", f"/api/projects/{project}/import", json=tasks)
        exported = self.studio.call("GET", f"/api/projects/{project}/export?exportType=JSON")
        differing, total, pictures = 0, 0, 0
        for task in exported:
            address = task["data"]["image"]
            name = address.rpartition("/")[2].removesuffix(".png")
            truth = truths()[name]
            laid_mask = laid(task["annotations"][0]["result"], truth.shape)
            differing, total = differing + int((laid_mask != truth).sum()), total + truth.size
            answer = self.studio.session.get(STUDIO + address)
            pictures += answer.content == (FOLDER / "images" / f"{name}.png").read_bytes()
        self.rows.append(("pictures of labelstudio that do not open", len(truths()) - pictures, len(truths())))
        self.rows.append(("reads labelstudio", differing, total))
        written = FOLDER / "written" / "labelstudio-labelstudio"
        written.mkdir(parents=True, exist_ok=True)
        (written / "export.json").write_text(json.dumps(exported), "utf-8")


def truths() -> dict[str, Any]:
    """Class ids (H, W) of every image, by its name without ending."""
    return {path.stem: np.load(path) for path in sorted((FOLDER / "truth").glob("*.npy"))}


if __name__ == "__main__":
    if sys.argv[4] == "token":
        print(json.dumps([[Studio().call("POST", "/api/token", json={})["token"], 0, 1]]))
    else:
        trial = Trial(*sys.argv[4:7])
        trial.label()
        trial.open_export()
        print("\n" + json.dumps(trial.rows))
