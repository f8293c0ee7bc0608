"""Every path of every command, wrong in every way: one line, and nothing of the user's changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from command_server import CommandServer, Done
from faces_helpers import portrait
from PIL import Image
from tiny_run import Told, tiny_config, tiny_folder
from untrained import untrained
from videos import moving, write_video

from fsh.schemas.tables.parquet import read_clips, write_clips
from fsh.trainer.training.loop import train

#: What there can be instead of what a command reads.
NOT_WANTED = ("empty file", "text file", "empty folder", "foreign folder", "other folder")
#: What can be wrong with a path itself.
NO_PLACE = ("below a file", "dangling link", "circle of links", "long name", "pipe", "socket")
#: Command, name of the path, arguments (``{}``: the path; names in braces: what is right), and
#: what that is: read, or written as a file or folder.
_PERSON = "personalize --photos {photos} --run {run} --steps 0 --person new"
_FILM = "animate --person {person} --driving {talk} -o new.mp4"
_LIVE = "live --person {person} --run {run} --camera {talk} --no-open --seconds 0.5"
_TABLE = "evaluate --data {data} --run {run} --split train --shots 1 --frames 2 --held 3 --steps 0"
PATHS = [
    ("ingest", "list", "ingest {} --data new", "read"),
    ("ingest", "--data", "ingest {talk} --data {}", "folder"),
    ("ingest", "--cookies", "ingest https://example.invalid/a.mp4 --data new --cookies {}", "read"),
    ("shard", "--data", "shard --data {} --landmarks dlib", "read"),
    ("inspect", "--data", "inspect --data {} -o new.html", "read"),
    ("inspect", "-o", "inspect --data {data} -o {}", "file"),
    ("train", "--data", "train --data {} --run new --preset nano --steps 1", "read"),
    ("train", "--run", "train --data {data} --run {} --preset nano --steps 1 --batch 1", "folder"),
    ("personalize", "--photos", _PERSON.replace("{photos}", "{}"), "read"),
    ("personalize", "--run", _PERSON.replace("{run}", "{}"), "read"),
    ("personalize", "-o", _PERSON.replace("new", "{}"), "folder"),
    ("personalize", "--people", _PERSON.replace("--person new", "--people {}"), "folder"),
    ("personalize", "--consent", f"{_PERSON} --consent {{}}", "read"),
    ("personalize", "--signing-key", f"{_PERSON} --signing-key {{}}", "read"),
    ("personalize", "--watermark-key", f"{_PERSON} --watermark-key {{}}", "read"),
    ("animate", "--person", _FILM.replace("{person}", "{}"), "read"),
    ("animate", "--people", _FILM.replace("--person {person}", "--people {}"), "read"),
    ("animate", "--driving", _FILM.replace("{talk}", "{}"), "read"),
    ("animate", "-o", _FILM.replace("new.mp4", "{}"), "file"),
    ("animate", "--paste-back", f"{_FILM} --paste-back {{}}", "read"),
    ("animate", "--save-landmarks", f"{_FILM} --save-landmarks {{}}", "file"),
    ("animate", "--signing-key", f"{_FILM} --signing-key {{}}", "read"),
    ("animate", "--watermark-key", f"{_FILM} --watermark-key {{}}", "read"),
    ("live", "--person", _LIVE.replace("{person}", "{}"), "read"),
    ("live", "--people", _LIVE.replace("--person {person}", "--people {}"), "read"),
    ("live", "--run", _LIVE.replace("{run}", "{}"), "read"),
    ("live", "--camera", _LIVE.replace("{talk}", "{}"), "read"),
    ("evaluate", "--data", _TABLE.replace("{data}", "{}") + " -o new", "read"),
    ("evaluate", "--run", _TABLE.replace("{run}", "{}") + " -o new", "read"),
    ("evaluate", "--against", f"{_TABLE} -o new --against {{}}", "read"),
    ("evaluate", "--frames-folder", f"{_TABLE} -o new --frames-folder {{}}", "read"),
    ("evaluate", "-o", f"{_TABLE} -o {{}}", "folder"),
    ("evaluate", "--user-study", f"{_TABLE} -o new --user-study {{}}", "folder"),
    ("evaluate", "--score", "evaluate --score {} --user-study {study}", "read"),
    ("evaluate", "study of --score", "evaluate --score {answers} --user-study {}", "read"),
    ("evaluate", "--signing-key", f"{_TABLE} -o new --signing-key {{}}", "read"),
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
                    what = str(path.readlink())
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
    whole = {"shard": "shards/none.tar", "offset": 0, "bytes": 0, "start": 0.0, "end": 1.0}
    clips = [
        replace(c, identity="id", frames=1, samples=1, **whole) for c in read_clips(data.clips)
    ]
    write_clips(clips, data.clips)
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
        here = Path.cwd()
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

#: Asked for in every run of the tests; the others are asked for by the slow ones.
QUICK = ("missing", "foreign folder")


def cases() -> Iterator:
    for command, name, template, kind in PATHS:
        for how in ("missing", *NOT_WANTED, *NO_PLACE):
            is_written = kind != "read"
            if is_written and (how not in NO_PLACE[:4] or (kind == "file" and "link" in how)):
                continue  # what is there and is not fsh's: the tests of what is replaced
            if how == "pipe" and name in READ_ONCE:
                continue
            marks = [] if how in QUICK else [pytest.mark.slow]
            yield pytest.param(template, kind, how, id=f"{command} {name}: {how}", marks=marks)


@pytest.mark.parametrize(("template", "kind", "how"), cases())
def test_a_wrong_path_is_one_line(world, template, kind, how):
    done, changed = world.run(template, make_wrong(world, how, kind == "read"))
    require_one_line(done)
    assert changed == [], f"status {done.status}\nout: {done.out}\nerr: {done.err}"


@pytest.fixture(scope="module")
def mounts(world) -> World:
    if not world.server.has_mounts:
        pytest.skip("no mounts of one's own here: neither root nor a user namespace")
    for name in ("full", "fixed"):
        (world.root / name).mkdir(exist_ok=True)
    world.server.system("mount", "-t", "tmpfs", "-o", "size=64k", "none", world.root / "full")
    fill = f"head -c 10000000 /dev/zero > '{world.root}/full/zeros' || true"
    world.server.system("sh", "-c", fill)
    world.server.system("mount", "--bind", world.root / "right", world.root / "fixed")
    world.server.system("mount", "-o", "remount,ro,bind", world.root / "fixed")
    return world


#: What the name of a file ends in, by option.
ENDS = {"animate -o": ".mp4", "animate --save-landmarks": ".npz", "inspect -o": ".html"}
WRITTEN = [
    pytest.param(
        template, f"{command}{name}{ENDS.get(f'{command} {name}', '')}", id=f"{command} {name}"
    )
    for command, name, template, kind in PATHS
    if kind != "read"
]
#: What the system's refusal is called, by whoever meets it first.
REASONS = {
    "full": ("No space left", "no room left on the disk"),
    "fixed": ("Read-only file system", "mounted read-only"),
}


@pytest.mark.slow
@pytest.mark.parametrize("place", ["full", "fixed"])
@pytest.mark.parametrize(("template", "name"), WRITTEN)
def test_a_place_that_is_full_or_cannot_be_written_is_one_line(mounts, template, name, place):
    done, changed = mounts.run(template, mounts.root / place / name)
    require_one_line(done)
    assert done.status == 1, done
    line = done.err.splitlines()[-1]
    assert f"/{place}" in line and any(reason in line for reason in REASONS[place]), line
    assert changed == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [c for c in PATHS if c[3] == "read"], ids=lambda c: f"{c[0]} {c[1]}"
)
def test_what_is_read_may_be_where_nothing_can_be_written(mounts, case):
    """It works, or says in one line why it does not."""
    command, name, template, _ = case
    right = {"--data": "data", "--run": "run", "--against": "run", "--person": "person"}
    right |= {"--photos": "photos", "--driving": "talk.mp4", "--paste-back": "photo.png"}
    right |= {
        "--camera": "talk.mp4",
        "list": "talk.mp4",
        "file": "photo.png",
        "study of --score": "study",
    }
    right |= {"--score": "answers.json", "--check --data": "data", "target": "person"}
    if name not in right:
        pytest.skip("nothing of the kind in the folder")
    done, changed = mounts.run(template, mounts.root / "fixed" / right[name])
    require_one_line(done)
    recorded = ["right/person/person.json"] if command == "export" else []  # that it was exported
    assert changed in ([], recorded)
