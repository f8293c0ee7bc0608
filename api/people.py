"""Making a person out of photos, and a person as files for other programs."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from fsh import marking
from fsh.defaults import Announce, AnyPath, newest_run
from fsh.face_analysis import DetectorFaceAnalyzer
from fsh.person_photos import PersonPhotos, default_folder, require_same_photos
from fsh.pipeline.inputs.photo_folder import FoundPhotos, RejectedPhoto, find_photos
from fsh.pipeline.inputs.photos import prepare_photos
from fsh.pipeline.provenance.signing import Signer
from fsh.schemas.errors import FshError
from fsh.schemas.places.folder_kinds import ONNX, PERSON
from fsh.schemas.places.outputs import (
    owned_output,
    require_outside_persons,
    require_own_folder,
    require_writable,
)
from fsh.schemas.places.run_layout import PersonFolder
from fsh.schemas.progress import Progress, Silent
from fsh.schemas.text import shown
from fsh.threads import set_thread_count
from fsh.trainer.person import personalize as personalization
from fsh.trainer.person.drawing_quality import photo_similarity
from fsh.trainer.person.person import Person, record_unmarked, write_readme
from fsh.trainer.person.personalize import PersonReport
from fsh.trainer.person.photo_tensors import MAX_PHOTOS
from fsh.trainer.runs import Run, TrainedNetworks

#: Side of the largest pictures that a person is drawn at.
MOST_PIXELS = 1024


@dataclass(frozen=True)
class PersonalizeResult:
    """What :func:`personalize` made.

    Attributes:
        report: photos, steps, what was tried, and the person's folder.
        identity_similarity: mean cosine similarity of dlib's embeddings, photos against their own
            drawings; None if it was not measured.
        left_out: photos and other files that were not used, with their reasons.
    """

    report: PersonReport
    identity_similarity: float | None
    left_out: tuple[RejectedPhoto, ...]

    @property
    def folder(self) -> Path:
        """The person's folder, for :func:`fsh.animate` and :meth:`fsh.Person.load`."""
        return Path(self.report.folder)

    def to_json(self) -> dict[str, Any]:
        left_out = [photo.to_json() for photo in self.left_out]
        similarity = self.identity_similarity
        return {**self.report.to_json(), "identity_similarity": similarity, "left_out": left_out}


def personalize(
    photos: AnyPath,
    person: AnyPath | None = None,
    *,
    run: AnyPath | None = None,
    people: AnyPath = "people",
    steps: int | None = None,
    size: int | None = None,
    face: int | None = None,
    mixed_ok: bool = False,
    replace: bool = False,
    consent: AnyPath | None = None,
    mark: bool = True,
    signing_key: AnyPath | None = None,
    watermark_key: AnyPath | None = None,
    announce: Announce | None = None,
    progress: Progress | None = None,
) -> PersonalizeResult:
    """Make a person out of photos: embed them, then fine-tune the generator on them.

    Sets the number of PyTorch's threads in this process (``torch.set_num_threads``) where the
    networks are for 64 pixels or less and ``OMP_NUM_THREADS`` is not set.

    Args:
        photos: photos of one person: a folder, one photo, or a short video.
        person: where the person goes; None: below ``people``, named after the photos. A person
            made of the same photos is made anew, also if there are more of them now.
        run: the training run; None: the newest in ``runs``.
        people: where people live.
        steps: fine-tuning steps; 0: feed-forward only; None: as many as are best.
        size: side of the pictures that the person is drawn at, pixels, up to 1024; None: that of
            the crops the run was trained on, 256. More is as sharp as the photos are, and slower.
        face: which face where a photo has several, from the left, from 0; None: the one that
            recurs, or the largest.
        mixed_ok: do not refuse photos of different people.
        replace: whether a person made of other photos loses the place to this one.
        consent: file with a consent statement (docs/responsible-use.md).
        mark: mark ``preview.png`` as AI-generated; if not, the person's card records it.
        signing_key: PEM file with certificates and key; None: this installation's.
        watermark_key: file with a secret of 16 bytes or more; None: the public key.
        announce: called once, before the work begins, with the settings in force.
        progress: is told how far the work is (:class:`~fsh.schemas.progress.Progress`).

    Raises:
        FshError: ``steps`` or ``face`` below 0, a ``size`` that this run cannot draw, no run, no
            face, photos of several people, a statement that does not allow it, a person made of
            other photos in the same place, or a folder that is there and is not a person's as fsh
            made it.
    """
    for option, value in (("steps", steps), ("face", face)):
        if value is not None and value < 0:
            raise FshError(f"{option} must be at least 0, not {value}")
    progress = progress or Silent()
    source, run = Path(photos), Path(run) if run else newest_run()
    folder = PersonFolder(Path(person)) if person else default_folder(source, Path(people))
    require_own_folder(folder.root, PERSON, (source, run, consent, signing_key, watermark_key))
    require_outside_persons(folder.root)
    found = find_photos(source)
    made_of = PersonPhotos(tuple(found.sha256()), face)
    if not replace:
        require_same_photos(folder, made_of, named=person is not None, progress=progress)
    about = made_of.entry() | marking.consent_entry(consent, "personalize")
    signer = marking.signer_of(signing_key) if mark else None
    marking.key_of(watermark_key)  # refused before the work, not after it
    if announce:
        settings: dict[str, object] = {"photos": photos, "run": run, "person": folder.root}
        settings |= {"steps": "auto" if steps is None else steps}
        settings |= {"size": "as trained" if size is None else size}
        announce({**settings, "consent": consent or "not stated", "marked": mark})
    with owned_output(folder.root, "personalize"):
        return _personalize(
            found,
            run,
            folder,
            about,
            signer,
            watermark_key,
            steps=steps,
            size=size,
            face=face,
            mixed_ok=mixed_ok,
            progress=progress,
        )


def _personalize(
    found: FoundPhotos,
    run: Path,
    folder: PersonFolder,
    about: dict[str, Any],
    signer: Signer | None,
    watermark_key: AnyPath | None,
    *,
    steps: int | None,
    size: int | None,
    face: int | None,
    mixed_ok: bool,
    progress: Progress,
) -> PersonalizeResult:
    networks = Run.read(run, progress).require_personalizable().load_networks()
    large = _larger_side(size, networks)
    set_thread_count(networks.config.network.size)
    analyzer = DetectorFaceAnalyzer(networks.spec)
    clip, rejected = prepare_photos(
        found.paths,
        networks.spec,
        backend=analyzer.backend,
        face=face,
        mixed_ok=mixed_ok,
        distinct=True,
        at_most=MAX_PHOTOS,
        large=large,
        progress=progress,
    )
    if large and (shown_in := round(float(np.median(clip.crops[:, 2])))) < large:
        progress.say(f"the photos show it in {shown_in} pixels: {large} are no sharper")
    left_out = (*found.left_out, *rejected)
    for photo in left_out:
        progress.say(f"left out {shown(photo.path)}: {photo.reason}")
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
    return PersonalizeResult(report, similarity, left_out)


def _larger_side(size: int | None, networks: TrainedNetworks) -> int | None:
    """Side of crops to copy from, if it is another than the data set's.

    Raises:
        FshError: if these networks cannot draw pictures of that side.
    """
    crop, network = networks.spec.size, networks.config.network
    own = crop if network.references else network.size
    if size is None or size == own:
        return None
    what = f"pictures of {size} pixels, and this run draws {own}"
    if not network.references:
        remedy = "leave --size out, or take a run that copies from photos (fsh train --reference)"
        raise FshError(what, where=networks.run.name, remedy=remedy)
    if not crop < size <= MOST_PIXELS:
        raise FshError(what, where="size (--size)", remedy=f"give {crop} to {MOST_PIXELS}")
    return size


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
        output: the folder to write; an older export in it is replaced.
        run: the training run whose embedder is written too; None: no embedder.
        announce: called once, before the work begins, with the settings in force.
        progress: is told how far the work is (:class:`~fsh.schemas.progress.Progress`).

    Raises:
        FshError: a statement that does not allow it, a folder that holds anything else, or the
            extra ``fsh[onnx]`` is not installed.
    """
    from fsh.trainer.person.onnx_export import export_onnx

    begun, folder, target = time.monotonic(), Path(person), Path(output)
    loaded = Person.load(folder)
    consent = marking.require_consent(folder, loaded.about, "animate")
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
