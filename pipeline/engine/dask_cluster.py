"""The Dask cluster that a run works on: one that is there already, or one of its own."""

from __future__ import annotations

import argparse
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from fsh.schemas.errors import FshError
from fsh.schemas.places.temporary import scratch_folder
from fsh.schemas.progress import Progress

#: Seconds that a scheduler has to answer, and between two looks at its workers.
_ANSWER, _LOOK = 20, 2.0
#: Dask's processes look at themselves a hundred times a second: nothing on large machines, much
#: where every core works (docs/benchmarks.md, "Engines").
SELDOM = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}


@contextmanager
def dask_flags(
    flags: tuple[str, ...], workers: int, progress: Progress
) -> Iterator[tuple[str, ...]]:
    """Flags with which Beam's DaskRunner finds its cluster, for as long as the block lasts.

    The cluster is the one that ``--dask_client_address`` or ``--dask_scheduler_file`` name, or
    Dask's own configuration (``DASK_SCHEDULER_ADDRESS``); else one is started here.

    Args:
        flags: the user's.
        workers: processes of a cluster that is started here.
        progress: is told when workers come and go.

    Raises:
        FshError: if Dask is not installed, a flag is not known, or no scheduler answers.
    """
    try:
        import dask
        import distributed
    except ImportError as error:
        raise FshError(
            f"the dask runner needs Dask ({error})", remedy='pip install "fsh[dask]"'
        ) from None
    chosen = _parsed(flags)
    if not (chosen.npartitions or chosen.partition_size):
        flags += ("--dask_partition_size=1",)  # Beam's default gives 128 elements to one worker
    quiet = logging.NOTSET if os.environ.get("FSH_DEBUG") else logging.CRITICAL
    address = chosen.address or dask.config.get("scheduler-address", None)
    with ExitStack() as stack:
        if not address and not chosen.scheduler_file:
            if quiet:  # what is logged at the import of Beam in its processes
                stack.enter_context(dask.config.set({"distributed.logging": {"root": "critical"}}))
            scratch = str(stack.enter_context(scratch_folder("dask")))
            stack.enter_context(dask.config.set({"temporary-directory": scratch, **SELDOM}))
            cluster = distributed.LocalCluster(
                local_directory=scratch,
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=0,  # the work is done in sandboxes, which have their own
                dashboard_address=":0",  # 8787 may be another cluster's
                silence_logs=quiet,
            )
            address = stack.enter_context(cluster).scheduler_address
            flags += (f"--dask_client_address={address}",)
        stack.enter_context(_watched(address, chosen.scheduler_file, progress))
        yield flags


def _parsed(flags: tuple[str, ...]) -> argparse.Namespace:
    """What Beam will understand of the flags."""
    from apache_beam.runners.dask.dask_runner import DaskOptions

    parser = argparse.ArgumentParser(exit_on_error=False, add_help=False, allow_abbrev=False)
    DaskOptions._add_argparse_args(parser)
    try:
        chosen, rest = parser.parse_known_args(list(flags))
    except argparse.ArgumentError as error:
        raise FshError(str(error), remedy="see `docs/scale.md`") from None
    if unknown := [flag for flag in rest if flag.startswith("--dask")]:
        known = ", ".join(name for action in parser._actions for name in action.option_strings)
        raise FshError(f"unknown {' '.join(unknown)}", remedy=f"use {known}")
    return chosen


@contextmanager
def _watched(address: str | None, file: str | None, progress: Progress) -> Iterator[None]:
    """Say when workers come and go; the scheduler must answer."""
    client = _client(address, file)
    stop = threading.Event()

    before = -1

    def look() -> None:
        nonlocal before
        with suppress(Exception):  # the run itself meets a scheduler that is gone
            now = len(client.nthreads())
            if now != before and (now < before or (before < 0 and not now)):
                progress.say(_worker_line(now, before, address or str(file)))
            before = now

    def watch() -> None:
        look()
        while not stop.wait(_LOOK):
            look()

    thread = threading.Thread(target=watch, name="dask workers", daemon=True)
    thread.start()
    done = False
    try:
        yield
        done = True
    finally:
        stop.set()
        thread.join()
        if done:  # one may have gone a moment ago
            look()
        with suppress(Exception):
            client.close(timeout=5)


def _client(address: str | None, file: str | None) -> Any:
    from distributed import Client

    try:
        return Client(address=address, scheduler_file=file, timeout=_ANSWER, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise FshError(
            f"no Dask scheduler answers ({reason})",
            where=address or file or "",
            remedy="start `dask scheduler` and `dask worker`, or leave the address out: then a "
            "cluster of --workers processes is started here",
        ) from None


def _worker_line(now: int, before: int, where: str) -> str:
    if now:
        return (
            f"Dask workers: {now} of {before} left; what is finished stays, the rest goes to them"
        )
    if before < 0:
        return f"no Dask worker yet: waiting for some → dask worker {where}"
    return (
        f"no Dask worker left: waiting for new ones → dask worker {where}; what is finished stays"
    )
