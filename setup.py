"""Packages of the wheel; everything else is in pyproject.toml.

The web server, its pages and the manuals that these show lie at the top of the repository, where Streamlit's tools and
people look for them. In a wheel they become `fcnlab.webapp`.
"""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildPy(build_py):
    """Copies the modules of each package, without this file, which lies beside the web server."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """(package, module, file) of each module."""
        return [module for module in super().find_package_modules(package, package_dir) if module[1] != "setup"]


setup(
    cmdclass={"build_py": BuildPy},
    packages=[*find_packages(include=["fcnlab", "fcnlab.*"]), "fcnlab.webapp", "fcnlab.webapp.pages"],
    package_dir={"fcnlab.webapp": ".", "fcnlab.webapp.pages": "pages"},
    package_data={
        "fcnlab": ["pyproject.toml", "web/canvas/assets/*", "web/canvas/assets/*/*", "web/help/assets/*"],
        "fcnlab.storage.database.migrations": ["script.py.mako"],
        "fcnlab.webapp": [".streamlit/config.toml", "docs/*.md", "LICENSE", "THIRD_PARTY.md"],
    },
    include_package_data=False,
)
