"""What the scripts that break commands have in common: options, a place to work, a report."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))
from children import adopt_orphans, import_everything
from commands import COMMANDS


def options(tries: int) -> argparse.ArgumentParser:
    """Options of every such script.

    Args:
        tries: of each command, by default.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--tries", type=int, default=tries)
    parser.add_argument("--only", choices=COMMANDS, action="append")
    parser.add_argument("--seconds", type=float, default=230, help="of each command, at most")
    return parser


def each_command(
    kind: str, chosen: argparse.Namespace, torture: Callable[[str, Path], dict]
) -> None:
    """Break one command after the other, each in a folder of its own; print one JSON object.

    Args:
        kind: of fault.
        torture: given a command's name and its folder, says what came of it.
    """
    from fsh.schemas.places.temporary import scratch_folder

    adopt_orphans()
    found = {}
    with scratch_folder(kind[:3]) as scratch:  # short, for the sockets in it
        os.environ["FSH_HOME"] = str(scratch / "home")
        import_everything()
        for number, command in enumerate(chosen.only or COMMANDS):
            place = scratch / str(number)
            place.mkdir()
            found[command] = torture(command, place)
    print(json.dumps(found))
