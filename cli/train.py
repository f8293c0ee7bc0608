"""``fsh train``: meta-learn the embedder, the generator and the discriminator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fsh.cli import console, options


def train(
    data: options.Data = "data",
    run: Annotated[
        Path | None,
        typer.Option("--run", help="The run's folder; default runs/PRESET or runs/METHOD-PRESET."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(help="fsth, or an alternative to compare with: x2face, pix2pixhd."),
    ] = "fsth",
    preset: Annotated[
        str, typer.Option(help="paper (256 px), small (128), nano (64, CPU) or auto.")
    ] = "auto",
    loss: Annotated[
        str | None, typer.Option(help="Loss weights: paper-v1, paper-v2 or lab.")
    ] = None,
    variant: Annotated[
        str, typer.Option(help="ft: meant for fine-tuning; ff: feed-forward, no matching loss.")
    ] = "ft",
    steps: Annotated[int | None, typer.Option(help="Generator steps in all.", min=1)] = None,
    minutes: Annotated[float | None, typer.Option(help="Time instead of steps.")] = None,
    batch: Annotated[int | None, typer.Option(help="Episodes per step.", min=1)] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    perceptual: Annotated[
        str | None, typer.Option(help="Content features: vgg, dlib, random or off.")
    ] = None,
    augment: Annotated[
        bool | None,
        typer.Option(
            "--augment/--no-augment",
            help="Mirror and recolor episodes; default: only where a CPU trains.",
        ),
    ] = None,
    reference: Annotated[
        bool | None,
        typer.Option(
            "--reference/--no-reference",
            help="Copy what photos show, paint the rest; default: only where a CPU trains.",
        ),
    ] = None,
    gaze: Annotated[
        bool,
        typer.Option(
            "--gaze/--no-gaze",
            help="Draw the irises into landmark images; needs `fsh shard --landmarks mediapipe`.",
        ),
    ] = False,
    compile_: Annotated[
        bool,
        typer.Option(
            "--compile/--no-compile",
            help="torch.compile the networks; where that fails, go on without.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the weights and the data order.")] = 0,
    devices: Annotated[
        int,
        typer.Option(
            help="Processes that train together here, a GPU each (on a CPU: a share of the cores); "
            "a step has so many times --batch episodes.",
            min=1,
        ),
    ] = 1,
    nodes: Annotated[
        int, typer.Option(help="Machines that train together; start the same on each.", min=1)
    ] = 1,
    rendezvous: Annotated[
        str | None,
        typer.Option(help="Where they find each other: one of them.", metavar="HOST:PORT"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print configuration, sizes and data plan only.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train on the data set's train split; show losses and time left; write checkpoints.

    On a CPU the `nano` preset trains for about twelve minutes; on a GPU the paper's own networks
    do. Ctrl-C saves, and the same command resumes exactly where it stopped. Frames that cannot be
    decoded are counted and replaced by others; where too many are, training ends. Curves and sample
    grids are in the run's folder (`tensorboard --logdir runs`).

    `--method` trains one of the networks that `fsh evaluate` compares with, on the same data in
    the same loop, for as long: give it the same `--steps` or `--minutes`.

    `--devices 2` trains on two GPUs; with `--nodes 2 --rendezvous node1:29400` on those of two
    machines, which see data and run under the same paths. If a process dies the others stop.

    Examples: `fsh train` · `fsh train --preset small --steps 20000` · `fsh train --devices 4` ·
    `fsh train --dry-run`
    """
    from fsh.trainer.training.signals import stop_on_signals
    from fsh.training.run import plan_training
    from fsh.training.run import train as run_training

    chosen: dict[str, Any] = {
        "method": method,
        "preset": preset,
        "loss": loss,
        "variant": variant,
        "steps": steps,
        "minutes": minutes,
        "batch": batch,
        "device": device,
        "perceptual": perceptual,
        "augment": augment,
        "reference": reference,
        "gaze": gaze,
        "compile": compile_,
        "seed": seed,
        "devices": devices,
        "nodes": nodes,
        "rendezvous": rendezvous,
    }
    if dry_run:
        plan = plan_training(data, run, **chosen)
        console.show_result(plan.to_json(), as_json=json, title="Plan")
        return
    with console.progress(quiet) as bar, stop_on_signals(bar) as stop:
        announce = console.announcing("train", quiet)
        report = run_training(data, run, **chosen, stop=stop, announce=announce, progress=bar)
        if not report.finished:
            bar.say(f"stopped at step {report.steps} and saved; the same command goes on")
    folder = Path(report.checkpoint).parents[1]  # RUN/checkpoints/step-…
    done = "Trained before, nothing to do" if report.resumed_from == report.steps else "Trained"
    console.show_result(report.to_json(), as_json=json, title=f"{done}: {folder}")
