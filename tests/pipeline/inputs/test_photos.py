"""A person's photos as one clip, through the real detector."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import tifffile
from faces_helpers import Told, dlib_landmarks, portrait, portrait_points
from PIL import Image

from fsh.pipeline.faces.crop import CropWindow, real_window, to_crop
from fsh.pipeline.inputs.photos import prepare_photos
from fsh.schemas.errors import FshError
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.progress import Silent

SPEC = FaceSpec()


def prepare(*paths, **options):
    options = {"spec": SPEC, "backend": dlib_landmarks(), "progress": Silent(), **options}
    return prepare_photos(list(paths), **options)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "portrait.png"
    Image.fromarray(portrait()).save(path)
    return path


def test_a_photo_is_a_one_frame_clip(photo):
    clip, rejected = prepare(photo)
    assert rejected == [] and len(clip) == 1 and clip.name == "portrait.png"
    assert clip.frames.shape == (1, 256, 256, 3) and clip.found.all()
    assert clip.embedding is not None and clip.embedding.shape == (128,)
    # Landmarks found on the crop are where they are in the photo, to two of the photo's pixels.
    window = CropWindow(*(int(v) for v in clip.crops[0]))
    there = to_crop(portrait_points(), window, SPEC.size)
    assert np.abs(clip.landmarks[0] - there).mean() < 2 * SPEC.size / window.side
    # The head is inside: brows below a third, chin above nine tenths.
    ys = clip.landmarks[0, :, 1] / SPEC.size
    assert 0.3 < ys.min() < 0.45 and 0.75 < ys.max() < 0.9
    assert abs(clip.landmarks[0, :, 0].mean() - SPEC.size / 2) < 20


def test_larger_crops_show_the_same_with_more_pixels(photo):
    clip, _ = prepare(photo, embed=False, large=512)
    assert clip.large is not None and clip.large.shape == (1, 512, 512, 3)
    halved = cv2.resize(clip.large[0], (256, 256), interpolation=cv2.INTER_AREA)
    assert np.abs(halved.astype(int) - clip.frames[0]).mean() < 4
    assert prepare(photo, embed=False)[0].large is None


def test_of_a_tight_photo_it_is_known_what_is_real(tmp_path):
    points = portrait_points()
    above = int(points[:, 1].min()) - 60  # the forehead is cut off
    image = portrait()[above:]
    path = tmp_path / "tight.png"
    Image.fromarray(image).save(path)
    clip, _ = prepare(path, embed=False)
    window = CropWindow(*(int(v) for v in clip.crops[0]))
    wanted = real_window(window, (image.shape[1], image.shape[0]), SPEC.size)
    assert wanted[1] > 5 and np.array_equal(clip.real, wanted[None])


def test_the_same_photo_gives_the_same_clip(photo):
    first, second = prepare(photo)[0], prepare(photo)[0]
    assert np.array_equal(first.frames, second.frames)
    assert np.array_equal(first.landmarks, second.landmarks)


def test_photos_without_a_face_are_left_out_and_named(photo, tmp_path):
    Image.new("RGB", (90, 6), "gray").save(tmp_path / "wall.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    paths = [tmp_path / "broken.jpg", photo, tmp_path / "wall.png"]
    clip, rejected = prepare(*paths, embed=False)
    assert len(clip) == 1 and clip.embedding is None
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
    with pytest.raises(FshError, match=r"no face number 2: it has 2, .*give --face 0 to 1"):
        prepare(tmp_path / "pair.png", face=2, embed=False)


def test_a_number_is_about_photos_with_several_faces(photo, tmp_path):
    head = portrait()[:280, 80:360]
    pair = np.hstack([head, cv2.resize(head[:, ::-1], (350, 350))[:280]])
    Image.fromarray(pair).save(tmp_path / "pair.png")
    clip, rejected = prepare(photo, tmp_path / "pair.png", face=1, embed=False)
    assert len(clip) == 2 and rejected == []  # the only face of one, the right one of the other
    clip, rejected = prepare(photo, tmp_path / "pair.png", face=3, embed=False)
    assert len(clip) == 1 and [r.path.name for r in rejected] == ["pair.png"]


def test_the_same_pixels_in_other_files_are_one_photo(photo, tmp_path):
    Image.fromarray(portrait()).save(tmp_path / "again.bmp")
    clip, rejected = prepare(photo, tmp_path / "again.bmp", embed=False, distinct=True)
    assert len(clip) == 1 and rejected[0].reason == "the same picture as portrait.png"
    assert len(prepare(photo, tmp_path / "again.bmp", embed=False)[0]) == 2


def test_too_many_photos_are_thinned_out_and_named(photo, tmp_path):
    paths = []
    for i in range(5):
        Image.fromarray(portrait()[i:]).save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    clip, rejected = prepare(*paths, embed=False, at_most=3)
    assert len(clip) == 3 and [r.path.name for r in rejected] == ["1.png", "3.png"]
    assert rejected[0].reason == "5 photos, and 3 are used, spread evenly"


def test_a_deep_picture_gives_the_same_face(photo, tmp_path):
    twelve = np.rint(portrait() * (4095 / 255)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "12.tif", twelve, photometric="rgb")
    told = Told()
    deep, plain = prepare(tmp_path / "12.tif", progress=told)[0], prepare(photo)[0]
    assert np.array_equal(deep.frames, plain.frames) and told.lines == []
    Image.fromarray(portrait() // 5).save(tmp_path / "dark.png")
    Image.fromarray(portrait() // 40 + 2).save(tmp_path / "black.png")
    prepare(photo, tmp_path / "dark.png", tmp_path / "black.png", embed=False, progress=told)
    assert "black.png: the picture is nearly black" in told.lines


def test_no_photos_and_the_wrong_backend(photo):
    with pytest.raises(FshError, match="no photos"):
        prepare()
    with pytest.raises(ValueError, match="fan"):
        prepare(photo, spec=FaceSpec(backend="fan"))
