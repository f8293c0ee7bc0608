"""``fsh doctor``: what of fsh works on this machine, and what to do about the rest."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version

import typer
from rich.table import Table

from fsh.cli import console, options


def doctor(json: options.Json = False) -> None:
    """Check this machine: ffmpeg, models, libraries, accelerator, YouTube support.

    Exit status 1 if something that the plain way needs does not work.

    Example: `fsh doctor`
    """
    checks: list[tuple[str, bool, Callable[[], str]]] = [
        ("python", True, lambda: sys.version.split()[0]),
        ("ffmpeg", True, _ffmpeg),
        ("opencv", True, _opencv),
        ("dlib models", True, _dlib),
        ("mediapipe landmarks", False, _mediapipe),
        ("torch", True, _torch),
        ("apache-beam", True, lambda: version("apache-beam")),
        ("webdataset", True, lambda: version("webdataset")),
        ("yt-dlp", False, _youtube),
        ("proxy", False, _proxies),
        ("cores and memory", False, _machine),
        ("this folder", True, _folder),
        ("signing key", False, _home),
    ]
    results, broken = {}, False
    for name, needed, check in checks:
        try:
            results[name] = {"ok": True, "says": check()}
        except Exception as error:  # whatever it is, the doctor reports it and goes on
            broken |= needed
            results[name] = {"ok": False, "says": " ".join(str(error).split())[:200]}
    if json:
        console.show_result(results, as_json=True, title="")
    else:
        table = Table(show_header=False)
        for name, result in results.items():
            table.add_row("✓" if result["ok"] else "✗", name, str(result["says"]))
        console.out.print(table)
    raise typer.Exit(1 if broken else 0)


def _ffmpeg() -> str:
    from fsh.pipeline.media.ffmpeg import chosen

    now = chosen()
    if not now.version:
        raise RuntimeError(
            f"{now.path} does not run → pip install --force-reinstall imageio-ffmpeg"
        )
    instead = f", because {now.instead_of}: update it, or leave it" if now.instead_of else ""
    return f"ffmpeg {now.version} at {now.path}{instead}"


def _proxies() -> str:
    """Whether a proxy is set, and that connections on this machine do not go through it."""
    from fsh.pipeline.local_connections import proxy_variables

    found = proxy_variables()
    if not found:
        return "none set"
    return f"{', '.join(found)} set; connections on this machine do not go through it"


def _opencv() -> str:
    try:
        import cv2
    except ImportError as error:
        raise RuntimeError(
            f"{error} → pip uninstall opencv-python && pip install opencv-python-headless"
        ) from error
    return str(cv2.__version__)


def _dlib() -> str:
    from skimage import data

    from fsh.pipeline.faces.backends import load_backend
    from fsh.pipeline.faces.detection import FaceDetector

    load_backend("dlib")
    found = len(FaceDetector().detect(data.astronaut()))
    if found != 1:
        raise RuntimeError(f"the detector finds {found} faces in a portrait of one person")
    return f"dlib {version('dlib-bin')}, finds the face of a test portrait"


def _mediapipe() -> str:
    from fsh.pipeline.faces.backends import load_backend

    load_backend("mediapipe")
    return f"face landmarker on LiteRT {version('ai-edge-litert')}"


def _torch() -> str:
    import torch

    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU only"
    return f"{torch.__version__}, {where}, {torch.get_num_threads()} threads"


def _machine() -> str:
    from fsh.schemas import machine

    limit = machine.memory_limit()
    memory = "no limit of memory" if limit is None else f"{limit / 2**30:.1f} GiB of memory"
    fits = f"{machine.workers()} workers by default"
    if limit is not None and limit < 2 * machine.WORKER_BYTES:
        raise RuntimeError(f"{memory}: too little to train or shard large videos → allow 2 GiB")
    return f"{machine.cores()} cores, {memory}: {fits}"


def _folder() -> str:
    """Whether the working folder's file system does what data and runs need of it."""
    import fcntl
    import shutil
    import tempfile
    from pathlib import Path

    try:
        with tempfile.TemporaryDirectory(prefix=".fsh-doctor-", dir=".") as name:
            old, new, link = Path(name, "old"), Path(name, "new"), Path(name, "link")
            old.write_text("x")
            new.write_text("y")
            old.replace(new)
            with new.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    raise RuntimeError(
                        f"no locks ({error.strerror}): two commands could spoil each other's work "
                        "→ work on another disk"
                    ) from error
            links = "links"
            try:
                link.symlink_to(new)
            except OSError:
                links = "no links: ingest local files with --copy"
    except OSError as error:
        raise RuntimeError(
            f"cannot be written ({error.strerror}) → go to another folder, or name others with "
            "--data, --run and -o"
        ) from error
    free = shutil.disk_usage(".").free / 2**30
    return f"locks, renames, {links}; {free:.0f} GiB free"


def _home() -> str:
    import os

    from fsh.pipeline.provenance.signing import installation_folder

    folder = installation_folder()
    place = next(one for one in (folder, *folder.parents) if one.exists())
    if not os.access(place, os.W_OK):
        raise RuntimeError(
            f"{folder} cannot be written, so no film is signed → set FSH_HOME to another folder"
        )
    return f"kept in {folder}"


def _youtube() -> str:
    import shutil

    import deno

    runtime = shutil.which("deno") or deno.find_deno_bin()
    return f"yt-dlp {version('yt-dlp')}, JavaScript runtime {runtime}"
