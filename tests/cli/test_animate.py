"""``fsh animate``: sound, rate and duration of the driver, full pictures, several films."""

from __future__ import annotations

import json
import subprocess

import av
import numpy as np
import pytest
from command import fsh
from faces_helpers import portrait
from fixture_ffmpeg import binary
from PIL import Image
from untrained import untrained
from videos import moving, write_video

from fsh.trainer.person.person import Person


@pytest.fixture(scope="module")
def person(tmp_path_factory):
    """A feed-forward person of an untrained generator: what it looks like is no matter here."""
    folder = tmp_path_factory.mktemp("people") / "ada"
    untrained().save(folder)
    assert Person.load(folder).size == 32
    return folder


def seconds(path, kind: str) -> tuple[float, float, int]:
    with av.open(str(path)) as file:
        stream = getattr(file.streams, kind)[0]
        times = [float(f.pts * f.time_base) for f in file.decode(stream)]
    return times[0], times[-1], len(times)


def test_a_film_in_a_full_picture_keeps_sound_rate_and_duration_of_a_variable_rate(
    person, tmp_path
):
    silent = write_video(tmp_path / "silent.mp4", moving(1.4))
    talk, photo = tmp_path / "talk.mp4", tmp_path / "photo.png"
    uneven = "settb=1/1000,setpts='(N*40+12*mod(N*N,3))/1000/TB'"
    make = f"-v error -i {silent} -f lavfi -i sine=d=1.4 -fps_mode passthrough"
    make += " -enc_time_base 1:1000 -c:v libx264 -preset ultrafast -c:a aac -shortest"
    subprocess.run([binary(), *make.split(), "-vf", uneven, str(talk)], check=True)
    Image.fromarray(portrait()).save(photo)
    common = ["--person", person, "--driving", talk, "--json"]
    done = fsh("animate", *common, "--paste-back", photo, "-o", tmp_path / "film.mp4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    film = json.loads(done.stdout)
    assert film["preflight"]["frames"] == film["frames"]
    before, after = seconds(talk, "video"), seconds(tmp_path / "film.mp4", "video")
    assert after[2] == before[2] == film["frames"]
    frame = 0.04
    assert abs((after[1] - after[0]) - (before[1] - before[0])) < frame / 10
    before, after = seconds(talk, "audio"), seconds(tmp_path / "film.mp4", "audio")
    assert abs(before[0] - after[0]) < frame and abs(before[1] - after[1]) < 2 * frame
    with av.open(str(tmp_path / "film.mp4")) as file:
        picture = next(file.decode(video=0)).to_ndarray(format="rgb24")
    assert picture.shape == portrait().shape
    assert np.abs(picture[:60].astype(int) - portrait()[:60]).mean() < 8


def test_several_films_in_one_call_and_a_track_that_drives_without_a_face(person, tmp_path):
    talk = write_video(tmp_path / "talk.mp4", moving(0.6))
    track = tmp_path / "track.npz"
    done = fsh(
        *("animate", "--person", person, "--driving", talk, "--save-landmarks", track),
        *("-o", tmp_path / "one.mp4", "--compare", "--json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    track.rename(tmp_path / "still.npz")
    done = fsh(
        *("animate", "--person", person, "--driving", talk, "--driving", tmp_path / "still.npz"),
        *("-o", tmp_path / "films", "--json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    made = [film["output"] for film in told["films"]]
    assert made == [str(tmp_path / "films" / f"ada--{n}.mp4") for n in ("talk", "still")]
    a, b = (seconds(path, "video") for path in made)
    assert a == b and told["frames"] == 2 * a[2]
