"""Standard input, output and error as fsh was given them: perhaps closed, perhaps full."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def open_missing_streams() -> None:
    """Put nothing where a standard stream is closed, for the processes started later too.

    Otherwise the next file that is opened gets its number, and what is printed goes into that.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(opened, True)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


@contextmanager
def printing_result() -> Iterator[None]:
    """All of a result is written to standard output.

    Raises:
        FshError: if it does not take it.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        from fsh.schemas.errors import FshError

        quiet_stdout()
        what = f"the result cannot be written ({error.strerror}), all else is done"
        raise FshError(what, where="standard output", remedy="let it go elsewhere") from None


def quiet_stdout() -> None:
    """Let what is still to be written to standard output go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
