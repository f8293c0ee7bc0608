"""How many fine-tuning steps: identity gained, as long as the face still moves."""

from __future__ import annotations

import pytest

from fsh.trainer.person.step_choice import STEP_CHOICE, StepChoiceConfig, StepQuality, best_step


def best(*measured: tuple[float | None, ...]) -> int:
    """The best of (step, held-out loss, identity similarity, motion fidelity)."""
    return best_step([StepQuality(int(step or 0), *rest) for step, *rest in measured])


def test_without_an_analyzer_the_least_loss_is_chosen():
    assert best((0, 4.0), (10, 2.0), (20, 3.0)) == 10
    assert best((0, 1.0), (10, 1.0)) == 0


def test_identity_that_freezes_the_face_is_not_worth_it():
    measured = [(0, 4.6, 0.87, 0.34), (12, 2.0, 0.89, 0.3), (45, 1.9, 0.92, 0.28)]
    assert best(*measured, (120, 1.7, 0.94, 0.14)) == 45
    assert best(*measured, (120, 1.7, 0.94, 0.33)) == 120


def test_a_little_motion_below_the_share_wanted_costs_a_little():
    measured = [(0, None, 0.87, 0.30), (11, None, 0.88, 0.20), (46, None, 0.92, 0.197)]
    assert best(*measured) == 46
    assert best(*measured[:2], (46, None, 0.92, 0.15)) == 11


def test_of_several_that_gain_about_as_much_the_last_is_chosen():
    gained = [(0, None, 0.80), (5, None, 0.901), (9, None, 0.899)]
    assert best(*gained) == 9
    assert best(*gained, (12, None, 0.88)) == 9


def test_a_person_that_learns_to_move_is_worth_a_little_identity():
    measured = [(0, None, 0.948, 0.24), (21, None, 0.93, 0.27), (74, None, 0.944, 0.42)]
    assert best(*measured) == 74
    assert best(*measured[:2], (74, None, 0.93, 0.42)) == 0


def test_fine_tuning_that_gains_nothing_is_not_done():
    assert best((0, 2.0, 0.9, 0.5), (10, 1.0, 0.88, 0.5), (20, 1, 0.99, 0.1)) == 0


def test_a_model_that_moves_nothing_is_measured_by_identity_alone():
    assert best((0, 4.0, 0.8, 0.01), (10, 2.0, 0.9, 0.0)) == 10


def test_photos_without_an_embedding_are_measured_by_the_loss():
    assert best((0, 4.0, None, 0.3), (9, 2.0, None, 0.3), (20, 1, None, 0)) == 9


def test_the_first_measurement_is_before_any_step_and_the_last_at_the_end():
    shares = STEP_CHOICE.measured_at
    assert shares[0] == 0 and shares[-1] == 1 and list(shares) == sorted(shares)


@pytest.mark.parametrize(("photos", "most"), [(1, 120), (4, 66), (16, 90), (31, 120), (32, 120)])
def test_steps_tried_at_most(photos, most):
    assert STEP_CHOICE.most_steps_for(photos) == most
    copied = STEP_CHOICE.most_steps_for(photos, copied=True)
    assert copied == (most if photos == 1 else most / 2)
    assert StepChoiceConfig(fewest_steps=3, most_steps=3).most_steps_for(photos) == 3


def test_where_photos_are_held_out_the_whole_picture_decides():
    assert best((0, 4.0, 0.95, 0.5), (10, 3.0, 0.945, 0.5)) == 10
    assert best((0, 4.0, 0.9, 0.5), (10, 5.0, 0.95, 0.5)) == 0
