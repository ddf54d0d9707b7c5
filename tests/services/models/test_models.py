"""Models of a project: choosing, keeping, deleting, and files from elsewhere."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from fcnlab.cli import main
from fcnlab.core.learner.model import Model
from fcnlab.core.networks.registry import build_network
from fcnlab.core.training.network_model import NetworkModel, network_to_arrays
from fcnlab.domain.models import ModelKind
from fcnlab.domain.training import TrainingSpec
from fcnlab.errors import CheckpointError, ExportFailed, InvalidClasses, InvalidEvent, NoPoints, UnknownModel
from fcnlab.lab import Lab
from fcnlab.services.export.target import download_url, find_download
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.models import model_import, models
from fcnlab.services.models.exports import export_network, offer_export
from fcnlab.services.models.files import open_model, scored_classes
from fcnlab.services.models.model_import import import_model
from fcnlab.services.projects import projects
from fcnlab.storage.files.checkpoints import load_checkpoint, save_checkpoint
from tests.support.export_bench import Bench
from tests.support.graded import SMALL, GradedSite
from tests.support.model_bench import SCORE, add_network, small_network, write_network


@pytest.fixture
def project_id(lab: Lab) -> int:
    return projects.create_project(lab, name="discs").id


def brought(lab: Lab, source: Path | bytes, project_id: int, name: str = "far away.safetensors") -> Any:
    return import_model(lab, source, project_id=project_id, name=name, labeller="ann")


def files(lab: Lab) -> list[str]:
    return sorted(path.name for path in lab.folders.checkpoints.iterdir())


def test_a_project_uses_the_model_it_chose_until_that_is_deleted(lab: Lab, project_id: int) -> None:
    record = add_network(lab, project_id)
    assert projects.project(lab, project_id=project_id).model_id is None

    assert models.use_model(lab, project_id=project_id, model_id=record.id).model_id == record.id
    models.delete_model(lab, model_id=record.id)

    assert projects.project(lab, project_id=project_id).model_id is None
    assert models.models(lab, project_id=project_id) == ()
    assert files(lab) == [record.file]  # done images may name it
    for change in (models.delete_model, models.model, models.model_file):
        with pytest.raises(UnknownModel, match="deleted"):
            change(lab, model_id=record.id)
    with pytest.raises(UnknownModel):
        models.use_model(lab, project_id=project_id, model_id=record.id)


def test_a_model_of_another_project_cannot_be_chosen(lab: Lab, project_id: int) -> None:
    other = projects.create_project(lab, name="others").id
    record = add_network(lab, other)

    with pytest.raises(UnknownModel, match="no version"):
        models.use_model(lab, project_id=project_id, model_id=record.id)

    assert projects.project(lab, project_id=project_id).model_id is None


def test_a_new_name_is_tidied_and_an_empty_one_refused(lab: Lab, project_id: int) -> None:
    record = add_network(lab, project_id)

    assert models.rename_model(lab, model_id=record.id, name="  night   shift ").name == "night shift"
    with pytest.raises(InvalidEvent, match="empty"):
        models.rename_model(lab, model_id=record.id, name=" ")

    assert models.model(lab, model_id=record.id).name == "night shift"


def test_what_the_instant_learner_knows_becomes_one_version_per_set_of_points(lab: Lab, tmp_path: Path) -> None:
    bench = Bench(lab, tmp_path, ["one.png"])
    with pytest.raises(NoPoints):
        models.keep_instant(lab, bench.learner, labeller="ann")
    bench.click("one.png", (40, 60, 1), (5, 5, 0))

    first = models.keep_instant(lab, bench.learner, labeller="ann")
    again = models.keep_instant(lab, ProjectLearner(lab, PictureStore(lab), project_id=bench.project.id), labeller="bo")
    bench.click("one.png", (80, 130, 0))
    later = models.keep_instant(lab, bench.learner, labeller="ann")

    assert again == first
    assert (first.kind, first.n_points, later.n_points) == (ModelKind.INSTANT, 2, 3)
    assert [one.id for one in models.models(lab, project_id=bench.project.id)] == [later.id, first.id]
    content = open_model(lab.folders.checkpoints / first.file, device="cpu")
    assert isinstance(content, Model)
    assert scored_classes(content) == tuple((number, name) for number, name, _ in first.classes)


def test_a_model_travels_to_another_installation_and_keeps_its_score(lab: Lab, project_id: int, tmp_path: Path) -> None:
    record = add_network(lab, project_id)
    offered = models.offer_model(lab, model_id=record.id)
    *_, token, name = download_url(offered).split("/")
    assert find_download(lab, token=token, name="unet 1.safetensors") == offered
    assert name == "unet%201.safetensors"
    labels = projects.labels_of(["sky", "object", "BACKGROUND"])
    other = projects.create_project(lab, name="other ids", labels=labels).id

    copy = brought(lab, offered, other, name=offered.name)

    assert (copy.name, copy.kind, copy.spec, copy.n_points) == ("unet 1", ModelKind.NETWORK, record.spec, 40)
    assert [(number, name) for number, name, _ in copy.classes] == [(2, "BACKGROUND"), (1, "object")]
    assert copy.score is not None
    assert copy.score.per_class == {2: SCORE.per_class[0], 1: SCORE.per_class[1]}
    assert (lab.folders.checkpoints / copy.file).read_bytes() == offered.read_bytes()


def test_an_instant_model_can_be_brought_too(lab: Lab, tmp_path: Path) -> None:
    bench = Bench(lab, tmp_path, ["one.png"])
    bench.click("one.png", (40, 60, 1), (5, 5, 0))
    kept = models.keep_instant(lab, bench.learner, labeller="ann")
    other = projects.create_project(lab, name="others").id

    copy = brought(lab, models.model_file(lab, model_id=kept.id).read_bytes(), other)

    assert (copy.kind, copy.n_points, copy.name) == (ModelKind.INSTANT, 2, "far away")


@pytest.mark.parametrize(
    "what", ["pickle", "text", "empty", "cut", "foreign", "numbers", "shapes", "types", "spec", "width"]
)
def test_a_file_that_is_no_sound_model_is_refused_and_leaves_nothing(
    lab: Lab, project_id: int, tmp_path: Path, what: str
) -> None:
    path = tmp_path / "model.safetensors"
    write_network(path)
    arrays, spec = load_checkpoint(path)
    first = next(iter(arrays))
    if what == "numbers":
        arrays[first] = np.full_like(arrays[first], np.nan)
    elif what == "shapes":
        arrays[first] = arrays[first][:1]
    elif what == "spec":
        spec["network"]["network"] = "a kettle"
    elif what == "width":
        spec["network"]["width"] = 10**9
    elif what == "foreign":
        spec = {"kind": "something else"}
    save_checkpoint(path, arrays, spec)
    if what == "types":
        header = {"format": "fcnlab-model", "version": "1", "spec": "[]"}
        save_file({"weights": torch.zeros(3, dtype=torch.bfloat16)}, path, metadata=header)
    whole = path.read_bytes()
    data = {
        "pickle": pickle.dumps(Trap(tmp_path / "sprung")),
        "text": b"hello",
        "empty": b"",
        "cut": whole[: len(whole) // 2],
    }.get(what, whole)

    with pytest.raises(CheckpointError):
        brought(lab, data, project_id)

    assert files(lab) == []
    assert models.models(lab, project_id=project_id) == ()
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Whoever unpickles it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(
    lab: Lab, project_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    write_network(path)
    monkeypatch.setattr(model_import, "MOST_BYTES", 1000)

    for source in (path, path.read_bytes()):
        with pytest.raises(CheckpointError, match="up to"):
            brought(lab, source, project_id)
    with pytest.raises(CheckpointError, match="check the path"):
        brought(lab, tmp_path / "nowhere.safetensors", project_id)

    assert files(lab) == []


def test_classes_that_the_project_lacks_are_named(lab: Lab, project_id: int, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_network(path, classes=((0, "background"), (1, "tree")))
    with pytest.raises(InvalidClasses, match="'tree'"):
        brought(lab, path, project_id)
    write_network(path, classes=((0, "object"), (1, "Object")))
    with pytest.raises(InvalidClasses, match="twice"):
        brought(lab, path, project_id)

    assert files(lab) == []


def test_an_exported_network_gives_the_same_scores(lab: Lab, project_id: int, tmp_path: Path) -> None:
    record = add_network(lab, project_id)
    rgb = np.random.default_rng(0).random((1, 3, 47, 83), np.float32)

    path = export_network(lab, model_id=record.id, as_format="pt2", to=tmp_path / "out" / "a.pt2")

    with torch.inference_mode():
        found = torch.export.load(path).module()(torch.from_numpy(rgb)).numpy()
    with torch.inference_mode():
        wanted = small_network()(torch.from_numpy(rgb)).numpy()
    assert np.abs(found - wanted).max() < 1e-3 * max(1, np.abs(wanted).max())
    assert (found.argmax(axis=1) == wanted.argmax(axis=1)).all()


def test_an_instant_version_is_no_network_to_export(lab: Lab, tmp_path: Path) -> None:
    bench = Bench(lab, tmp_path, ["one.png"])
    bench.click("one.png", (40, 60, 1), (5, 5, 0))
    kept = models.keep_instant(lab, bench.learner, labeller="ann")

    with pytest.raises(ExportFailed, match="no network"):
        export_network(lab, model_id=kept.id, as_format="pt2", to=tmp_path / "a.pt2")
    with pytest.raises(ExportFailed, match="no network"):  # told by the process it was handed to
        offer_export(lab, model_id=kept.id, as_format="onnx")

    assert not (tmp_path / "a.pt2").exists()


def test_the_command_line_uses_brings_exports_and_deletes_models(lab: Lab, project_id: int, tmp_path: Path) -> None:
    record = add_network(lab, project_id)

    def run(*words: str) -> str:
        done = CliRunner().invoke(main, ["--data-dir", str(lab.settings.data_dir), "models", *words])
        assert done.exit_code == 0, done.output
        return done.stdout

    run("use", "-p", "discs", str(record.id))
    assert projects.project(lab, project_id=project_id).model_id == record.id
    assert run("list", "-p", "discs").startswith("*")
    file = tmp_path / "away.safetensors"
    assert run("export", str(record.id), "-o", str(file)).strip() == str(file)
    copy = json.loads(run("import", "-p", "discs", "--json", str(file)))
    assert (copy["name"], copy["n_points"]) == ("away", 40)
    run("rename", str(copy["id"]), "home")
    assert models.model(lab, model_id=copy["id"]).name == "home"
    run("use", "-p", "discs", "instant")
    run("delete", str(record.id))
    assert [one.name for one in models.models(lab, project_id=project_id)] == ["home"]
    refused = CliRunner().invoke(main, ["models", "use", "-p", "discs", "best"])
    assert refused.exit_code == 2


def test_the_grades_of_a_model_from_elsewhere_are_the_classes_of_the_project_with_those_names(
    lab: Lab, tmp_path: Path
) -> None:
    site = GradedSite(lab, 2)
    file = tmp_path / "graded.safetensors"
    spec = replace(SMALL, order="corn", grades=(4, 3, 2, 1))
    classes = tuple((label.id, label.name) for label in site.project().classes)
    model = NetworkModel(build_network(spec, None), classes, TrainingSpec(grades=site.grades))
    save_checkpoint(file, *network_to_arrays(model))
    labels = projects.labels_of([name for _, name in reversed(classes)])
    other = projects.create_project(lab, name="other ids", labels=labels)

    copy = brought(lab, file, other.id, name="graded")

    names = {label.id: label.name for label in other.classes}
    assert copy.training is not None
    assert [names[grade] for grade in copy.training.grades] == ["faint", "light", "moderate", "severe"]
    assert copy.spec["grades"] == [4, 3, 2, 1]
