"""Which Beam runner a graph runs on, and the running.

A local run names Beam's FnApiRunner: without a name, Beam would download another runner first.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.worker import sdk_worker
from apache_beam.transforms import environments

from fsh.pipeline.engine.dask_cluster import dask_flags
from fsh.pipeline.engine.failures import told_in_one_line
from fsh.pipeline.engine.portable import portable_flags
from fsh.pipeline.engine.ticket import Ticket
from fsh.pipeline.local_connections import keep_local_connections_direct
from fsh.schemas.errors import FshError
from fsh.schemas.places.temporary import scratch_folder
from fsh.schemas.progress import Progress

#: Beam's runner in this process, and how it can share out the work.
LOCAL = "FnApiRunner"
MODES = ("in_memory", "multi_threading", "multi_processing")
#: Names of engines to Beam's; other names are given to Beam as they are.
ENGINES = {
    "local": LOCAL,
    "dask": "apache_beam.runners.dask.dask_runner.DaskRunner",
    "portable": "PortableRunner",
    "prism": "PrismRunner",
    "flink": "FlinkRunner",
    "spark": "SparkRunner",
    "dataflow": "DataflowRunner",
}
#: Elements of a graph at most: an engine's scheduler keeps an account of each.
_MOST_BATCHES = 10_000

_T = TypeVar("_T")


@dataclass(frozen=True)
class Engine:
    """Where a graph is to run.

    Attributes:
        runner: a key of :data:`ENGINES`, the name of a Beam runner, or None: this machine.
        workers: bundles that a local run works on at a time; with one, ``mode`` is in_memory. Of
            Dask without a cluster: processes of its own.
        mode: a local run's in_memory, multi_threading or multi_processing.
        flags: further flags, given to Beam as they are.

    Raises:
        FshError: if there is no such mode.
    """

    runner: str | None = None
    workers: int = 1
    mode: str = "multi_threading"
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise FshError(f"no mode {self.mode!r}", remedy=f"use {', '.join(MODES)}")

    @property
    def name(self) -> str:
        """As Beam knows it."""
        return ENGINES.get((self.runner or "local").lower(), self.runner or LOCAL)

    @property
    def is_local(self) -> bool:
        return self.name == LOCAL

    @property
    def is_dask(self) -> bool:
        return self.name == ENGINES["dask"]

    @property
    def shares_sandboxes(self) -> bool:
        """Whether one process does all the work, with as many sandboxes as there are workers."""
        return self.is_local and self.mode != "multi_processing"

    def batches(self, work: Sequence[_T]) -> list[tuple[_T, ...]]:
        """The elements of a graph, each some of the work; all of it for one process that shares.

        Args:
            work: what takes longest comes first.
        """
        if self.shares_sandboxes:
            return [tuple(work)] if work else []
        count = min(len(work), _MOST_BATCHES)
        return [tuple(work[i::count]) for i in range(count)]

    def elements(self, work: Sequence[_T]) -> beam.PTransform:
        """A graph's beginning: its elements, so that each may go to another worker."""
        return _Elements(tuple(work), shuffled=not self.is_dask)


class _Elements(beam.PTransform):
    """Elements that are not fused with what follows: else one worker would do everything.

    Grouping by a key is what no runner can do without sending elements around; Reshuffle means the
    same but does nothing on some. Dask takes one element per task instead, and would sort keys by
    building a task for every pair of partitions.
    """

    def __init__(self, work: tuple[Any, ...], *, shuffled: bool) -> None:
        super().__init__()
        self._work, self._shuffled = work, shuffled

    def expand(self, begin: Any) -> Any:
        if not self._shuffled:
            return begin | "elements" >> beam.Create(self._work)
        return (
            begin
            | "numbered" >> beam.Create(list(enumerate(self._work)))
            | "spread" >> beam.GroupByKey()
            | "elements" >> beam.FlatMap(_values)
        )


def _values(group: tuple[int, Any]) -> list[Any]:
    return list(group[1])


@dataclass(frozen=True)
class OpenEngine:
    """An engine that is ready to run graphs, one after the other.

    Attributes:
        engine: which.
        ticket: what its workers are let in with.
        flags: all that Beam gets.
    """

    engine: Engine
    ticket: Ticket
    flags: tuple[str, ...]

    def run(self, build: Callable[[beam.Pipeline], object]) -> None:
        """Build a graph and run it to its end.

        Whatever ends it early stops its workers, which would go on on other machines.

        Raises:
            FshError: if the engine gave up, or a worker cannot take part.
        """
        try:
            with _pipeline(self.engine.name, self.flags) as pipeline:
                build(pipeline)
                self._finish(pipeline.run())
        except BaseException as error:  # Ctrl-C is one
            self.ticket.stop.set()
            if not isinstance(error, Exception):
                raise
            told = told_in_one_line(error, self.ticket.data.root, self.engine.runner, self.flags)
            raise told from error

    def _finish(self, result: Any) -> None:
        try:
            result.wait_until_finish()
            if self.engine.is_dask and any(one.status != "finished" for one in result.futures):
                raise RuntimeError("CancelledError: its scheduler is gone")
        except BaseException:
            with suppress(Exception):  # runners that cannot be told to stop say so
                result.cancel()
            raise
        finally:
            if self.engine.is_dask:
                with suppress(Exception):
                    result.client.close(timeout=5)
        if (state := str(getattr(result, "state", "DONE"))) not in ("DONE", "UNKNOWN"):
            raise RuntimeError(f"the job ended as {state}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what engines log here: their workers' messages, and the error that is raised then."""
    before = logging.root.manager.disable
    if not os.environ.get("FSH_DEBUG"):
        logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _keep_tracebacks() -> None:
    """Beam's workers print each error's traceback, besides raising it here, where it is told."""
    if not os.environ.get("FSH_DEBUG"):
        vars(sdk_worker)["print"] = lambda *_, **__: None


def _flush_between_elements() -> None:
    """Beam's local workers send what they have written each second from a thread of its own, and
    then forget it, with what was written meanwhile: elements are cut, and what receives them reads
    on in garbage until memory ends. By size they send it between elements, in any case."""
    worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 0


@contextmanager
def _pipeline(name: str, flags: Sequence[str]) -> Iterator[beam.Pipeline]:
    """A graph without elements; what Beam writes for it is removed, also if this process dies."""
    with scratch_folder("beam") as folder, _environments_in(folder):
        own = [f"--requirements_cache={folder / 'requirements'}"]
        if any(flag.startswith("--requirements") for flag in flags):
            own.clear()
        try:
            pipeline = beam.Pipeline(runner=name, options=PipelineOptions([*flags, *own]))
        except (ValueError, ImportError, AttributeError) as error:
            raise FshError(
                f"no runner {name!r} ({error})",
                remedy=f"use {', '.join(ENGINES)} or the whole name of a Beam runner's class",
            ) from None
        shutil.rmtree(pipeline.local_tempdir, ignore_errors=True)
        pipeline.local_tempdir = str(folder)
        yield pipeline


@contextmanager
def _environments_in(folder: Path) -> Iterator[None]:
    """For each environment that Beam describes it makes an empty folder, and never removes it."""
    before = environments.python_sdk_dependencies
    environments.python_sdk_dependencies = partial(before, tmp_dir=str(folder))
    try:
        yield
    finally:
        environments.python_sdk_dependencies = before


@contextmanager
def opened(engine: Engine, ticket: Ticket, progress: Progress) -> Iterator[OpenEngine]:
    """Make an engine ready, for as long as the block lasts.

    Args:
        progress: is told when workers come and go.

    Raises:
        FshError: if it cannot be reached, or what it needs is not installed.
    """
    keep_local_connections_direct()
    flags = engine.flags
    if engine.is_local:
        _keep_tracebacks()
        _flush_between_elements()
        mode = "in_memory" if engine.workers == 1 else engine.mode
        flags += (f"--direct_num_workers={engine.workers}", f"--direct_running_mode={mode}")
        yield OpenEngine(engine, ticket, flags)
        return
    with _quiet(), ExitStack() as stack:
        if engine.is_dask:
            flags = stack.enter_context(dask_flags(flags, engine.workers, progress))
        else:
            flags = portable_flags(flags, engine.runner or engine.name)
        yield OpenEngine(engine, ticket, flags)
