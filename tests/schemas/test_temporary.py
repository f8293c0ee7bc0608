"""What has not got its name yet: what a killed writer leaves, refusals, full disks."""

from __future__ import annotations

import errno
import signal
import time
from pathlib import Path

import pytest
from scripts import started

from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import NoRoom, explaining_refusals, is_disk_full
from fsh.schemas.places.outputs import (
    owned_output,
)
from fsh.schemas.places.temporary import (
    is_temporary,
    remove_abandoned,
    replacing,
    replacing_folder,
    temporary_folder,
)


def everything(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


WRITE = """
    import sys, time
    from pathlib import Path
    from fsh.schemas.places.temporary import replacing
    from fsh.schemas.places.temporary import replacing_folder, temporary_file
    place = Path(sys.argv[1])
    with (
        replacing(place / "a.json") as one,
        temporary_file(place / "film.mp4", ".unsigned.mp4"),
        replacing_folder(place / "step", lambda: None) as folder,
    ):
        (folder / "half").write_text("half")
        one.write_text("half")
        print("there", flush=True)
        time.sleep(600)
"""


def test_what_a_killed_writer_leaves_is_removed_and_a_living_ones_is_not(tmp_path):
    (tmp_path / "mine.tmp").write_text("mine")
    (tmp_path / ".mine-1.tmp").write_text("mine")
    alive, dead = started(WRITE, tmp_path), started(WRITE, tmp_path)
    assert sum(is_temporary(p.name) for p in tmp_path.iterdir()) == 6
    dead.kill()
    dead.communicate()
    remove_abandoned(tmp_path, tmp_path / "no such folder")
    left = [p.name for p in tmp_path.iterdir() if is_temporary(p.name)]
    assert len(left) == 3 and all(f"-fsh-{alive.pid}-" in name for name in left)
    alive.kill()
    alive.communicate()
    with owned_output(tmp_path / "film.mp4", "animate"):  # as the next command does
        assert not [p for p in tmp_path.iterdir() if is_temporary(p.name)]
    assert everything(tmp_path) == {"mine.tmp": b"mine", ".mine-1.tmp": b"mine"}


def test_whoever_writes_in_a_place_first_removes_what_a_dead_process_left_there(tmp_path):
    """Not only commands that own a place: cards, records, keys, caches."""
    for name, write in {
        "a file": lambda place: replacing(place / "card.json"),
        "a folder": lambda place: replacing_folder(place / "key", lambda: None),
        "a scratch folder": lambda place: temporary_folder(place / "key"),
    }.items():
        place = tmp_path / name
        place.mkdir()
        dead = started(WRITE, place)
        dead.kill()
        dead.communicate()
        assert len(list(place.iterdir())) == 3
        with write(place) as mine:
            assert list(place.iterdir()) == [mine]


@pytest.mark.parametrize("has_locks", [True, False], ids=["locks", "no locks"])
@pytest.mark.parametrize("days", [-3, 0, 3])
def test_what_a_living_process_writes_stays_whatever_the_clock_says(
    tmp_path, monkeypatch, has_locks, days
):
    def refused(*_) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    writer = started(WRITE, tmp_path)
    now = time.time()
    if not has_locks:
        monkeypatch.setattr("fcntl.flock", refused)
    monkeypatch.setattr("time.time", lambda: now + days * 86_400)
    before = sorted(tmp_path.iterdir())
    remove_abandoned(tmp_path)
    assert sorted(tmp_path.iterdir()) == before and len(before) == 3
    writer.kill()
    writer.communicate()
    remove_abandoned(tmp_path)
    assert not list(tmp_path.iterdir())


SWAP = """
    import os, signal, sys
    from pathlib import Path
    from fsh.schemas.places.temporary import replacing_folder
    place, rename = Path(sys.argv[1]), Path.rename
    def killed(self, target):
        if self.name.endswith(".tmp"):
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, target)
    Path.rename = killed
    print("there", flush=True)
    with replacing_folder(place, lambda: None) as folder:
        (folder / "new").write_text("new")
"""


def test_a_folder_whose_replacement_was_killed_gets_its_name_back(tmp_path):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "old").write_text("old")
    process = started(SWAP, tmp_path / "ada")
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "ada").exists()
    remove_abandoned(tmp_path)
    assert everything(tmp_path) == {"ada/old": b"old"}


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with replacing_folder(tmp_path / "link", lambda: None) as folder:
        (folder / "new").write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "new").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "real"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "x/y"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
        ValueError("4000 requested and 0 written"),
    ],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, error):
    words = r"no room left on the disk .* free\).*make room"
    with pytest.raises(NoRoom, match=words), replacing(tmp_path / "a.json") as file:
        file.write_text("half")
        raise error
    with pytest.raises(NoRoom), replacing_folder(tmp_path / "step", lambda: None) as folder:
        (folder / "half").write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == []
    outer = RuntimeError("cannot be saved")
    outer.__cause__ = error
    assert is_disk_full(outer) and not is_disk_full(OSError(errno.EACCES, "no"))


def test_a_refusal_names_the_place(tmp_path):
    words = r"a: cannot be written \(Read-only file system\)"
    with pytest.raises(FshError, match=words), explaining_refusals(Path("a"), nothing_else=True):
        raise OSError(errno.EROFS, "Read-only file system", "b")
    with pytest.raises(FshError, match=r"b: not permitted"), explaining_refusals(Path("a")):
        raise OSError(errno.EACCES, "Permission denied", "b")
    with pytest.raises(KeyError), explaining_refusals(tmp_path):
        raise KeyError("not the disk")
