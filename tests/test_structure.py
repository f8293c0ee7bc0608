"""The code base itself: layers, no cycles, unique names, sizes, and what is in the wheel."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from places import LINKS, ROOT

#: Folder to the package it is installed as.
PACKAGES = {"api": "fsh"} | {n: f"fsh.{n}" for n in ("schemas", "pipeline", "trainer", "cli")}
#: Lines of a function's body, branches in it, lines of a module: at most.
MOST_LINES, MOST_BRANCHES, MOST_MODULE_LINES = 80, 15, 300
BIN = Path(sys.executable).parent


def modules() -> dict[str, Path]:
    """Installed name to file of every module."""
    found = {}
    for folder, package in PACKAGES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join([package, *(part for part in parts if part != "__init__")])
            found[name] = path
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}


def test_layers():
    """cli → api → pipeline | trainer → schemas; the contracts are in pyproject.toml."""
    environment = {"PYTHONPATH": str(LINKS), "PATH": "/usr/bin:/bin"}
    command = [str(BIN / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_module_of_the_api_is_in_its_layer():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layer = contracts["contracts"][0]["layers"][1].split(" : ")
    names = [path.stem for path in (ROOT / "api").glob("[!_]*.py")]
    names += [path.parent.name for path in (ROOT / "api").glob("*/__init__.py")]
    assert sorted(layer) == sorted(f"fsh.{name}" for name in names)


def test_schemas_need_little():
    """The standard library, NumPy and pyarrow, so that any program can read what fsh writes."""
    allowed = sys.stdlib_module_names | {"numpy", "pyarrow"}
    others = {
        (name, target)
        for name in MODULES
        if name.startswith("fsh.schemas")
        for target in imported(name)
        if target.split(".")[0] not in allowed and not f"{target}.".startswith("fsh.schemas.")
    }
    assert others == set()


def test_only_the_command_line_needs_typer_and_rich():
    places = {
        (name, target)
        for name in MODULES
        if not f"{name}.".startswith("fsh.cli.")
        for target in imported(name)
        if target.split(".")[0] in ("click", "rich", "typer")
    }
    assert places == set()


def test_a_package_names_its_modules():
    """The docstring of every ``__init__.py`` leads through the modules beside it."""
    missing = {}
    for name, path in MODULES.items():
        if path.name == "__init__.py":
            beside = {one.stem for one in path.parent.glob("[!_]*.py")}
            beside |= {one.parent.name for one in path.parent.glob("*/__init__.py")}
            named = re.findall(r"`(?:~[\w.]+\.)?(\w+)`", ast.get_docstring(TREES[name]) or "")
            missing[name] = sorted(beside - set(named))
    assert {name: modules for name, modules in missing.items() if modules} == {}


def test_no_import_cycles():
    """Imports inside functions and under TYPE_CHECKING count: they are dependencies as well.

    So do texts that name a module, because something may import it by its name. ``fsh`` itself
    names the modules that its functions are in, so only the command line may use it.
    """
    graph = {name: {*imports_of(name), *texts_of(name)} - {name} for name in MODULES}
    cycles = [group for group in strongly_connected(graph) if len(group) > 1]
    assert cycles == []


def imports_of(name: str) -> Iterator[str]:
    """The modules of fsh that a module names in an import, wherever the import stands."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative imports are not used here"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                target = whole if whole in MODULES else node.module
                if target in MODULES:
                    yield str(target)


def imported(name: str) -> Iterator[str]:
    """The full names of all modules that a module imports from, fsh's or others'."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def texts_of(name: str) -> Iterator[str]:
    """The modules of fsh that are the whole of a text in a module; not those of the public names.

    Those of ``fsh`` (``_MODULES``) are left out: it would depend on all modules that use it.
    """
    for node in ast.walk(TREES[name]) if name != "fsh" else ():
        if isinstance(node, ast.Constant) and node.value in MODULES and node.value != "fsh":
            yield str(node.value)


def strongly_connected(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of nodes that reach one another (Kosaraju's algorithm)."""
    order: list[str] = []
    seen: set[str] = set()

    def finish(node: str) -> None:
        seen.add(node)
        for other in sorted(graph[node] - seen):
            if other not in seen:
                finish(other)
        order.append(node)

    for node in graph:
        if node not in seen:
            finish(node)
    backwards = defaultdict(set)
    for node, others in graph.items():
        for other in others:
            backwards[other].add(node)
    groups, placed = [], set()
    for node in reversed(order):
        group, waiting = [], [node]
        while waiting:
            if (one := waiting.pop()) not in placed:
                placed.add(one)
                group.append(one)
                waiting += backwards[one]
        groups.append(sorted(group))
    return [group for group in groups if group]


def test_no_two_public_classes_share_a_name():
    places = defaultdict(list)
    for name, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_functions_are_short():
    """Counted from the first statement after the docstring: commands have many options."""
    long = {}
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if lines > MOST_LINES:
                    long[f"{name}.{node.name}"] = lines
    assert long == {}


def test_functions_have_few_branches():
    command = [str(BIN / "ruff"), "check", "--isolated", "--select", "C901,PLR0912"]
    command += ["--config", f"lint.mccabe.max-complexity={MOST_BRANCHES + 1}"]
    command += ["--config", f"lint.pylint.max-branches={MOST_BRANCHES}", "--ignore-noqa"]
    command += ["--output-format", "concise", "--no-cache", *PACKAGES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_modules_are_short():
    lines = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert {name: n for name, n in lines.items() if n > MOST_MODULE_LINES} == {}


def test_every_package_is_listed():
    """An unlisted sub-package would be there in development and missing for users."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    assert set(listed) == found
    without = {path.parent for path in MODULES.values()} - {MODULES[name].parent for name in found}
    assert without == set(), "folders of modules without an __init__.py"


def test_the_wheel_holds_the_tree(tmp_path):
    """Every tracked file of the packages, data files too; and it works without the checkout."""
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    source = tmp_path / "source"
    for name in tracked:
        needed = name.startswith((*(f"{folder}/" for folder in PACKAGES), "pyproject.toml"))
        if (needed or name in ("README.md", "LICENSE")) and (ROOT / name).is_file():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(tmp_path)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    inside = {n for n in zipfile.ZipFile(wheel).namelist() if n.startswith("fsh/")}
    wanted = {
        f"{PACKAGES[folder].replace('.', '/')}/{rest}"
        for folder, _, rest in (name.partition("/") for name in tracked)
        if folder in PACKAGES and (ROOT / folder / rest).is_file()
    }
    assert inside == wanted
    assert {f"{name.replace('.', '/')}/__init__.py" for name in PACKAGES.values()} <= wanted
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    check = (
        "import fsh; fsh.Person, fsh.animate; import fsh.pipeline.media.probe; print(fsh.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", check],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "installed"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "installed" / "fsh" / "__init__.py")


def test_the_links_are_the_tree():
    """mypy, import-linter and tests in a checkout see the packages through these links."""
    wanted = {name for name in PACKAGES if name != "api"}
    wanted |= {path.name for path in (ROOT / "api").iterdir() if path.name != "__pycache__"}
    links = {path.name: path for path in (LINKS / "fsh").iterdir() if path.name != "__pycache__"}
    assert set(links) == wanted, "link .typecheck/fsh/NAME to ../../api/NAME for each of them"
    assert all(path.is_symlink() and path.exists() for path in links.values())
