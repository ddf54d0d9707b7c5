"""The installation that tests of pages work on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from fcnlab.lab import Lab, open_lab
from fcnlab.services.live.jobs import Jobs
from fcnlab.settings import Settings
from fcnlab.web import session
from fcnlab.web.session import Engine


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The installation that the pages open too."""
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEMO", "false")
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")
    st.cache_resource.clear()
    st.cache_data.clear()
    lab = open_lab(Settings())
    yield lab
    session.engine().jobs.close()
    st.cache_resource.clear()
    lab.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """What routes answer with, on an installation of its own."""
    lab = open_lab(Settings(data_dir=tmp_path, device="cpu", demo=False))
    jobs = Jobs(lab)
    yield Engine(lab, jobs)
    jobs.close()
    lab.close()
