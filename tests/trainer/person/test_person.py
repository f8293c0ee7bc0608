"""Personalisation and drawing: feed-forward is exact, folders are whole, steps are chosen."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from plain_analyzer import PlainAnalyzer
from tiny_data import SPEC, FaceSpec, clip_of
from tiny_run import TINY, Told, tiny_config, tiny_folder

from fsh.schemas.errors import FshError, SpecMismatch
from fsh.schemas.faces.clip import FaceClip
from fsh.trainer.data.pictures import to_pictures
from fsh.trainer.person.fine_tuning import mean_embedding, start_fine_tuning
from fsh.trainer.person.person import Person
from fsh.trainer.person.personalize import PersonReport, personalize
from fsh.trainer.person.photo_tensors import photo_tensors
from fsh.trainer.person.step_choice import StepChoiceConfig, StepQuality
from fsh.trainer.person.training_set import split_photos
from fsh.trainer.runs import Run
from fsh.trainer.training.content import load_content
from fsh.trainer.training.loop import train

QUICK = StepChoiceConfig(fewest_steps=20, most_steps=20)


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
    networks = Run.read(run).load_networks()
    photos, _ = photo_tensors(clip, TINY)
    with torch.no_grad():
        frames = networks.embedder(photos.images, photos.landmark_images)
        psi = networks.generator.project(frames.mean(0, keepdim=True))
        wanted = to_pictures(networks.generator(photos.landmark_images, psi))
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
    personalize(run, clip, tmp_path / "p", steps=3, progress=Told())
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
    wanted = photo_tensors(clip, TINY)[0].images
    errors = [np.abs(x - to_pictures(wanted)).mean() for x in (a, b)]
    assert errors[1] < errors[0]


def test_with_enough_photos_held_out_ones_decide(run, tmp_path):
    told = Told()
    photos = clip_of(7, 4)
    report = personalize(run, photos, tmp_path / "p", progress=told, step_choice=QUICK)
    assert report.steps in report.held_out_loss and 0 in report.held_out_loss
    assert report.held_out_loss[report.steps] == min(report.held_out_loss.values())


def test_one_photo_is_fine_tuned_only_as_far_as_moved_copies_of_it_gain(run, tmp_path):
    photo = clip_of(7, 1)
    report = personalize(run, photo, tmp_path / "p", progress=Told(), step_choice=QUICK)
    assert report.photos == 1 and 0 in report.held_out_loss
    assert report.steps == min(report.held_out_loss, key=lambda step: report.held_out_loss[step])
    personalize(run, photo, tmp_path / "q", steps=report.steps, progress=Told())
    points = clip_of(7, 3).landmarks
    p, q = (Person.load(tmp_path / name).draw(points).astype(int) for name in "pq")
    assert np.abs(p - q).max() <= 1  # the trial is the person: nothing is made twice


class Constant(PlainAnalyzer):
    """Finds every landmark where it should be; embeddings depend on a picture's brightness."""

    def find_landmarks(self, pictures, near):
        return near

    def embed(self, pictures, landmarks):
        return np.stack([[1, 1, picture.mean()] for picture in pictures])


def test_with_a_face_analyzer_the_trial_on_all_photos_is_the_person(run, tmp_path):
    clip = clip_of(7, 4)
    known = dataclasses.replace(clip, embedding=np.ones(3, np.float32))
    options = {"analyzer": Constant(), "step_choice": QUICK}
    report = personalize(run, known, tmp_path / "p", progress=Told(), **options)
    similarity = report.identity_similarity
    assert not report.held_out_loss and similarity[0] <= similarity[report.steps]
    assert similarity.keys() == report.motion_fidelity.keys() and len(similarity) > 2
    networks = Run.read(run).load_networks()
    photos, used = photo_tensors(clip, networks.config.network)
    split = split_photos(photos, used, networks.config.network, "cpu", by_loss=False)
    content, _ = load_content(networks.config, Told())
    tuning = start_fine_tuning(networks, split.final, content, QUICK.most_steps_for(4))
    for _ in range(report.steps):
        tuning.step()
    p = Person.load(tmp_path / "p").draw(clip.landmarks).astype(int)
    with torch.no_grad(), tuning.drawing() as draw:
        q = to_pictures(draw(photos.landmark_images)).astype(int)
    assert np.abs(p - q).max() <= 1


def test_the_report_keeps_its_json_keys():
    measured = (StepQuality(0, None, 0.8, 0.5), StepQuality(7, 2.5, None, 0.4))
    report = PersonReport("ada", 3, 7, 1.5, measured, "people/ada")
    assert report.to_json() == {
        "person": "ada",
        "photos": 3,
        "steps": 7,
        "seconds": 1.5,
        "held_out": {"7": 2.5},
        "likeness": {"0": 0.8},
        "mimicry": {"0": 0.5, "7": 0.4},
        "folder": "people/ada",
    }


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
    networks, (photos, _) = Run.read(run).load_networks(), photo_tensors(clip_of(7, 3), TINY)
    each = torch.cat([mean_embedding(networks, photos[[i]]) for i in range(3)])
    torch.testing.assert_close(mean_embedding(networks, photos)[0], each.mean(0))


def test_a_folder_that_is_no_persons_is_not_to_be_removed(tmp_path):
    with pytest.raises(FshError, match="no such folder → run `fsh personalize` first"):
        Person.load(str(tmp_path / "none"))
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"")
    for path in (tmp_path, photo):
        message = r"not a person's folder \(no person\.json\) → name one that `fsh personalize`"
        with pytest.raises(FshError, match=message):
            Person.load(path)
