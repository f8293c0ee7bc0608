"""``fsh demo``: the whole way on sample clips, in one folder, in a few minutes."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from fsh.cli import console
from fsh.schemas.text import one_line, shown


def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo works.")] = Path("demo"),
    minutes: Annotated[float, typer.Option(help="Time for the training step.", min=0.1)] = 2.0,
    clips_only: Annotated[
        bool, typer.Option("--clips-only", help="Only make the sample clips.")
    ] = False,
) -> None:
    """Walk the whole way on sample clips made from a public-domain portrait.

    Six pseudo-identities talk in 14 clips; the commands are the ones you would type, and each is
    shown before it runs. Run it again and only what is missing is done.

    Example: `fsh demo` then open `demo/inspect.html` and `demo/talking.mp4`.
    """
    from fsh.sample_clips import make_demo_clips, require_demo_folder
    from fsh.schemas.errors import FshError
    from fsh.schemas.places.outputs import owned_output

    if folder.parts[:1] and folder.parts[0].startswith("-"):  # not to be taken for an option
        folder = folder.absolute()
    clips = folder / "clips"
    listing = clips / "urls.csv"
    require_demo_folder(folder)
    with console.progress() as bar:
        if not listing.is_file():
            bar.say(f"sample clips → {clips}")
            with owned_output(clips, "demo"):
                make_demo_clips(clips, bar)
    if clips_only:
        return
    person = folder / "people" / "gil"
    film = folder / "talking.mp4"
    page = folder / "inspect.html"
    data = ["--data", str(folder / "data")]
    run = ["--run", str(folder / "runs" / "demo")]
    photos = ["--photos", str(clips / "photos"), "--person", str(person)]
    drive = ["--person", str(person), "--driving", str(clips / "driving.mp4"), "-o", str(film)]
    steps = [
        ["ingest", str(listing), *data],
        ["shard", *data],
        ["inspect", *data, "-o", str(page)],
        ["train", *data, *run, "--preset", "nano", "--minutes", f"{minutes:g}"],
        ["personalize", *photos, *run],
        ["animate", *drive],
    ]
    begun = time.monotonic()
    for step in steps:
        line = Text(f"\n$ fsh {one_line(shlex.join(step))}", "bold cyan")
        console.err.print(line, soft_wrap=True)
        command = [sys.executable, "-m", "fsh.cli", *step]
        if code := subprocess.run(command, check=False).returncode:
            raise FshError(
                f"`fsh {step[0]}` ended with status {code}", remedy="see the line above; run again"
            )
    seen = {
        "the data, as a page": page,
        "how training went": folder / "runs" / "demo" / "samples",
        "the person": person / "preview.png",
        "the talking head": film,
    }
    console.out.print(f"\nDone in {time.monotonic() - begun:.0f} s. Look at:")
    for what, path in seen.items():
        console.out.print(f"  {what:<22} {shown(path)}", soft_wrap=True)
