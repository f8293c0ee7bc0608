"""Every loss against a few lines written from its formula."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from fsh.trainer.config import LossConfig, NetworkConfig
from fsh.trainer.models.networks import Discriminator, Embedder, Generator
from fsh.trainer.models.vgg import (
    CAFFE_IMAGENET,
    TORCHVISION,
    VGG16,
    VGG19,
    VGG19_LAYERS,
    VGGFACE_LAYERS,
    VGGFeatures,
    normalize_input,
    randomize,
)
from fsh.trainer.models.video_embeddings import VideoEmbeddings, carry_over
from fsh.trainer.presets import LOSSES, resolve
from fsh.trainer.training.losses import (
    ContentLoss,
    Episodes,
    feature_distance,
    feature_matching,
    hinge_discriminator,
    hinge_generator,
    match_loss,
    pixel_loss,
    real_only,
    windows_if_any,
)
from fsh.trainer.training.methods import METHODS
from fsh.trainer.training.objectives import FineTuningObjective, MetaObjective

TINY = NetworkConfig(32, 4, 4, 4, 8, 8, downs=2, residuals=1, attention=False)


def episodes(count: int = 2, frames: int = 3) -> Episodes:
    g = torch.Generator().manual_seed(1)

    def r(*shape):
        return torch.rand(*shape, generator=g)

    return Episodes(
        r(count, frames, 3, 32, 32) * 2 - 1,
        r(count, frames, 3, 32, 32),
        r(count, 3, 32, 32) * 2 - 1,
        r(count, 3, 32, 32),
        torch.arange(count),
    )


def networks():
    torch.manual_seed(0)
    return Embedder(TINY), Generator(TINY), Discriminator(TINY), VideoEmbeddings(["a", "b"], 8, 0)


def test_outside_of_what_is_real_the_true_image_stands():
    fake, true = torch.zeros(3, 3, 8, 8), torch.ones(3, 3, 8, 8)
    # A half row above; the middle, its right edge within a pixel; nothing.
    window = torch.tensor([[0, 0.0625, 1, 1], [0.25, 0.25, 0.8, 0.75], [1, 0, 1, 1]])
    kept = real_only(fake, true, window)[:, 0] == 0
    wanted = torch.zeros(3, 8, 8, dtype=torch.bool)
    wanted[0, 1:] = wanted[1, 2:6, 2:6] = True
    assert torch.equal(kept, wanted)
    assert real_only(fake, true, None) is fake
    assert torch.equal(real_only(fake, true, torch.tensor([[0.0, 0, 1, 1]] * 3)), fake)


def test_whole_images_need_no_windows():
    whole = torch.tensor([0.0, 0, 1, 1]).repeat(2, 3, 1)
    assert windows_if_any(whole) is None
    whole[1, 2, 3] = 0.9
    assert windows_if_any(whole) is whole


class Canvas(nn.Module):
    """A generator, by any method's name, whose pictures are its parameters."""

    def __init__(self, count: int) -> None:
        super().__init__()
        start = torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(7))
        self.pictures = nn.Parameter(start * 2 - 1)

    def project(self, embeddings):
        return embeddings

    def forward(self, *given):
        return self.pictures


def objective_of(name: str, canvas: Canvas):
    torch.manual_seed(0)
    weights = LossConfig(vgg19=1.0, vggface=0, pixel=1.0)
    features = randomize(VGGFeatures(VGG19, (1, 6), CAFFE_IMAGENET, width=1 / 16), 0)
    content = ContentLoss(weights, {"vgg19": features})
    if name == "fine-tuning":
        free = nn.Parameter(torch.zeros(1, 8)), nn.Parameter(torch.ones(1, 8))
        return FineTuningObjective(canvas, Discriminator(TINY), *free, content, weights)
    method, columns = METHODS[name], VideoEmbeddings(["a", "b"], 8, 0)
    parts = method.embedder(TINY), canvas, method.discriminator(TINY)
    return method.objective(*parts, columns, content, weights)


@pytest.mark.parametrize("name", ["fine-tuning", *METHODS])
def test_no_loss_looks_at_what_is_made_up(name):
    def run(some: Episodes, scribble: float = 0.0):
        canvas = Canvas(2)
        with torch.no_grad():
            canvas.pictures[:, :, :12] += scribble
        objective = objective_of(name, canvas)
        made = objective.generator(some)
        made.total.backward()
        values = dict(made.parts)
        if name != "x2face":
            values |= objective.discriminator(some, made).parts
        return values, canvas.pictures.grad

    whole, top = (torch.tensor([[0.0, share, 1.0, 1.0]] * 2) for share in (0.0, 12 / 32))
    plain, gradient = run(episodes())
    assert gradient[:, :, :12].abs().sum() > 0
    same, same_gradient = run(replace(episodes(), real=whole))
    assert same == plain and torch.equal(same_gradient, gradient)
    values, gradient = run(replace(episodes(), real=top))
    assert not gradient[:, :, :12].any() and gradient[:, :, 12:].abs().sum() > 0
    assert run(replace(episodes(), real=top), scribble=0.5)[0] == values
    assert run(episodes(), scribble=0.5)[0] != plain


def test_hinge():
    real, fake = np.array([2.0, 0.5, -1.0]), np.array([-3.0, 0.0, 0.5])
    wanted = np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()
    assert hinge_discriminator(torch.tensor(real), torch.tensor(fake)).item() == pytest.approx(
        wanted
    )
    assert hinge_generator(torch.tensor(fake)).item() == pytest.approx(-fake.mean())


def test_feature_matching():
    a, b = np.random.default_rng(0).normal(size=(2, 4, 3, 5))
    layers = [(a, b), (a[:2], b[:2])]
    wanted = sum(np.abs(x - y).mean() for x, y in layers)
    fake, real = ([torch.tensor(pair[i]) for pair in layers] for i in (0, 1))
    assert feature_matching(fake, real, mean=False).item() == pytest.approx(wanted)
    assert feature_matching(fake, real, mean=True).item() == pytest.approx(wanted / 2)


def test_match_compares_every_frame_and_leaves_w_alone():
    random = np.random.default_rng(0)
    s, w = random.normal(size=(2, 3, 8)), random.normal(size=(2, 8))
    wanted = np.mean([[np.abs(s[i, k] - w[i]).mean() for k in range(3)] for i in range(2)])
    frames, columns = torch.tensor(s, requires_grad=True), torch.tensor(w, requires_grad=True)
    loss = match_loss(frames, columns)
    loss.backward()
    assert loss.item() == pytest.approx(wanted)
    assert frames.grad is not None and columns.grad is None


@pytest.mark.parametrize(
    ("stages", "layers", "names"),
    [
        (VGG19, VGG19_LAYERS, ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]),
        (VGG16, VGGFACE_LAYERS, ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]),
    ],
)
def test_compared_are_the_relus_after_each_stages_first_convolution(stages, layers, names):
    features = VGGFeatures(stages, layers, CAFFE_IMAGENET, width=1 / 32)
    places = features.caffe_names()
    assert [places[name] + 1 for name in names] == list(layers)
    assert all(isinstance(features.features[i], nn.ReLU) for i in layers)


def test_content_is_the_sum_of_mean_absolute_differences():
    features = randomize(VGGFeatures(VGG19, (1, 6), CAFFE_IMAGENET, width=1 / 16), 0)
    fake, real = torch.rand(2, 2, 3, 16, 16) * 2 - 1
    wanted = 0.0
    for number in (1, 6):
        outputs = []
        for images in (fake, real):
            x = normalize_input(images, CAFFE_IMAGENET)
            for layer in features.features[: number + 1]:
                x = layer(x)
            outputs.append(x)
        wanted += (outputs[0] - outputs[1]).abs().mean().item()
    assert feature_distance(features, fake, real).item() == pytest.approx(wanted, rel=1e-5)
    assert feature_distance(features, real, real).item() == 0


def test_pixels_near_landmarks_count_more():
    random = np.random.default_rng(0)
    fake, real = (random.uniform(-1, 1, (2, 3, 32, 32)) for _ in range(2))
    lines = np.zeros((2, 3, 32, 32))
    lines[0, 1, 10, 20] = 0.3
    counts = np.ones((2, 1, 32, 32))
    counts[0, 0, 8:13, 18:23] = 5.0  # within 32 / 16 pixels
    wanted = (np.abs(fake - real) * counts / counts.mean()).mean()
    given = [torch.tensor(x) for x in (fake, real, lines)]
    assert pixel_loss(*given, 4.0).item() == pytest.approx(wanted)
    assert pixel_loss(*given, 0.0).item() == pytest.approx(np.abs(fake - real).mean())


def test_lab_compares_every_relu_below_layer_30_and_pools_by_average():
    features = VGGFeatures(VGG19, None, CAFFE_IMAGENET, average_pooling=True, width=1 / 32)
    assert len(features.layers) == 13 and features.layers[-1] == 29
    assert any(isinstance(layer, nn.AvgPool2d) for layer in features.features)
    assert not any(isinstance(layer, nn.MaxPool2d) for layer in features.features)


def test_input_convention_channel_order_and_scale():
    red = torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1)
    caffe = normalize_input(red, CAFFE_IMAGENET).flatten().tolist()
    assert caffe == pytest.approx([-103.939, -116.779, 255 - 123.68], rel=1e-5)
    rgb = normalize_input(red, TORCHVISION).flatten().tolist()
    assert rgb == pytest.approx([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225], rel=1e-5)


def test_the_same_filter_in_both_conventions_gives_the_same_answer():
    """A Caffe network turned to RGB and rescaled sees what the original sees."""
    ours = randomize(VGGFeatures(VGG16, (1,), CAFFE_IMAGENET, width=1 / 8), 0)
    theirs = VGGFeatures(VGG16, (1,), TORCHVISION, width=1 / 8)
    a, b = ours.features[0], theirs.features[0]
    deviation = torch.tensor(TORCHVISION.deviation)
    offset = 255 * torch.tensor(TORCHVISION.mean) - torch.tensor(CAFFE_IMAGENET.mean).flip(0)
    turned = a.weight.data.flip(1)
    b.weight.data = turned * 255 * deviation[None, :, None, None]
    b.bias.data = a.bias + (turned.sum((2, 3)) * offset).sum(1)
    image = torch.rand(1, 3, 12, 12) * 2 - 1
    inside = (..., slice(1, -1), slice(1, -1))  # the border pads with other zeros
    torch.testing.assert_close(
        ours(image)[0][inside], theirs(image)[0][inside], rtol=1e-3, atol=1e-2
    )


def test_presets_are_the_papers_numbers():
    v1, v2, lab = LOSSES["paper-v1"], LOSSES["paper-v2"], LOSSES["lab"]
    assert (v1.vgg19, v1.vggface, v1.feature_matching, v1.match) == (1e-2, 2e-3, 10, 80)
    assert (v2.vgg19, v2.vggface, v2.feature_matching, v2.match) == (1.5e-1, 2.5e-2, 10, 10)
    assert lab.lab and v1.pixel == v2.pixel == lab.pixel == 0
    assert resolve("paper", "cpu", loss="lab").discriminator_steps == 1
    assert resolve("paper", "cpu").discriminator_steps == 2
    assert resolve("paper", "cpu", variant="ff").loss.match == 0


def test_generator_total_is_the_weighted_sum_of_its_parts():
    e, g, d, w = networks()
    weights = LossConfig(vgg19=0, vggface=0, pixel=2.0, feature_matching=3.0, match=5.0)
    for module in (e, g, d):
        module.eval()  # spectral norms stand still
    batch = episodes()
    terms = MetaObjective(e, g, d, w, ContentLoss(weights), weights).generator(batch)
    s = torch.stack(
        [
            e(batch.source_images[:, k], batch.source_landmark_images[:, k])
            for k in range(batch.source_images.shape[1])
        ],
        1,
    )
    fake = g(batch.landmark_images, g.project(s.mean(1)))
    score, made = d(fake, batch.landmark_images, w.weight)
    _, wanted = d(batch.images, batch.landmark_images, w.weight)
    total = 2 * (fake - batch.images).abs().mean() - score.mean()
    total = total + 3 * sum((a - b).abs().mean() for a, b in zip(made, wanted, strict=True))
    total = total + 5 * (s - w.weight[:, None]).abs().mean()
    torch.testing.assert_close(terms.total, total, rtol=1e-4, atol=1e-5)
    assert set(terms.parts) == {"pixel", "adversarial", "feature_matching", "match"}


def test_each_phase_moves_only_its_own_parameters():
    e, g, d, w = networks()
    weights = LossConfig(vgg19=0, vggface=0, pixel=1.0)
    objective = MetaObjective(e, g, d, w, ContentLoss(weights), weights)
    made = objective.generator(episodes())
    made.total.backward()
    assert all(p.grad is not None for p in [*e.parameters(), *g.parameters()])
    assert all(p.grad is None for p in [*d.parameters(), *w.parameters()])
    e.zero_grad()
    g.zero_grad()
    objective.discriminator(episodes(), made).total.backward()
    assert all(p.grad is not None for p in [*d.parameters(), *w.parameters()])
    assert all(p.grad is None for p in [*e.parameters(), *g.parameters()])


def test_feed_forward_has_no_match_term():
    e, g, d, w = networks()
    weights = resolve("paper", "cpu", variant="ff").loss
    parts = MetaObjective(e, g, d, w, ContentLoss(weights), weights).generator(episodes()).parts
    assert "match" not in parts


def test_fine_tuning_trains_psi_and_the_persons_column_and_starts_at_w0_plus_e():
    _, g, d, _ = networks()
    g.eval()
    d.eval()
    weights = LossConfig(vgg19=0, vggface=0, pixel=1.0)
    embedding = torch.rand(1, 8)
    psi, column = nn.Parameter(g.project(embedding).detach()), nn.Parameter(embedding.clone())
    objective = FineTuningObjective(g, d, psi, column, ContentLoss(weights), weights)
    batch = episodes()
    made = objective.generator(batch)
    assert "match" not in made.parts
    made.total.backward()
    assert psi.grad is not None and column.grad is None
    terms = objective.discriminator(batch, made)
    _, features = d(batch.images, batch.landmark_images, column)
    v = features[-1].relu().sum((2, 3))
    score = v @ (d.linear.weight[0] + embedding[0]) + d.linear.bias[0]
    torch.testing.assert_close(terms.parts["real"], score.mean())
    terms.total.backward()
    assert column.grad is not None


def test_video_embeddings_do_not_depend_on_other_videos():
    few, many = VideoEmbeddings(["b", "a"], 8, 3), VideoEmbeddings(["c", "b", "a", "a"], 8, 3)
    assert few.ids == ("a", "b") and len(many.ids) == 3
    torch.testing.assert_close(few.weight[1], many.weight[many.index["b"]])
    assert few.weight.abs().max() <= 0.1
    with pytest.raises(Exception, match="zzz"):
        few.indices_of(["zzz"])


def test_video_embeddings_are_carried_over_by_name():
    old, new = torch.arange(6.0).view(3, 2), torch.zeros(3, 2)
    merged = carry_over(old, ["a", "b", "c"], new, ["b", "d", "a"])
    assert merged.tolist() == [[2, 3], [0, 0], [0, 1]]
