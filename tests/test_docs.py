"""What the documents promise is there, and what is there is documented."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pydantic_core import PydanticUndefined

from fcnlab.cli import main
from fcnlab.settings import Settings
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MANUALS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
TUTORIALS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "tutorials").glob("*.md"))}
COMMAND_LINE = MANUALS["command-line.md"]
PAGES = MANUALS["label.md"] + MANUALS["counting.md"]
"""What the manuals say of the Label page, in projects that make masks and in those that count."""

ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
DESIGN = [ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs" / "design").glob("*.md"))]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
EXAMPLES = [
    pytest.param(example, id=f"{name} {number}")
    for name, text in {"README.md": README, **MANUALS}.items()
    for number, example in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
]
COMMANDS = sorted(
    {
        line
        for text in (README, *MANUALS.values(), *TUTORIALS.values())
        for line in re.findall(r"^    (fcnlab .+)$", text, re.MULTILINE)
    }
)
"""Command lines that the documents give as examples."""

KEYS = (ROOT / "fcnlab" / "web" / "canvas" / "assets" / "tools" / "keys.js").read_text(encoding="utf-8")
SYMBOLS = {"ArrowLeft": "←", "ArrowRight": "→", "Escape": "Esc"}


def commands(command: click.Command, path: str) -> Iterator[str]:
    """`fcnlab points import` and its like: every command that does something."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, f"{path} {name}")
    else:
        yield path


def rows_of_tables(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("command", sorted(commands(main, "fcnlab")))
def test_commands_are_documented(command: str) -> None:
    assert f"`{command}`" in COMMAND_LINE


@pytest.mark.parametrize("command", sorted(commands(main, "fcnlab")))
def test_choices_are_shown_as_they_are_typed(command: str) -> None:
    found: click.Command = main
    for name in command.split()[1:]:
        assert isinstance(found, click.Group)
        found = found.commands[name]
    choices = [one.type.choices for one in found.params if isinstance(one.type, click.Choice)]

    assert all(type(choice) is str for one in choices for choice in one)


def test_commands_in_the_manual_exist() -> None:
    written = {row[0].strip("`") for row in rows_of_tables(COMMAND_LINE) if row[0].startswith("`fcnlab ")}

    assert written == set(commands(main, "fcnlab"))


def test_the_manuals_list_the_keys_as_the_page_does() -> None:
    table = KEYS[KEYS.index("const CLASSES = ") : KEYS.index("const PLAIN = ")]
    shown = re.findall(r'\["(.+?)", "(.+?)"\]', table)

    assert len(shown) > 10
    assert [row for row in shown if list(row) not in rows_of_tables(PAGES)] == []


def test_no_key_is_missing_from_the_manuals() -> None:
    block = KEYS[KEYS.index("const PLAIN = {") :]
    block = block[: block.index("};")]
    keys = [key.strip('"') for key in re.findall(r'^\s+("?[^\s":]+"?):', block, re.MULTILINE)]
    words = set(re.findall(r"(?<!\S)\+(?!\S)|[^\s|,()`+]+", PAGES))

    assert len(keys) > 10
    assert [key for key in keys if SYMBOLS.get(key, key) not in words] == []


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_settings_are_documented_with_their_defaults(name: str) -> None:
    variable = f"`FCNLAB_{name.upper()}`"
    rows = [row for row in rows_of_tables(MANUALS["server.md"]) if row[0] == variable]
    default = Settings.model_fields[name].default

    assert len(rows) == 1, f"{variable} wants one row"
    if default not in (PydanticUndefined, "", ()):
        written = f"{default:g}" if isinstance(default, float) else str(default)
        assert rows[0][1].strip("`").lower() == written.lower()


@pytest.mark.parametrize("line", COMMANDS)
def test_command_lines_of_the_documents_are_understood(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = main
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]

    with command.make_context(line, words):  # parses all options and their values, and runs nothing
        pass


@pytest.mark.parametrize("name", sorted(TUTORIALS))
def test_what_a_tutorial_says_to_press_is_on_a_page(name: str) -> None:
    """Words in bold are those on the screen."""
    sources = [
        path for top in ("fcnlab", "pages") for path in (ROOT / top).rglob("*.*") if path.suffix in (".py", ".js")
    ]
    written = "".join(path.read_text(encoding="utf-8") for path in (*sources, ROOT / "app.py"))
    pressed = {" ".join(words.split()) for words in re.findall(r"\*\*(.+?)\*\*", TUTORIALS[name], re.DOTALL)}

    assert len(pressed) > 10
    assert sorted(words for words in pressed if words not in written) == []


def test_pictures_of_the_tutorials_are_shown_and_small() -> None:
    pictures = {path.name: path.stat().st_size for path in (ROOT / "docs" / "tutorials").glob("*.webp")}
    shown = set(re.findall(r"!\[[^\]]{20,}\]\(([^)]+)\)", "".join(TUTORIALS.values())))

    assert shown == set(pictures)
    assert {name: size for name, size in pictures.items() if size > 150_000} == {}


def test_readme_and_manual_have_examples() -> None:
    assert "```python" in README
    assert "```python" in MANUALS["python.md"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_run(example: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(MANUALS))
def test_the_readme_leads_to_every_manual(name: str) -> None:
    assert f"](docs/{name})" in README


@pytest.mark.parametrize("name", sorted(TUTORIALS))
def test_the_readme_leads_to_every_tutorial(name: str) -> None:
    assert f"](docs/tutorials/{name})" in README


def test_overviews_are_short() -> None:
    assert len(README.encode()) <= 10_240, "what is more than an overview belongs into a manual in docs/"
    assert len(ARCHITECTURE.encode()) <= 8_192, "what is more than an overview belongs into docs/design/"


@pytest.mark.parametrize("document", DESIGN, ids=lambda path: path.name)
def test_modules_of_the_design_exist(document: Path) -> None:
    """Paths are written from `fcnlab/` or from the top of the repository."""
    named = re.findall(r"`([\w./-]+\.(?:py|js))`", document.read_text(encoding="utf-8"))

    assert named
    assert [name for name in named if not any((top / name).exists() for top in (ROOT, ROOT / "fcnlab"))] == []


def test_one_click_takes_twelve_lines_of_functions_that_exist() -> None:
    rows = [row for row in rows_of_tables(ARCHITECTURE) if row[0].isdigit()]
    steps = re.findall(r"`([\w./]+\.(?:py|js))`: `(\w+)`", "".join(row[1] for row in rows))
    gone = [
        (module, function)
        for module, function in steps
        if not re.search(
            rf"^[ \w]*\b{function}\(", (ROOT / "fcnlab" / module).read_text(encoding="utf-8"), re.MULTILINE
        )
    ]

    assert len(rows) == 12
    assert len(steps) >= 12
    assert gone == []


@pytest.mark.parametrize("document", DESIGN[1:], ids=lambda path: path.name)
def test_the_architecture_leads_to_every_design(document: Path) -> None:
    assert f"](docs/design/{document.name})" in ARCHITECTURE


def test_the_words_are_few_and_each_has_its_name_elsewhere() -> None:
    rows = rows_of_tables((ROOT / "CONTEXT.md").read_text(encoding="utf-8"))
    headings = [row for row in rows if row[0] == "term"]
    terms = [row for row in rows if row[0] != "term" and set(row[0]) != {"-"}]

    assert all(row == ["term", "what it is", "standard name elsewhere"] for row in headings)
    assert 0 < len(terms) <= 60
    assert len({row[0] for row in terms}) == len(terms)
    assert [row[0] for row in terms if len(row) != 3 or not all(row)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_point_at_files_that_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    linked = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    named = re.findall(r"`((?:fcnlab|tests|benchmarks|docs|pages)/[\w./-]+)`", text)

    missing = [link for link in linked if link and not (document.parent / link).exists()]
    missing += [name for name in named if not (ROOT / name).exists()]

    assert missing == []
