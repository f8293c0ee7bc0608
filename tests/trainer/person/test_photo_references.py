"""People whose photos are copied from: kept, chosen, bent, drawn, and fine-tuned."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_data import FaceSpec, clip_of
from tiny_run import TINY, Told, tiny_config, tiny_folder

from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.trainer.data.landmark_images import in_shares
from fsh.trainer.person.fine_tuning import FineTuning, own_references
from fsh.trainer.person.person import Person
from fsh.trainer.person.personalize import personalize
from fsh.trainer.person.photo_references import PhotoReferences, same_scene, various
from fsh.trainer.person.photo_tensors import photo_tensors
from fsh.trainer.person.step_choice import StepChoiceConfig
from fsh.trainer.person.training_set import with_copies
from fsh.trainer.training.loop import train

MESHED = FaceSpec(size=64, backend="mediapipe")
NETWORK = dataclasses.replace(TINY, references=3, picture=64)


@pytest.fixture(scope="module", params=["mediapipe", "dlib"])
def run(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("references")
    data = tiny_folder(root / "data", spec=FaceSpec(size=64, backend=request.param))
    train(data, root / "run", tiny_config(steps=3, network=NETWORK), Told())
    return root / "run", FaceSpec(size=64, backend=request.param)


@pytest.mark.parametrize("photos", [1, 3])
def test_a_person_is_drawn_at_the_photos_size_and_kept_whole(run, tmp_path, photos):
    folder, spec = run
    clip = clip_of(7, photos, spec=spec)
    report = personalize(folder, clip, tmp_path / "p", steps=2, progress=Told())
    person = Person.load(tmp_path / "p")
    assert report.photos == photos and person.size == 64
    assert len(person.references) == photos
    driver = clip_of(8, 5, spec=spec)
    faces = FaceLandmarks(driver.landmarks, driver.mesh)
    drawn = person.draw(faces)
    assert drawn.shape == (5, 64, 64, 3)
    again = np.concatenate(
        [person.draw(faces[i : i + 2], chosen=person.choose(faces)[i : i + 2]) for i in (0, 2, 4)]
    )
    assert np.abs(drawn.astype(int) - again).max() <= 1


def test_before_training_a_photo_drawn_as_it_is_held_is_that_photo(tmp_path):
    data = tiny_folder(tmp_path / "data", spec=MESHED)
    train(data, tmp_path / "run", tiny_config(steps=1, network=NETWORK), Told())
    clip = clip_of(7, 1, spec=MESHED)
    personalize(tmp_path / "run", clip, tmp_path / "p", steps=0, progress=Told())
    person = Person.load(tmp_path / "p")
    drawn = person.draw(FaceLandmarks(clip.landmarks, clip.mesh))
    assert np.abs(drawn.astype(int) - clip.frames).mean() < 6
    # From landmarks alone the photo's own mesh follows them.
    assert np.abs(drawn.astype(int) - person.draw(clip.landmarks)).mean() < 3
    assert person.draw(clip.mesh).shape == drawn.shape


def test_a_person_of_larger_photos_is_drawn_as_large_and_shows_what_they_show(tmp_path):
    data = tiny_folder(tmp_path / "data", spec=MESHED)
    train(data, tmp_path / "run", tiny_config(steps=1, network=NETWORK), Told())
    clip = clip_of(7, 1, spec=MESHED)
    fine = np.indices((160, 160)).sum(0) // 3 % 2 * 200  # what 64 pixels cannot show
    large = dataclasses.replace(clip, large=np.tile(fine[None, ..., None], 3).astype(np.uint8))
    report = personalize(tmp_path / "run", large, tmp_path / "p", steps=1, progress=Told())
    person = Person.load(tmp_path / "p")
    drawn = person.draw(FaceLandmarks(clip.landmarks, clip.mesh))
    assert report.steps == 1 and person.size == 160 and drawn.shape == (1, 160, 160, 3)
    assert np.abs(drawn[0, 20:-20, 20:-20, 1].astype(int) - fine[20:-20, 20:-20]).mean() < 40
    with Image.open(tmp_path / "p" / "preview.png") as preview:
        assert preview.size == (3 * 160, 160)


def test_a_choice_is_kept_while_it_fits_and_begins_with_the_nearest():
    clip = clip_of(7, 6, spec=MESHED)
    references = PhotoReferences.of(clip)
    targets = references.points[[2, 2, 5]]
    chosen = references.choose(targets, 3)
    assert chosen.shape == (3, 3) and chosen[0, 0] == 2 and torch.equal(chosen[0], chosen[1])
    assert chosen[2, 0] == 5
    near = targets[0] + 0.1 * (targets[2] - targets[0])
    assert torch.equal(references.choose(torch.stack([targets[0], near]), 3)[1], chosen[0])
    assert references.choose(targets, 8).shape == (3, 8)


def test_only_the_face_is_copied_from_another_scene():
    clip = clip_of(7, 3, spec=MESHED)
    frames = clip.frames.copy()
    frames[1] = 255 - frames[1]
    references = PhotoReferences.of(dataclasses.replace(clip, frames=frames))
    other = (~references.same_scene).nonzero().flatten().tolist()
    assert len(other) in (1, 2)
    chosen = references.choose(references.points, 3)
    assert (chosen == references.still).any(1).all()
    assert same_scene(torch.zeros(2, 3, 8, 8)).tolist() == [True, True]
    again = PhotoReferences.from_tensors(**references.tensors())
    assert torch.equal(again.pictures, references.pictures)
    assert torch.equal(again.same_scene, references.same_scene)


def test_various_faces_begin_with_the_most_usual_and_differ():
    points = torch.from_numpy(in_shares(clip_of(7, 8, spec=MESHED).mesh, 64))
    points = torch.cat([points, points[:1], points[:1]])
    taken = various(points, 4)
    assert len(set(taken)) == 4 and len({0, 8, 9} & set(taken)) <= 1
    assert various(points[:2], 16) in ([0, 1], [1, 0])


@pytest.mark.parametrize("count", [1, 3])
def test_no_photo_is_learned_from_itself(count):
    clip = clip_of(7, count, spec=MESHED)
    photos, used = photo_tensors(clip, NETWORK)
    photos = with_copies(photos, used, NETWORK, "cpu")
    assert len(photos) > count and photos.originals == count
    for target in range(len(photos)):
        references = own_references(photos, [target], NETWORK)
        same = [
            bool((picture == photos.images[photos.origins[target]]).all())
            for picture in references.pictures[0]
        ]
        assert any(same) == (count == 1 and target > 0)
    assert own_references(photos, [0], TINY) is None


def test_a_single_photo_teaches_only_what_paints_mouths(run, tmp_path):
    folder, spec = run
    photo, meshed = clip_of(7, 1, spec=spec), spec.backend == "mediapipe"
    short = StepChoiceConfig(fewest_steps=3, most_steps=5)
    report = personalize(folder, photo, tmp_path / "p", progress=Told(), step_choice=short)
    if not meshed:  # no mouth is painted: everything learns, as far as moved copies gain
        assert report.steps in report.held_out_loss
        return
    assert report.steps == 5 and not report.measured
    personalize(folder, photo, tmp_path / "q", steps=0, progress=Told())
    taught, still = (Person.load(tmp_path / name) for name in "pq")
    assert torch.equal(taught.coefficients, still.coefficients)
    before, after = still.generator.state_dict(), taught.generator.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    changed.discard("project.weight")  # it has made ψ, and draws nothing
    assert changed and all(name.startswith("mouth.") for name in changed)


def test_what_learns_alone_still_does_after_it_was_looked_at():
    parts = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)).eval()
    parts[1].train()
    tuning = FineTuning(parts, torch.nn.Parameter(torch.zeros(1, 1)), dict)
    with tuning.drawing():
        assert not any(part.training for part in parts.modules())
    assert [part.training for part in parts.modules()] == [False, False, True]


def test_several_photos_are_tried_once_and_the_best_trial_is_the_person(run, tmp_path):
    folder, spec = run
    told, photos = Told(), clip_of(7, 4, spec=spec)
    short = StepChoiceConfig(fewest_steps=12, most_steps=12)
    report = personalize(folder, photos, tmp_path / "p", progress=told, step_choice=short)
    losses = report.held_out_loss
    assert list(losses) == [0, 2, 4, 6] and report.steps in losses
    assert told.steps == 6  # nothing is made a second time
