"""`fcnlab doctor` and `fcnlab backup`."""

from __future__ import annotations

from pathlib import Path

import click

from fcnlab.commands.common import answer, json_option, opened, settings_of


@click.command()
@json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check this installation.

    The exit code is 1 when something is broken.
    """
    from fcnlab.services.doctoring import examine

    checks = examine(settings_of(ctx))
    is_sound = all(check.is_sound for check in checks)
    values = {
        "sound": is_sound,
        "checks": [{"name": one.name, "sound": one.is_sound, "details": one.details} for one in checks],
    }
    lines = [f"{'ok    ' if one.is_sound else 'BROKEN'}  {one.name}: {one.details}" for one in checks]
    answer(values, lines, as_json=as_json)
    ctx.exit(0 if is_sound else 1)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_context
def backup(ctx: click.Context, file: Path) -> None:
    """Back up all data to one zip file.

    Pictures, thumbnails and features are left out: they are made again.
    """
    from fcnlab.services.backing_up import backup as back_up

    with opened(ctx) as lab:
        click.echo(str(back_up(lab, file)))
