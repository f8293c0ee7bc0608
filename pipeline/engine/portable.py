"""What Beam's portable runners need besides their flags: a job server that answers, and patience.

Beam gives the streams on which it follows a job the timeout that is meant for connecting to the job
server (300 s): a job that takes longer is then lost to whoever waits for it, although it goes on.
So fsh looks itself whether the server answers, and gives Beam a timeout that no job reaches.
"""

from __future__ import annotations

import argparse
import socket

from fsh.schemas.errors import FshError

#: Seconds that a job server has to answer, and that Beam follows a job.
_ANSWER, _MONTH = 30, 30 * 86_400


def portable_flags(flags: tuple[str, ...], runner: str) -> tuple[str, ...]:
    """Flags with which Beam follows a job to its end.

    Args:
        flags: the user's; ``--job_server_timeout`` is how long the job server has to answer.
        runner: as the user calls it.

    Raises:
        FshError: if the job server that they name does not answer.
    """
    parser = argparse.ArgumentParser(exit_on_error=False, add_help=False, allow_abbrev=False)
    parser.add_argument("--job_endpoint", "--job-endpoint", default="")
    parser.add_argument("--job_server_timeout", "--job-server-timeout", type=int, default=_ANSWER)
    try:
        chosen, _ = parser.parse_known_args(list(flags))
    except argparse.ArgumentError as error:
        raise FshError(str(error), remedy="see docs/scale.md") from None
    host, _, port = chosen.job_endpoint.rpartition(":")
    if host and port.isdigit():
        _connect(host.strip("[]"), int(port), chosen.job_server_timeout, runner)
    return (*flags, f"--job_server_timeout={_MONTH}")


def _connect(host: str, port: int, timeout: int, runner: str) -> None:
    try:
        socket.create_connection((host, port), timeout).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", "") or str(error)
        raise FshError(
            f"{runner} does not answer at {host}:{port} ({reason})",
            remedy="start its job server, or check --job_endpoint",
        ) from None
