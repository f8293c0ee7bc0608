"""``fsh forget``: take a video or a person out of the data and what was drawn of it, for good."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fsh.cli import console, options
from fsh.schemas.errors import FshError

if TYPE_CHECKING:
    from fsh.pipeline.erasure.derived import AffectedRun
    from fsh.pipeline.erasure.plan import ErasurePlan
    from fsh.schemas.layout import DataFolder
    from fsh.schemas.run_pictures import RunPictures


def forget(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Video ids, identities, URLs or paths; folders of people.", metavar="TARGET…"
        ),
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
        typer.Option(
            "--check", help="Search data and runs' pictures for anything left; exit 1 if so."
        ),
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Remove videos or people from tables, shards and files, and never take them in again.

    A person goes with every video they are in, a video with every URL it came from. Only shards
    that hold them are written anew; all other samples keep their bytes. Salted hashes stay behind:
    `fsh ingest` and `fsh shard` refuse the same video, file or label from then on. Killed at any
    moment, the same command finishes. Evaluations and studies that show them are removed. Trained
    weights and sample sheets are not changed: the runs that hold them are listed. A path to a
    folder that `fsh personalize` made removes that person. `--check` without a target looks for
    everything that was ever erased here.

    Examples: `fsh forget v-0123456789abcdef` · `fsh forget "Ada Example" --dry-run` ·
    `fsh forget people/ada` · `fsh forget --check https://host/talk.mp4`
    """
    from fsh.pipeline.erasure.derived import (
        can_be_drawn_again,
        person_at,
        pictures_of_erased,
        remove_person,
        remove_pictures,
        runs_trained_on,
    )
    from fsh.pipeline.erasure.erase import erase
    from fsh.pipeline.erasure.plan import plan_erasure
    from fsh.pipeline.tombstones import Tombstones
    from fsh.schemas.layout import DataFolder

    folder, named = DataFolder(data), list(targets or [])
    if not quiet:
        settings: dict[str, object] = {"data": data, "runs": runs, "people": people}
        console.show_settings("forget", {**settings, "dry_run": dry_run, "check": check})
    if check:
        search(folder, runs, named, as_json=json)
        return
    if not named:
        raise typer.BadParameter("name what to forget, or use --check")
    persons = sorted({place for place in map(person_at, named) if place})
    wanted = [target for target in named if person_at(target) is None]
    with console.progress(quiet) as bar:
        meant = plan_erasure(folder, wanted) if wanted else None
        erased = Tombstones.read(folder)
        for name in meant.videos if meant else ():
            erased = erased.adding(video=name)
        showing = pictures_of_erased(runs, erased) if meant else []
        pictures = [(shown, can_be_drawn_again(shown)) for shown in showing]
        for line in in_words(meant) if meant else ():
            bar.say(line)
        for shown, goes in pictures:
            if shown.files():
                bar.say(of_pictures(shown, goes))
        for person in persons:
            bar.say(f"{person}: the person and all else in it; films elsewhere stay where they are")
        if not (yes or dry_run or (meant and meant.again and not persons)):
            if not sys.stdin.isatty():
                raise FshError("nobody here to ask", remedy="add --yes to remove this for good")
            if not typer.confirm("Remove this for good?", err=True):
                raise typer.Exit(1)
        if not dry_run:
            bar.start("forgetting", None, "step")
            if meant:
                erased = erase(folder, meant, step=lambda what: bar.advance(note=what))
            for shown, goes in pictures:
                if goes:
                    remove_pictures(shown)
            for person in persons:
                remove_person(person)
            bar.stop()
        seen = runs_trained_on(runs, people, erased) if meant else []
        for run in seen:
            bar.say(advice(run))
    result = {
        **(meant.to_json() if meant else {}),
        "done": not dry_run,
        "persons": list(map(str, persons)),
        "pictures": [
            {"run": str(shown.run), "folder": str(shown.folder), "goes": goes}
            for shown, goes in pictures
        ],
        "runs": [run.to_json() for run in seen],
    }
    console.show_result(result, as_json=json, title="Would forget" if dry_run else "Forgotten")


def search(data: DataFolder, runs: Path, targets: list[str], *, as_json: bool) -> None:
    """Print what is left; exit status 1 if anything is."""
    from fsh.pipeline.erasure.derived import find_remnants_in_runs, person_at
    from fsh.pipeline.erasure.search import Remnant, find_remnants
    from fsh.pipeline.tombstones import Tombstones

    found = [Remnant(str(person), "a person") for person in map(person_at, targets) if person]
    if data.root.is_dir() or not found:
        found += find_remnants(data, targets)
        found += find_remnants_in_runs(runs, targets, Tombstones.read(data))
    for place in found:
        console.err.print(f"{place.where}: {place.what}", markup=False, soft_wrap=True)
    places = [place._asdict() for place in found]
    result: dict[str, Any] = {"targets": targets, "absent": not found, "found": places}
    console.show_result(result, as_json=as_json, title="Checked")
    if found:
        raise typer.Exit(1)


def of_pictures(shown: RunPictures, goes: bool) -> str:
    """What becomes of a folder of pictures, in words."""
    if goes:
        return f"{shown.folder}: shows them, so all fsh made there goes; `fsh evaluate` draws anew"
    if shown.videos is None:
        return (
            f"{shown.folder}: whom its pictures show is not written down, so they stay; "
            f"remove {shown.folder} to be sure"
        )
    return (
        f"{shown.folder}: sample sheets show them, and stay; "
        f"remove {shown.folder} unless you need them, training does not"
    )


def in_words(meant: ErasurePlan) -> list[str]:
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


def advice(run: AffectedRun) -> str:
    """What to do about a run that saw erased videos."""
    people = f", and the people made of it ({', '.join(run.people)})" if run.people else ""
    return (
        f"{run.run} was trained on {run.videos} erased videos: its networks remember them, "
        f"its checkpoints hold a vector for each (W; the next `fsh train` drops it from new ones). "
        f"To be rid of that, remove {run.run}{people}, and train anew"
    )
