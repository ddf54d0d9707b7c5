"""The rules of ARCHITECTURE.md that a program can check."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import fcnlab.errors
from tests.support.paths import ROOT

PACKAGE = ROOT / "fcnlab"
MAX_MODULE_LINES = 450
MAX_FUNCTION_LINES = 60
MAX_FOLDER_MODULES = 15
LONG_FOLDERS = {"core/networks", "storage/database/migrations/versions"}
"""One module for each of a family that grows: networks, versions of the database."""

VALUES = {"errors", "validation", "domain"}
DOORS = VALUES | {
    "access",
    "settings",
    "core",
    "lab",
    "services",
    "segmenter",
    "evaluation",
    "webapp_files",
    "threads",
    "__version__",
}
MAY_IMPORT = {
    "errors": set(),
    "validation": {"errors"},
    "domain": VALUES,
    "settings": VALUES,
    "access": VALUES | {"settings"},
    "webapp_files": VALUES,
    "threads": set(),
    "core": VALUES | {"core", "threads"},
    "segmenter": VALUES
    | {"core", "segmenter", "storage.files.weights", "storage.files.checkpoints", "storage.files.devices"},
    "evaluation": VALUES
    | {
        "core",
        "segmenter",
        "evaluation",
        "storage.image_readers",
        "storage.files.png",
        "storage.files.devices",
        "storage.files.tensor_cache",
        "storage.files.weights",
    },
    "storage": VALUES | {"storage", "__version__"},
    "lab": VALUES | {"settings", "storage"},
    "services": VALUES | {"core", "storage", "lab", "services"},
    "web": DOORS | {"web"},
    "pages": DOORS | {"web"},
    "app": DOORS | {"web"},
    "server": DOORS | {"web"},
    "cli": DOORS | {"commands"},
    "api": DOORS | {"api"},
    "commands": DOORS | {"commands", "api"},
    "__main__": {"cli"},
    "__init__": {
        "errors",
        "segmenter.segmenter",
        "segmenter.survey",
        "services.labels.reading_labels",
        "services.predict.write_masks",
        "threads",
    },
}
"""Layer -> parts of fcnlab it may import. Imports point downwards only."""

ALSO = {
    "services.installation.backup": {"settings"},  # restores where no lab is open
    "services.installation.click_timing": {"settings"},  # measures in an installation of its own
    "services.installation.diagnostics": {"settings", "webapp_files"},  # says what is wrong when none can be opened
}
"""Single modules that may import more than their layer."""

HEAVY = {"numpy", "torch", "timm", "scipy", "cv2", "PIL", "skimage", "sklearn", "sqlalchemy", "alembic", "streamlit"}
IMPURE = {"streamlit", "sqlalchemy", "PIL", "os", "pathlib", "time", "random", "logging", "threading"}
NEVER = {
    "errors": HEAVY,
    "validation": HEAVY,
    "domain": HEAVY,
    "access": HEAVY,
    "settings": HEAVY,
    "webapp_files": HEAVY,
    "threads": HEAVY,
    "core": IMPURE,
    "segmenter": {"streamlit", "sqlalchemy"},
    "evaluation": {"streamlit", "sqlalchemy"},
    "storage": {"streamlit"},
    "lab": {"streamlit"},
    "services": {"streamlit"},
    "web": {"sqlalchemy"},
    "pages": {"sqlalchemy"},
    "app": {"sqlalchemy"},
    "server": {"sqlalchemy"},
    "cli": {"streamlit", "sqlalchemy"},
    "api": {"streamlit", "sqlalchemy"},
    "commands": {"streamlit", "sqlalchemy"},
}
"""Layer -> libraries it never imports."""

FILLERS = {"one", "found", "known", "own"}
"""Names that stand for any noun, and so for none."""


def modules() -> dict[str, Path]:
    """Name without `fcnlab.` -> file of every module, the web server's scripts included."""
    inside = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    outside = {f"pages.{path.stem}": path for path in (ROOT / "pages").glob("*.py")}
    return {**inside, **outside, "app": ROOT / "app.py", "server": ROOT / "server.py"}


MODULES = modules()


def is_package(path: Path) -> bool:
    return path.name == "__init__.py"


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported_names(tree: ast.Module) -> Iterator[str]:
    """Dotted names, also of what is imported inside functions; a relative import starts with a dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def is_within(name: str, parts: set[str]) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def functions_of(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_downwards(module: str) -> None:
    layer = module.partition(".")[0]
    assert layer in MAY_IMPORT, f"{module} is of no known layer: give it one in this test and in ARCHITECTURE.md"
    allowed = MAY_IMPORT[layer] | ALSO.get(module, set())

    for name in imported_names(tree_of(MODULES[module])):
        assert not name.startswith("."), f"{module} imports {name}; write the whole name"
        assert name.partition(".")[0] not in NEVER.get(layer, set()), f"{layer} may not import {name}, {module} does"
        if name.startswith("fcnlab."):
            assert is_within(name.removeprefix("fcnlab."), allowed), f"{layer} may not import {name}, {module} does"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_modules_and_functions_fit_the_eye(module: str) -> None:
    source = MODULES[module].read_text(encoding="utf-8")

    assert len(source.splitlines()) <= MAX_MODULE_LINES, f"{module} is too long: split it by what it knows"
    for function in functions_of(ast.parse(source)):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        assert length <= MAX_FUNCTION_LINES, f"{module}: {function.name} has {length} lines"


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_what_measures_and_checks_fits_the_eye_too(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("*.py")):
        tree, name = tree_of(path), path.relative_to(ROOT)
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_MODULE_LINES, f"{name} is too long"
        for function in functions_of(tree):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{name}: {function.name} has {length} lines"


def test_folders_fit_the_eye() -> None:
    held = Counter(
        path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if not is_package(path)
    )

    too_full = {folder: count for folder, count in held.items() if count > MAX_FOLDER_MODULES}

    assert {*too_full} - LONG_FOLDERS == set(), f"{too_full}: name the package that is missing"


def test_every_service_is_in_a_package_called_by_what_it_is_about() -> None:
    assert [path.name for path in (PACKAGE / "services").glob("*.py") if not is_package(path)] == []


@pytest.mark.parametrize("module", sorted(name for name in MODULES if name.startswith("core.")))
def test_what_the_core_offers_says_what_it_does(module: str) -> None:
    tree = tree_of(MODULES[module])

    assert ast.get_docstring(tree), f"{module} has no docstring"
    for node in tree.body:
        members = node.body if isinstance(node, ast.ClassDef) else []
        for one in (node, *members):
            if isinstance(one, ast.FunctionDef | ast.ClassDef) and not one.name.startswith("_"):
                assert ast.get_docstring(one), f"{module}: {one.name} has no docstring"


def test_every_explained_failure_is_raised_somewhere() -> None:
    raised = {
        ast.unparse(node.exc.func)
        for path in MODULES.values()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
    }
    family = {
        name
        for name, value in vars(fcnlab.errors).items()
        if isinstance(value, type) and issubclass(value, fcnlab.errors.FcnlabError)
    }

    assert family - raised == set()


def test_nothing_is_left_for_later() -> None:
    marks = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]
    scripts = (PACKAGE / "web" / "canvas" / "assets").rglob("*.*s")

    left = [
        f"{path.relative_to(ROOT)}: {mark}"
        for path in (*MODULES.values(), *scripts, *(ROOT / "tests").rglob("*.py"))
        for mark in marks
        if mark in path.read_text(encoding="utf-8")
    ]

    assert left == []


@pytest.mark.parametrize("module", ["fcnlab", "fcnlab.cli"])
def test_importing_is_light(module: str) -> None:
    code = (
        f"import sys, {module}; print(*[name for name in ('torch', 'streamlit', 'sqlalchemy') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split() == []


@pytest.mark.parametrize("module", sorted(MODULES))
def test_an_engine_is_called_so(module: str) -> None:
    """The engine of the pages and of the REST service has one name wherever it is handed on."""
    for function in functions_of(tree_of(MODULES[module])):
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        kinds = {argument.arg: ast.unparse(argument.annotation) for argument in arguments if argument.annotation}
        assert {name for name, kind in kinds.items() if kind in ("Engine", "Own")} <= {"engine", "_engine"}


def bound_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of every parameter, variable, field and attribute that gets a value."""
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name
            case ast.MatchMapping(rest=str(name)):
                yield node.lineno, name
            case ast.Import() | ast.ImportFrom():
                yield from ((node.lineno, alias.asname) for alias in node.names if alias.asname)


def test_bound_names_sees_every_way_to_bind() -> None:
    tree = ast.parse(
        "import a as b01\n"
        "def f(b02, *b03, b04=0, **b05):\n"
        "    b06 = b07, *b08 = 0, 1\n"
        "    for b09 in [b10 for b10 in (lambda b11: b11)(0)]: pass\n"
        "    with f as b12: b13: int = 0\n"
        "    try: (b14 := 0)\n"
        "    except OSError as b15: f.b16 = 0\n"
        "    b17 += read\n"
        "    match read:\n"
        "        case {'a': b18, **b19}: pass\n"
        "        case [*b20]: pass\n"
    )

    assert {name for _, name in bound_names(tree)} == {f"b{number:02}" for number in range(1, 21)}


@pytest.mark.parametrize(
    "root", [PACKAGE, *(ROOT / name for name in ("pages", "benchmarks", "app.py", "server.py", "setup.py"))]
)
def test_names_say_what_they_hold(root: Path) -> None:
    paths = [root] if root.is_file() else sorted(root.rglob("*.py"))
    filled = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in paths
        for line, name in bound_names(tree_of(path))
        if name in FILLERS
    ]

    assert filled == [], "write the noun they stand for"
