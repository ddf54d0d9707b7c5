"""Laws of the counts of a whole project: table, score, files."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

from fcnlab.lab import Lab
from fcnlab.services.counting.exports import CountTable, count_table, made_from
from fcnlab.services.counting.jobs import CountJobs
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.picture_store import PictureStore
from tests.services.counting.test_counting_live import (
    DISCS,
    add_counting_network,
    click,
    counting_project,
    say_complete,
)

FEWER = [(30, 40), (40, 110), (90, 60)]
MORE = [*FEWER, (95, 120), (60, 170)]


def made(lab: Lab, project_id: int, folder: Path) -> CountTable:
    learner = ProjectLearner(lab, PictureStore(lab), project_id=project_id)
    steps = count_table(lab, lambda work: work(learner), project_id=project_id, folder=folder)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            table: CountTable = end.value
            return table


def marked_project(lab: Lab, tmp_path: Path) -> tuple[int, list[int]]:
    """Three images: all discs marked in the first two, none in the third."""
    project_id, images = counting_project(lab, tmp_path, DISCS, FEWER, MORE)
    for seq, (image_id, places) in enumerate(((images[0], DISCS), (images[1], FEWER)), start=1):
        click(lab, image_id, places)
        say_complete(lab, project_id, image_id, seq=seq)
    return project_id, images


def test_the_table_has_the_truth_where_all_is_marked_and_the_score_is_of_these_images_alone(
    lab: Lab, tmp_path: Path
) -> None:
    project_id, images = marked_project(lab, tmp_path)

    table = made(lab, project_id, tmp_path / "out")

    assert [row.image.id for row in table.rows] == images
    assert [row.counts[0].count for row in table.rows[:2]] == [len(DISCS), len(FEWER)]
    assert all(row.predicted and not row.is_seen for row in table.rows)
    assert table.score is not None
    assert (table.score.n_images, table.score.n_objects) == (2, len(DISCS) + len(FEWER))
    errors = [abs(next(iter(row.predicted.values())) - row.counts[0].count) for row in table.rows[:2]]
    assert table.score.mae == sum(errors) / 2
    assert table.rows[2].counts[0].low is not None


def test_the_files_hold_every_image_and_every_object(lab: Lab, tmp_path: Path) -> None:
    project_id, images = marked_project(lab, tmp_path)

    table = made(lab, project_id, tmp_path / "out")

    counts, objects, keypoints = table.files
    rows = list(csv.DictReader(counts.open(encoding="utf-8")))
    assert [row["all_marked"] for row in rows] == ["yes", "yes", "no"]
    assert [row["count"] for row in rows[:2]] == [str(len(DISCS)), str(len(FEWER))]
    listed = list(csv.DictReader(objects.open(encoding="utf-8")))
    marked = [(float(one["row"]), float(one["col"])) for one in listed if one["source"] == "marked"]
    assert {(round(row), round(col)) for row, col in marked} >= set(FEWER)
    assert len(marked) == len(DISCS) + len(FEWER)
    content = json.loads(keypoints.read_text())
    assert len(content["images"]) == len(images)
    assert len(content["annotations"]) == len(listed)


def test_a_chosen_network_is_asked_as_if_nothing_were_marked_and_what_it_may_have_learned_from_proves_nothing(
    lab: Lab, tmp_path: Path
) -> None:
    project_id, images = marked_project(lab, tmp_path)
    add_counting_network(lab, project_id)
    before = made(lab, project_id, tmp_path / "before")
    click(lab, images[0], [(5, 5), (6, 150)])

    table = made(lab, project_id, tmp_path / "out")

    assert [row.predicted for row in table.rows[:2]] == [row.predicted for row in before.rows[:2]]
    assert table.rows[0].counts[0].count == len(DISCS) + 2
    assert all(row.is_seen for row in table.rows)  # its file does not say from what it learned
    assert table.score is None


def test_the_moment_changes_with_points_and_with_what_is_all_marked(lab: Lab, tmp_path: Path) -> None:
    project_id, images = marked_project(lab, tmp_path)
    moments = [made_from(lab, project_id=project_id)]

    assert made_from(lab, project_id=project_id) == moments[0]
    click(lab, images[2], MORE[:1])
    moments.append(made_from(lab, project_id=project_id))
    say_complete(lab, project_id, images[2], seq=3)
    moments.append(made_from(lab, project_id=project_id))

    assert len(set(moments)) == 3


def test_a_project_is_counted_in_the_background_and_the_last_table_stays(lab: Lab, tmp_path: Path) -> None:
    project_id, images = marked_project(lab, tmp_path)
    jobs = Jobs(lab)
    counting = CountJobs(lab, jobs)
    assert counting.status(project_id) is None

    for _ in range(2):
        counting.start(project_id)
        for _ in range(1200):
            status = counting.status(project_id)
            assert status is not None
            if status.state != "running":
                break
            time.sleep(0.05)
        assert (status.state, status.message) == ("finished", "")
        assert status.table is not None
        assert len(status.table.rows) == len(images)
    jobs.close()
