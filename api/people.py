"""Making a person out of photos, and a person as files for other programs."""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from fsh import marking
from fsh.defaults import Announce, AnyPath, newest_run
from fsh.face_analysis import DetectorFaceAnalyzer
from fsh.pipeline.inputs.photos import RejectedPhoto, prepare_photos
from fsh.pipeline.media.pictures import photo_paths
from fsh.pipeline.media.suffixes import VIDEO_SUFFIXES
from fsh.pipeline.provenance.signing import Signer
from fsh.schemas.errors import FshError
from fsh.schemas.folder_kinds import ONNX, PERSON
from fsh.schemas.layout import PersonFolder
from fsh.schemas.outputs import (
    owned_output,
    require_outside_persons,
    require_own_folder,
    require_writable,
)
from fsh.schemas.progress import Progress, Silent
from fsh.threads import set_thread_count
from fsh.trainer.person import personalize as personalization
from fsh.trainer.person.drawing_quality import photo_similarity
from fsh.trainer.person.person import Person, record_unmarked, write_readme
from fsh.trainer.person.personalize import PersonReport
from fsh.trainer.runs import Run


@dataclass(frozen=True)
class PersonalizeResult:
    """What :func:`personalize` made.

    Attributes:
        report: photos, steps, what was tried, and the person's folder.
        identity_similarity: mean cosine similarity of dlib's embeddings, photos against their own
            drawings; None if it was not measured.
        left_out: photos that gave no face, with their reasons.
    """

    report: PersonReport
    identity_similarity: float | None
    left_out: tuple[RejectedPhoto, ...]

    @property
    def folder(self) -> Path:
        """The person's folder, for :func:`fsh.animate` and :meth:`fsh.Person.load`."""
        return Path(self.report.folder)

    def to_json(self) -> dict[str, Any]:
        return {**self.report.to_json(), "identity_similarity": self.identity_similarity}


def personalize(
    photos: AnyPath,
    person: AnyPath | None = None,
    *,
    run: AnyPath | None = None,
    people: AnyPath = "people",
    steps: int | None = None,
    face: int | None = None,
    mixed_ok: bool = False,
    consent: AnyPath | None = None,
    mark: bool = True,
    signing_key: AnyPath | None = None,
    watermark_key: AnyPath | None = None,
    announce: Announce | None = None,
    progress: Progress | None = None,
) -> PersonalizeResult:
    """Make a person out of photos: embed them, then fine-tune the generator on them.

    Args:
        photos: photos of one person: a folder, one photo, or a short video.
        person: where the person goes; None: below ``people``, named after the photos.
        run: the training run; None: the newest in ``runs``.
        people: where people live.
        steps: fine-tuning steps; 0: feed-forward only; None: as many as are best.
        face: which face where a photo has several, from the left, from 0; None: the one that
            recurs, or the largest.
        mixed_ok: do not refuse photos of different people.
        consent: file with a consent statement (docs/responsible-use.md).
        mark: mark ``preview.png`` as AI-generated; if not, the person's card records it.
        signing_key: PEM file with certificates and key; None: this installation's.
        watermark_key: file with a secret of 16 bytes or more; None: the public key.

    Raises:
        FshError: no run, no face, photos of several people, a statement that does not allow it, or
            a folder that is there and is not a person's as fsh made it.
    """
    progress = progress or Silent()
    source, run = Path(photos), Path(run) if run else newest_run()
    folder = PersonFolder(Path(person) if person else Path(people) / _name(source))
    about = marking.consent_entry(consent, "personalize")
    require_own_folder(folder.root, PERSON, (source, run, consent, signing_key, watermark_key))
    require_outside_persons(folder.root)
    signer = marking.signer_of(signing_key) if mark else None
    marking.key_of(watermark_key)  # refused before the work, not after it
    if announce:
        settings: dict[str, object] = {"photos": photos, "run": run, "person": folder.root}
        settings |= {"steps": "auto" if steps is None else steps}
        announce({**settings, "consent": consent or "not stated", "marked": mark})
    with owned_output(folder.root, "personalize"):
        return _personalize(
            source,
            run,
            folder,
            about,
            signer,
            watermark_key,
            steps=steps,
            face=face,
            mixed_ok=mixed_ok,
            progress=progress,
        )


def _personalize(
    source: Path,
    run: Path,
    folder: PersonFolder,
    about: dict[str, Any],
    signer: Signer | None,
    watermark_key: AnyPath | None,
    *,
    steps: int | None,
    face: int | None,
    mixed_ok: bool,
    progress: Progress,
) -> PersonalizeResult:
    networks = Run.read(run, progress).require_personalizable().load_networks()
    set_thread_count(networks.config.network.size)
    analyzer = DetectorFaceAnalyzer(networks.spec)
    clip, rejected = prepare_photos(
        photo_paths(source, also=VIDEO_SUFFIXES),
        networks.spec,
        backend=analyzer.backend,
        face=face,
        mixed_ok=mixed_ok,
        progress=progress,
    )
    for photo in rejected:
        progress.say(f"left out {photo.path}: {photo.reason}")
    about["made_from"] = networks.run.made_from
    report = personalization.personalize(
        networks,
        clip,
        folder.root,
        steps=steps,
        progress=progress,
        about=about,
        analyzer=analyzer,
    )
    if signer is None:
        record_unmarked(folder.root, folder.preview.name, date.today().isoformat())
    else:
        marks = marking.marking_of(folder.root, about, signer, watermark_key)
        marks.picture(folder.preview)
        write_readme(folder.root)
    similarity = photo_similarity(Person.load(folder.root), clip, analyzer)
    return PersonalizeResult(report, similarity, tuple(rejected))


@dataclass(frozen=True)
class OnnxExport:
    """What :func:`export` wrote.

    Attributes:
        networks: names of the networks.
        difference: the largest of their outputs from PyTorch's.
    """

    output: str
    networks: list[str]
    difference: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def export(
    person: AnyPath,
    output: AnyPath,
    *,
    run: AnyPath | None = None,
    announce: Announce | None = None,
    progress: Progress | None = None,
) -> OnnxExport:
    """Write a person's generator, and a run's embedder, as ONNX; outputs are compared.

    What other programs draw with the files bears no marks; the person's card records the export.

    Args:
        person: the person's folder.
        output: the folder to write.
        run: the training run whose embedder is written too; None: no embedder.

    Raises:
        FshError: a statement that does not allow it, a folder that is there already, or the extra
            ``fsh[onnx]`` is not installed.
    """
    from fsh.trainer.person.onnx_export import export_onnx

    begun, folder, target = time.monotonic(), Path(person), Path(output)
    loaded = Person.load(folder)
    consent = marking.require_consent(folder, loaded.about, "animate")
    if target.exists():
        raise FshError("this folder is there already", where=target, remedy="name another one")
    require_own_folder(target, ONNX, (person, run))
    require_outside_persons(target)
    require_writable(PersonFolder(folder).card)  # it records the export
    if announce:
        announce({"person": person, "run": run or "none", "output": output, "consent": consent})
    with owned_output(target, "export"):
        embedder = None
        if run is not None:
            trained = Run.read(Path(run), progress).require_personalizable()
            loaded.spec.require(trained.spec, mine=str(person), theirs=str(run))
            embedder = trained.load_networks().embedder
        differences = export_onnx(loaded, embedder, target)
    record_unmarked(folder, f"ONNX files in {target.name}", date.today().isoformat())
    return OnnxExport(
        output=str(output),
        networks=sorted(differences),
        difference=max(differences.values()),
        seconds=time.monotonic() - begun,
    )


def _name(photos: Path) -> str:
    """What a person of these photos is called."""
    return re.sub(r"[^\w-]+", "-", photos.stem).strip("-") or "person"
