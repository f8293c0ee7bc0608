"""``fsh export``: a person as ONNX files, for programs without PyTorch."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from fsh import marking
from fsh.cli import console, options


def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    person: Annotated[
        Path | None, typer.Option("--person", help="The person's folder; default: the newest.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", help="The training run, whose embedder is written too if given."),
    ] = None,
    people: Annotated[Path, typer.Option("--people", help="Where people live.")] = Path("people"),
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a person's generator, and a run's embedder, as ONNX; outputs are compared.

    Needs the extra `fsh[onnx]`. What other programs draw with the files bears no marks: the
    person's card records the export, and a consent statement in it is held to.

    Example: `fsh export --person people/me --run runs/nano -o me-onnx`
    """
    from fsh.trainer.person.onnx_export import export_onnx
    from fsh.trainer.person.person import Person, record_unmarked
    from fsh.trainer.runs import Run

    begun = time.monotonic()
    person = person or options.newest(
        people, "person.json", what="person", remedy="run `fsh personalize` first"
    )
    actor = Person.load(person)
    consent = marking.require_consent(person, actor.about, "animate")
    if not quiet:
        shown = {"person": person, "run": run or "none", "output": output, "consent": consent}
        console.show_settings("export", shown)
    with console.progress(quiet) as bar:
        embedder = None
        if run is not None:
            trained = Run.read(run, bar).require_personalizable().load_networks()
            actor.spec.require(trained.spec, mine=str(person), theirs=str(run))
            embedder = trained.embedder
        differences = export_onnx(actor, embedder, output)
        record_unmarked(person, f"ONNX files in {output.name}", date.today().isoformat())
    result = {
        "output": str(output),
        "networks": sorted(differences),
        "difference": max(differences.values()),
        "seconds": time.monotonic() - begun,
    }
    console.show_result(result, as_json=json, title=f"Exported: {output}")
