"""Verifying files: manifest and watermark together, of fsh's films and of anybody's files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from fixture_ffmpeg import binary
from marked import ADA, PAYLOAD, PORTRAIT, marked_picture
from PIL import Image

from fsh import marking
from fsh.pipeline.media.encode import write_video
from fsh.pipeline.provenance.manifest import Claims, Manifest, sign_file
from fsh.pipeline.provenance.signing import installation_signer
from fsh.pipeline.provenance.watermark import Watermark
from fsh.pipeline.provenance.watermark_detection import WatermarkDetection
from fsh.schemas.consent import NOT_STATED
from fsh.verification import combined, verify


@pytest.fixture(autouse=True)
def installation(tmp_path, monkeypatch):
    monkeypatch.setenv("FSH_HOME", str(tmp_path / "home"))


def test_a_marked_picture(tmp_path):
    found = verify(marked_picture(tmp_path / "a.png"))
    assert found.ok and found.c2pa == "valid" and found.says == ""
    assert found.consent == ADA.to_json() and found.made_from == {"person": "ab"}
    assert found.watermark.payload == "00c0ffee" and found.watermark.agrees
    assert json.loads(json.dumps(found.to_json()))["watermark"]["payload"] == "00c0ffee"


def test_a_marked_film(tmp_path):
    frames = map(Watermark(PAYLOAD).mark, [PORTRAIT[i : i + 256, :300] for i in range(12)])
    write_video(tmp_path / "f.mp4", frames, np.arange(12) / 25)
    assert verify(tmp_path / "f.mp4").c2pa == "absent"
    sign_file(tmp_path / "f.mp4", Claims(watermark=PAYLOAD), installation_signer())
    found = verify(tmp_path / "f.mp4")
    assert found.ok and found.consent == NOT_STATED


@pytest.mark.parametrize(
    ("how", "state", "intact"),
    [
        ({"signed": False}, "absent", None),
        ({"watermark": False, "claimed": None}, "valid", True),
        ({"watermark": False}, "valid", False),
        ({"claimed": 7}, "valid", False),
    ],
)
def test_half_marked_is_not_marked(tmp_path, how, state, intact):
    found = verify(marked_picture(tmp_path / "a.png", **how))
    assert not found.ok and (found.c2pa, found.intact) == (state, intact)


def test_re_encoding_loses_the_manifest_and_keeps_the_watermark(tmp_path):
    Image.open(marked_picture(tmp_path / "a.png")).save(tmp_path / "b.jpg", quality=80)
    found = verify(tmp_path / "b.jpg")
    assert found.c2pa == "absent" and found.watermark.payload == "00c0ffee"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"hello", "not a readable video"),
        ("a.mp4", b"", "an empty file"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "not a picture"),
        ("gone.mp4", None, "No such file"),
    ],
)
def test_files_that_cannot_be_read_say_why(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    found = verify(tmp_path / name)
    assert not found.ok and words in found.says


def test_a_file_of_sound_alone_says_why(tmp_path):
    words = f"{binary()} -v error -f lavfi -i sine=d=0.2 {tmp_path / 'a.wav'}"
    subprocess.run(words.split(), check=True)
    found = verify(tmp_path / "a.wav")
    assert not found.ok and found.says


def test_trust_is_by_name(tmp_path, monkeypatch):
    path = marked_picture(tmp_path / "a.png")
    monkeypatch.setenv("FSH_HOME", str(tmp_path / "elsewhere"))
    assert verify(path).c2pa == "untrusted signer"
    authority = tmp_path / "home" / "signing" / "authority.pem"
    assert verify(path, trust=authority).c2pa == "valid"


def test_a_manifest_of_another_tool_does_not_contradict_the_watermark():
    other = Manifest("untrusted signer", generator="camera 1")
    found = combined(Path("a"), other, WatermarkDetection(False, 5, 1.0, 2.0, 1.0, 1))
    assert found.intact and not found.marked and found.watermark.agrees is None


def test_a_private_watermark_is_read_with_its_key_alone(tmp_path, monkeypatch):
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef0123")
    key = marking.key_of(secret)
    pixels = Watermark(PAYLOAD, key).mark(PORTRAIT)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    claims = Claims({"person": "ab"}, ADA, PAYLOAD, private=True)
    sign_file(tmp_path / "a.png", claims, installation_signer())
    without = verify(tmp_path / "a.png")
    assert not without.ok and without.intact and "--watermark-key" in without.says
    assert without.watermark.agrees is None and not without.watermark.present
    assert verify(tmp_path / "a.png", watermark_key=secret).ok
    # A public mark is read as well, key or not.
    assert verify(marked_picture(tmp_path / "b.png"), watermark_key=str(secret)).ok
    monkeypatch.setenv("FSH_WATERMARK_KEY", str(secret))
    assert verify(tmp_path / "a.png").ok
