"""Every network of the family, and the instant learner, on a real set: same points, same time, same images to score on.

    python benchmarks/compare_networks.py --data DIR [--set dsb2018] [--pixels 20] [--minutes 1] [--json out.json]

DIR holds one folder per data set: `images/*`, `masks/<stem>.png` (uint8 class ids, 255 unknown) and `list.txt`, one
picture name a line. A project in a temporary folder gets the pictures, `--pixels` of them labelled at random places
from the truth in each; then it is compared as the Compare page does it. A quarter of the pictures is held out: the
accuracy is taken on their labelled pixels, the mean IoU on their full masks. Prints a table in Markdown; the sliding
window's time is extrapolated from a part of the pixels.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from fcnlab.domain.comparison import ComparisonSpec, Participant
from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import ImageState, StoredMask
from fcnlab.domain.network import NetworkName
from fcnlab.domain.project import IGNORE
from fcnlab.evaluation.images import read_example, read_names
from fcnlab.lab import Lab, open_lab
from fcnlab.services.comparing.comparisons import ComparisonStatus, candidate, comparison_status, start_comparison
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points
from fcnlab.services.projects import projects
from fcnlab.services.training.lease_holder import LeaseHolder
from fcnlab.services.training.worker import fine_tune, work_on
from fcnlab.settings import Settings
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import writing
from fcnlab.storage.files.png import mask_png
from fcnlab.storage.files.whole_files import write_whole
from fcnlab.threads import wait_politely


def main() -> None:
    options = read_options()
    wait_politely()
    with tempfile.TemporaryDirectory(prefix="fcnlab-") as folder:
        lab = open_lab(Settings(data_dir=Path(folder), demo=False))
        with closing(lab):
            status = compared(lab, options)
    print("\n".join(table(status)))
    if options.json:
        options.json.write_text(json.dumps(to_dict(status), indent=1) + "\n", "utf-8")


def compared(lab: Lab, options: argparse.Namespace) -> ComparisonStatus:
    """The comparison, trained and measured in this process."""
    project_id = labelled_project(lab, options)
    chosen = [candidate(name) for name in NetworkName if name is not NetworkName.FCN2S]
    chosen += [candidate(name, "bilinear") for name in (NetworkName.FCN8S, NetworkName.FCN2S)]
    order = list(NetworkName)
    spec = ComparisonSpec(
        tuple(sorted(chosen, key=lambda network: (order.index(network.network), network.upsampling))),
        minutes=options.minutes,
        seed=options.seed,
        working_side=options.side,
    )
    made = start_comparison(lab, project_id=project_id, spec=spec, labeller="benchmark")
    with LeaseHolder(lab, project_id=project_id) as holder:
        for participant in comparison_status(lab, comparison_id=made.id).participants:
            if participant.training is not None:
                for step in work_on(lab, holder, participant.training, fine_tune):
                    print(f"{participant.title}: epoch {step.epoch}, loss {step.loss:.3f}", file=sys.stderr)
    return comparison_status(lab, comparison_id=made.id)


def labelled_project(lab: Lab, options: argparse.Namespace) -> int:
    """A project whose pictures all have random labelled pixels, and the truth as the mask they keep."""
    folder = options.data / options.set
    names = read_names(folder / "list.txt")[: options.limit]
    examples = [read_example(folder, name) for name in names]
    n_classes = max(int(example.truth[example.truth != IGNORE].max()) for example in examples) + 1
    labels = projects.labels_of([f"class {class_id}" for class_id in range(n_classes)])
    project = projects.create_project(lab, name=options.set, labels=labels)
    steps = list(import_files(lab, [(name, folder / "images" / name) for name in names], project_id=project.id))
    rng = np.random.default_rng(options.seed)
    for example, step in zip(examples, steps, strict=True):
        if step.image_id is None or step.duplicate:
            continue
        pixels = np.flatnonzero(example.truth != IGNORE)
        rows, cols = np.unravel_index(rng.choice(pixels, options.pixels, replace=False), example.truth.shape)
        points = [Point(int(row), int(col), int(example.truth[row, col])) for row, col in zip(rows, cols, strict=True)]
        add_points(lab, points, image_id=step.image_id, labeller="truth", source=PointSource.RANDOM_QUERY)
        file = f"{project.id}/{step.image_id}-truth.png"
        write_whole(lab.folders.masks / file, mask_png(example.truth))
        mask = StoredMask(file, model="truth", point_set_hash="truth", created_at=lab.clock())
        with writing(lab.sessions) as session:
            repository_images.set_image_state(session, image_id=step.image_id, state=ImageState.DONE)
            repository_images.store_mask(session, image_id=step.image_id, mask=mask)
    return project.id


def table(status: ComparisonStatus) -> list[str]:
    """Markdown: one row per participant."""
    head = ["", "held-out points", "95 % interval", "mIoU", "s per epoch", "s per image", "parameters"]
    rows = [head, ["---"] * len(head), *(row(participant) for participant in status.participants)]
    return [f"| {' | '.join(cells)} |" for cells in rows]


def row(participant: Participant) -> list[str]:
    measured, epoch = participant.measured, participant.seconds_per_epoch
    if measured is None or measured.score is None or measured.mean_iou is None:
        return [participant.title, f"{participant.state.value} {participant.message}", "", "", "", "", ""]
    score, timing = measured.score, measured.timing
    return [
        participant.title,
        f"{score.accuracy:.1%}",
        f"{score.low:.0%} to {score.high:.0%}",
        f"{measured.mean_iou:.3f}",
        "" if epoch is None else f"{epoch:.1f}",
        f"{timing.seconds:.2g}{' (extrapolated)' if timing.is_extrapolated else ''}",
        f"{measured.parameters / 1e6:.2f} M",
    ]


def to_dict(status: ComparisonStatus) -> dict[str, Any]:
    participants = {
        participant.title: participant.measured.to_dict()
        for participant in status.participants
        if participant.measured is not None
    }
    return {"spec": status.spec.to_dict(), "participants": participants}


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", default="dsb2018")
    parser.add_argument("--limit", type=int, help="first pictures of the list only")
    parser.add_argument("--pixels", type=int, default=20, help="labelled in each picture")
    parser.add_argument("--minutes", type=float, default=1.0, help="of training for each network")
    parser.add_argument("--side", type=int, default=384, help="longer side of a picture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
