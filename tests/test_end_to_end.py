"""The whole way, as a user walks it: real detector, codec, shards, training, film."""

from __future__ import annotations

import json

import av
import numpy as np
import pytest
from command import fsh
from faces_helpers import has_face_landmarker

from fsh.sample_clips import IDENTITIES, faceless_frames, talking_frames, voice, write_clip


@pytest.fixture
def place(tmp_path_factory):
    """A working folder with two people who talk, nobody in a third clip, and two photos."""
    folder = tmp_path_factory.mktemp("road")
    (folder / "photos").mkdir()
    for number, identity in enumerate(IDENTITIES[:2]):
        sound, opening = voice(1.6, seed=number)
        pictures = talking_frames(identity, opening, seed=number)
        write_clip(folder / f"{identity.name}.mp4", pictures, sound)
    write_clip(folder / "nobody.mp4", faceless_frames(20), None)
    for number, picture in enumerate(talking_frames(IDENTITIES[4], np.zeros(2), seed=3)):
        from PIL import Image

        Image.fromarray(picture).save(folder / "photos" / f"{number}.png")
    lines = ["url,identity", "ada.mp4,ada", "bea.mp4,bea", "nobody.mp4,", "gone.mp4,who"]
    (folder / "urls.csv").write_text("\n".join(lines) + "\n")
    return folder


def result(done) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("backend", ["default", pytest.param("dlib", marks=pytest.mark.slow)])
def test_the_whole_way(place, backend):
    if backend == "default":  # nothing is fetched here
        backend = "mediapipe" if has_face_landmarker() else "dlib"
    ingested = result(fsh("ingest", "urls.csv", "--json", cwd=place))
    assert ingested["rows"] == 4 and ingested["states"] == {"stored": 3, "failed": 1}

    sharded = result(fsh("shard", "--landmarks", backend, "--json", cwd=place))
    assert sharded["videos"] == 3 and sharded["clips_kept"] == 2
    assert sharded["clips_rejected"] == {"no_face": 1}

    again = result(fsh("shard", "--json", cwd=place))  # with the data set's own backend
    assert (again["samples"], again["shards"]) == (sharded["samples"], sharded["shards"])

    inspected = result(fsh("inspect", "--json", cwd=place))
    assert inspected["clips_kept"] == 2
    assert '"strips":{"v-' in (place / "data" / "inspect.html").read_text()

    training = ["train", "--preset", "nano", "--steps", 3, "--batch", 1, "--json"]
    trained = result(fsh(*training, cwd=place))
    assert trained["preset"] == "nano" and trained["steps"] == 3
    assert set(trained["parameters"]) >= {"embedder", "generator", "discriminator"}

    person = result(fsh("personalize", "--photos", "photos", "--steps", 2, "--json", cwd=place))
    assert person["photos"] == 2 and person["steps"] == 2
    assert (place / "people" / "photos" / "preview.png").is_file()

    film = result(fsh("animate", "--driving", "ada.mp4", "-o", "film.mp4", "--json", cwd=place))
    assert film["frames"] == 40 and film["bridged"] == 0
    assert film["marked"]
    seen = fsh("verify", "film.mp4", "people/photos/preview.png", "--json", cwd=place)
    for told in result(seen)["files"]:
        assert told["c2pa"] == "valid" and told["watermark"]["agrees"]
        assert told["consent"] == "not stated"
    with av.open(str(place / "film.mp4")) as video:
        assert len(list(video.decode(video=0))) == 40
    with av.open(str(place / "film.mp4")) as video:
        assert video.streams.audio and abs(video.duration / av.time_base - 1.6) < 0.05
