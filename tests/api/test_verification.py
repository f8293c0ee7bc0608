"""``fsh verify``, and the marks that the commands put on what they draw."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest
from command import fsh
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from fsh import marking
from fsh.cli import verify
from fsh.cli.app import app
from fsh.pipeline.media.encode import write_video
from fsh.pipeline.provenance.manifest import Claims, Manifest, sign_file
from fsh.pipeline.provenance.signing import installation_signer
from fsh.pipeline.provenance.watermark import Watermark
from fsh.pipeline.provenance.watermark_detection import Detection
from fsh.schemas.consent import NOT_STATED, Consent
from fsh.schemas.errors import FshError

PAYLOAD = 0x00C0FFEE
PORTRAIT = data.astronaut()[:384, :384]
ADA = Consent("Ada", "Ada", ("animate",), date(2099, 1, 31))


@pytest.fixture(autouse=True)
def installation(tmp_path, monkeypatch):
    monkeypatch.setenv("FSH_HOME", str(tmp_path / "home"))


def picture(path, *, watermark=True, claimed: int | None = PAYLOAD, signed=True):
    pixels = Watermark(PAYLOAD).mark(PORTRAIT) if watermark else PORTRAIT
    Image.fromarray(pixels).save(path)
    if signed:
        sign_file(path, Claims({"person": "ab"}, ADA, claimed), installation_signer())
    return path


def examine(path):
    return json.loads(json.dumps(verify.examine(path, [])))


def good(result) -> bool:
    return bool(result["marked"] and result["intact"])


def test_a_marked_picture(tmp_path):
    found = examine(picture(tmp_path / "a.png"))
    assert good(found) and found["c2pa"] == "valid" and found["says"] == ""
    assert found["consent"] == ADA.to_json() and found["made_from"] == {"person": "ab"}
    assert found["watermark"]["payload"] == "00c0ffee" and found["watermark"]["agrees"]
    line = verify.in_words(found)
    assert "marked and intact: C2PA valid, signed by fsh installation" in line
    assert "consent Ada (by Ada): animate, until 2099-01-31" in line


def test_a_marked_film(tmp_path):
    frames = Watermark(PAYLOAD).embed([PORTRAIT[i : i + 256, :300] for i in range(12)])
    write_video(tmp_path / "f.mp4", frames, np.arange(12) / 25)
    assert examine(tmp_path / "f.mp4")["c2pa"] == "absent"
    sign_file(tmp_path / "f.mp4", Claims(watermark=PAYLOAD), installation_signer())
    found = examine(tmp_path / "f.mp4")
    assert good(found) and found["consent"] == NOT_STATED


@pytest.mark.parametrize(
    ("how", "state", "intact", "words"),
    [
        ({"signed": False}, "absent", None, "watermark 00c0ffee"),
        ({"watermark": False, "claimed": None}, "valid", True, "no watermark found"),
        ({"watermark": False}, "valid", False, "no watermark found"),
        ({"claimed": 7}, "valid", False, "not the manifest's"),
    ],
)
def test_half_marked_is_not_marked(tmp_path, how, state, intact, words):
    found = examine(picture(tmp_path / "a.png", **how))
    assert not good(found) and (found["c2pa"], found["intact"]) == (state, intact)
    assert words in verify.in_words(found) and "NOT marked" in verify.in_words(found)


def test_re_encoding_loses_the_manifest_and_keeps_the_watermark(tmp_path):
    Image.open(picture(tmp_path / "a.png")).save(tmp_path / "b.jpg", quality=80)
    found = examine(tmp_path / "b.jpg")
    assert found["c2pa"] == "absent" and found["watermark"]["payload"] == "00c0ffee"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"hello", "not a readable video"),
        ("a.mp4", b"", "an empty file"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "not a readable"),
        ("gone.mp4", None, "No such file"),
    ],
)
def test_files_that_are_nothing(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    found = examine(tmp_path / name)
    assert not good(found) and words in found["says"]


def test_sound_alone_is_told(tmp_path):
    import subprocess

    from fsh.pipeline.media.ffmpeg import binary

    words = f"{binary()} -v error -f lavfi -i sine=d=0.2 {tmp_path / 'a.wav'}"
    subprocess.run(words.split(), check=True)
    found = examine(tmp_path / "a.wav")
    assert not good(found) and found["says"]


def test_the_command(tmp_path):
    one, two = picture(tmp_path / "a.png"), picture(tmp_path / "b.png", signed=False)
    done = fsh("verify", one, "--json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["files"]
    assert {"c2pa", "watermark", "consent", "intact"} <= result.keys()
    both = CliRunner().invoke(app, ["verify", str(one), str(two), "-q"])
    assert both.exit_code == 1 and len(both.stdout.strip().splitlines()) == 2


def test_trust_is_by_name(tmp_path, monkeypatch):
    path = picture(tmp_path / "a.png")
    monkeypatch.setenv("FSH_HOME", str(tmp_path / "elsewhere"))
    assert verify.examine(path, [])["c2pa"] == "untrusted signer"
    authority = tmp_path / "home" / "signing" / "authority.pem"
    assert verify.examine(path, [authority])["c2pa"] == "valid"


def test_a_manifest_of_another_tool_holds_nothing_against_the_watermark():
    other = Manifest("untrusted signer", generator="camera 1")
    found = verify.judge(other, Detection(False, 5, 1.0, 2.0, 1.0, 1))
    assert found["intact"] and not found["marked"] and found["watermark"]["agrees"] is None


def person(folder, consent=NOT_STATED):
    folder.mkdir()
    (folder / "person.json").write_text('{"name": "ada"}')
    return {"consent": consent, "made_from": {"model": "cd"}}


def test_what_is_drawn_of_a_person_is_marked_with_its_card(tmp_path):
    about = person(tmp_path / "ada", ADA.to_json())
    marks = marking.marking_of(tmp_path / "ada", about, marking.signer_of(None))
    path = tmp_path / "ada" / "preview.png"
    Image.fromarray(PORTRAIT[::6, ::4]).save(path)
    marks.picture(path)
    found = examine(path)
    assert good(found) and found["made_from"]["model"] == "cd"
    assert found["made_from"]["person"].startswith(found["watermark"]["payload"])
    assert Image.open(path).size[1] == 256
    assert sorted(p.name for p in path.parent.iterdir()) == ["person.json", "preview.png"]


def test_consent_is_held_to(tmp_path):
    assert marking.require_consent(tmp_path, {}, "animate") == NOT_STATED
    assert marking.require_consent(tmp_path, {"consent": ADA.to_json()}, "animate") == "Ada, by Ada"
    with pytest.raises(FshError, match="not personalize"):
        marking.require_consent(tmp_path, {"consent": ADA.to_json()}, "personalize")
    statement = tmp_path / "ada.json"
    statement.write_text(json.dumps(ADA.to_json() | {"until": "2020-01-01"}))
    with pytest.raises(FshError, match="it ended on 2020-01-01"):
        marking.stated(statement, "animate")


def test_what_is_not_marked_is_written_into_the_card(tmp_path):
    import torch

    from fsh.schemas.layout import PERSON_CARD
    from fsh.trainer import checkpoint
    from fsh.trainer.person.person import PERSON_FORMAT, record_unmarked

    folder, tensors = tmp_path / "ada", {"p.safetensors": {"a": torch.zeros(2)}}
    spec = {"backend": "dlib", "size": 256, "hash": "99"}
    state = {"name": "ada", "spec": spec, "about": {"photos": 1}}
    checkpoint.write_folder(folder, state, tensors, PERSON_FORMAT, PERSON_CARD)
    record_unmarked(folder, "one.mp4", "2026-11-22")
    record_unmarked(folder, "two.mp4", "2026-11-23")
    card = checkpoint.read_state(folder, PERSON_FORMAT, PERSON_CARD)
    assert card["about"]["photos"] == 1
    assert [entry["what"] for entry in card["about"]["unmarked"]] == ["one.mp4", "two.mp4"]
    checkpoint.read_tensors(folder, card, "p.safetensors")
    assert "`two.mp4` on 2026-11-23" in (folder / "README.md").read_text()


def test_a_private_watermark_is_read_with_its_key_alone(tmp_path, monkeypatch):
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef0123")
    key = marking.key_of(secret)
    pixels = Watermark(PAYLOAD, key).mark(PORTRAIT)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    claims = Claims({"person": "ab"}, ADA, PAYLOAD, private=True)
    sign_file(tmp_path / "a.png", claims, installation_signer())
    without = examine(tmp_path / "a.png")
    assert not good(without) and without["intact"] and "--watermark-key" in without["says"]
    assert without["watermark"]["agrees"] is None and not without["watermark"]["present"]
    assert good(verify.examine(tmp_path / "a.png", [], key))
    # A public mark is read as well, key or not.
    assert good(verify.examine(picture(tmp_path / "b.png"), [], key))
    monkeypatch.setenv("FSH_WATERMARK_KEY", str(secret))
    assert CliRunner().invoke(app, ["verify", str(tmp_path / "a.png")]).exit_code == 0


def test_a_weak_or_missing_watermark_key_is_refused(tmp_path):
    (tmp_path / "weak").write_text("short")
    with pytest.raises(FshError, match="16 bytes or more, this has 5"):
        marking.key_of(tmp_path / "weak")
    with pytest.raises(FshError, match="cannot be read"):
        marking.key_of(tmp_path / "none")
    assert marking.key_of(None) is None
