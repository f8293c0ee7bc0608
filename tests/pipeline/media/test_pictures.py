"""Picture files as users have them."""

from __future__ import annotations

import base64
import struct

import cv2
import numpy as np
import pytest
from faces_helpers import portrait
from PIL import Image

from fsh.pipeline.media.pictures import photo_paths, read_photo
from fsh.schemas.errors import FshError


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "portrait.png"
    Image.fromarray(portrait()).save(path)
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff"])
def test_formats(tmp_path, suffix):
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(portrait()).save(path, quality=95)
    image = read_photo(path)
    assert image.dtype == np.uint8 and image.shape == (512, 512, 3)
    assert np.abs(image.astype(int) - portrait()).mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_rotated_as_exif_says(tmp_path, orientation):
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


def test_transparent_pixels_become_white(tmp_path):
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


def test_no_other_program_runs_what_is_in_a_picture(tmp_path, monkeypatch):
    Image.new("RGB", (64, 64)).save(tmp_path / "program.eps")
    (tmp_path / "photo.jpg").write_bytes((tmp_path / "program.eps").read_bytes())
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *a, **k: pytest.fail("was run"))
    with pytest.raises(FshError, match="not a picture, or one in an unknown format"):
        read_photo(tmp_path / "photo.jpg")


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


def test_heic_without_its_extra_says_which(tmp_path):
    head = b"ftypheic" + bytes(4) + b"mif1heic"
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(struct.pack(">I", 4 + len(head)) + head + bytes(64))
    with pytest.raises(FshError, match=r"IMG_1\.HEIC.*fsh\[heic\]"):
        read_photo(path, heif=False)


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
