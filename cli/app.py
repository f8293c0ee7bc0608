"""The ``fsh`` command: its commands, and the one place where errors become one line each."""

from __future__ import annotations

import atexit
import io
import logging
import os
import sys
import tempfile
import traceback
from contextlib import suppress
from typing import NoReturn

import typer

from fsh import threads
from fsh.cli import (
    animate,
    demo,
    doctor,
    evaluate,
    export,
    forget,
    ingest,
    inspect,
    live,
    options,
    personalize,
    shard,
    train,
    verify,
)
from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import refused_by_system
from fsh.schemas.text import sentence

app = typer.Typer(
    name="fsh",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""From videos of talking people to a few-shot talking head.

The way through, in one working folder, each command resumable:

`fsh ingest urls.txt` → `fsh shard` → `fsh inspect` → `fsh train` →
`fsh personalize --photos dir/` → `fsh animate --person people/NAME --driving talk.mp4 -o out.mp4`

`fsh demo` walks it on sample clips. Exit status: 0 done, 1 an expected failure told in one line,
2 wrong usage.""",
)

app.command("ingest", context_settings=options.ENGINE_FLAGS)(ingest.ingest)
app.command("shard", context_settings=options.ENGINE_FLAGS)(shard.shard)
app.command("inspect")(inspect.inspect)
app.command("train")(train.train)
app.command("personalize")(personalize.personalize)
app.command("animate")(animate.animate)
app.command("live")(live.live)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("verify")(verify.verify)
app.command("forget")(forget.forget)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run the command line; never show a traceback for a failure that was foreseen."""
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
    try:
        app(prog_name="fsh")
    except SystemExit as end:  # Typer makes this of Ctrl-C
        if end.code == 130:
            print("fsh: stopped; run the same command again to go on", file=sys.stderr)
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        print(f"fsh: {failure_line(error)}", file=sys.stderr)
        sys.exit(1)


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
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code or 0)


def failure_line(error: Exception) -> str:
    """An error that ended a command, in one line: what, where, what to do."""
    if isinstance(error, FshError):
        return str(error)
    # Outputs tell of themselves: what no output owns is written to the temporary folder.
    if (refused := refused_by_system(error, tempfile.gettempdir())) is not None:
        return str(refused)
    if isinstance(error, MemoryError):
        return "not enough memory → use fewer workers, a smaller batch or a smaller preset"
    line = sentence(f"{type(error).__name__}: {error}")[:300]
    return f"internal error: {line} → set FSH_DEBUG=1 for the traceback"
