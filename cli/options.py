"""The options that several commands share, described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str,
    typer.Option("--data", help="The data folder, or its address in a store: s3://BUCKET/SET."),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print the result as one JSON object on stdout.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")]
Workers = Annotated[int, typer.Option(help="Parallel workers; 0: one per core.", min=0)]
Runner = Annotated[
    str | None,
    typer.Option(
        help="An engine: dask (a cluster, or --workers processes here), portable, flink, spark, "
        "dataflow, or any Beam runner; its own flags follow. Default: here."
    ),
]
Part = Annotated[
    str | None,
    typer.Option(
        help="Only this share of the work, such as 3/40, beside other parts: for array jobs.",
        metavar="I/N",
    ),
]
#: Flags that fsh does not know go to the Beam runner that was named.
ENGINE_FLAGS = {"allow_extra_args": True, "ignore_unknown_options": True}
Only = Annotated[
    list[str] | None,
    typer.Option(
        help="Only what the lists label so: NAME=VALUE, NAME!=VALUE, NAME>=NUMBER; repeatable.",
        metavar="CONDITION",
    ),
]
Landmarks = Annotated[
    str,
    typer.Option(
        help="Landmark backend: mediapipe (best on turned heads), fan (the paper's, wants a GPU), "
        "dlib, or auto: the data set's, else the first of fan, mediapipe and dlib that works here."
    ),
]
NoMark = Annotated[
    bool,
    typer.Option("--no-mark", help="No watermark and no manifest; the person's card records it."),
]
SigningKey = Annotated[
    Path | None,
    typer.Option(
        "--signing-key",
        help="PEM file with certificates and key to sign with; default: this installation's.",
    ),
]
WatermarkKey = Annotated[
    Path | None,
    typer.Option(
        "--watermark-key",
        envvar="FSH_WATERMARK_KEY",
        help="File with a secret of 16 bytes or more: only who has it reads the watermark; "
        "default: everyone.",
    ),
]
