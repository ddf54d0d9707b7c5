"""The models page, without a browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from fcnlab.lab import Lab
from fcnlab.services.comparing.model_difference import model_differences
from fcnlab.services.models.models import keep_instant, models, use_model
from fcnlab.services.projects import projects
from fcnlab.web.panels.training import difference_panel
from fcnlab.web.session import escape_markdown
from tests.support.export_bench import HEIGHT, WIDTH, Bench
from tests.support.label_imports import give_truth
from tests.support.model_bench import add_network
from tests.support.paths import ROOT

ROUTER = ROOT / "app.py"


@pytest.fixture
def bench(lab: Lab, tmp_path: Path) -> Bench:
    bench = Bench(lab, tmp_path, ["one.png", "two.png"])
    bench.click("one.png", (40, 60, 1), (5, 5, 0))
    return bench


def page(name: str = "models") -> AppTest:
    shown = AppTest.from_file(str(ROUTER), default_timeout=60).run()
    shown.query_params["labeller"] = "ann"
    shown.switch_page(f"pages/{name}.py").run()
    assert not shown.exception
    return shown


def press(shown: AppTest, key: str) -> None:
    shown.button(key).click().run()
    assert not shown.exception


def written(shown: AppTest) -> str:
    return "\n".join(one.value for one in (*shown.markdown, *shown.caption))


def used(bench: Bench) -> int | None:
    return projects.project(bench.lab, project_id=bench.project.id).model_id


def test_a_project_without_versions_is_told_how_to_come_by_one(bench: Bench) -> None:
    shown = page()

    assert "No versions yet" in written(shown)
    assert "In use" in written(shown)
    assert "2 points so far" in written(shown)


def test_the_instant_learner_becomes_a_version(bench: Bench) -> None:
    shown = page()

    next(one for one in shown.button if one.label.startswith("Save the instant")).click().run()

    assert not shown.exception
    (kept,) = models(bench.lab, project_id=bench.project.id)
    assert (kept.labeller, kept.n_points) == ("ann", 2)
    assert kept.name in shown.success[0].value


def test_a_version_shows_its_score_and_is_chosen_and_left(bench: Bench) -> None:
    record = add_network(bench.lab, bench.project.id, name="night *shift*")
    shown = page()
    assert {one.label: one.value for one in shown.metric}["Validation accuracy"] == "81.2%"
    words = written(shown)
    assert escape_markdown("night *shift*") in words
    assert "48 validation points (95 % CI 70 to 90 %), on 48 randomly drawn pixels" in words
    assert "nobody chose where they lie" in words
    assert "by ann" in words
    assert "U-Net, from scratch" in words

    press(shown, f"use-{record.id}")
    assert used(bench) == record.id
    press(shown, "use-None")

    assert used(bench) is None


def test_a_version_is_renamed_and_deleted_only_on_purpose(bench: Bench) -> None:
    record = add_network(bench.lab, bench.project.id)
    use_model(bench.lab, project_id=bench.project.id, model_id=record.id)
    shown = page()
    shown.text_input(f"name-{record.id}").set_value("night").run()
    press(shown, f"rename-{record.id}")
    assert models(bench.lab, project_id=bench.project.id)[0].name == "night"
    assert shown.button(f"delete-{record.id}").disabled
    assert "goes back to the instant learner" in shown.checkbox(f"sure-{record.id}").label

    shown.checkbox(f"sure-{record.id}").check().run()
    press(shown, f"delete-{record.id}")

    assert models(bench.lab, project_id=bench.project.id) == ()
    assert used(bench) is None


def test_a_checkpoint_is_offered_for_download(bench: Bench) -> None:
    record = add_network(bench.lab, bench.project.id)
    shown = page()

    press(shown, f"make-{record.id}")

    (offered,) = bench.lab.folders.exports.glob("download-*/unet 1.safetensors")
    assert offered.read_bytes() == (bench.lab.folders.checkpoints / record.file).read_bytes()


def test_two_versions_are_compared_on_the_same_images(bench: Bench) -> None:
    add_network(bench.lab, bench.project.id)
    bench.mark_done("one.png")
    shown = page()

    next(one for one in shown.button if one.label == "Compare").click().run()

    assert not shown.exception
    assert "of its pixels have the same class" in written(shown)
    assert difference_panel.INSTANT + r" · IoU 1.000 with the mask it keeps" in written(shown)  # it made that mask


def test_a_model_differs_from_itself_nowhere_and_the_marks_are_where_others_do(bench: Bench) -> None:
    record = add_network(bench.lab, bench.project.id)
    kept = keep_instant(bench.lab, bench.learner, labeller="ann")
    images = [projects.image(bench.lab, image_id=one) for one in bench.images.values()]

    def found(*versions: object) -> list[object]:
        steps = model_differences(bench.lab, lambda work: work(bench.learner), images=images, versions=versions)  # type: ignore[arg-type, misc]
        return [step.difference for step in steps if step.difference is not None]

    assert [one.equal for one in found(None, kept)] == [1.0, 1.0]  # type: ignore[attr-defined]
    for one in found(kept, record):
        share = (one.differing[..., 0] != one.differing[..., 1]).mean()  # type: ignore[attr-defined]
        assert 0 < share == pytest.approx(1 - one.equal)  # type: ignore[attr-defined]
        assert one.ious is None  # type: ignore[attr-defined]


def test_the_label_page_says_which_model_makes_the_mask_and_changes_it(bench: Bench) -> None:
    record = add_network(bench.lab, bench.project.id, name="night")
    shown = page("label")
    assert "Mask by" not in written(shown)
    next(one for one in shown.selectbox if one.label == "Mask by").set_value(record.id).run()

    assert not shown.exception
    assert used(bench) == record.id
    assert "Mask by **night**" in written(shown)
    assert "it obeys clicks, and learns nothing from them" in written(shown)
    next(button for button in shown.button if button.label == "Use the instant learner").click().run()
    assert "Mask by" not in written(shown)
    assert used(bench) is None


def test_two_versions_are_measured_on_the_masks_of_experts(bench: Bench, tmp_path: Path) -> None:
    add_network(bench.lab, bench.project.id, name="night")
    assert not [one for one in page().button if one.label.startswith("Measure on")]
    mask = np.zeros((HEIGHT, WIDTH))
    mask[10:70, 30:90] = 1
    give_truth(bench.lab, tmp_path, bench.project.id, {"one.png": mask, "two.png": mask})
    shown = page()

    next(one for one in shown.button if one.label == "Measure on 2 expert masks").click().run()

    assert not shown.exception
    (table,) = (one.value for one in shown.dataframe if "Class" in one.value and len(one.value.columns) == 3)
    assert list(table["Class"]) == ["Mean", "background", "object"]
    assert list(table.columns[1:]) == [f"Left: {difference_panel.INSTANT}", "Right: night"]
    assert ((table[table.columns[1:]] >= 0) & (table[table.columns[1:]] <= 1)).all(axis=None)
    assert "IoU with 2 expert masks" in written(shown)
