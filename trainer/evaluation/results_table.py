"""From finished cells to numbers: every system, T and metric, with its interval over people."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from fsh.trainer.evaluation import metrics as scores
from fsh.trainer.evaluation.protocols import Outcome, Setting
from fsh.trainer.evaluation.results_store import Cell


@dataclass(frozen=True)
class Metric:
    """A column of the table.

    Attributes:
        better: ``higher``, ``lower``, or ``1`` if it is a ratio to the driver's own.
    """

    name: str
    title: str
    better: str
    backbone: str
    missing: str = ""


@dataclass(frozen=True)
class Row:
    """One number: a system, T and metric, with its interval over identities.

    Attributes:
        value: None where it was not computed; ``missing`` then says why.
        n: pictures it was computed on; ``identities`` people.
        crop: what was compared.
    """

    protocol: str
    system: str
    shots: int
    metric: str
    title: str
    better: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    identities: int
    backbone: str
    crop: str
    missing: str = ""

    def to_json(self) -> dict:
        return asdict(self)


def table(outcome: Outcome) -> list[Row]:
    """Every system, T and metric; those not computed too, with the reason."""
    setting = outcome.setting
    crop = f"whole crop, {setting.size} px"
    rows = []
    for shots in setting.shots:
        for system in outcome.contenders:
            own = [outcome.cells[system, shots, s.identity] for s in outcome.subjects]
            real = [outcome.real[s.identity] for s in outcome.subjects]
            for metric in metrics_of(setting):
                found, n = _number(metric, own, real, setting)
                rows.append(
                    Row(
                        protocol=setting.protocol,
                        system=system,
                        shots=shots,
                        metric=metric.name,
                        title=metric.title,
                        better=metric.better,
                        value=found.value if found else None,
                        low=_finite(found.low) if found else None,
                        high=_finite(found.high) if found else None,
                        n=n,
                        identities=len(own),
                        backbone=metric.backbone,
                        crop=crop,
                        missing="" if found else metric.missing or "too few frames",
                    )
                )
    return rows


def metrics_of(setting: Setting) -> list[Metric]:
    """The table's columns, the paper's first; those that cannot be had with the reason."""
    watcher, networks, missing = setting.watcher, setting.networks, setting.missing

    def judged(name: str, title: str, better: str) -> Metric:
        if name in networks:
            return Metric(name, title, better, networks[name].backbone)
        return Metric(name, title, better, "", missing.get(name, "not asked for"))

    reality = setting.protocol == "fsth"
    found = [judged("fid", "FID", "lower")]
    found += [
        Metric(f"frechet_{name}", f"Fréchet distance, {name} embedding", "lower", backbone)
        for name, backbone in watcher.backbones.items()
    ]
    if reality:
        found.append(Metric("ssim", "SSIM", "higher", "none (scikit-image)"))
    for name, backbone in watcher.backbones.items():
        found.append(Metric(f"csim_{name}", f"CSIM, {name}", "higher", backbone))
    for name, why in watcher.missing.items():
        found.append(Metric(f"csim_{name}", f"CSIM, {name}", "higher", "", why))
    if reality:
        found.append(Metric("psnr", "PSNR, dB", "higher", "none (scikit-image)"))
        found.append(judged("lpips", "LPIPS", "lower"))
    seen = watcher.landmarks
    found.append(Metric("akd", "landmark error (AKD), crop px", "lower", seen))
    found.append(Metric("pose", "pose distance, degrees", "lower", seen))
    found.append(Metric("expression", "expression distance", "lower", seen))
    if not reality:
        found.append(Metric("jitter", "jitter, output / driver", "1", seen))
    return found


def _number(
    metric: Metric, own: list[Cell], real: list[Cell], setting: Setting
) -> tuple[scores.Interval | None, int]:
    """A metric's value over the identities, and how many pictures it rests on."""
    if metric.missing:
        return None, 0
    kind = metric.name.removeprefix("frechet_")
    if metric.name == "fid" or kind != metric.name:
        suffix = " inputs" if setting.protocol == "modern" else ""
        pairs = [
            (c.features[kind], r.features[kind + suffix]) for c, r in zip(own, real, strict=True)
        ]
        # InceptionV3's 2,048 features take seconds a time.
        resamples = 100 if pairs[0][0].shape[1] <= 512 else 25
        found = scores.frechet_interval(pairs, seed=setting.seed, resamples=resamples)
        if not np.isfinite(found.value):  # one picture has no covariance
            return None, 0
        return found, sum(len(a) for a, _ in pairs)
    groups = [c.values[metric.name] for c in own if metric.name in c.values]
    groups = [finite for g in groups if len(finite := g[np.isfinite(g)])]
    if not groups:
        return None, 0
    return scores.mean_interval(groups, seed=setting.seed), sum(len(g) for g in groups)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
