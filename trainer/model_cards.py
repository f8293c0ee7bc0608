"""Model cards: what a run or a person is made of, and what to mind, as ``README.md``.

In the manner of Hugging Face: YAML front matter for machines, Markdown for people. Everything in it
comes from the checkpoint's or the person's own JSON; a card can be written again at any time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fsh.schemas.consent import NOT_STATED
from fsh.schemas.places.run_layout import AVERAGE, PersonFolder, RunFolder
from fsh.schemas.places.temporary import replacing
from fsh.schemas.text import markdown, one_line
from fsh.schemas.weights import LANDMARK_LICENSES
from fsh.trainer.models.vgg import VGG19_WEIGHT

_USE = """\
Meant for research on few-shot synthesis and on its detection, for animating yourself or people
who agreed to it, and for portraits of the long dead, said to be that. Not meant for anybody who
did not agree, for deception about who speaks, as evidence, or to identify people."""
_BIOMETRIC = """\
Face crops, landmarks, embeddings and weights that can redraw a person are personal data, and in
many places biometric data under stricter rules: have a legal basis for each person, and be able
to erase. `fsh forget` takes a video or person out of the data set, and their embeddings out of
`trained_on.parquet` of the runs that saw them, which it lists; it does not change weights.
Whoever is to be forgotten here too: remove this folder and make it anew without them."""
_LIMITS = """\
What few photos do not show (teeth, profile, the back of the head) is invented. Faces unlike
those of the training set come out worse; nobody measured for whom by how much. The background
is not separate from the head. Not evaluated for any use that decides about people."""


def write_run_card(run: RunFolder, state: Mapping[str, Any]) -> None:
    """Write a run's card from a checkpoint's ``state.json``."""
    _write(run.readme, run_card(run.root.name, state))


def run_card(name: str, state: Mapping[str, Any]) -> str:
    """A run's card. ``state`` is the JSON of a checkpoint."""
    config, counts = state["config"], state.get("counts", {})
    features, spec = state["features"], state["spec"]
    datasets = state.get("datasets", [])
    front = {
        "library_name": "fsh",
        "pipeline_tag": "image-to-video",
        "license": "other",
        "license_name": "not-stated",
        "tags": ["talking-head", "few-shot", "arxiv:1905.08233"],
        "model_sha256": state["files"][AVERAGE],
        "dataset_sha256": datasets,
        "step": state["step"],
        "losses": state["losses"],
    }
    hours = counts.get("frames", 0) / 25 / 3600
    sizes = {
        "videos trained on": len(state["videos"]),
        "clips": counts.get("clips", "unknown"),
        "identities": counts.get("identities", "unknown"),
        "frames": f"{counts.get('frames', 0):,} (about {hours:.2f} h at 25 frames/s)",
        "dataset.json, SHA-256": ", ".join(datasets) or "unknown",
        "faces": f"backend {spec['backend']}, {spec['size']} px, spec {spec['hash']}",
    }
    how = {key: value for key, value in config.items() if not isinstance(value, dict)}
    how |= {"network": config["network"], "loss": config["loss"]}
    made = {
        "step": state["step"],
        "seconds": round(state["seconds"]),
        "torch": state["torch"],
        "weights (E and G averaged), SHA-256": state["files"][AVERAGE],
    }
    return _page(
        front,
        f"# {markdown(name)}: few-shot talking heads",
        f"Embedder, generator and discriminator of arXiv:1905.08233, meta-learned by fsh "
        f"(preset {config['preset']}). Checkpoints are in `checkpoints/`.",
        "## Data",
        _table(sizes),
        "The counts are of the whole data set; val and test are held out by identity. Sources and "
        "their licences are in the data folder's `sources/sources.parquet`.",
        "## Training",
        _table(made | _flat(how)),
        "Losses, weighted, mean of the last steps before the checkpoint:",
        _table({key: f"{value:.4g}" for key, value in state["losses"].items()}),
        "## Licences of weights pulled in",
        _table({"landmarks": _backend(spec), **{k: _feature(v) for k, v in features.items()}}),
        "The weights in this folder are derived from the videos: the videos' licences and the "
        "rights of the people in them decide what may be done with them.",
        *_common(),
    )


def write_person_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write a person's card from its ``person.json``."""
    _write(PersonFolder(folder).readme, person_card(card))


def person_card(card: Mapping[str, Any]) -> str:
    """A person's card. ``card`` is the JSON of the person's folder."""
    about, spec = card["about"], card["spec"]
    made_from = about.get("made_from", {})
    consent = about.get("consent", NOT_STATED)
    unmarked = about.get("unmarked", [])
    front = {
        "library_name": "fsh",
        "pipeline_tag": "image-to-video",
        "license": "other",
        "license_name": "not-stated",
        "tags": ["talking-head", "personalized", "biometric"],
        "base_model_sha256": made_from.get("model", "unknown"),
        "dataset_sha256": made_from.get("dataset", "unknown"),
    }
    made = {
        "run": f"{markdown(about.get('run', 'unknown'))}, step {about.get('run_step', 'unknown')}",
        "photos": about.get("photos", "unknown"),
        "fine-tuning steps": about.get("steps", "unknown"),
        **{f"{what}, SHA-256": value for what, value in sorted(made_from.items())},
        **{f"{name}, SHA-256": value for name, value in sorted(card["files"].items())},
        "faces": f"backend {spec['backend']}, {spec['size']} px, spec {spec['hash']}",
    }
    stated = markdown(consent)
    if isinstance(consent, Mapping):
        stated = _table({key: _marked(value) for key, value in consent.items()})
    marks = (
        "Without marks, on request: "
        + ", ".join(f"{_code(each['what'])} on {markdown(each['on'])}" for each in unmarked)
        if unmarked
        else "All that was made of this person so far carries a C2PA manifest and a watermark."
    )
    return _page(
        front,
        f"# {markdown(card['name'])}: one person's talking head",
        "A generator of arXiv:1905.08233 for one face, made by fsh from photos.",
        "## Made from",
        _table(made),
        "## Consent",
        stated,
        "## Marking",
        marks,
        "## Licences of weights pulled in",
        _table({"landmarks": _backend(spec)}),
        *_common(),
    )


def _common() -> Sequence[str]:
    return (
        "## Use",
        _USE,
        "## Limits",
        _LIMITS,
        "## Biometric data",
        _BIOMETRIC,
    )


def _backend(spec: Mapping[str, Any]) -> str:
    """Licence of what found the faces and the landmarks."""
    name = spec["backend"]
    if name not in LANDMARK_LICENSES:
        return "unknown"
    licence = LANDMARK_LICENSES[name].replace("no commercial use", "**no commercial use**")
    whose = "its" if name == "dlib" else "dlib's"
    return f"{licence}; {whose} detector: Boost Software License 1.0; its face embedding: CC0"


def _feature(source: str) -> str:
    """Where content features are from, with their licence."""
    if source.startswith("random") or source == "off":
        return f"{source}: none"
    if VGG19_WEIGHT.file in source:
        return f"{source}: {VGG19_WEIGHT.license}"
    return f"{source}: research use, as far as known"


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested configuration as ``outer.inner``."""
    flat: dict[str, Any] = {}
    for key, value in sorted(values.items()):
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": each for inner, each in sorted(value.items())}
        else:
            flat[key] = value
    return flat


def _table(values: Mapping[str, Any]) -> str:
    rows = [f"| {key} | {_cell(value)} |" for key, value in values.items()]
    return "\n".join(["| | |", "| --- | --- |", *rows])


def _marked(value: Any) -> Any:
    return [markdown(each) for each in value] if isinstance(value, list) else markdown(value)


def _code(name: str) -> str:
    """A name as code, or as text where a mark of code is in it."""
    return markdown(name) if "`" in name else f"`{one_line(name)}`"


def _cell(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))


def _page(front: Mapping[str, Any], *parts: str) -> str:
    # JSON is YAML; one key a line keeps it readable.
    lines = [f"{key}: {json.dumps(value)}" for key, value in front.items()]
    return "\n".join(["---", *lines, "---", "", "\n\n".join(parts), ""])


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
