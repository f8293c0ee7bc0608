"""``fsh evaluate``: the paper's table, against alternatives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fsh import marking
from fsh.cli import console, options
from fsh.schemas.errors import FshError
from fsh.threads import share_cores

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsh.trainer.evaluation.results_table import Row
    from fsh.trainer.evaluation.systems import Contender


def evaluate(
    data: options.Data = Path("data"),
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
    signing_key: marking.SigningKey = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw people never trained on from T photos, measure, and write the paper's table.

    Compared are fsh feed-forward (FF) and fine-tuned (FT), runs of `fsh train --method x2face` and
    `--method pix2pixhd` given with `--against`, and two trivial answers. `results.json`,
    `table.md` and `report.html` go to the run's `evaluation/`. Stopped, the same command goes on.

    Examples: `fsh evaluate` · `fsh evaluate --against runs/x2face-nano --shots 1,8` ·
    `fsh evaluate --protocol fsth,modern` · `fsh evaluate --user-study study/` ·
    `fsh evaluate --score answers.json`
    """
    if score:
        from fsh.user_study import scored

        result = scored(score, user_study, seed)
        console.show_result(result, as_json=json, title="User study")
        for row in [] if json else result["results"]:
            console.out.print(study_line(row), markup=False)
        return
    run = run or options.newest_run(Path("runs"))
    from fsh import evaluation_report
    from fsh import user_study as study
    from fsh.face_analysis import FaceWatcher, judges_of
    from fsh.frames_folder import from_frames
    from fsh.pipeline.faces.landmarks import has_gpu, load_backend
    from fsh.schemas.ids import video_of
    from fsh.schemas.layout import DataFolder
    from fsh.schemas.run_pictures import EVALUATION, PROTOCOLS, record
    from fsh.trainer.evaluation.baselines import NearestPhoto, WarpedPhoto
    from fsh.trainer.evaluation.metric_networks import load_metric_networks
    from fsh.trainer.evaluation.protocols import Setting
    from fsh.trainer.evaluation.protocols import evaluate as measure
    from fsh.trainer.evaluation.results_table import table
    from fsh.trainer.evaluation.subjects import from_data
    from fsh.trainer.evaluation.systems import contenders_of
    from fsh.trainer.runs import Run

    protocols = [name for name in PROTOCOLS if name in [p.strip() for p in protocol.split(",")]]
    if len(protocols) != len(protocol.split(",")):
        raise FshError(f"no protocol {protocol!r}", remedy=f"use {' or '.join(PROTOCOLS)}, or both")
    counts, schedule = shots_in(shots), steps_of(steps)
    folder = output or run / EVALUATION
    device = ("cuda" if has_gpu() else "cpu") if device == "auto" else device
    signer = marking.signer_of(signing_key)
    if not quiet:
        shown: dict[str, object] = {"run": run, "against": [str(p) for p in against or []]}
        shown |= {"data": frames_folder or data, "split": split, "protocol": protocol}
        shown |= {"shots": shots, "identities": identities or "all", "frames": f"{frames} + {held}"}
        shown |= {"steps": steps, "seed": seed, "device": device, "output": folder}
        console.show_settings("evaluate", shown)
    with console.progress(quiet) as bar:
        runs = {path: Run.read(path, bar, device) for path in (run, *(against or []))}
        spec = runs[run].spec
        for path, other in runs.items():
            spec.require(other.spec, mine=f"run {run}", theirs=f"run {path}")
        if frames_folder:
            subjects = from_frames(frames_folder, spec, frames, held, bar)
        else:
            subjects = from_data(DataFolder(data), spec, split=split, inputs=frames, held=held)
        subjects = subjects[:identities]
        for subject in subjects:
            if subject.counts != (frames, held):
                bar.say(
                    f"{subject.identity}: only {subject.counts[0]} + {subject.counts[1]} frames"
                )
        size = min(one.config.network.size for one in runs.values())
        share_cores(max(one.config.network.size for one in runs.values()))
        entered: list[Contender] = []
        methods = [one.config.method for one in runs.values()]
        judges = judges_of(load_backend(spec.backend)) if steps == "own" else None
        for path, one in runs.items():
            label = path.name if methods.count(one.config.method) > 1 else ""
            entered += contenders_of(one, schedule, bar, label, judges)
        entered += [NearestPhoto(size), WarpedPhoto(size)]
        networks, missing = load_metric_networks(bar, device)
        watcher = FaceWatcher(spec)
        for name, why in watcher.missing.items():
            bar.say(f"CSIM by {name} is not computed: {why}")
        settings = [
            Setting(name, size, counts, seed, watcher, networks, missing, folder / "cells")
            for name in protocols
        ]
        # Frames of a folder are of no video that `fsh forget` knows.
        videos = [] if frames_folder else [video_of(subject.source) for subject in subjects]
        for place in (folder, user_study):
            if place:
                record(run, place, videos)
        about = {
            "runs": {str(p): f"step {r.step}, weights {r.sha256[:12]}" for p, r in runs.items()},
            "fine_tuning_steps": {str(t): schedule(t) or "own rule" for t in counts},
            "crop": str(spec),
            "seed": seed,
            "frames": {s.identity: list(s.counts) for s in subjects},
        }
        rows: list[Row] = []
        written: dict[str, dict[str, str]] = {}
        for name, outcome in zip(protocols, measure(subjects, entered, settings, bar), strict=True):
            found, of_it = table(outcome), {"protocol": name, **about}
            written[name] = evaluation_report.write(folder, outcome, found, of_it, signer)
            rows += found
            if user_study and name == protocols[0]:
                marks = evaluation_report.marking(of_it, signer)
                written[name]["user_study"] = str(study.write(user_study, outcome, seed, marks))
    if json:
        result = {"results": [row.to_json() for row in rows], **about, "files": written}
        console.show_result(result, as_json=True, title="")
        return
    for files in written.values():
        console.out.print(Path(files["table"]).read_text(), markup=False, soft_wrap=True)


def study_line(row: dict) -> str:
    """A system's USER in one line."""
    sure = "" if row["low"] is None else f" ({row['low']:.2f} to {row['high']:.2f})"
    return f"{row['system']}, T = {row['shots']}: USER {row['value']:.2f}{sure}, n = {row['n']}"


def shots_in(text: str) -> tuple[int, ...]:
    """``1,8,32`` as numbers.

    Raises:
        FshError: if it holds anything else.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and int(part) > 0 for part in parts):
        raise FshError(f"not numbers of photos: {text!r}", where="--shots", remedy="such as 1,8,32")
    return tuple(sorted({int(part) for part in parts}))


def steps_of(text: str) -> Callable[[int], int | None]:
    """What ``--steps`` means for T photos; None: whatever ``fsh personalize`` finds best.

    Raises:
        FshError: if it is neither a number nor a known word.
    """
    from fsh.trainer.evaluation.systems import authors_steps

    if text == "authors":
        return authors_steps
    if text == "own":
        return lambda _: None
    if text.isdigit():
        return lambda _: int(text)
    raise FshError(f"not a number of steps: {text!r}", where="--steps", remedy="authors or own")
