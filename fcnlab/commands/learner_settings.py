"""`fcnlab projects learner`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from fcnlab.commands.common import found_project, json_option, opened, print_result, project_option

if TYPE_CHECKING:
    from fcnlab.domain.project import LearnerSpec


class Scales(click.ParamType[tuple[float, ...]]):
    """Numbers with commas between."""

    name = "NUMBERS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Raises click.BadParameter for what is no number."""
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of numbers such as 1.0,0.5", param, ctx)


class Resolution(click.ParamType[float | Literal["auto", "none"]]):
    """A number, "auto" or "none"."""

    name = "NUMBER|auto|none"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | Literal["auto", "none"]:
        """Raises click.BadParameter for any other text."""
        if value in ("auto", "none"):
            return "auto" if value == "auto" else "none"
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number of pixels nor 'auto' nor 'none'", param, ctx)


@click.command("learner")
@project_option
@click.option("--encoder", help="A timm network with features up to stride 32: resnet50.")
@click.option("--encoder-weights", help="Its .safetensors or .pth file; empty: its usual trained weights.")
@click.option("--scales", type=Scales(), help="Image scales at which the encoder looks: 1.0,0.5.")
@click.option(
    *("--working-size", "--working-side", "working_side"),
    type=int,
    help="Longer side in pixels at which the learner works.",
)
@click.option("--resolution", type=Resolution(), help="Image pixels per labelled pixel; none: by the size alone.")
@click.option("--object-mode/--no-object-mode", default=None, help="Keep only regions that hold a click.")
@click.option("--refine/--no-refine", default=None, help="Edges of the mask follow the image.")
@click.option("--position/--no-position", default=None, help="Whether the learner sees where a pixel is.")
@click.option("--reset", is_flag=True, help="Begin from the default settings, not from those of the project.")
@json_option
@click.pass_context
def project_learner(ctx: click.Context, /, wanted: str, reset: bool, as_json: bool, **given: Any) -> None:
    """Settings of a project's instant learner; without options, what is set.

    Another encoder, weight file or scale is tried before it is saved, and makes every image be encoded again when it
    is next needed; clicks stay. What cannot work is refused, and the settings stay.
    """
    from fcnlab.domain.project import LearnerSpec
    from fcnlab.services.projects.projects import changed_learner, set_learner

    changes = {name: value for name, value in given.items() if value is not None}
    if changes.get("encoder_weights"):
        changes["encoder_weights"] = str(Path(changes["encoder_weights"]).expanduser().absolute())
    if changes.get("resolution") == "none":
        changes["resolution"] = None
    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        learner = changed_learner(LearnerSpec() if reset else project.learner, changes)
        if learner != project.learner:
            project = set_learner(lab, project_id=project.id, learner=learner, allow_anywhere=True)
    values = {"project": project.id, "name": project.name, **project.learner.to_dict()}
    print_result(values, _in_words(project.name, project.learner), as_json=as_json)


def _in_words(name: str, learner: LearnerSpec) -> list[str]:
    weights = learner.encoder_weights or "its usual ones"
    scales = ", ".join(f"{scale:g}" for scale in learner.scales)
    resolution = "none" if learner.resolution is None else learner.resolution
    switches = {
        "object mode": learner.object_mode,
        "refine": learner.refine,
        "position": learner.position,
        "balanced classes": learner.class_weight == "balanced",
    }
    said = ", ".join(f"{switch} {'on' if is_on else 'off'}" for switch, is_on in switches.items())
    return [
        f"{name!r}: encoder {learner.encoder}, weights {weights}, scales {scales}",
        f"  input size {learner.working_side}, resolution {resolution}, regularisation {learner.regularisation:g}",
        f"  {said}",
    ]
