"""Photos as users have them, through the real detector."""

from __future__ import annotations

import base64
import struct

import cv2
import numpy as np
import pytest
from faces_helpers import Told, dlib_landmarks, portrait, portrait_points
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fsh.pipeline.faces.crop import to_source
from fsh.pipeline.faces.detection import CnnDetector, Face, FaceDetector
from fsh.pipeline.faces.tracking import overlaps
from fsh.pipeline.inputs.photos import (
    Candidate,
    choose_faces,
    find_faces,
    odd_ones,
    prepare_photos,
    refuse_strangers,
)
from fsh.pipeline.media.pictures import photo_paths, read_photo
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Silent
from fsh.schemas.spec import FaceSpec

SPEC = FaceSpec()


def prepare(*paths, **options):
    options = {"spec": SPEC, "backend": dlib_landmarks(), "progress": Silent(), **options}
    return prepare_photos(list(paths), **options)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "portrait.png"
    Image.fromarray(portrait()).save(path)
    return path


# Reading


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_formats(tmp_path, suffix):
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(portrait()).save(path, quality=95)
    image = read_photo(path)
    assert image.dtype == np.uint8 and image.shape == (512, 512, 3)
    assert np.abs(image.astype(int) - portrait()).mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_says_how_to_turn_it(tmp_path, orientation):
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :8] = (255, 0, 0)  # red in the upper left
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transposes, FLIP_LEFT_RIGHT = 0 …
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_photo(tmp_path / "turned.png"), upright)


def test_what_is_transparent_becomes_white(tmp_path):
    image = np.zeros((4, 4, 4), np.uint8)
    image[..., 3] = [[0, 128, 255, 255]] * 4
    Image.fromarray(image).save(tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png")[0, :, 0].tolist() == [255, 127, 0, 0]
    gray = Image.fromarray(image[..., 2:])
    assert gray.mode == "LA"
    gray.save(tmp_path / "la.png")
    assert read_photo(tmp_path / "la.png")[0, :, 0].tolist() == [255, 127, 0, 0]


def test_palettes_with_and_without_transparency(tmp_path):
    picture = Image.fromarray(portrait()).convert("P", palette=Image.Palette.ADAPTIVE)
    picture.save(tmp_path / "p.png")
    assert np.abs(read_photo(tmp_path / "p.png").astype(int) - portrait()).mean() < 10
    picture.save(tmp_path / "t.png", transparency=picture.getpixel((0, 0)))
    assert read_photo(tmp_path / "t.png")[0, 0].tolist() == [255, 255, 255]


def test_grey_in_8_and_16_bits_and_cmyk(tmp_path):
    gray = cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY)
    Image.fromarray(gray).save(tmp_path / "8.png")
    cv2.imwrite(str(tmp_path / "16.png"), gray.astype(np.uint16) * 257)
    for name in ("8.png", "16.png"):
        image = read_photo(tmp_path / name)
        assert image.shape == (512, 512, 3)
        assert np.abs(image.astype(int) - gray[:, :, None]).max() <= 1
    Image.fromarray(portrait()).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    assert np.abs(read_photo(tmp_path / "cmyk.jpg").astype(int) - portrait()).mean() < 12


def test_broken_files_are_named(tmp_path, photo):
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "half.png").write_bytes(photo.read_bytes()[: photo.stat().st_size // 2])
    for name in ("text.jpg", "empty.png", "half.png", "gone.jpg"):
        with pytest.raises(FshError, match=name):
            read_photo(tmp_path / name)


def test_a_decompression_bomb_is_refused(tmp_path):
    Image.new("1", (15_000, 15_000)).save(tmp_path / "bomb.png")
    with pytest.raises(FshError, match=r"bomb\.png: .*too large"):
        read_photo(tmp_path / "bomb.png")


#: A picture of 64 × 64: red on the left, blue over black on the right.
HEIC = """
AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAVZtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAA
AAAAACJpbG9jAAAAAERAAAEAAQAAAAABegABAAAAAAAAAC4AAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAA
AA5waXRtAAAAAAABAAAA1mlwcnAAAAC3aXBjbwAAAHhodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNw
AAADAJAAAAMAAAMAHroCQGEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqSSmubgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHB
crAiQAAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAABBwaXhpAAAAAAMICAgAAAAXaXBtYQAAAAAA
AAABAAEEgQIDBAAAADZtZGF0AAAAKigBr1j5DpJf//E+f/0bSQ+O1on/7BUi/aZ+f9HP0hCP/2fzP+7Um8zLwA==
"""


def test_heic(tmp_path):
    pytest.importorskip("pi_heif", reason="the extra [heic]")
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(base64.b64decode(HEIC))
    image = read_photo(path)
    assert image.shape == (64, 64, 3)
    for at, color in (((32, 16), (200, 40, 40)), ((16, 48), (40, 40, 200)), ((48, 48), (0, 0, 0))):
        assert np.abs(image[at].astype(int) - color).max() < 12


def test_heic_without_its_extra_says_which(tmp_path, monkeypatch):
    monkeypatch.setattr("fsh.pipeline.media.pictures._HEIF", False)
    head = b"ftypheic" + bytes(4) + b"mif1heic"
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(struct.pack(">I", 4 + len(head)) + head + bytes(64))
    with pytest.raises(FshError, match=r"IMG_1\.HEIC.*fsh\[heic\]"):
        read_photo(path)


def test_a_folder_gives_its_pictures_sorted(tmp_path):
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt", "c.heic"):
        (tmp_path / name).touch()
    assert [p.name for p in photo_paths(tmp_path)] == ["a.png", "b.JPG", "c.heic"]
    assert photo_paths(tmp_path / "a.png") == [tmp_path / "a.png"]


def test_no_folder_or_no_photos(tmp_path):
    with pytest.raises(FshError, match="no photos in this folder"):
        photo_paths(tmp_path)
    with pytest.raises(FshError, match="no such folder"):
        photo_paths(tmp_path / "nowhere")


# Finding


@pytest.fixture(scope="module")
def detectors():
    return FaceDetector(), CnnDetector()


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(portrait()[78:180, 170:275], id="fills the frame"),
        pytest.param(cv2.resize(portrait(), (110, 110)), id="tiny"),
        pytest.param(cv2.resize(portrait()[:300, 50:350], (2500, 2500)), id="huge"),
        pytest.param((portrait() * 0.25).astype(np.uint8), id="dark"),
    ],
)
def test_one_face_is_found_in_difficult_photos(detectors, image):
    assert len(find_faces(np.ascontiguousarray(image), *detectors)) == 1


def test_every_face_of_a_wide_photo_is_found_once(detectors):
    found = find_faces(np.hstack([portrait()] * 3), *detectors)
    assert len(found) == 3
    boxes = np.array([face.box for face in found])
    assert (overlaps(boxes, boxes) > 0).sum() == len(found)


def test_no_face_in_a_picture_without_one(detectors):
    gradient = np.tile(np.arange(256, dtype=np.uint8), (24, 1))
    assert find_faces(np.stack([gradient] * 3, axis=2), *detectors) == []


# Choosing


def candidate(left: float, side: float, who: np.ndarray | None) -> Candidate:
    face = Face(np.array([left, 0, left + side, side], np.float32), 1.0)
    blank = np.zeros((2, 2, 3), np.uint8), np.zeros((68, 2), np.float32)
    return Candidate(face, (0, 0, 2), *blank, who)


PEOPLE = 1.4 * np.eye(128, dtype=np.float32)[:4] / 2**0.5


def test_the_largest_face_of_one_photo():
    faces = [candidate(0, 50, PEOPLE[0]), candidate(100, 80, PEOPLE[1])]
    assert choose_faces([faces], None) == [1]
    assert choose_faces([[candidate(0, 50, None), candidate(99, 20, None)]] * 2, None) == [0, 0]


@given(st.integers(0, 10**6))
def test_who_recurs_is_chosen_however_large_the_others(seed):
    rng = np.random.default_rng(seed)
    photos, wanted = [], []
    for i in range(4):
        others = [p for p in range(1, 4) if p != i][: rng.integers(0, 3)]
        faces = [candidate(0, 30, PEOPLE[0] + rng.normal(0, 0.01, 128).astype(np.float32))]
        faces += [candidate(100 * p, 200, PEOPLE[p]) for p in others[: int(i > 0)]]
        order = rng.permutation(len(faces))
        photos.append([faces[k] for k in order])
        wanted.append(int(np.flatnonzero(order == 0)[0]))
    assert choose_faces(photos, None) == wanted


def test_faces_are_numbered_from_the_left():
    faces = [candidate(300, 50, None), candidate(0, 50, None), candidate(100, 90, None)]
    assert [choose_faces([faces], k)[0] for k in range(4)] == [1, 2, 0, -1]


def test_strangers_are_named(tmp_path):
    rng = np.random.default_rng(1)
    same = PEOPLE[0] + rng.normal(0, 0.01, (3, 128))
    names = [tmp_path / f"{i}.jpg" for i in range(4)]
    assert odd_ones(same) == [] == odd_ones(same[:1])
    assert odd_ones(np.stack([same[0], PEOPLE[1], same[1], same[2]])) == [1]
    assert odd_ones(np.stack([same[0], PEOPLE[1]])) == [0, 1]
    mixed = np.stack([*same, PEOPLE[2]])
    with pytest.raises(FshError, match=r"not the person of the other photos.*: 3\.jpg"):
        refuse_strangers(names, mixed, False, Silent())
    told = Told()
    refuse_strangers(names, mixed, True, told)
    assert "3.jpg" in told.lines[0]


# All together


def test_a_photo_is_a_one_frame_clip(photo):
    clip, rejected = prepare(photo)
    assert rejected == [] and len(clip) == 1 and clip.name == "portrait.png"
    assert clip.frames.shape == (1, 256, 256, 3) and clip.found.all()
    assert clip.embedding is not None and clip.embedding.shape == (128,)
    assert clip.extra["photos"] == [photo]
    # Landmarks found on the crop are where they are in the photo.
    left, top, side = (int(v) for v in clip.crops[0])
    back = to_source(clip.landmarks[0], (left, top, side), SPEC.size)
    assert np.abs(back - portrait_points()).mean() < 2
    # The head is inside: brows below a third, chin above nine tenths.
    ys = clip.landmarks[0, :, 1] / SPEC.size
    assert 0.3 < ys.min() < 0.45 and 0.75 < ys.max() < 0.9
    assert abs(clip.landmarks[0, :, 0].mean() - SPEC.size / 2) < 20


def test_the_same_photo_gives_the_same_clip(photo):
    first, second = prepare(photo)[0], prepare(photo)[0]
    assert np.array_equal(first.frames, second.frames)
    assert np.array_equal(first.landmarks, second.landmarks)


def test_photos_without_a_face_are_left_out_and_named(photo, tmp_path):
    Image.new("RGB", (90, 6), "gray").save(tmp_path / "wall.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    paths = [tmp_path / "broken.jpg", photo, tmp_path / "wall.png"]
    clip, rejected = prepare(*paths, embed=False)
    assert clip.extra["photos"] == [photo] and clip.embedding is None
    assert {r.path.name: r.reason for r in rejected}["wall.png"] == "no face found"
    assert {r.path.name for r in rejected} == {"broken.jpg", "wall.png"}
    with pytest.raises(FshError, match=r"broken\.jpg: not a picture.*upright"):
        prepare(tmp_path / "broken.jpg")


def test_a_real_strangers_photo_is_refused(photo, tmp_path):
    stranger = tmp_path / "stranger.png"
    Image.fromarray(cv2.resize(cv2.medianBlur(portrait(), 15), (512, 700))).save(stranger)
    with pytest.raises(FshError, match=r"portrait\.png, stranger\.png.*--mixed-ok"):
        prepare(photo, stranger)
    told = Told()
    clip, _ = prepare(photo, stranger, mixed_ok=True, progress=told)
    assert len(clip) == 2 and "stranger.png" in told.lines[0]


def test_a_face_by_number(tmp_path):
    head = portrait()[:280, 80:360]
    pair = np.hstack([head, cv2.resize(head[:, ::-1], (350, 350))[:280]])
    Image.fromarray(pair).save(tmp_path / "pair.png")
    told = Told()
    crops = {
        face: prepare(tmp_path / "pair.png", face=face, embed=False, progress=told)[0].crops[0]
        for face in (None, 0, 1)
    }
    middles = {face: left + side / 2 for face, (left, _, side) in crops.items()}
    assert middles[0] < 280 < middles[1] == middles[None]  # the right one is larger
    assert "2 faces" in told.lines[0]
    with pytest.raises(FshError, match="no face number 2: it has 2"):
        prepare(tmp_path / "pair.png", face=2, embed=False)


def test_no_photos_and_the_wrong_backend(photo):
    with pytest.raises(FshError, match="no photos"):
        prepare()
    with pytest.raises(ValueError, match="fan"):
        prepare(photo, spec=FaceSpec(backend="fan"))
