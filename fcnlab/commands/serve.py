"""`fcnlab serve`: the REST service."""

from __future__ import annotations

import click

from fcnlab.commands.app import refuse_taken
from fcnlab.commands.common import opened, say
from fcnlab.errors import InvalidSetting


@click.command()
@click.option("--host", help="Address to listen on, in place of FCNLAB_HOST.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on, in place of FCNLAB_API_PORT.")
@click.option("--no-token", is_flag=True, help="Answer without a token; on this machine only.")
@click.option("--address", "asks_address", is_flag=True, help="Print the address for Label Studio, and end.")
@click.pass_context
def serve(ctx: click.Context, host: str | None, port: int | None, no_token: bool, asks_address: bool) -> None:
    """Start the REST service, for scripts and for Label Studio.

    Its description is at /docs and /openapi.json. Every request shows a token; the start says which file holds it.
    """
    given = {"host": host, "api_port": port}
    ctx.obj = {**(ctx.obj or {}), **{name: value for name, value in given.items() if value is not None}}
    import logging

    import uvicorn

    from fcnlab.access import is_loopback
    from fcnlab.api.service import make_service
    from fcnlab.services.installation.tokens import api_token, label_studio_path, token_file

    with opened(ctx) as lab:
        settings = lab.settings
        if no_token and not is_loopback(settings.host):
            raise InvalidSetting(
                f"without a token the service listens on this machine only, not on {settings.host}: leave out "
                "--no-token or --host"
            )
        token = None if no_token else api_token(lab)
        if asks_address:
            path = "" if token is None else label_studio_path(token)
            click.echo(f"http://{settings.host}:{settings.api_port}{path}")
            return
        refuse_taken(settings.host, settings.api_port)
        say(f"fcnlab answers at http://{settings.host}:{settings.api_port}/docs (data in {settings.data_dir})")
        if token is not None:  # not the token itself: what is said here ends up in logs
            holder = "that of FCNLAB_API_TOKEN" if settings.api_token else f"in {token_file(lab)}"
            say(f"Every request shows the token, as `Authorization: Bearer TOKEN`; it is {holder}")
        say("Label Studio connects to the address that `fcnlab serve --address` prints, without authentication")
        logging.basicConfig(format="%(levelname)s: %(message)s")
        logging.getLogger("fcnlab").setLevel(logging.INFO)  # of libraries only warnings
        service = make_service(lab, token=token)
        uvicorn.run(service, host=settings.host, port=settings.api_port, log_level="warning")
