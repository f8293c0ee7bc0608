"""The house itself: layers, the wheel's contents, module sizes."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("schemas", "pipeline", "trainer", "cli")


def test_layers():
    """schemas ← pipeline, schemas ← trainer, cli on top; the contracts are in pyproject.toml."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    environment = {"PYTHONPATH": str(ROOT / ".typecheck"), "PATH": "/usr/bin:/bin"}
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
        f"fsh/{name}"
        for name in tracked
        if name.startswith(tuple(f"{p}/" for p in PACKAGES)) and (ROOT / name).is_file()
    }
    assert inside == wanted
    assert len(wanted) > 20


@pytest.mark.parametrize("package", PACKAGES)
def test_folders_are_flat(package):
    assert not [p for p in (ROOT / package).iterdir() if p.is_dir() and p.name != "__pycache__"]
