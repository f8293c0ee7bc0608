"""The house itself: layers, the wheel's contents, module sizes."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from places import LINKS, ROOT

#: Folder to the package it is installed as.
PACKAGES = {"api": "fsh"} | {n: f"fsh/{n}" for n in ("schemas", "pipeline", "trainer", "cli")}


def test_layers():
    """schemas ← pipeline, schemas ← trainer, cli on top; the contracts are in pyproject.toml."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    environment = {"PYTHONPATH": str(LINKS), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_the_wheel_holds_the_tree(tmp_path):
    """An unlisted subpackage or data file would be there in development and missing for users."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(tmp_path)]
    source = tmp_path / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in tracked:
        if name.startswith((*PACKAGES, "pyproject.toml", "README.md", "LICENSE")):
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_file():
                target.write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    inside = {n for n in zipfile.ZipFile(wheel).namelist() if n.startswith("fsh/")}
    wanted = {
        f"{PACKAGES[folder]}/{rest}"
        for folder, _, rest in (name.partition("/") for name in tracked)
        if folder in PACKAGES and (ROOT / folder / rest).is_file()
    }
    assert inside == wanted
    assert len(wanted) > 20


def test_the_links_are_the_tree():
    """mypy, import-linter and tests in a checkout see the packages through these links."""
    wanted = {name for name in PACKAGES if name != "api"}
    wanted |= {path.name for path in (ROOT / "api").iterdir() if path.name != "__pycache__"}
    links = {path.name: path for path in (LINKS / "fsh").iterdir() if path.name != "__pycache__"}
    assert set(links) == wanted, "link .typecheck/fsh/NAME to ../../api/NAME for each of them"
    assert all(path.is_symlink() and path.exists() for path in links.values())
