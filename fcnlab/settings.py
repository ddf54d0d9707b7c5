"""Settings of an installation: the only reader of environment variables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from platformdirs import user_data_path
from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from fcnlab.errors import InvalidSetting


def _names(value: object) -> object:
    """Several names of one variable: a JSON list, or with commas between."""
    if not isinstance(value, str):
        return value
    if value.strip().startswith("["):
        try:
            return json.loads(value)
        except json.JSONDecodeError as failure:
            raise ValueError(f"no JSON list ({failure})") from failure
    return [name.strip() for name in value.split(",") if name.strip()]


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]


class Settings(BaseSettings):
    """One installation. Every field can be set as `FCNLAB_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="FCNLAB_", frozen=True, extra="forbid")

    data_dir: Path = Field(default_factory=lambda: user_data_path("fcnlab", appauthor=False))
    """Folder of database, images, caches, masks and exports."""
    database_url: str = ""
    """SQLAlchemy URL; empty means `lab.db` in `data_dir`."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    cache_memory_mb: int = Field(default=128, ge=16)
    """Encoded stages kept in memory."""
    cache_disk_gb: float = Field(default=10.0, ge=0)
    """Encoded stages kept on disk."""
    max_pixels: int = Field(default=500_000_000, ge=1)
    """Larger images are refused."""
    import_roots: tuple[Path, ...] = ()
    """Folders on the server that the browser may import from, and that it and the service take weight files from."""
    import_schemes: Names = ()
    """Kinds of addresses that may be imported from, such as https and s3."""
    import_hosts: Names = ()
    """Hosts, or buckets, that may be imported from; `*.example.org` and `*` stand for several."""
    import_private: bool = False
    """Whether those hosts may have addresses of a private network."""
    import_max_mb: int = Field(default=2000, ge=1)
    """Larger files are not fetched."""
    import_seconds: float = Field(default=600.0, gt=0)
    """A file that is not there by then is given up."""
    host: str = "127.0.0.1"
    """Address the server listens on."""
    allowed_hosts: Names = ()
    """Other names by which browsers and programs may call the server, such as that of a proxy."""
    access_token: str = ""
    """What the first visit of a browser has to show; empty: nothing."""
    open: bool = False
    """Whether everybody who reaches the server may use it, without a token."""
    port: int = Field(default=8501, ge=1, le=65535)
    """Port the server listens on."""
    api_port: int = Field(default=8502, ge=1, le=65535)
    """Port the REST service listens on."""
    api_token: str = ""
    """What programs show to the REST service; empty: one that is made once and kept in `data_dir`."""
    api_upload_mb: int = Field(default=500, ge=1)
    """Largest request the REST service takes, and largest file it fetches, in millions of bytes."""
    label_studio_url: str = ""
    """Where Label Studio runs: images of its tasks are fetched from there."""
    label_studio_token: str = ""
    """An access token of Label Studio, sent there and nowhere else."""
    label_studio_hosts: Names = ()
    """Other hosts that images of tasks may be fetched from."""
    csv_raw: bool = False
    """Whether tables hold texts that begin like formulas as they are."""
    threads: int = Field(default=0, ge=0)
    """Torch threads; 0 means one per core."""
    demo: bool = True
    """Make the demo projects when the database is new."""


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, then `overrides`.

    Raises:
        InvalidSetting: a variable has a value it may not take.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as failure:
        first = failure.errors()[0]
        name = "FCNLAB_" + "_".join(str(part) for part in first["loc"]).upper()
        raise InvalidSetting(f"{name} has value {first['input']!r}: {first['msg']}") from failure
