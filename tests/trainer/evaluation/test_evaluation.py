"""Evaluations of a tiny data set: who learns from what, what is kept, what the table says."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from plain_analyzer import PlainAnalyzer
from tiny_data import SPEC, clip_of, write_data
from tiny_run import Told, tiny_config, tiny_folder

from fsh.evaluation.report import markdown, plots
from fsh.schemas.errors import FshError, SpecMismatch
from fsh.schemas.faces.face_landmarks import FaceLandmarks
from fsh.schemas.faces.mesh import landmarks_of_mesh
from fsh.schemas.progress import Silent
from fsh.trainer.data.pictures import resized
from fsh.trainer.evaluation.baselines import NearestPhoto, baselines
from fsh.trainer.evaluation.evaluation import evaluate
from fsh.trainer.evaluation.results_table import result_rows
from fsh.trainer.evaluation.settings import EvaluationSettings
from fsh.trainer.evaluation.subjects import (
    choose_shots,
    consecutive_frames,
    split_in_time,
    subjects_of_split,
)
from fsh.trainer.evaluation.systems import PersonalizedSystem, authors_steps, systems_of
from fsh.trainer.runs import Run
from fsh.trainer.training.loop import train


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A test split of three people, and a trained run of each method."""
    root = tmp_path_factory.mktemp("world")
    data = write_data(root / "unseen", people=3, samples=2, frames=8, shards=2, split="test")
    seen = tiny_folder(root / "seen")
    runs = {}
    for method in ("fsth", "x2face", "pix2pixhd"):
        train(seen, root / method, tiny_config(steps=2, method=method), Told())
        runs[method] = root / method
    return data, runs


class Bar(Silent):
    """Progress that never passes its end."""

    def start(self, what, total, unit, done=0):
        self.total, self.done = total, done

    def advance(self, amount=1, note=""):
        self.done += amount
        assert self.done <= self.total


def settings_of(folder, protocol="fsth", **changes):
    missing = {"fid": "no weights"}
    plain = EvaluationSettings(protocol, 32, (1, 2), 0, PlainAnalyzer(), {}, missing, folder)
    return replace(plain, **changes)


def entered(runs, steps=1):
    told = Told()
    found = []
    for path in runs:
        found += systems_of(Run.read(path, told), lambda _: steps, told)
    return [*found, *baselines(meshes=False)]


def test_the_table_holds_every_system_shot_and_metric(world, tmp_path):
    data, runs = world
    subjects = subjects_of_split(data, SPEC, inputs=4, held_out=4)
    setting = settings_of(tmp_path)
    systems = entered(runs.values())
    (outcome,) = evaluate(subjects, systems, [setting], Silent())
    assert [c.name for c in systems] == [
        *("fsh FF", "fsh FT", "X2Face-like", "Pix2pixHD-like", "nearest photo", "warped photo"),
        "bent photo",
    ]
    rows = result_rows(outcome)
    assert len({(r.system, r.shots, r.metric) for r in rows}) == len(rows) == 7 * 2 * 12
    for row in rows:
        if row.value is None:
            assert row.missing and row.n == 0, row
        else:
            assert row.low <= row.value <= row.high and row.identities == 3
            assert row.n == 3 * 4 and row.backbone and "32 px" in row.crop, row
    fid = next(r for r in rows if r.metric == "fid")
    assert (fid.value, fid.missing) == (None, "no weights")
    akd = next(r for r in rows if r.metric == "akd")
    assert akd.value == 0  # the analyzer finds each point where it finds it in the true picture
    assert {row.frames for row in rows} == {"all"} and {row.drawn for row in rows} == {12}
    lost = next(r for r in rows if r.metric == "lost")
    assert lost.value == 0
    shown = markdown(rows, {"protocol": "fsth", "runs": {}})
    assert shown.count("## T = ") == 2 and "| X2Face-like |" in shown
    assert "- FID: no weights" in shown and "| FID |" not in shown
    assert {plot["title"] for plot in plots(rows, outcome.systems)} >= {"SSIM", "PSNR, dB"}
    json.dumps([row.to_json() for row in rows])


def test_the_baselines_are_what_they_say(world, tmp_path):
    """On frames that are affine warps of one picture, the affine baseline is nearly right."""
    data, _ = world
    subjects = subjects_of_split(data, SPEC, inputs=4, held_out=4)
    (outcome,) = evaluate(subjects, entered([]), [settings_of(tmp_path)], Silent())
    value = {(r.system, r.shots): r.value for r in result_rows(outcome) if r.metric == "ssim"}
    assert value["warped photo", 1] > 0.85 > value["nearest photo", 1]
    assert value["nearest photo", 2] >= value["nearest photo", 1]


def test_a_second_call_does_nothing_and_a_change_only_what_it_must(world, tmp_path):
    data, runs = world
    subjects = subjects_of_split(data, SPEC, inputs=3, held_out=3)[:2]

    def call(steps: int = 1):
        setting, bar = settings_of(tmp_path, shots=(1,)), Bar()
        (outcome,) = evaluate(subjects, entered([runs["fsth"]], steps), [setting], bar)
        assert bar.done == bar.total == 10
        return result_rows(outcome), setting.analyzer.analyses

    before, analyses = call()
    assert analyses == 2 * (1 + 5)  # the true pictures and five systems
    assert call() == (before, 0)
    assert call(steps=2)[1] == 2  # FT of two people, nothing else
    torn = sorted(tmp_path.rglob("*.npz"))[0]
    torn.write_bytes(torn.read_bytes()[:100])
    assert call(steps=2)[1] == 1


def test_modern_drives_everybody_with_another(world, tmp_path):
    data, runs = world
    subjects = subjects_of_split(data, SPEC, inputs=4, held_out=4)
    settings = [settings_of(tmp_path, "modern")]
    (outcome,) = evaluate(subjects, entered([runs["fsth"]]), settings, Silent())
    rows = {r.metric: r for r in result_rows(outcome)}
    assert not {"ssim", "sharpness"} & set(rows)
    # The analyzer finds each point 1 px off from where it was to be.
    assert rows["akd"].value == pytest.approx(2**0.5, rel=1e-4)
    assert rows["jitter"].value == pytest.approx(1, abs=0.5)
    assert rows["csim_colour"].value is not None and rows["frechet_colour"].n == 12
    with pytest.raises(FshError, match="cannot drive another"):
        evaluate(subjects[:1], entered([]), settings, Silent())


def test_two_protocols_fit_a_persons_photos_once(world, tmp_path):
    data, _ = world
    subjects = subjects_of_split(data, SPEC, inputs=4, held_out=4)
    settings = [settings_of(tmp_path / "both", name) for name in ("fsth", "modern")]
    fitted = []

    class Counted(NearestPhoto):
        def fit(self, photos):
            fitted.append(len(photos))
            return super().fit(photos)

    outcomes = evaluate(subjects, [Counted()], settings, Silent())
    assert sorted(fitted) == [1, 1, 1, 2, 2, 2]
    for outcome, name in zip(outcomes, ("fsth", "modern"), strict=True):
        (alone,) = evaluate(subjects, [NearestPhoto()], [settings_of(tmp_path, name)], Silent())
        assert result_rows(outcome) == result_rows(alone)


def test_frames_to_learn_from_and_to_draw_lie_apart():
    inputs, held_out = split_in_time(100, 32, 32)
    assert len(inputs) == len(held_out) == 32 and inputs.max() < 50 <= held_out.min()
    inputs, held_out = split_in_time(7, 32, 2)
    assert list(inputs) == [0, 1, 2] and list(held_out) == [3, 6]
    times = np.array([0, 0.04, 0.08, 0.12, 0.16, 1.0, 1.04, 1.08])
    assert list(consecutive_frames(times, 32)) == [4]
    assert list(consecutive_frames(times[:5], 2)) == [2, 3]


def test_fewer_shots_are_among_more_and_differ_between_people():
    assert set(choose_shots("a", 32, 1, 0)) < set(choose_shots("a", 32, 8, 0)) < set(range(32))
    assert choose_shots("a", 32, 8, 0) == choose_shots("a", 32, 8, 0) != choose_shots("b", 32, 8, 0)
    assert choose_shots("a", 5, 32, 0) == [0, 1, 2, 3, 4]


def test_the_authors_steps():
    assert [authors_steps(t) for t in (1, 16, 31, 32, 100)] == [125, 178, 230, 230, 230]


class Turning(PlainAnalyzer):
    """Takes the second and fourth of four frames for turned heads, and no photo."""

    def poses(self, landmarks):
        poses = super().poses(landmarks)
        poses[1::2, 0] = 30.0 * (len(landmarks) == 4)
        return poses


def test_turned_heads_have_rows_of_their_own(world, tmp_path):
    data, _ = world
    subjects = subjects_of_split(data, SPEC, inputs=3, held_out=4)
    setting = settings_of(tmp_path, analyzer=Turning())
    (outcome,) = evaluate(subjects, [NearestPhoto()], [setting], Silent())
    rows = result_rows(outcome)
    (turned,) = [r for r in rows if (r.frames, r.shots, r.metric) == ("turned", 1, "ssim")]
    (every,) = [r for r in rows if (r.frames, r.shots, r.metric) == ("all", 1, "ssim")]
    assert (turned.drawn, turned.n, every.drawn) == (6, 6, 12) and turned.identities == 3
    # The mean of the turned frames' own values, as they are stored.
    values = [outcome.results["nearest photo", 1, s.identity].values["ssim"] for s in subjects]
    assert turned.value == pytest.approx(np.mean([one[1::2] for one in values]))
    text = markdown(rows, {"protocol": "fsth", "runs": {}})
    assert text.count("### Heads turned by more than 20°") == 2 and "| nearest photo | 6 |" in text
    (plot,) = [one for one in plots(rows, outcome.systems) if one["title"] == "SSIM"]
    assert len(plot["lines"][0]["dots"]) == 2


def test_faces_that_are_not_found_are_counted_and_not_measured(world, tmp_path):
    data, _ = world

    class Blind(PlainAnalyzer):
        def find_landmarks(self, pictures, near):
            found = super().find_landmarks(pictures, near)
            found[0] = np.nan
            return found

    subjects = subjects_of_split(data, SPEC, inputs=3, held_out=4)
    setting = settings_of(tmp_path, analyzer=Blind())
    (outcome,) = evaluate(subjects, [NearestPhoto()], [setting], Silent())
    rows = {row.metric: row for row in result_rows(outcome)}
    assert (rows["lost"].value, rows["lost"].n) == (0.25, 12)
    assert rows["akd"].n == 9 and rows["csim_colour"].n == 12


def test_what_is_drawn_has_the_mesh_where_there_is_one(tmp_path):
    """Self-reenactment: the frames' own; cross: the driver's, moved, and its own 68 places."""
    spec = replace(SPEC, backend="mediapipe")
    data = write_data(tmp_path / "data", people=2, samples=1, frames=8, split="test", spec=spec)
    subjects = subjects_of_split(data, spec, inputs=4, held_out=4)
    assert all(subject.meshes for subject in subjects)
    asked = []

    class Asked(NearestPhoto):
        def fit(self, photos):
            draw = super().fit(photos)
            return lambda landmarks: (asked.append(landmarks), draw(landmarks))[1]

    settings = [settings_of(tmp_path, name, shots=(2,)) for name in ("fsth", "modern")]
    evaluate(subjects, [Asked(), *baselines(meshes=True)], settings, Silent())
    own = subjects[0].load().held_out
    assert np.array_equal(asked[0].points, own.landmarks)
    assert np.array_equal(asked[0].mesh, own.mesh)
    moved = asked[1]
    assert np.array_equal(moved.points, landmarks_of_mesh(moved.mesh))
    assert not np.allclose(moved.mesh, own.mesh)


def test_other_meshes_or_specs_are_other_results(tmp_path):
    prints = set()
    for name in ("dlib", "mediapipe"):
        spec = replace(SPEC, backend=name)
        folder = tmp_path / name
        data = write_data(folder, people=1, samples=1, frames=8, split="test", spec=spec)
        prints |= {subject.fingerprint for subject in subjects_of_split(data, spec)}
    assert len(prints) == 2


def test_pictures_are_compared_at_the_size_asked_for(world, tmp_path):
    data, _ = world
    subjects = subjects_of_split(data, SPEC, inputs=3, held_out=3)[:1]
    for size in (64, 32):
        setting = settings_of(tmp_path / str(size), size=size, shots=(1,))
        (outcome,) = evaluate(subjects, [NearestPhoto()], [setting], Silent())
        drawn = outcome.pictures("nearest photo", 1, subjects[0].identity)
        assert drawn.shape == (3, size, size, 3)
        assert all(f"{size} px" in row.crop for row in result_rows(outcome))


def test_what_does_not_belong_together_is_refused(world):
    data, _ = world
    with pytest.raises(SpecMismatch):
        subjects_of_split(data, replace(SPEC, size=128))
    with pytest.raises(FshError, match="no val shards"):
        subjects_of_split(data, SPEC, split="val")


def test_a_picture_of_another_size_is_the_whole_crop():
    assert resized(np.zeros((64, 64, 3), np.uint8), 32).shape == (32, 32, 3)
    up = resized(cv2.resize(clip_of(0, 1).frames[0], (32, 32)), 64)
    assert up.shape == (64, 64, 3)


def test_subjects_know_what_is_real_of_their_crops(tmp_path, world):
    assert subjects_of_split(world[0], SPEC, inputs=2, held_out=2)[0].load().inputs.real is None
    edges = [0.0, 12.5, 64.0, 60.0]
    data = write_data(tmp_path, people=1, frames=6, shards=1, split="test", first=7, real=edges)
    frames = subjects_of_split(data, SPEC, inputs=2, held_out=3)[0].load()
    assert frames.inputs.real.tolist() == [edges] * 2
    assert frames.held_out.real.tolist() == [edges] * 3


def test_own_steps_are_measured_by_the_analyzer_and_the_run_is_loaded_once(world):
    data, runs = world
    told, analyzer = Told(), PlainAnalyzer()
    run = Run.read(runs["fsth"], told)
    by_loss = systems_of(run, lambda _: None, told)[1]
    feed_forward, tuned = systems_of(run, lambda _: None, told, analyzer=analyzer)
    assert isinstance(feed_forward, PersonalizedSystem) and isinstance(tuned, PersonalizedSystem)
    assert feed_forward.networks is tuned.networks
    photos = subjects_of_split(data, SPEC, inputs=4, held_out=4)[0].load().inputs
    feed_forward.fit(photos)
    assert not analyzer.embedded
    drawn = tuned.fit(photos)(FaceLandmarks(photos.landmarks))
    assert drawn.shape == (len(photos), 32, 32, 3)
    # First the photos, to know who it is; then drawings at every measurement.
    assert analyzer.embedded[0] == len(photos) and len(analyzer.embedded) > 1
    assert by_loss.fingerprint != tuned.fingerprint  # drawings of another rule are made again
    fixed = [systems_of(run, lambda _: 5, told, analyzer=a)[1] for a in (None, analyzer)]
    assert fixed[0].fingerprint == fixed[1].fingerprint
