"""Irises in landmark images: asked for by a run, held by its people, told apart from all others."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from plain_analyzer import PlainAnalyzer
from tiny_data import SPEC, clip_of
from tiny_run import Told, tiny_config, tiny_folder

from fsh.schemas.errors import FshError, SpecMismatch
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.mesh import IRISES
from fsh.trainer.data.episodes import EpisodeStream
from fsh.trainer.data.plan import plan_data
from fsh.trainer.person.expressions import expressions
from fsh.trainer.person.fine_tuning import FineTuning, start_fine_tuning
from fsh.trainer.person.person import Person
from fsh.trainer.person.personalize import personalize
from fsh.trainer.person.photo_tensors import landmark_image_tensors, photo_tensors
from fsh.trainer.person.step_choice import STEP_CHOICE, _QualityMeter
from fsh.trainer.runs import Run
from fsh.trainer.training.content import load_content
from fsh.trainer.training.dry_run import plan_training
from fsh.trainer.training.loop import train

MESHES = replace(SPEC, backend="mediapipe")
GAZE = replace(MESHES, gaze=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_folder(tmp_path_factory.mktemp("gaze") / "data", spec=MESHES)


@pytest.fixture(scope="module")
def run(data):
    run = data.root.parent / "run"
    train(data, run, tiny_config(steps=2, gaze=True), Told())
    return run


def looking(faces: FaceLandmarks, shift: float) -> FaceLandmarks:
    assert faces.mesh is not None
    mesh = faces.mesh.copy()
    mesh[:, IRISES, 0] += shift
    return FaceLandmarks(faces.points, mesh)


def test_a_run_and_its_people_draw_them_and_say_so(run, tmp_path):
    assert Run.read(run).spec == GAZE and "with gaze" in str(GAZE)
    photos = clip_of(7, 2, spec=GAZE)
    personalize(run, photos, tmp_path / "person", steps=0, progress=Told())
    person = Person.load(tmp_path / "person")
    assert person.spec == GAZE
    faces = FaceLandmarks(photos.landmarks, photos.mesh)
    ahead, aside = person.draw(looking(faces, 0)), person.draw(looking(faces, 4))
    assert not np.array_equal(ahead, aside), "the drawing follows the eyes"
    with pytest.raises(SpecMismatch, match=r"with gaze.*both draw irises"):
        personalize(run, clip_of(7, 2, spec=MESHES), tmp_path / "other", progress=Told())


def test_drawings_of_landmarks_alone_have_the_irises_that_go_with_them(run, tmp_path):
    photos = clip_of(7, 2, spec=GAZE)
    personalize(run, photos, tmp_path / "person", steps=0, progress=Told())
    person, faces = Person.load(tmp_path / "person"), FaceLandmarks(photos.landmarks, photos.mesh)
    wanted, found = (person.draw(shown).astype(int) for shown in (faces, photos.landmarks))
    aside = person.draw(looking(faces, 4)).astype(int)
    assert np.abs(found - wanted).mean() < 0.1 * np.abs(aside - wanted).mean()


def test_what_fine_tuning_is_measured_by_is_drawn_as_in_training(run):
    networks, clip = Run.read(run).load_networks(), clip_of(7, 3, spec=GAZE)
    photos, used = photo_tensors(clip, networks.config.network)
    given: list[torch.Tensor] = []

    def draw(lines, *references):
        given.append(lines)
        return tuning.generator(lines, tuning.coefficients, *references)

    class Watched(FineTuning):
        @contextmanager
        def drawing(self):
            yield draw

    content, _ = load_content(networks.config, Told())
    begun = start_fine_tuning(networks, photos, content, 1)
    tuning = Watched(begun.generator.eval(), begun.coefficients, begun.step)
    meter = _QualityMeter(networks, tuning, used, PlainAnalyzer(), STEP_CHOICE)
    meter.draw(used.landmarks)
    assert torch.allclose(torch.cat(given), photos.landmark_images, atol=0.02)
    given.clear()
    asked = [e for e in expressions(meter.shape) if e.name != "eyes closed"]
    points = np.stack([expression.landmarks for expression in asked])
    meter.draw(points)
    plain = landmark_image_tensors(points, used.spec.size, networks.config.network.size)
    assert (torch.cat(given) != plain).flatten(1).any(1).all(), "irises follow the eyes"


def test_a_run_goes_on_as_it_began(run, data, tmp_path):
    with pytest.raises(FshError, match="gaze = True, now it is False"):
        train(data, run, tiny_config(steps=3), Told())
    assert train(data, run, tiny_config(steps=3, gaze=True), Told()).resumed_from == 2
    plain = tmp_path / "plain"
    train(data, plain, tiny_config(steps=1), Told())
    assert Run.read(plain).spec == MESHES
    photo = clip_of(7, 1, spec=MESHES)
    personalize(plain, photo, tmp_path / "p", steps=0, progress=Told())
    person, faces = Person.load(tmp_path / "p"), FaceLandmarks(photo.landmarks, photo.mesh)
    drawn = [person.draw(looking(faces, shift)) for shift in (0, 4)]
    assert np.array_equal(*drawn), "nothing that it was given has moved"


def test_without_meshes_it_is_refused_before_anything_is_trained(tmp_path):
    data = tiny_folder(tmp_path / "data")
    for begin in (
        lambda: train(data, tmp_path / "run", tiny_config(gaze=True), Told()),
        lambda: plan_training(data, tmp_path / "run", tiny_config(gaze=True)),
    ):
        with pytest.raises(FshError, match=r"dlib does not find .*--landmarks mediapipe"):
            begin()


def test_episodes_have_irises_if_asked_for(data):
    shards = plan_data(data, workers=0).shards
    options = {"crop_size": 64, "image_size": 64, "frames": 2, "batch": 2, "seed": 3}
    plain, drawn = (next(iter(EpisodeStream(shards, gaze=g, **options))) for g in (False, True))
    assert plain.keys == drawn.keys
    eyes = drawn.points.numpy()[:, :, IRISES, :2] * 64 - 0.5
    changed = (plain.landmark_images != drawn.landmark_images).any(-1).numpy()
    for episode, frame, row, column in np.argwhere(changed):
        away = np.abs(eyes[episode, frame] - [column, row]).max(1)
        assert away.min() < 3
    assert changed.any(axis=(2, 3)).all()


def test_a_data_set_fits_runs_with_and_without():
    assert GAZE.of_crops == MESHES and MESHES.with_gaze(True) == GAZE
    assert "gaze" not in MESHES.to_json() and type(GAZE).from_json(GAZE.to_json()) == GAZE
    assert type(GAZE).from_json(MESHES.to_json()) == MESHES
    with pytest.raises(SpecMismatch, match="hash"):
        type(GAZE).from_json({**MESHES.to_json(), "gaze": True})
    assert replace(MESHES, size=256).hash == "4dc8022c5954", "as before there was such a thing"
