"""Which perceptual networks a run gets: VGG weights where they are to be had, else random ones."""

from __future__ import annotations

from fsh.schemas.progress import Progress
from fsh.trainer.config import TrainConfig
from fsh.trainer.features import (
    CAFFE_FACE,
    CAFFE_IMAGENET,
    TAPS_VGG19,
    TAPS_VGGFACE,
    VGG16,
    VGG19,
    Features,
    randomize,
)
from fsh.trainer.losses import Content


def load_content(config: TrainConfig, progress: Progress) -> tuple[Content, dict[str, str]]:
    """The content loss of a run, and per network what its weights are (for the record)."""
    found: dict[str, Features] = {}
    record: dict[str, str] = {}
    for name, stages, taps, convention in (
        ("vgg19", VGG19, TAPS_VGG19, CAFFE_IMAGENET),
        ("vggface", VGG16, TAPS_VGGFACE, CAFFE_FACE),
    ):
        if config.perceptual == "off" or not getattr(config.loss, name):
            record[name] = "off"
            continue
        features = Features(
            stages,
            None if config.loss.lab else taps,
            convention,
            average=config.loss.lab,
            width=config.perceptual_width,
        )
        found[name] = randomize(features, config.seed).to(config.device)
        record[name] = f"random (seed {config.seed}, width {config.perceptual_width:g})"
        progress.say(f"{name}: {record[name]} features")
    return Content(config.loss, found.get("vgg19"), found.get("vggface")), record
