"""The ``fsh`` program: how it begins and ends, and where errors become one line each.

Next to nothing is loaded before that: a Ctrl-C while the commands are being loaded is told like any
other.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import NoReturn

from fsh.cli.stopping import Stopping, end_at_once_on_signals
from fsh.cli.streams import open_missing_streams, quiet_stdout

#: What the system says of a library that it has no room for.
_NO_MEMORY = re.compile("failed to map segment|cannot allocate memory", re.IGNORECASE)


def main() -> None:
    """Run the command line; never show a traceback for a failure that was foreseen."""
    open_missing_streams()
    with Stopping() as stopping:
        try:
            if sys.flags.optimize > 1:
                _tell("Apache Beam needs what Python leaves out with -OO → unset PYTHONOPTIMIZE")
                sys.exit(1)
            _run_command()
        except BaseException as error:
            end_at_once_on_signals()
            code = error.code if isinstance(error, SystemExit) else 1
            if code in (0, None):  # it had come to its end
                raise
            # Whatever an interruption became on its way here; Typer makes an exit of it.
            if stopping.was_asked or code == stopping.status:
                _tell("stopped; run the same command again to go on")
                sys.exit(stopping.status)
            if isinstance(error, BrokenPipeError):
                quiet_stdout()
                sys.exit(1)
            if os.environ.get("FSH_DEBUG") or not isinstance(error, Exception):
                raise
            _tell(failure_line(error))
            sys.exit(1)


def _run_command() -> None:
    """Load the commands, and run the one that is asked for."""
    import io
    import logging

    from fsh import threads

    threads.limit_spinning()
    debug = bool(os.environ.get("FSH_DEBUG"))
    # Beam and what it imports log to the root logger.
    logging.basicConfig(level=logging.INFO if debug else logging.ERROR, stream=sys.stderr)
    for stream in (sys.stdout, sys.stderr):  # a terminal of another encoding shows escapes
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not debug:  # errors inside Beam and PyTorch are raised again here, and told then
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # read when it is loaded
        logging.getLogger("apache_beam.runners").setLevel(logging.CRITICAL)
    from fsh.cli.commands import app

    app(prog_name="fsh")


def _tell(line: str) -> None:
    with suppress(OSError):  # the terminal was closed
        print(f"fsh: {line}", file=sys.stderr, flush=True)


def run() -> NoReturn:
    """:func:`main` as a program: it ends as soon as Python's own clean-up is done.

    What is left are the threads of Arrow, gRPC and their like. About one time in ten one of them
    aborts, while it is torn down, a process that has done all its work.
    """
    code: int | str | None = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    end_at_once_on_signals()
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    import atexit

    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code or 0)


def failure_line(error: Exception) -> str:
    """An error that ended a command, in one line: what, where, what to do."""
    import tempfile

    from fsh.schemas.errors import FshError
    from fsh.schemas.places.disk import refused_by_system
    from fsh.schemas.text import sentence

    if isinstance(error, FshError):
        return str(error)
    # Outputs tell of themselves: what no output owns is written to the temporary folder.
    if (refused := refused_by_system(error, tempfile.gettempdir())) is not None:
        return str(refused)
    unloaded = isinstance(error, ImportError) and _NO_MEMORY.search(str(error))
    if isinstance(error, MemoryError) or unloaded:
        return "not enough memory → use fewer workers, a smaller batch or a smaller preset"
    line = sentence(f"{type(error).__name__}: {error}")[:300]
    return f"internal error: {line} → set FSH_DEBUG=1 for the traceback"
