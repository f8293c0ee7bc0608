"""Which Beam runner a pipeline runs on.

A local run names Beam's FnApiRunner: without a name, Beam would download another runner first.
"""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from fsh.pipeline.local_connections import keep_local_connections_direct
from fsh.schemas.errors import FshError

#: Beam's runner in this process, and how it can share out the work.
LOCAL = "FnApiRunner"
MODES = ("in_memory", "multi_threading", "multi_processing")


def make_pipeline(
    runner: str | None = None,
    *,
    workers: int = 1,
    mode: str = "multi_threading",
    flags: Sequence[str] = (),
) -> beam.Pipeline:
    """A pipeline on the named runner, or on this machine.

    Args:
        runner: a Beam runner's name (FlinkRunner, SparkRunner, DataflowRunner …), or None: local.
        workers: bundles that a local run works on at a time; with one, ``mode`` is in_memory.
        mode: a local run's in_memory, multi_threading or multi_processing.
        flags: further flags, given to Beam as they are.

    Raises:
        FshError: if there is no such mode.
    """
    keep_local_connections_direct()
    if mode not in MODES:
        raise FshError(f"no mode {mode!r}", remedy=f"use {', '.join(MODES)}")
    arguments = list(flags)
    if runner in (None, LOCAL):
        runner = LOCAL
        arguments += [
            f"--direct_num_workers={workers}",
            f"--direct_running_mode={'in_memory' if workers == 1 else mode}",
        ]
    return beam.Pipeline(runner=runner, options=PipelineOptions(arguments))
