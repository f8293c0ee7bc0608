"""The job of a sandboxed worker.

A job is named to the worker by its module, so this one is light: the process that hands out the
spans never loads what analyses them (dlib and its models among others).
"""

from __future__ import annotations

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.dataset.spans.stages import measured, stage
from fsh.schemas.places.disk import explaining_refusals
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.throughput import SpanWork


def analyze_in_worker(data: DataFolder, span: Span, analysis: AnalysisConfig) -> SpanWork:
    """:func:`fsh.pipeline.dataset.spans.analysis.analyze_span`, which only the worker imports.

    Returns:
        What it has spent.

    Raises:
        NoRoom: if the disk is full.
    """
    with measured() as clock:
        with stage("start"):
            from fsh.pipeline.dataset.spans.analysis import analyze_span

        with explaining_refusals(data.work):
            clips = analyze_span(data, span, analysis)
        return clock.work(span.seconds, clips)
