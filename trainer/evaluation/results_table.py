"""From finished results to numbers: every system, T and metric, with its interval over people."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from fsh.trainer.evaluation import metrics as scores
from fsh.trainer.evaluation.evaluation import EvaluationResult
from fsh.trainer.evaluation.results_store import TURNED, SubjectResult
from fsh.trainer.evaluation.settings import EvaluationSettings

#: Which frames a row is of.
ALL_FRAMES, TURNED_FRAMES = "all", "turned"
_REAL = "real part of the crop"


@dataclass(frozen=True)
class Metric:
    """A column of the table.

    Attributes:
        name: as the JSON has it.
        title: as the table has it.
        better: ``higher``, ``lower``, or ``1`` if it is a ratio to the true frames' own.
        backbone: the network behind it, with its weights' hash.
        missing: why it cannot be computed; empty if it can.
        features: of which features it is the Fréchet distance; empty if it is a mean of values.
        over: what of a picture counts.
    """

    name: str
    title: str
    better: str
    backbone: str
    missing: str = ""
    features: str = ""
    over: str = "whole crop"


@dataclass(frozen=True)
class ResultRow:
    """One number: a system, T and metric, with its interval over identities.

    Attributes:
        frames: :data:`ALL_FRAMES`, or :data:`TURNED_FRAMES`: those of self-reenactment alone whose
            heads are turned by more than 20° away from every one of the T photos.
        drawn: how many such frames there are.
        title, better, backbone: see :class:`Metric`.
        value: None where it was not computed; ``missing`` then says why.
        low, high: ends of the 95 % interval; None for fewer than two identities.
        n: pictures it was computed on; ``identities`` people.
        crop: what was compared.
    """

    protocol: str
    system: str
    shots: int
    frames: str
    drawn: int
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


def result_rows(evaluation: EvaluationResult) -> list[ResultRow]:
    """Every system, T and metric; those not computed too, with the reason.

    Turned heads have rows of their own where there are some.
    """
    settings = evaluation.settings
    identities = [subject.identity for subject in evaluation.subjects]
    references = [evaluation.references[identity] for identity in identities]
    rows = []
    for shots in settings.shots:
        for system in evaluation.systems:
            own = [evaluation.results[system, shots, identity] for identity in identities]
            everything = list(zip(own, references, strict=True))
            for frames, pairs in (
                (ALL_FRAMES, everything),
                (TURNED_FRAMES, [_turned(*pair) for pair in everything if _has_turned(pair[0])]),
            ):
                rows += _rows(settings, system, shots, frames, pairs)
    return rows


def _rows(
    settings: EvaluationSettings,
    system: str,
    shots: int,
    frames: str,
    pairs: list[tuple[SubjectResult, SubjectResult]],
) -> list[ResultRow]:
    """A system's numbers at one T, of results and references; none if there are no results."""
    if not pairs:
        return []
    own, references = [result for result, _ in pairs], [reference for _, reference in pairs]
    rows = []
    for metric in metrics_of(settings):
        found, n = _value(metric, own, references, settings)
        rows.append(
            ResultRow(
                protocol=settings.protocol,
                system=system,
                shots=shots,
                frames=frames,
                drawn=sum(len(result.values["pose"]) for result in own),
                metric=metric.name,
                title=metric.title,
                better=metric.better,
                value=found.value if found else None,
                low=_finite(found.low) if found else None,
                high=_finite(found.high) if found else None,
                n=n,
                identities=len(own),
                backbone=metric.backbone,
                crop=f"{metric.over}, {settings.size} px",
                missing="" if found else metric.missing or "too few frames, or no face in them",
            )
        )
    return rows


def _has_turned(result: SubjectResult) -> bool:
    return TURNED in result.features and bool(result.features[TURNED].any())


def _turned(result: SubjectResult, reference: SubjectResult) -> tuple[SubjectResult, SubjectResult]:
    """The same of the turned heads only."""
    rows = result.features[TURNED][:, 0]
    values = {name: array[rows] for name, array in result.values.items()}
    features, true = (
        {name: array[rows] for name, array in one.features.items()} for one in (result, reference)
    )
    return replace(result, values=values, features=features), replace(reference, features=true)


def metrics_of(settings: EvaluationSettings) -> list[Metric]:
    """The table's columns, the paper's first; those that cannot be computed with the reason."""
    analyzer, networks = settings.analyzer, settings.networks

    def of_network(name: str, title: str, better: str, features: str = "") -> Metric:
        if name in networks:
            return Metric(name, title, better, networks[name].backbone, features=features)
        return Metric(name, title, better, "", settings.missing.get(name, "not asked for"))

    found = [of_network("fid", "FID", "lower", features="fid")]
    for name, backbone in analyzer.backbones.items():
        title = f"Fréchet distance, {name} embedding"
        found.append(Metric(f"frechet_{name}", title, "lower", backbone, features=name))
    if settings.self_reenactment:
        found.append(Metric("ssim", "SSIM", "higher", "none (scikit-image)", over=_REAL))
    for name, backbone in analyzer.backbones.items():
        found.append(Metric(f"csim_{name}", f"CSIM, {name}", "higher", backbone))
    for name, why in analyzer.missing.items():
        found.append(Metric(f"csim_{name}", f"CSIM, {name}", "higher", "", why))
    if settings.self_reenactment:
        found.append(Metric("psnr", "PSNR, dB", "higher", "none (scikit-image)", over=_REAL))
        found.append(Metric("sharpness", "sharpness", "1", "none (NumPy)", over=_REAL))
        found.append(of_network("lpips", "LPIPS", "lower"))
    landmarks = analyzer.landmark_backend
    found.append(Metric("lost", "faces not found, share", "lower", landmarks))
    found.append(Metric("akd", "landmark error (AKD), crop px", "lower", landmarks))
    found.append(Metric("pose", "pose distance, degrees", "lower", landmarks))
    found.append(Metric("expression", "expression distance", "lower", landmarks))
    if not settings.self_reenactment:
        found.append(Metric("jitter", "jitter, output / driver", "1", landmarks))
    return found


def _value(
    metric: Metric,
    own: list[SubjectResult],
    references: list[SubjectResult],
    settings: EvaluationSettings,
) -> tuple[scores.Interval | None, int]:
    """A metric over the identities, and how many pictures it rests on; None if not computed."""
    if metric.missing:
        return None, 0
    if metric.features:
        # In cross-reenactment the references are the driver's: compared is with the inputs.
        suffix = "" if settings.self_reenactment else " inputs"
        pairs = [
            (result.features[metric.features], reference.features[metric.features + suffix])
            for result, reference in zip(own, references, strict=True)
        ]
        # InceptionV3's 2,048 features take seconds a time.
        resamples = 100 if pairs[0][0].shape[1] <= 512 else 25
        found = scores.frechet_interval(pairs, seed=settings.seed, resamples=resamples)
        if not np.isfinite(found.value):  # one picture has no covariance
            return None, 0
        return found, sum(len(drawn) for drawn, _ in pairs)
    groups = [result.values[metric.name] for result in own if metric.name in result.values]
    groups = [finite for g in groups if len(finite := g[np.isfinite(g)])]
    if not groups:
        return None, 0
    return scores.mean_interval(groups, seed=settings.seed), sum(len(g) for g in groups)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
