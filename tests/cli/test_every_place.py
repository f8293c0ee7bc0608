"""Every path of every command, wrong in every way: one line, and nothing of the user's changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_server import CommandServer, Done
from faces_helpers import portrait
from PIL import Image
from tiny_run import Told, tiny_config, tiny_folder
from untrained import untrained
from videos import moving, write_video

from fsh.trainer.training.loop import train

#: What a path can be instead of what a command wants.
WRONG = (
    *("missing", "empty file", "text file", "empty folder", "foreign folder", "other folder"),
    *("below a file", "dangling link", "circle of links", "pipe", "socket", "long name"),
)
#: Command, name of the path, arguments (``{}``: the path; names in braces: what is right), and
#: what that is: read, or written as a file or folder.
PATHS = [
    ("ingest", "list", "ingest {} --data new", "read"),
    ("ingest", "--data", "ingest {talk} --data {}", "folder"),
    ("ingest", "--cookies", "ingest https://example.invalid/a.mp4 --data new --cookies {}", "read"),
    ("shard", "--data", "shard --data {} --landmarks dlib", "read"),
    ("inspect", "--data", "inspect --data {} -o new.html", "read"),
    ("inspect", "-o", "inspect --data {data} -o {}", "file"),
    ("train", "--data", "train --data {} --run new --preset nano --steps 1", "read"),
    ("train", "--run", "train --data {data} --run {} --preset nano --steps 1 --batch 1", "folder"),
    (
        "personalize",
        "--photos",
        "personalize --photos {} --run {run} --steps 0 --person new",
        "read",
    ),
    (
        "personalize",
        "--run",
        "personalize --photos {photos} --run {} --steps 0 --person new",
        "read",
    ),
    ("personalize", "-o", "personalize --photos {photos} --run {run} --steps 0 -o {}", "folder"),
    (
        "personalize",
        "--people",
        "personalize --photos {photos} --run {run} --steps 0 --people {}",
        "folder",
    ),
    (
        "personalize",
        "--consent",
        "personalize --photos {photos} --run {run} --steps 0 -o new --consent {}",
        "read",
    ),
    (
        "personalize",
        "--signing-key",
        "personalize --photos {photos} --run {run} --steps 0 -o new --signing-key {}",
        "read",
    ),
    (
        "personalize",
        "--watermark-key",
        "personalize --photos {photos} --run {run} --steps 0 -o new --watermark-key {}",
        "read",
    ),
    ("animate", "--person", "animate --person {} --driving {talk} -o new.mp4", "read"),
    ("animate", "--people", "animate --people {} --driving {talk} -o new.mp4", "read"),
    ("animate", "--driving", "animate --person {person} --driving {} -o new.mp4", "read"),
    ("animate", "-o", "animate --person {person} --driving {talk} -o {}", "file"),
    (
        "animate",
        "--paste-back",
        "animate --person {person} --driving {talk} -o new.mp4 --paste-back {}",
        "read",
    ),
    (
        "animate",
        "--save-landmarks",
        "animate --person {person} --driving {talk} -o new.mp4 --save-landmarks {}",
        "file",
    ),
    (
        "animate",
        "--signing-key",
        "animate --person {person} --driving {talk} -o new.mp4 --signing-key {}",
        "read",
    ),
    (
        "animate",
        "--watermark-key",
        "animate --person {person} --driving {talk} -o new.mp4 --watermark-key {}",
        "read",
    ),
    ("evaluate", "--data", "evaluate --data {} --run {run} --shots 1 --steps 0 -o new", "read"),
    ("evaluate", "--run", "evaluate --data {data} --run {} --shots 1 --steps 0 -o new", "read"),
    (
        "evaluate",
        "--against",
        "evaluate --data {data} --run {run} --against {} --shots 1 --steps 0 -o new",
        "read",
    ),
    (
        "evaluate",
        "--frames-folder",
        "evaluate --frames-folder {} --run {run} --shots 1 --steps 0 -o new",
        "read",
    ),
    (
        "evaluate",
        "-o",
        "evaluate --data {data} --run {run} --split train --shots 1 --frames 2 --held 2 --steps 0 -o {}",
        "folder",
    ),
    (
        "evaluate",
        "--user-study",
        "evaluate --data {data} --run {run} --split train --shots 1 --frames 2 --held 3 --steps 0 -o new --user-study {}",
        "folder",
    ),
    ("evaluate", "--score", "evaluate --score {} --user-study {study}", "read"),
    ("evaluate", "--user-study of a score", "evaluate --score {answers} --user-study {}", "read"),
    (
        "evaluate",
        "--signing-key",
        "evaluate --data {data} --run {run} --shots 1 -o new --signing-key {}",
        "read",
    ),
    ("export", "--person", "export --person {} -o new", "read"),
    ("export", "--people", "export --people {} -o new", "read"),
    ("export", "--run", "export --person {person} --run {} -o new", "read"),
    ("export", "-o", "export --person {person} -o {}", "folder"),
    ("verify", "file", "verify {}", "read"),
    ("verify", "--trust", "verify {photo} --trust {}", "read"),
    ("verify", "--watermark-key", "verify {photo} --watermark-key {}", "read"),
    ("forget", "target", "forget {} --data {data} --yes", "read"),
    ("forget", "--data", "forget id0 --data {} --yes", "read"),
    ("forget", "--check --data", "forget --check --data {}", "read"),
    ("demo", "folder", "demo {} --clips-only", "folder"),
]
#: What is right there although it looks wrong: a new place to write to, an empty list, a key that
#: any bytes are.
RIGHT = {
    **dict.fromkeys((("file", "missing"), ("folder", "missing"), ("folder", "empty folder"))),
}


@dataclass(frozen=True)
class World:
    """Somebody's working folder, with one of everything in it."""

    root: Path
    server: CommandServer

    def run(self, template: str, path: Path | str) -> tuple[Done, list[str]]:
        """A command with this path, and which of the user's files it changed."""
        known = {p.name.split(".")[0]: str(p) for p in (self.root / "right").iterdir()}
        arguments = [
            str(path) if word == "{}" else word.format(**known) for word in template.split()
        ]
        before = self.contents()
        done = self.server.run(arguments, self.root / "work")
        changed = sorted(p for p, was in before.items() if self.contents().get(p) != was)
        for made in (self.root / "work").iterdir():
            shutil.rmtree(made) if made.is_dir() and not made.is_symlink() else made.unlink()
        return done, changed

    def contents(self) -> dict[str, str]:
        """Every file of the user's, and what is in it."""
        found = {}
        for part in ("right", "wrong"):
            for path in sorted((self.root / part).rglob("*")):
                if path.is_symlink():
                    what = os.readlink(path)
                elif path.is_file():
                    what = hashlib.sha256(path.read_bytes()).hexdigest()
                else:
                    what = f"{path.stat().st_mode:o}"
                found[str(path.relative_to(self.root))] = what
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("places")
    right = root / "right"
    (root / "work").mkdir()
    data = tiny_folder(right / "data")
    train(data, right / "run", tiny_config(steps=1), Told())
    untrained().save(right / "person")
    (right / "photos").mkdir()
    Image.fromarray(portrait()).save(right / "photos" / "a.png")
    Image.fromarray(portrait()).save(right / "photo.png")
    write_video(right / "talk.mp4", moving(0.4))
    (right / "study").mkdir()
    (right / "study" / "key.json").write_text('{"study": "s", "triplets": []}')
    (right / "answers.json").write_text('{"study": "s", "answers": {}}')
    server = CommandServer(tmp_path_factory.mktemp("output"))
    yield World(root, server)
    server.close()


def make_wrong(world: World, how: str, is_read: bool) -> Path:
    """A path that is wrong in one way."""
    folder = world.root / "wrong"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "thing"
    if how == "empty file":
        path.touch()
    elif how == "text file":
        path.write_text("Dear diary\n")
    elif how == "empty folder":
        path.mkdir()
    elif how == "foreign folder":
        path.mkdir()
        (path / "diary.txt").write_text("Dear diary\n")
    elif how == "other folder":
        shutil.copytree(world.root / "right" / "study", path)
    elif how == "below a file":
        path.write_text("Dear diary\n")
        return path / "below"
    elif how == "dangling link":
        path.symlink_to(folder / "nowhere" if is_read else folder / "no" / "where")
    elif how == "circle of links":
        path.symlink_to(path)
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "socket":
        here = os.getcwd()
        os.chdir(folder)
        socket.socket(socket.AF_UNIX).bind("thing")
        os.chdir(here)
    elif how == "long name":
        return folder / ("x" * 300)
    return path


def require_one_line(done: Done) -> None:
    told = f"status {done.status}\nout: {done.out}\nerr: {done.err}"
    assert "Traceback" not in done.err and "internal error" not in done.err, told
    assert done.status in (0, 1, 2), told
    lines = [line for line in done.err.splitlines() if line.startswith("fsh: ")]
    if done.status == 1 and not done.out:
        assert len(lines) == 1 and done.err.rstrip().endswith(lines[0]), told


#: Options whose file is read once, from beginning to end, as a pipe is: it would be waited for.
READ_ONCE = ("--cookies", "--consent", "--signing-key", "--watermark-key", "--trust", "--score")

CASES = [
    pytest.param(template, kind, how, id=f"{command} {name}: {how}")
    for command, name, template, kind in PATHS
    for how in WRONG
    if not (how == "pipe" and name in READ_ONCE)
]


@pytest.mark.parametrize(("template", "kind", "how"), CASES)
def test_a_wrong_path_is_one_line(world, template, kind, how):
    done, changed = world.run(template, make_wrong(world, how, kind == "read"))
    require_one_line(done)
    assert changed == [], f"status {done.status}\nout: {done.out}\nerr: {done.err}"
    print("SAID", done.status, done.err[-400:], done.out[-200:])
