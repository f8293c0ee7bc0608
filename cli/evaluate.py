"""``fsh evaluate``: the paper's table, against alternatives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fsh.cli import console, options
from fsh.schemas.errors import FshError
from fsh.schemas.text import one_line

if TYPE_CHECKING:
    from fsh.evaluation.user_study import UserScore


def evaluate(
    data: options.Data = "data",
    run: Annotated[
        Path | None, typer.Option("--run", help="The training run; default: the newest of fsh's.")
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", help="Another run to compare with; may be given several times."),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="fsth: the paper's self-reenactment; modern: driven by another; or both with a "
            "comma, where everybody is learned once."
        ),
    ] = "fsth",
    shots: Annotated[str, typer.Option(help="Numbers of photos T, with commas.")] = "1,8,32",
    identities: Annotated[
        int | None, typer.Option(help="Identities at most; default: all of the split.", min=1)
    ] = None,
    frames: Annotated[
        int, typer.Option(help="Input frames of each identity, to draw photos from.", min=1)
    ] = 32,
    held: Annotated[int, typer.Option(help="Hold-out frames of each identity.", min=1)] = 32,
    split: Annotated[str, typer.Option(help="Which split's people are drawn.")] = "test",
    frames_folder: Annotated[
        Path | None,
        typer.Option(
            "--frames-folder",
            help="Instead of --data: SPLIT/IDENTITY/VIDEO/combined/00000_rgb.png and so on.",
        ),
    ] = None,
    steps: Annotated[
        str,
        typer.Option(
            help="Fine-tuning steps: a number, `authors` (125 for one photo to 230 for more than "
            "30), or `own` (as `fsh personalize` finds them)."
        ),
    ] = "authors",
    size: Annotated[
        str,
        typer.Option(
            help="Compare pictures at the size of the `crop`, or at the smallest that every "
            "`network` draws."
        ),
    ] = "crop",
    seed: Annotated[int, typer.Option(help="Of the choice of photos and the intervals.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where it goes; default RUN/evaluation.")
    ] = None,
    user_study: Annotated[
        Path | None,
        typer.Option(
            "--user-study",
            help="Also write a page that asks people which is the fake; with --score: where it is.",
        ),
    ] = None,
    score: Annotated[
        list[Path] | None,
        typer.Option("--score", help="Only score answers that the page gave; several files may."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    signing_key: options.SigningKey = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw people never trained on from T photos, measure, and write the paper's table.

    Whoever a run was trained on (by video, label or face) is left out and named, whatever the
    split says; `--split train` draws them all the same, and the table says so.

    Compared are fsh feed-forward (FF) and fine-tuned (FT), runs of `fsh train --method x2face` and
    `--method pix2pixhd` given with `--against`, and the nearest photo, unchanged, warped and bent.
    `<protocol>.json`, `.md` and `.html` go to the run's `evaluation/`. Stopped, the same command
    goes on.

    Examples: `fsh evaluate` · `fsh evaluate --against runs/x2face-nano --shots 1,8` ·
    `fsh evaluate --protocol fsth,modern` · `fsh evaluate --user-study study/` ·
    `fsh evaluate --score answers.json`
    """
    if score:
        from fsh.evaluation.user_study import score_answers

        scores = score_answers(score, user_study, seed)
        console.show_result(scores.to_json(), as_json=json, title="User study")
        for one in [] if json else scores.results:
            console.out.print(study_line(one))
        return
    from fsh.evaluation.comparison import evaluate as run_evaluation

    with console.progress(quiet) as bar:
        result = run_evaluation(
            data,
            run,
            against=against or (),
            protocol=protocol,
            shots=shots_in(shots),
            identities=identities,
            frames=frames,
            held=held,
            split=split,
            frames_folder=frames_folder,
            steps=steps,
            size=size,
            seed=seed,
            output=output,
            user_study=user_study,
            device=device,
            signing_key=signing_key,
            announce=console.announcing("evaluate", quiet),
            progress=bar,
        )
    if json:
        console.show_result(result.to_json(), as_json=True, title="")
        return
    for files in result.files.values():
        console.out.print(Path(files["table"]).read_text(encoding="utf-8"), soft_wrap=True)


def study_line(score: UserScore) -> str:
    """A system's USER in one line."""
    interval = "" if score.low is None else f" ({score.low:.2f} to {score.high:.2f})"
    what = f"{one_line(score.system)}, T = {score.shots}"
    return f"{what}: USER {score.value:.2f}{interval}, n = {score.n}"


def shots_in(text: str) -> tuple[int, ...]:
    """``1,8,32`` as numbers.

    Raises:
        FshError: if it holds anything else.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and int(part) > 0 for part in parts):
        raise FshError(f"not numbers of photos: {text!r}", where="--shots", remedy="such as 1,8,32")
    return tuple(sorted({int(part) for part in parts}))
