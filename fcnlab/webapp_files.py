"""Where the scripts of the web application lie: inside an installed package, or beside it in a checkout."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from fcnlab.errors import FcnlabError


def server_script() -> Path:
    """The script that `streamlit run` starts.

    Raises:
        FcnlabError: it is neither in the package nor beside it.
    """
    package = Path(str(resources.files("fcnlab")))
    for script in (package / "webapp" / "server.py", package.parent / "server.py"):
        if script.is_file():
            return script
    raise FcnlabError(f"the pages of the application are neither in {package / 'webapp'} nor beside it: install again")
