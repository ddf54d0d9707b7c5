"""`fcnlab doctor`, `fcnlab backup` and `fcnlab restore`."""

from __future__ import annotations

from pathlib import Path

import click

from fcnlab.commands.common import json_option, opened, print_result, say, settings_of


@click.command()
@click.option("--sweep", "sweeps", is_flag=True, help="Delete what deleted projects and interrupted work left behind.")
@click.option("--click", "clicks", is_flag=True, help="Measure a click on an image instead: how long each part takes.")
@json_option
@click.pass_context
def doctor(ctx: click.Context, sweeps: bool, clicks: bool, as_json: bool) -> None:
    """Check this installation.

    The exit code is 1 when something is broken. --sweep deletes first what a server would at its start; it is safe
    while others work. --click measures this machine, in a folder of its own: medians of some clicks, without a browser.
    """
    if clicks:
        from fcnlab.services.installation.click_timing import time_clicks

        timed = time_clicks(settings_of(ctx))
        lines = [f"{part:>12}  {took:7.1f} ms" for part, took in timed.spans.items()]
        lines += [f"{'all':>12}  {timed.total:7.1f} ms, the median of {timed.n_clicks} clicks on {timed.picture}"]
        print_result({"spans": timed.spans, "total": timed.total, "clicks": timed.n_clicks}, lines, as_json=as_json)
        return
    from fcnlab.services.installation.diagnostics import examine
    from fcnlab.services.installation.sweeping import sweep

    if sweeps:
        with opened(ctx) as lab:
            swept = sweep(lab)
        say(f"Swept {len(swept.files)} files and folders, {swept.size / 1e6:.1f} MB")
    checks = examine(settings_of(ctx))
    is_sound = all(check.is_sound for check in checks)
    values = {
        "sound": is_sound,
        "checks": [{"name": check.name, "sound": check.is_sound, "details": check.details} for check in checks],
    }
    lines = [f"{'ok    ' if check.is_sound else 'BROKEN'}  {check.name}: {check.details}" for check in checks]
    print_result(values, lines, as_json=as_json)
    ctx.exit(0 if is_sound else 1)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_context
def backup(ctx: click.Context, file: Path) -> None:
    """Back up all data to one zip file.

    It holds what the database names, for its owner alone. Previews, thumbnails and features are left out: they are made
    again. Files that are gone are named, and the exit code is 1 then.
    """
    from fcnlab.services.installation.backup import backup as back_up
    from fcnlab.services.installation.backup import missing_files

    with opened(ctx) as lab:
        click.echo(str(back_up(lab, file)))
        _, missing = missing_files(lab)
    for name in missing:
        say(f"Not in the backup, for it is gone: {name}")
    ctx.exit(1 if missing else 0)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option("--incomplete", is_flag=True, help="Take a backup that lacks files its database names.")
@click.pass_context
def restore(ctx: click.Context, file: Path, incomplete: bool) -> None:
    """Make the installation of a backup.

    Into the data folder, which may be empty, or hold an installation that nobody uses: that one is put into a folder
    beside it. The backup is checked whole before anything is written.
    """
    from fcnlab.services.installation.backup import restore as restore_from

    restored = restore_from(settings_of(ctx), file, may_lack=incomplete)
    for name in restored.missing:
        say(f"Missing in the backup: {name}")
    if restored.aside is not None:
        say(f"What was there before is in {restored.aside}; delete that folder when you do not need it")
    click.echo(f"{restored.n_files} files restored into {restored.data_dir}; `fcnlab doctor` checks them")
    ctx.exit(1 if restored.missing else 0)
