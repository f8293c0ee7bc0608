"""``fsh export``: a person as ONNX files, for programs without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fsh.cli import console, options


def export(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The folder to write; an older export is replaced."),
    ],
    person: Annotated[
        Path | None,
        typer.Option(
            "--person", help="The person's folder, or a name in --people; default: the newest."
        ),
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
    from fsh.defaults import newest_person, person_folder
    from fsh.people import export as export_person

    person = person_folder(person, people) if person else newest_person(people)
    with console.progress(quiet) as bar:
        announce = console.announcing("export", quiet)
        made = export_person(person, output, run=run, announce=announce, progress=bar)
    console.show_result(made.to_json(), as_json=json, title=f"Exported: {output}")
