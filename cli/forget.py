"""``fsh forget``: take a video or a person out of the data and what was drawn of it, for good."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fsh.cli import console, options
from fsh.schemas.errors import FshError
from fsh.schemas.places.stores import is_remote
from fsh.schemas.text import one_line, shown

#: Files named in one line at most.
_NAMED = 8
#: Said where the data folder lies in an object store.
_IN_STORES = (
    "copies that other machines have of them go when fsh next opens this set there; older versions "
    "of objects, if the bucket keeps any, and pages of `fsh inspect` are yours to remove"
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsh.erasure import AffectedPictures, ForgetCheck, ForgetPlan
    from fsh.pipeline.erasure.derived import AffectedFaces, AffectedRun
    from fsh.pipeline.erasure.plan import ErasurePlan


def forget(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Video ids, identities, URLs or paths; folders of people.", metavar="TARGET…"
        ),
    ] = None,
    data: options.Data = "data",
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
    moment, the same command finishes. Evaluations and studies that show them, and the face
    embeddings by which runs know whom they saw, are removed. Trained
    weights and sample sheets are not changed: the runs that hold them are listed. A path to a
    folder that `fsh personalize` made removes that person; files of yours in it stay. `--check`
    without a target looks for everything that was ever erased here.

    Examples: `fsh forget v-0123456789abcdef` · `fsh forget "Ada Example" --dry-run` ·
    `fsh forget people/ada` · `fsh forget --check https://host/talk.mp4`
    """
    from fsh import erasure

    named = targets or []
    if not quiet:
        shown: dict[str, object] = {"data": data, "runs": runs, "people": people}
        console.show_settings("forget", {**shown, "dry_run": dry_run, "check": check})
    if check:
        show_check(erasure.check_forgotten(named, data, runs=runs), as_json=json)
        return
    if not named:
        raise typer.BadParameter("name what to forget, or use --check")
    with console.progress(quiet) as bar:
        plan = erasure.plan_forget(named, data, runs=runs, people=people)
        for line in in_words(plan):
            bar.say(line)
        if not (yes or dry_run or plan.is_repeated):
            confirm()
        done = not dry_run
        report = erasure.carry_out(plan, bar) if done else erasure.forget_report(plan, done=False)
        for run in report.runs:
            bar.say(advice(run))
    title = "Would forget" if dry_run else "Forgotten"
    console.show_result(report.to_json(), as_json=json, title=title)


def confirm() -> None:
    """Ask whether to go on; leave with exit status 1 if not."""
    if not sys.stdin.isatty():
        raise FshError(
            "standard input is no terminal, so nobody can confirm",
            remedy="add --yes to remove this for good",
        )
    if not typer.confirm("Remove this for good?", err=True):
        raise typer.Exit(1)


def show_check(result: ForgetCheck, *, as_json: bool) -> None:
    """Print what is left; exit status 1 if anything is."""
    for place in result.found:
        console.err.print(f"{shown(place.where)}: {one_line(place.what)}", soft_wrap=True)
    console.show_result(result.to_json(), as_json=as_json, title="Checked")
    if not result.absent:
        raise typer.Exit(1)


def in_words(plan: ForgetPlan) -> list[str]:
    """What a plan takes, in lines for people."""
    lines = of_data(plan.data) if plan.data else []
    lines += [of_pictures(one) for one in plan.pictures if one.pictures.files()]
    lines += [of_faces(one) for one in plan.faces]
    if plan.data and is_remote(plan.folder.root):
        lines.append(_IN_STORES)
    return lines + [of_person(person, plan.staying) for person in plan.persons]


def of_data(meant: ErasurePlan) -> list[str]:
    """What is taken out of the data folder."""
    if meant.again:
        return ["erased before; checking whether anything of it was left undone"]
    lines = [
        f"{len(meant.videos)} videos, {meant.clips} clips, {meant.rows} rows of sources, "
        f"{len(meant.shards)} shards to write anew: {', '.join(meant.videos)}"
    ]
    if meant.others:
        others = ", ".join(f"{shown(name)} ({n} clips)" for name, n in meant.others.items())
        lines.append(f"people in them: {others}")
    if meant.originals:
        originals = ", ".join(map(shown, meant.originals))
        lines.append(f"only linked to, and left where it is: {originals}")
    return lines


def of_pictures(one: AffectedPictures) -> str:
    """What becomes of a folder of pictures."""
    folder = shown(one.pictures.folder)
    if one.removed:
        return f"{folder}: shows them, so all fsh made there goes; `fsh evaluate` draws anew"
    if one.pictures.videos is None:
        return (
            f"{folder}: whom its pictures show is not written down, so they stay; "
            f"remove {folder} to be sure"
        )
    return (
        f"{folder}: sample sheets show them, and stay; "
        f"remove {folder} unless you need them, training does not"
    )


def of_faces(one: AffectedFaces) -> str:
    """What becomes of the face embeddings that a run keeps."""
    if one.faces is None:
        return f"{one.run}: whom it was trained on cannot be read, so that file is removed"
    known = "by which `fsh evaluate` recognises whom it was trained on"
    return f"{one.run}: {one.faces} face embeddings of them, {known}, are removed"


def of_person(person: Path, staying: Sequence[Path]) -> str:
    """What becomes of a person's folder."""
    others = [shown(path.relative_to(person)) for path in staying if path.is_relative_to(person)]
    if not others:
        return f"{shown(person)}: the person; films elsewhere stay where they are"
    more = [f"and {len(others) - _NAMED} more"] if len(others) > _NAMED else []
    return (
        f"{shown(person)}: the person; what fsh did not write stays in the folder: "
        f"{', '.join([*others[:_NAMED], *more])} → look whether they show them too"
    )


def advice(run: AffectedRun) -> str:
    """What to do about a run that saw erased videos."""
    people = (
        f", and the people made of it ({', '.join(map(shown, run.people))})" if run.people else ""
    )
    name = shown(run.run)
    return (
        f"{name} was trained on {run.videos} erased videos: its networks remember them, "
        f"its checkpoints hold a vector for each (W; the next `fsh train` drops it from new ones). "
        f"To be rid of that, remove {name}{people}, and train anew"
    )
