"""Where scripts and texts of the web application lie: inside an installed package, or beside it in a checkout."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from fcnlab.errors import FcnlabError


def server_script() -> Path:
    """The script that `streamlit run` starts.

    Raises:
        FcnlabError: it is neither in the package nor beside it.
    """
    return _file("server.py", what="the pages of the application")


def manual(name: str) -> str:
    """The text of a manual, such as `docs/label.md`, or of the licence, `LICENSE`.

    Raises:
        FcnlabError: it is neither in the package nor beside it.
    """
    return _file(name, what=name).read_text(encoding="utf-8")


def _file(name: str, *, what: str) -> Path:
    package = Path(str(resources.files("fcnlab")))
    for file in (package / "webapp" / name, package.parent / name):
        if file.is_file():
            return file
    raise FcnlabError(f"{what} is missing in {package / 'webapp'} and beside the package: install fcnlab again")
