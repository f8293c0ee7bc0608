"""Pictures of more than eight bits, of other colours, of several pages: always what was meant."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from faces_helpers import portrait
from PIL import Image, ImageCms

from fsh.pipeline.media.pictures import read_photo
from fsh.schemas.errors import FshError

RGB = portrait()
GRAY = cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY)
TWELVE = {"L": GRAY.astype(np.uint16) * 16, "RGB": RGB.astype(np.uint16) * 16}


def close(path, wanted, within=2, **options) -> None:
    said: list[str] = []
    picture = read_photo(path, say=said.append, **options)
    wanted = wanted if wanted.ndim == 3 else np.repeat(wanted[..., None], 3, axis=2)
    assert picture.shape == wanted.shape and picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - wanted).max() <= within
    assert said == []


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("bits", [9, 10, 12, 14, 16])
def test_fewer_bits_in_sixteen(tmp_path, mode, bits):
    eight = GRAY if mode == "L" else RGB
    values = np.rint(eight * ((2**bits - 1) / 255)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb" if mode == "RGB" else None)
    close(tmp_path / "a.tif", eight)
    cv2.imwrite(str(tmp_path / "lzw.tif"), values[..., ::-1] if mode == "RGB" else values)
    close(tmp_path / "lzw.tif", eight)
    cv2.imwrite(str(tmp_path / "a.png"), values[..., ::-1] if mode == "RGB" else values)
    close(tmp_path / "a.png", eight)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("white", [1, 255, 4095, 65535, 3.7, 1e6])
def test_floats_of_any_range(tmp_path, mode, kind, white):
    if kind is np.float16 and white > 60000:
        return
    eight = GRAY if mode == "L" else RGB
    values = (eight / 255 * white).astype(kind)
    assert eight.min() == 0 and eight.max() == 255
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb" if mode == "RGB" else None)
    close(tmp_path / "a.tif", eight)


def test_floats_below_zero_not_a_number_and_infinite(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", (GRAY / 127.5 - 1).astype(np.float32))
    close(tmp_path / "a.tif", GRAY)
    odd = (GRAY / 255).astype(np.float32)
    odd[0, :2] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "b.tif", odd)
    picture = read_photo(tmp_path / "b.tif")[..., 0]
    assert picture[0, :2].tolist() == [0, 255]
    assert np.abs(picture[1:].astype(int) - GRAY[1:]).max() <= 1


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.uint32])
def test_integers_with_a_sign_and_long_ones(tmp_path, kind):
    limits = np.iinfo(kind)
    values = np.rint(GRAY / 255.0 * (float(limits.max) - limits.min) + limits.min)
    tifffile.imwrite(tmp_path / "whole.tif", values.clip(limits.min, limits.max).astype(kind))
    close(tmp_path / "whole.tif", GRAY)
    if kind != np.int8:
        tifffile.imwrite(tmp_path / "twelve.tif", TWELVE["L"].astype(kind))
        close(tmp_path / "twelve.tif", GRAY)


def test_a_dim_picture_stays_dim(tmp_path):
    dim = GRAY // 5
    cv2.imwrite(str(tmp_path / "a.png"), dim.astype(np.uint16) * 257)
    close(tmp_path / "a.png", dim)
    cv2.imwrite(str(tmp_path / "b.png"), (GRAY // 2).astype(np.uint16) * 256)
    close(tmp_path / "b.png", GRAY // 2)


def test_what_the_file_says_counts(tmp_path):
    dim = TWELVE["L"] // 5
    tags = [(281, "H", 1, 4095, True)]
    tifffile.imwrite(tmp_path / "a.tif", dim, extratags=tags)
    close(tmp_path / "a.tif", GRAY // 5)
    tags = [(340, "f", 1, 0.0, True), (341, "f", 1, 10.0, True)]
    tifffile.imwrite(tmp_path / "b.tif", (GRAY / 255 * 2).astype(np.float32), extratags=tags)
    close(tmp_path / "b.tif", GRAY // 5)
    cv2.imwrite(str(tmp_path / "plain.png"), dim)
    content = (tmp_path / "plain.png").read_bytes()
    chunk = b"sBIT" + bytes([12])
    bits = struct.pack(">I", 1) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(content[:33] + bits + content[33:])
    close(tmp_path / "a.png", GRAY // 5)


@pytest.mark.parametrize("samples", [1, 3])
def test_twelve_bits_packed(tmp_path, samples):
    wanted = (GRAY[..., None] if samples == 1 else RGB)[:, :510] // 5
    values = wanted.astype(np.uint16) * 16  # dim: only its BitsPerSample tells
    one, two = values.reshape(512, -1, 2).transpose(2, 0, 1)
    packed = np.stack([one >> 4, (one & 15) << 4 | two >> 8, two & 255], -1).astype(np.uint8)
    bits = (258, 1, 12) if samples == 1 else (258, 3, 280)
    entries = [(256, 1, 510), (257, 1, 512), bits, (259, 1, 1), (262, 1, 1 + (samples > 1))]
    entries += [(273, 1, 300), (277, 1, samples), (278, 1, 512), (279, 1, packed.size)]
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    for tag, count, value in entries:
        head += struct.pack("<HHII", tag, 3 if tag == 258 else 4, count, value)
    head = (head + bytes(4)).ljust(280, b"\0") + struct.pack("<HHH", 12, 12, 12)
    (tmp_path / "a.tif").write_bytes(head.ljust(300, b"\0") + packed.tobytes())
    close(tmp_path / "a.tif", wanted if samples == 3 else wanted[..., 0])


def test_white_is_zero_planes_apart_and_alpha(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", 4080 - TWELVE["L"], photometric="miniswhite")
    close(tmp_path / "a.tif", GRAY)
    planes = TWELVE["RGB"].transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "b.tif", planes, photometric="rgb", planarconfig="separate")
    close(tmp_path / "b.tif", RGB)
    alpha = np.full((512, 512, 1), 65535, np.uint16)
    alpha[:256] = 0
    whole = np.concatenate([RGB.astype(np.uint16) * 257, alpha], axis=2)
    tifffile.imwrite(tmp_path / "c.tif", whole, photometric="rgb", extrasamples=["unassalpha"])
    cv2.imwrite(str(tmp_path / "c.png"), whole[..., [2, 1, 0, 3]])
    wanted = np.where(alpha == 0, 255, RGB).astype(np.uint8)
    for name in ("c.tif", "c.png"):
        close(tmp_path / name, wanted)


def test_one_bit_palettes_and_cmyk(tmp_path):
    black_white = Image.fromarray(GRAY > 128)
    for compression in (None, "group4"):
        black_white.save(tmp_path / "1.tif", compression=compression)
        close(tmp_path / "1.tif", np.where(GRAY > 128, 255, 0))
    colors = np.linspace(0, 65535, 256).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "p.tif", GRAY, photometric="palette", colormap=np.stack([colors] * 3)
    )
    close(tmp_path / "p.tif", GRAY)
    ink = np.array(Image.fromarray(RGB).convert("CMYK"))
    tifffile.imwrite(tmp_path / "c.tif", ink.astype(np.uint16) * 257, photometric="separated")
    close(tmp_path / "c.tif", RGB)


def test_lab_in_eight_and_sixteen_bits(tmp_path):
    lab_profile, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    image = ImageCms.profileToProfile(Image.fromarray(RGB), srgb, lab_profile, outputMode="LAB")
    image.save(tmp_path / "8.tif")
    stored = np.array(image).astype(np.int32) - (0, 128, 128)
    sixteen = np.stack([stored[..., 0] * 257, stored[..., 1] * 256, stored[..., 2] * 256], -1)
    sixteen = (sixteen & 0xFFFF).astype(np.uint16)
    tifffile.imwrite(tmp_path / "16.tif", sixteen, photometric="cielab")
    for name in ("8.tif", "16.tif"):
        picture = read_photo(tmp_path / name)
        assert np.abs(picture.astype(int) - RGB).mean() < 3  # a* and b* have eight bits


def test_the_first_of_several_pages_is_used_and_said(tmp_path):
    said: list[str] = []
    tifffile.imwrite(tmp_path / "deep.tif", np.stack([TWELVE["L"], TWELVE["L"] // 2]))
    pages = [Image.fromarray(GRAY), Image.fromarray(GRAY // 2)]
    for name in ("a.tif", "a.gif"):
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    for name in ("deep.tif", "a.tif", "a.gif"):
        picture = read_photo(tmp_path / name, say=said.append)
        assert np.abs(picture[..., 0].astype(int) - GRAY).max() <= 1
        assert said.pop() == f"{name}: 2 pictures in one file, the first is used"


def test_orientation_of_a_deep_tiff(tmp_path):
    upright = np.zeros((16, 24), np.uint16)
    upright[:8, :8] = 4095
    for values in (upright, upright.astype(np.float64)):  # the second is not Pillow's
        tifffile.imwrite(tmp_path / "a.tif", np.rot90(values), extratags=[(274, "H", 1, 6, True)])
        close(tmp_path / "a.tif", np.where(upright > 0, 255, 0))
        assert read_photo(tmp_path / "a.tif", upright=False).shape == (24, 16, 3)


def test_nearly_black_and_nearly_white_are_said(tmp_path):
    for name, picture in (("black.png", GRAY // 16), ("white.png", 240 + GRAY // 17)):
        said: list[str] = []
        Image.fromarray(picture).save(tmp_path / name)
        read_photo(tmp_path / name, say=said.append)
        assert said == [f"{name}: the picture is nearly {name[:5]}"]


def test_a_damaged_deep_tiff_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", TWELVE["RGB"], photometric="rgb")
    content = (tmp_path / "a.tif").read_bytes()
    for kept in (len(content) // 2, 300, 100, 8, 4):
        (tmp_path / "cut.tif").write_bytes(content[:kept])
        with pytest.raises(FshError, match=r"cut\.tif"):
            read_photo(tmp_path / "cut.tif")


def test_a_huge_deep_tiff_is_refused(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", shape=(20_000, 20_000, 3), dtype=np.float32, photometric="rgb"
    )
    with pytest.raises(FshError, match="too large"):
        read_photo(tmp_path / "a.tif")


def profile_of(name: str) -> bytes:
    """An ICC profile of primaries and a white point, or of grey, made from numbers."""
    if name == "gray":
        body = {b"kTRC": b"curv" + bytes(4) + struct.pack(">IH", 1, round(1.0 * 256)) + bytes(2)}
        space = b"GRAY"
    else:  # Display P3, adapted to D50
        columns = {
            b"rXYZ": (0.5151, 0.2412, -0.0011),
            b"gXYZ": (0.2920, 0.6922, 0.0419),
            b"bXYZ": (0.1571, 0.0666, 0.7841),
        }
        curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
        body = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
        body |= {key: b"XYZ " + bytes(4) + fixed(*xyz) for key, xyz in columns.items()}
        space = b"RGB "
    text = b"a test"
    body[b"desc"] = b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + bytes(80)
    body[b"wtpt"] = b"XYZ " + bytes(4) + fixed(0.9642, 1.0, 0.8249)
    body[b"cprt"] = b"text" + bytes(4) + b"none\0"
    place, table, data = 128 + 4 + 12 * len(body), b"", b""
    for key, value in body.items():
        value = value.ljust(-(-len(value) // 4) * 4, b"\0")
        table += key + struct.pack(">II", place + len(data), len(value))
        data += value
    head = struct.pack(">I", place + len(data)) + bytes(4) + bytes([2, 0x40, 0, 0])
    head += b"mntr" + space + b"XYZ " + bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(body)) + table + data


def fixed(*numbers: float) -> bytes:
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colour_profiles_are_converted(tmp_path, mode):
    """Pure green of Display P3 lies outside sRGB, its red nearly does; its greys are the same."""
    image = Image.new("RGB", (4, 4), (200, 100, 100))
    image.paste((128, 128, 128), (0, 0, 2, 4))
    profile = profile_of("p3")
    image.convert(mode, palette=Image.Palette.ADAPTIVE).save(
        tmp_path / "a.png", icc_profile=profile
    )
    picture = read_photo(tmp_path / "a.png")
    assert np.abs(picture[0, 0].astype(int) - 128).max() <= 2
    red, green, blue = picture[0, 3].astype(int)
    assert red > 208 and green < 98 and abs(blue - 98) < 6


def test_profiles_of_grey_sixteen_bits_and_srgb_itself(tmp_path):
    Image.new("L", (4, 4), 55).save(tmp_path / "gray.png", icc_profile=profile_of("gray"))
    assert np.abs(read_photo(tmp_path / "gray.png").astype(int) - 128).max() <= 2  # linear light
    values = np.full((4, 4, 3), (200 * 257, 100 * 257, 100 * 257), np.uint16)
    tags = [(34675, 7, len(profile_of("p3")), profile_of("p3"), True)]
    tifffile.imwrite(tmp_path / "p3.tif", values, photometric="rgb", extratags=tags)
    assert read_photo(tmp_path / "p3.tif")[0, 0, 0] > 208
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(RGB).save(tmp_path / "srgb.png", icc_profile=srgb)
    assert np.array_equal(read_photo(tmp_path / "srgb.png"), RGB)  # to the bit


@pytest.mark.parametrize("profile", [b"no profile", profile_of("gray"), profile_of("p3")[:200]])
def test_a_broken_or_foreign_profile_is_ignored_with_a_line(tmp_path, profile):
    said: list[str] = []
    Image.fromarray(RGB).save(tmp_path / "a.png", icc_profile=profile)
    assert np.array_equal(read_photo(tmp_path / "a.png", say=said.append), RGB)
    assert said == ["a.png: its colour profile cannot be used, its colours are taken for sRGB"]
