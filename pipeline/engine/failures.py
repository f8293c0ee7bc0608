"""Whatever an engine raises, in one line: what happened, what stands, what to run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import NoRoom, is_disk_full, refused_by_system

#: An error of fsh's inside the text of a traceback, which is all that some engines pass on.
_IN_TEXT = re.compile(
    r"(?:\b|\\n)fsh\.(?:schemas|pipeline)\.[\w.]+: (.+?)(?= \[while running|\\n|\n|['\"]\)?$|$)"
)
_NO_FSH = re.compile(r"No module named '(fsh[\w.]*|apache_beam[\w.]*)'")
_UNREACHABLE = re.compile(
    r"failed to connect to all addresses|didn't get control connection|FutureTimeoutError"
    r"|StatusCode\.UNAVAILABLE|Connection refused",
    re.IGNORECASE,
)
_LOST = re.compile(
    r"KilledWorker|lost connection|Socket closed|worker.{0,40}(died|disconnected|unresponsive)"
    r"|CommClosedError|CancelledError|Connection (reset|aborted)|context canceled",
    re.IGNORECASE | re.DOTALL,
)
_AGAIN = "what is finished stays: run the same command again and it goes on"


def told_in_one_line(
    error: Exception, where: Path, runner: str | None, flags: Sequence[str] = ()
) -> Exception:
    """An error as fsh tells it.

    Args:
        error: what Beam raised.
        where: the data folder.
        runner: the engine; None: this machine, where an error that nobody foresaw stays as it is.
        flags: the engine's, of which an endpoint is named.
    """
    if isinstance(error, FshError):
        return error
    if is_disk_full(error):
        return NoRoom(where)
    text = "\n".join(f"{type(one).__name__}: {one}" for one in _chain(error))
    for one in _chain(error):
        if isinstance(one, FshError):
            return one
    if found := _IN_TEXT.search(text):
        return FshError(found[1])
    if runner is None:
        return refused_by_system(error, where) or error
    return _of_engine(error, text, runner, flags)


def _of_engine(error: Exception, text: str, runner: str, flags: Sequence[str]) -> FshError:
    if found := _NO_FSH.search(text):
        return FshError(
            f"workers of {runner} have no {found[1].partition('.')[0]}",
            remedy="install the same fsh on every worker and restart them",
        )
    if _UNREACHABLE.search(text):
        return FshError(
            f"{runner} does not answer{_endpoint(flags)}; {_AGAIN}",
            remedy="check that its job server and its worker pool run",
        )
    if _LOST.search(text):
        return FshError(
            f"{runner} lost its workers, or they their scheduler, and gave up",
            remedy=f"look whether they run; {_AGAIN}",
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = (lines[-1] if lines else type(error).__name__)[-200:]
    return FshError(
        f"{runner} gave up ({type(error).__name__}: {last})",
        remedy=f"{_AGAIN}; FSH_DEBUG=1 shows the traceback",
    )


def _endpoint(flags: Sequence[str]) -> str:
    """The address among an engine's flags, for people."""
    for flag, following in zip(flags, [*flags[1:], ""], strict=True):
        name, _, value = flag.partition("=")
        if re.fullmatch(r"--\w*(endpoint|master|address|rest_url)", name):
            return f" at {value or following}"
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, what it came from, and so on."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__
