"""``fsh forget``: take a video or a person out of the data, for good."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fsh.cli import console, options

if TYPE_CHECKING:
    from fsh.pipeline.targets import Plan
    from fsh.schemas.layout import DataFolder


def forget(
    targets: Annotated[
        list[str] | None,
        typer.Argument(help="Video ids, identities, URLs or paths.", metavar="TARGET…"),
    ] = None,
    data: options.Data = Path("data"),
    runs: Annotated[Path, typer.Option("--runs", help="Where training runs live.")] = Path("runs"),
    people: Annotated[Path, typer.Option("--people", help="Where people live.")] = Path("people"),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed; remove nothing.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Search the data folder for anything left; exit 1 if so."),
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Remove videos or people from tables, shards and files, and never take them in again.

    A person goes with every video they are in, a video with every URL it came from. Only shards
    that hold them are written anew; all other samples keep their bytes. Salted hashes stay behind:
    `fsh ingest` and `fsh shard` refuse the same video, file or label from then on. Killed at any
    moment, the same command finishes. Trained weights are not changed: the runs that saw the videos
    are listed. `--check` without a target looks for everything that was ever erased here.

    Examples: `fsh forget v-0123456789abcdef` · `fsh forget "Ada Example" --dry-run` ·
    `fsh forget --check https://host/talk.mp4`
    """
    from fsh.pipeline.forget import forget as carry_out
    from fsh.pipeline.leftovers import trained_on
    from fsh.pipeline.targets import plan
    from fsh.pipeline.tombstones import Tombstones
    from fsh.schemas.errors import FshError
    from fsh.schemas.layout import DataFolder

    folder, wanted = DataFolder(data), list(targets or [])
    if not quiet:
        shown: dict[str, object] = {"data": data, "runs": runs, "people": people}
        console.show_settings("forget", {**shown, "dry_run": dry_run, "check": check})
    if check:
        search(folder, wanted, as_json=json)
        return
    if not wanted:
        raise typer.BadParameter("name what to forget, or use --check")
    with console.progress(quiet) as bar:
        meant = plan(folder, wanted)
        for line in in_words(meant):
            bar.say(line)
        if not (yes or dry_run or meant.again):
            if not sys.stdin.isatty():
                raise FshError("nobody here to ask", remedy="add --yes to remove this for good")
            if not typer.confirm("Remove this for good?", err=True):
                raise typer.Exit(1)
        erased = Tombstones.read(folder)
        if dry_run:
            for name in meant.videos:
                erased = erased.adding(video=name)
        else:
            bar.start("forgetting", None, "step")
            erased = carry_out(folder, meant, step=lambda what: bar.advance(note=what))
            bar.stop()
        seen = trained_on(runs, people, erased)
        for run in seen:
            bar.say(advice(run))
    result = {**meant.to_json(), "done": not dry_run, "runs": seen}
    console.show_result(result, as_json=json, title="Would forget" if dry_run else "Forgotten")


def search(data: DataFolder, targets: list[str], *, as_json: bool) -> None:
    """Print what is left; exit status 1 if anything is."""
    from fsh.pipeline.leftovers import leftovers

    found = leftovers(data, targets)
    for place in found:
        console.err.print(f"{place.where}: {place.what}", markup=False, soft_wrap=True)
    places = [place._asdict() for place in found]
    result: dict[str, Any] = {"targets": targets, "absent": not found, "found": places}
    console.show_result(result, as_json=as_json, title="Checked")
    if found:
        raise typer.Exit(1)


def in_words(meant: Plan) -> list[str]:
    """What a plan takes, in lines for people."""
    if meant.again:
        return ["erased before; looking whether anything of it was left undone"]
    lines = [
        f"{len(meant.videos)} videos, {meant.clips} clips, {meant.rows} rows of sources, "
        f"{len(meant.shards)} shards to write anew: {', '.join(meant.videos)}"
    ]
    if meant.others:
        others = ", ".join(f"{name} ({n} clips)" for name, n in meant.others.items())
        lines.append(f"people in them: {others}")
    if meant.originals:
        lines.append(f"only linked to, and left where it is: {', '.join(meant.originals)}")
    return lines


def advice(run: dict[str, Any]) -> str:
    """What to do about a run that saw erased videos."""
    people = f", and the people made of it ({', '.join(run['people'])})" if run["people"] else ""
    return (
        f"{run['run']} was trained on {run['videos']} erased videos: its networks remember them, "
        f"its checkpoints hold a vector for each (W; the next `fsh train` drops it from new ones), "
        f"its samples may show them. To be rid of that, remove {run['run']}{people}, and train anew"
    )
