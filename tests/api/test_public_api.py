"""``import fsh``: light, complete, and in step with the command line."""

from __future__ import annotations

import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from places import ROOT

import fsh
from fsh.cli.commands import app

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
#: Commands that walk the whole way or look at the machine; there is nothing in them to call.
NO_FUNCTION = {"demo", "doctor"}
#: What only a function takes.
FUNCTION_ONLY = {"progress", "announce", "stop", "flags"}
#: What only a command takes: how it prints, the default person's folder, a question that a function
#: does not ask, and options that have a function of their own.
COMMAND_ONLY = {
    "": {"json", "quiet"},
    "animate": {"people"},
    "evaluate": {"score"},
    "export": {"people"},
    "forget": {"check", "yes"},
    "ingest": {"dry_run"},
    "inspect": {"serve", "host", "port"},
    "shard": {"check", "check_frames"},
    "train": {"dry_run"},
}


def in_a_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_costs_nothing():
    """`import fsh` loads itself alone, and with a module of names and errors no other package."""
    code = """
import sys
before = set(sys.modules)
def loaded():
    names = {name for name in set(sys.modules) - before}
    return {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}
import fsh
assert loaded() == {"fsh"}, loaded()
import fsh.schemas.errors
dir(fsh)
assert {name.partition(".")[0] for name in loaded()} == {"fsh"}, loaded()
"""
    in_a_process(code)


@pytest.mark.parametrize("name", fsh.__all__)
def test_every_name_is_there(name):
    assert getattr(fsh, name) is getattr(fsh, name) and name in dir(fsh)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fsh.nothing  # noqa: B018


def test_the_version_is_the_projects():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert fsh.__version__ in (project["version"], "unknown")


def test_no_module_hides_a_function():
    """Importing a module `fsh.NAME` would overwrite the function of that name."""
    assert {path.stem for path in (ROOT / "api").glob("*.py")} & set(fsh.__all__) == set()


def test_every_command_is_a_function():
    assert set(COMMANDS) - NO_FUNCTION <= set(fsh.__all__)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - NO_FUNCTION))
def test_a_function_has_the_commands_options_and_defaults(name):
    options = {}
    for option in COMMANDS[name].params:
        own = {"no_mark": "mark", "compile_": "compile"}.get(option.name, option.name)
        options[own] = (not option.default) if own == "mark" else option.default
    parameters = inspect.signature(getattr(fsh, name)).parameters
    names = {own: {"file": "files", "filters": "filter"}.get(own, own) for own in parameters}
    unknown = {own for own in parameters if names[own] not in options} - FUNCTION_ONLY
    assert unknown == set()
    missing = set(options) - set(names.values())
    assert missing == COMMAND_ONLY[""] | COMMAND_ONLY.get(name, set())
    for own, parameter in parameters.items():
        if own not in FUNCTION_ONLY and parameter.default is not inspect.Parameter.empty:
            assert plain(parameter.default) == plain(options[names[own]]), own


def plain(value: object) -> object:
    """A default as text, whether it is a path, several or none."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value)) or None
    return str(value) if isinstance(value, Path | str) else value
