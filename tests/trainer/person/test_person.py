"""Personalisation and drawing: feed-forward is exact, folders are whole, motion travels."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import SPEC, FaceSpec, clip_of, template
from tiny_run import Told, tiny_config, tiny_folder

from fsh.schemas.clip import FaceClip
from fsh.schemas.errors import FshError, SpecMismatch
from fsh.trainer.data.augmentation import moved_copies
from fsh.trainer.data.pictures import to_pictures
from fsh.trainer.person import motion_transfer as module
from fsh.trainer.person.fine_tuning import fine_tuning
from fsh.trainer.person.motion_transfer import adapt, fill_gaps, one_euro, similarity, steady
from fsh.trainer.person.person import Person
from fsh.trainer.person.personalize import (
    embedding_of,
    personalize,
    prepare,
)
from fsh.trainer.person.step_choice import Judges, most_steps, pictures_of
from fsh.trainer.person.training_set import hold_out
from fsh.trainer.runs import Run
from fsh.trainer.training.content import load_content
from fsh.trainer.training.loop import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("person")
    train(tiny_folder(root / "data"), root / "run", tiny_config(steps=4), Told())
    return root / "run"


def test_zero_steps_is_exactly_the_feed_forward_model(run, tmp_path):
    clip = clip_of(7, 3)
    report = personalize(run, clip, tmp_path / "p", steps=0, progress=Told())
    assert (report.steps, report.photos, report.person) == (0, 3, "p")
    person = Person.load(tmp_path / "p")
    trained = Run.read(run).load_networks()
    photos, _ = prepare(clip, 32)
    with torch.no_grad():
        frames = trained.embedder(photos.images, photos.landmark_images)
        psi = trained.generator.project(frames.mean(0, keepdim=True))
        wanted = to_pictures(trained.generator(photos.landmark_images, psi))
    torch.testing.assert_close(person.coefficients, psi)
    drawn = person.draw(clip.landmarks)
    assert drawn.shape == (3, 32, 32, 3) and drawn.dtype == np.uint8
    assert np.abs(drawn.astype(int) - wanted).max() <= 1


def test_the_folder_is_self_contained_and_without_pickle(run, tmp_path):
    about = {"consent": "I agree"}
    photo = clip_of(7, 1)
    personalize(run, photo, tmp_path / "p", steps=0, progress=Told(), name="Ada", about=about)
    names = sorted(p.name for p in (tmp_path / "p").iterdir())
    assert names == ["generator.safetensors", "person.json", "person.safetensors", "preview.png"]
    card = json.loads((tmp_path / "p/person.json").read_text())
    assert card["name"] == "Ada" and card["about"]["consent"] == "I agree"
    assert FaceSpec.from_json(card["spec"]) == SPEC
    (tmp_path / "p/person.json").write_text(json.dumps({**card, "name": "Eve"}))
    with pytest.raises(FshError, match="digest"):
        Person.load(tmp_path / "p")


def test_drawing_one_by_one_equals_drawing_batched(run, tmp_path):
    clip = clip_of(7, 5)
    personalize(run, clip, tmp_path / "p", progress=Told())
    person = Person.load(tmp_path / "p")
    whole = person.draw(clip.landmarks, batch=4)
    single = np.concatenate([person.draw(clip.landmarks[i : i + 1]) for i in range(5)])
    assert np.abs(whole.astype(int) - single).max() <= 1
    assert person.draw(np.empty((0, 68, 2), np.float32)).shape == (0, 32, 32, 3)
    with pytest.raises(FshError, match="1 frames have no landmarks"):
        person.draw(np.full((1, 68, 2), np.nan, np.float32))


def test_fine_tuning_changes_the_drawing_and_obeys_steps(run, tmp_path):
    clip = clip_of(7, 4)
    personalize(run, clip, tmp_path / "a", steps=0, progress=Told())
    report = personalize(run, clip, tmp_path / "b", steps=20, progress=Told())
    assert report.steps == 20
    a, b = (Person.load(tmp_path / name).draw(clip.landmarks).astype(int) for name in "ab")
    wanted = prepare(clip, 32)[0].images
    errors = [np.abs(x - to_pictures(wanted)).mean() for x in (a, b)]
    assert errors[1] < errors[0]


def test_with_enough_photos_held_out_ones_decide(run, tmp_path):
    told = Told()
    report = personalize(run, clip_of(7, 4), tmp_path / "p", progress=told)
    assert str(report.steps) in report.held_out and "0" in report.held_out
    best = min(report.held_out.values())
    assert report.held_out[str(report.steps)] == best


def test_one_photo_is_fine_tuned_only_as_far_as_moved_copies_of_it_gain(run, tmp_path):
    report = personalize(run, clip_of(7, 1), tmp_path / "p", progress=Told())
    assert report.photos == 1 and "0" in report.held_out
    assert report.steps == int(min(report.held_out, key=lambda step: report.held_out[step]))
    personalize(run, clip_of(7, 1), tmp_path / "q", steps=report.steps, progress=Told())
    points = clip_of(7, 3).landmarks
    p, q = (Person.load(tmp_path / name).draw(points).astype(int) for name in "pq")
    assert np.abs(p - q).max() <= 1  # the trial is the person: nothing is made twice


def test_where_faces_are_recognised_the_trial_on_all_photos_is_the_person(run, tmp_path):
    clip = clip_of(7, 4)
    known = dataclasses.replace(clip, embedding=np.ones(3, np.float32))
    told = Told()
    judges = Judges(
        find=lambda pictures, points: points,
        recognise=lambda pictures, points: np.stack([[1, 1, p.mean()] for p in pictures]),
    )
    report = personalize(run, known, tmp_path / "p", progress=told, judges=judges)
    assert not report.held_out and report.likeness["0"] <= report.likeness[str(report.steps)]
    assert report.likeness.keys() == report.mimicry.keys() and len(report.likeness) > 2
    trained = Run.read(run).load_networks()
    photos, kept = prepare(clip, trained.config.network.size)
    shown, _, _ = hold_out(photos, kept, trained.config.network.size, "cpu", judged=True)
    content, _ = load_content(trained.config, Told())
    tuned = fine_tuning(trained, shown, content, most_steps(4))
    for _ in range(report.steps):
        tuned.step()
    p = Person.load(tmp_path / "p").draw(clip.landmarks).astype(int)
    q = pictures_of(tuned.generator, tuned.coefficients, photos.landmark_images).astype(int)
    assert np.abs(p - q).max() <= 1


def test_moved_copies_take_their_landmarks_along():
    clip = clip_of(7, 2)
    dots = np.zeros_like(clip.frames)
    points = np.full_like(clip.landmarks, 12.0)
    points[:, 0] = (15.0, 18.0)
    dots[:, 17:20, 14:17] = 255
    clip = dataclasses.replace(clip, frames=dots, landmarks=points)
    moved = moved_copies(clip, 3, seed=0)
    again = moved_copies(clip, 3, seed=0)
    assert len(moved) == 6 and (moved.frames == again.frames).all()
    assert len({tuple(p[0]) for p in moved.landmarks}) == 6
    for frame, landmarks in zip(moved.frames, moved.landmarks, strict=True):
        y, x = np.argwhere(frame[..., 0] > 128).mean(axis=0)
        assert np.hypot(*(landmarks[0] - (x, y))) < 0.8


def test_a_long_clip_is_thinned_out(run, tmp_path):
    report = personalize(run, clip_of(7, 50), tmp_path / "p", steps=0, progress=Told())
    assert report.photos == 32


def test_unfit_photos(run, tmp_path):
    clip = clip_of(7, 2)
    lost = FaceClip(
        "x", clip.frames, np.full_like(clip.landmarks, np.nan), clip.times, clip.crops, clip.spec
    )
    with pytest.raises(FshError, match="no face found"):
        personalize(run, lost, tmp_path / "p", progress=Told())
    with pytest.raises(SpecMismatch):
        other = clip_of(7, 2, spec=FaceSpec(size=64, margin=3.0))
        personalize(run, other, tmp_path / "p", progress=Told())
    with pytest.raises(FshError, match="fsh train"):
        personalize(tmp_path / "none", clip, tmp_path / "p", progress=Told())
    assert not (tmp_path / "p").exists()


def test_the_embedding_is_the_mean_over_the_photos(run):
    trained, (photos, _) = Run.read(run).load_networks(), prepare(clip_of(7, 3), 32)
    each = torch.cat([embedding_of(trained, photos[[i]]) for i in range(3)])
    torch.testing.assert_close(embedding_of(trained, photos)[0], each.mean(0))


def moving(frames: int = 20) -> np.ndarray:
    return clip_of(1, frames).landmarks


def test_a_person_driving_themself_is_unchanged():
    driver = moving()
    out = adapt(driver, np.arange(20) / 25, driver[:1], smooth=False, reference=0)
    np.testing.assert_allclose(out, driver, atol=1e-2)


@settings(deadline=None, max_examples=20)
@given(st.floats(0.5, 2.0), st.floats(-30, 30), st.floats(-0.5, 0.5))
def test_the_drivers_framing_does_not_leak(scale, shift, angle):
    driver, person = moving(), template()[None] * 64
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    other = driver @ np.array([[c, s], [-s, c]]) + shift
    options = {"smooth": False, "reference": 3}
    a = adapt(driver, np.arange(20) / 25, person, **options)
    b = adapt(other, np.arange(20) / 25, person, **options)
    np.testing.assert_allclose(a, b, atol=1e-2)


def test_the_drivers_face_shape_does_not_leak():
    driver, person = moving(), template()[None] * 64
    wide = driver[:1] + (driver - driver[:1])  # the same motion …
    wide = wide + (template() * 64 - 32) * [0.3, 0.0]  # … of a face 30 % wider
    out = adapt(wide, np.arange(20) / 25, person, smooth=False, reference=0)
    narrow = adapt(driver, np.arange(20) / 25, person, smooth=False, reference=0)
    own = np.ptp(person[0, :17, 0])
    assert abs(np.ptp(out[0, :17, 0]) - own) < 0.5
    assert np.abs(out - narrow).mean() < 1.5


def test_an_opening_mouth_opens_and_a_turning_head_turns():
    base = template() * 64
    driver = np.stack([base, base, base])
    driver[1, 54:60, 1] += 4
    turn = np.array([[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]])
    driver[2] = (base - 32) @ turn + 32
    person = template()[None] * 64 * [0.9, 1.0]
    out = adapt(driver, np.arange(3) / 25, person, smooth=False, reference=0)
    assert out[1, 57, 1] - out[0, 57, 1] == pytest.approx(4, abs=0.5)
    turned = similarity(out[0], out[2])
    assert np.arctan2(turned[1, 0], turned[0, 0]) == pytest.approx(0.3, abs=0.02)


def test_similarity_recovers_what_made_it():
    random = np.random.default_rng(0)
    points = random.normal(size=(10, 2))
    matrix = np.array([[1.2, -0.5, 3.0], [0.5, 1.2, -2.0]])
    np.testing.assert_allclose(similarity(points, module.apply(matrix, points)), matrix)
    both = module.apply(module.inverse(matrix), module.apply(matrix, points))
    np.testing.assert_allclose(both, points)


def test_smoothing_takes_jitter_and_leaves_motion():
    times = np.cumsum(np.random.default_rng(0).uniform(0.03, 0.05, 100))
    clean = np.tile(template() * 64, (100, 1, 1)) + 6 * np.sin(3 * times)[:, None, None]
    noisy = clean + np.random.default_rng(1).normal(size=clean.shape) * 0.5
    out = steady(noisy, times)

    def jitter(track):
        return np.abs(np.diff(track - clean, axis=0)).mean()

    assert jitter(out) < 0.6 * jitter(noisy)
    assert np.abs(out - clean).mean() < np.abs(noisy - clean).mean()


def test_one_euro_holds_a_still_point_and_knows_true_times():
    still = np.ones((10, 2))
    np.testing.assert_allclose(one_euro(still, np.arange(10) / 25, 1.0, 0.1), still)
    step = np.array([0.0, 1.0])
    slow, fast = (one_euro(step, np.array([0, t]), 1.0, 0.0)[1] for t in (1.0, 0.01))
    assert slow > fast


def test_gaps_are_bridged_over_time():
    landmarks = np.stack([np.full((68, 2), float(i)) for i in range(5)])
    landmarks[[0, 2]] = np.nan
    filled, gaps = fill_gaps(landmarks, np.array([0, 1, 2.5, 3, 4]))
    assert gaps == 2 and filled[0, 0, 0] == 1 and filled[2, 0, 0] == pytest.approx(2.5)
    with pytest.raises(ValueError, match="no frame"):
        fill_gaps(np.full((2, 68, 2), np.nan), np.arange(2))
