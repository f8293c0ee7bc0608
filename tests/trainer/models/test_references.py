"""What the generator is given of photos, and the pictures put together of its answer."""

from __future__ import annotations

import torch
from solid_head import placed
from tiny_data import template

from fsh.trainer.config import NetworkConfig
from fsh.trainer.models.composition import Answer, answered_maps, compose, first_answer
from fsh.trainer.models.folded_generator import FoldedGenerator
from fsh.trainer.models.networks import Generator, bake
from fsh.trainer.models.references import (
    Photos,
    References,
    at_side,
    given_maps,
    nearest_photos,
    prepare,
)
from fsh.trainer.models.surroundings import WAYS

SIDE, LARGE, COUNT = 16, 32, 2
TINY = NetworkConfig(16, 4, 4, 4, 8, 8, downs=2, residuals=1, attention=False, references=COUNT)


def photos(batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, COUNT, 3, LARGE, LARGE, generator=torch.Generator().manual_seed(0))


def prepared(target, points, real=None, still=COUNT - 1, **more):
    pictures, place = photos(len(target)), torch.arange(points.shape[0] * COUNT).view(-1, COUNT)
    known = None if real is None else real.flatten(0, 1)
    ready = Photos.of(pictures.flatten(0, 1), points.flatten(0, 1), SIDE, known)
    return prepare(target, ready.take(place), ready.take(place[:, still]), SIDE, COUNT, **more)


def inside_of(bent: References) -> torch.Tensor:
    """bool (2H, 2H): wholly inside the first target's face."""
    return (bent.maps[0, 7] == 1).repeat_interleave(2, 0).repeat_interleave(2, 1)


def answer(mouth: float = 0.0, **changes: float) -> Answer:
    """What is answered first, everywhere, but for some shares; and a mouth of one color."""
    maps = first_answer(COUNT).clone()
    for name, value in changes.items():
        place = (2 + WAYS) * COUNT + 4 * ("first", "second", "still", "paint").index(name)
        maps[place : place + 4] = value
    maps = maps.view(1, -1, 1, 1).repeat(1, 1, SIDE, SIDE)
    return Answer(maps, torch.full((1, 3, LARGE // 4, LARGE // 4), mouth))


def test_counts_of_maps_agree_with_what_is_made():
    mesh = placed()[None]
    bent = prepared(mesh, mesh[:, None].expand(-1, COUNT, -1, -1))
    assert bent.maps.shape == (1, given_maps(COUNT), SIDE, SIDE)
    assert first_answer(COUNT).shape == (answered_maps(COUNT),)
    assert given_maps(0) == 0 and answered_maps(0) == 3


def test_the_first_answer_copies_the_photos_that_already_fit():
    mesh = placed()[None]
    bent = prepared(mesh, mesh[:, None].expand(-1, COUNT, -1, -1))
    made = compose(answer(first=20.0), bent)
    assert torch.allclose(made.picture, bent.pictures[:, 0], atol=0.02)
    assert torch.allclose(made.shares.sum(1), torch.ones(1, 2 * SIDE, 2 * SIDE))
    assert float(made.painted) < 1e-3 and float(made.unevenness) == 0


def test_one_photo_given_for_several_is_read_once_where_its_answers_say_on_average():
    mesh = placed()[None]
    ramp = torch.linspace(-1, 1, LARGE).expand(1, 3, LARGE, LARGE)
    one = Photos.of(ramp, mesh, SIDE)
    bent = prepare(mesh, one.take(torch.tensor([[0]])), one, SIDE, COUNT)
    assert bent.pictures.shape[1] == 1 and bent.answered == COUNT
    flows = answer(first=2.0, second=1.0)
    flows.maps[:, 0] = 0.05  # the first one's, to the right
    twice = References(
        **bent._asdict()
        | {
            name: getattr(bent, name).repeat_interleave(COUNT, 1)
            for name in ("pictures", "reads", "motion", "stays")
        }
    )
    made, apart = compose(flows, bent), compose(flows, twice)
    assert torch.equal(made.shares, apart.shares) and torch.equal(made.flow, apart.flow)
    middle = (..., slice(LARGE // 4, -LARGE // 4))  # a ramp has edges
    assert torch.allclose(made.picture[middle], apart.picture[middle], atol=2e-3)
    still = compose(answer(first=2.0, second=1.0), bent)
    assert (made.picture - still.picture)[middle].abs().max() > 1e-3


def test_still_photo_and_paint_are_shown_where_their_shares_say_so():
    mesh = placed()[None]
    bent = prepared(mesh, mesh[:, None].expand(-1, COUNT, -1, -1))
    around = (bent.maps[:, 7:8] == 0).expand(-1, 3, -1, -1).repeat_interleave(2, 2)
    around = around.repeat_interleave(2, 3)
    shown = compose(answer(still=50.0), bent)
    assert (shown.picture - bent.still)[around].abs().median() < 1e-4
    assert bent.trust[0, -2][inside_of(bent)].max() == 0
    painted = compose(answer(paint=50.0), bent)
    assert painted.picture.abs().max() < 1e-5 and float(painted.painted) > 0.99


def test_a_photo_that_is_not_trusted_is_hardly_copied():
    mesh = placed()[None]
    points = torch.stack([placed(x=2.0), placed()])[None]
    bent = prepared(mesh, points)
    face = inside_of(bent)
    shares = compose(answer(), bent).shares[0]
    assert shares[0][face].max() < 0.01 and shares[1][face].min() > 0.85


def test_of_another_scene_only_the_face_is_trusted_and_only_what_is_real():
    mesh = placed()[None]
    points = mesh[:, None].expand(-1, COUNT, -1, -1)
    whole = prepared(mesh, points)
    face = inside_of(whole)
    around = (whole.maps[0, 7] == 0).repeat_interleave(2, 0).repeat_interleave(2, 1)
    only = prepared(mesh, points, face_only=torch.tensor([[True, False]])).trust[0]
    assert only[0][around].max() == 0 and only[0][face].min() > 0.2 and only[1].min() > 0.4
    real = torch.tensor([[[0.0, 0, 0.5, 1], [0, 0, 1, 1]]])
    half = prepared(mesh, points, real=real, still=0)
    assert half.trust[0, 0, :, 18:].max() == 0 and half.trust[0, 1, :, 18:].min() > 0.4
    assert half.maps[0, -1, :, 9:].max() == 0 and half.maps[0, -1, 0, :7].min() == 1


def test_the_still_photo_does_not_show_the_head_where_it_was():
    meshes = placed(x=0.7)[None]
    bent = prepared(meshes, placed(x=0.3)[None, None].expand(-1, COUNT, -1, -1))
    still = bent.trust[0, -2]
    y, old, new, far = SIDE, round(0.3 * 2 * SIDE), round(0.7 * 2 * SIDE), 2 * SIDE - 1
    assert still[y, old] == still[y, new] == 0 and still[0, far] == 1
    assert bent.maps[0, -1, y // 2, old // 2] == 0 and bent.maps[0, -1, y // 2, new // 2] == 1


def test_a_photo_that_is_repeated_is_bent_once_and_gives_the_same():
    mesh, points = placed()[None], placed(yaw=10)[None]
    ready = Photos.of(photos()[0, :1], points, SIDE)
    one = torch.zeros(1, 1, dtype=torch.int64)
    once = prepare(mesh, ready.take(one), ready.take(one[:, 0]), SIDE, COUNT)
    twice = prepare(mesh, ready.take(one.expand(-1, COUNT)), ready.take(one[:, 0]), SIDE, COUNT)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(once, twice, strict=True))


def test_landmarks_do_where_there_are_no_meshes():
    points = torch.from_numpy(template())
    bent = prepared(points[None], torch.stack([points, points + 0.02])[None])
    assert bent.maps.shape == (1, given_maps(COUNT), SIDE, SIDE) and bent.maps[0, 7].max() == 0


def test_the_nearest_photos_come_first_and_few_are_repeated():
    target = placed()[None]
    points = torch.stack([placed(yaw=50), placed(yaw=5, x=0.51), placed(yaw=20)])[None]
    assert nearest_photos(target, points, 2).tolist() == [[1, 2]]
    assert nearest_photos(target, points, 5).tolist() == [[1, 2, 0, 1, 2]]


def test_folded_generators_answer_as_the_generator_does():
    torch.manual_seed(0)
    generator = Generator(TINY)
    torch.nn.init.normal_(generator.last.weight, std=0.1)
    with torch.no_grad():
        for layer in generator.skips:
            layer(torch.rand(1, layer.in_channels, 4, 4))
    psi = generator.project(torch.rand(1, TINY.embedding)).detach()
    lines = torch.rand(3, 3, SIDE, SIDE)
    meshes = torch.stack([placed(), placed(yaw=20), placed(x=0.55)])
    points = torch.stack([placed(yaw=5), placed(y=0.52)]).expand(3, -1, -1, -1)
    bent = prepared(meshes, points)
    bake(generator).requires_grad_(False).eval()
    wanted = generator(lines, psi, bent)
    assert wanted.maps.shape == (3, answered_maps(COUNT), SIDE, SIDE)
    assert wanted.mouth.shape == (3, 3, LARGE // 4, LARGE // 4)
    made = FoldedGenerator(generator, psi)(lines, bent)
    assert torch.allclose(made.maps, wanted.maps, atol=1e-4)
    assert torch.allclose(made.mouth, wanted.mouth, atol=1e-4)
    other = generator(lines, psi, prepared(meshes.flip(0), points))
    assert not torch.allclose(other.maps, wanted.maps, atol=1e-3)


def test_pictures_are_averaged_down_to_the_networks_side():
    picture = torch.arange(16.0).view(1, 1, 4, 4)
    assert at_side(picture, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert at_side(picture, 4) is picture
