"""The paper's table: people never trained on, drawn by fsh and by alternatives, and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsh.data_places import data_folder
from fsh.defaults import Announce, AnyPath, as_paths, newest_run
from fsh.evaluation.frames_folder import from_frames
from fsh.evaluation.options import (
    AUTHORS,
    CROP,
    OWN,
    EvaluationOptions,
    fine_tuning_steps,
    parse_protocols,
)
from fsh.evaluation.report import report_marking, write_report
from fsh.evaluation.unseen_people import CheckedSubjects, check_subjects, record_shown
from fsh.evaluation.user_study import write_study
from fsh.face_analysis import DetectorFaceAnalyzer
from fsh.marking import signer_of
from fsh.pipeline.provenance.signing import Signer
from fsh.schemas.faces.spec import FaceSpec
from fsh.schemas.ids import video_of
from fsh.schemas.places.folder_kinds import EVALUATION
from fsh.schemas.places.outputs import (
    owned_outputs,
    require_outside_persons,
    require_own_folder,
)
from fsh.schemas.places.run_layout import EvaluationFolder, RunFolder
from fsh.schemas.progress import Progress, Silent
from fsh.schemas.text import shown
from fsh.threads import set_thread_count
from fsh.trainer.evaluation.baselines import baselines
from fsh.trainer.evaluation.evaluated_system import EvaluatedSystem
from fsh.trainer.evaluation.evaluation import EvaluationResult
from fsh.trainer.evaluation.evaluation import evaluate as run_protocols
from fsh.trainer.evaluation.metric_networks import load_metric_networks
from fsh.trainer.evaluation.results_table import ResultRow, result_rows
from fsh.trainer.evaluation.settings import EvaluationSettings
from fsh.trainer.evaluation.subjects import Subject, subjects_of_split
from fsh.trainer.evaluation.systems import systems_of
from fsh.trainer.presets import choose_device
from fsh.trainer.runs import Run


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` measured, and where it is written.

    Attributes:
        rows: one number each: a protocol, system, T and metric, with its interval.
        about: runs, fine-tuning steps, crop, seed and frames it was made with, JSON values.
        files: protocol to name (``json_file``, ``table``, ``page``, ``user_study``) to path.
    """

    rows: tuple[ResultRow, ...]
    about: dict[str, Any]
    files: dict[str, dict[str, str]]

    def to_json(self) -> dict[str, Any]:
        results = [row.to_json() for row in self.rows]
        return {"results": results, **self.about, "files": self.files}


def evaluate(
    data: AnyPath = "data",
    run: AnyPath | None = None,
    *,
    against: AnyPath | Sequence[AnyPath] = (),
    protocol: str | Sequence[str] = "fsth",
    shots: Sequence[int] = (1, 8, 32),
    identities: int | None = None,
    frames: int = 32,
    held: int = 32,
    split: str = "test",
    frames_folder: AnyPath | None = None,
    steps: int | str = AUTHORS,
    size: str = CROP,
    seed: int = 0,
    output: AnyPath | None = None,
    user_study: AnyPath | None = None,
    device: str = "auto",
    signing_key: AnyPath | None = None,
    announce: Announce | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Draw people never trained on from T photos, measure, and write the paper's table.

    Stopped, the same call goes on.

    Sets the number of PyTorch's threads in this process (``torch.set_num_threads``) where the
    networks are for 64 pixels or less and ``OMP_NUM_THREADS`` is not set.

    Args:
        data: the data folder.
        run: the training run; None: the newest of fsh's in ``runs``.
        against: other runs to compare with, those of alternatives among them.
        protocol: ``fsth``: the paper's self-reenactment; ``modern``: driven by another; or both.
        shots: numbers of photos T.
        identities: people at most; None: all of the split.
        frames: input frames of each identity, to draw photos from.
        held: hold-out frames of each identity.
        split: which split's people are drawn. Whoever a run was trained on is left out, whatever
            the split, unless it is ``train``: then the table says that it is of people trained on.
        frames_folder: instead of ``data``: ``SPLIT/IDENTITY/VIDEO/combined/00000_rgb.png`` …
        steps: fine-tuning steps: a number, ``authors`` (125 for one photo to 230 for more than
            30), or ``own`` (as :func:`fsh.personalize` finds them).
        size: pictures are compared at the size of the ``crop``, or at the smallest that every
            ``network`` draws.
        seed: of the choice of photos and the intervals.
        output: where it goes; None: ``evaluation`` in the run's folder.
        user_study: folder for a page that asks people which is the fake; None: no page.
        device: ``cpu``, ``cuda`` or ``auto``.
        signing_key: PEM file with certificates and key; None: this installation's.
        announce: called once, before the work begins, with the settings in force.
        progress: is told how far the work is (:class:`~fsh.schemas.progress.Progress`).

    Raises:
        FshError: a value out of range, no run, nobody to evaluate on that the runs never saw, runs
            that do not fit the
            data or one another.
    """
    progress = progress or Silent()
    folder = Path(run) if run else newest_run()
    options = EvaluationOptions(
        data=data,
        run=folder,
        against=tuple(as_paths(against)),
        protocols=parse_protocols(protocol),
        shots=tuple(sorted(set(shots))),
        identities=identities,
        frames=frames,
        held=held,
        split=split,
        frames_folder=Path(frames_folder) if frames_folder else None,
        steps=steps,
        size=size,
        seed=seed,
        output=Path(output) if output else RunFolder.of(folder).evaluation,
        user_study=Path(user_study) if user_study else None,
        device=choose_device(device),
    )
    outputs = require_own_outputs(options, signing_key)
    signer = signer_of(signing_key)
    if announce:
        announce(options.settings())
    with owned_outputs(outputs, "evaluate"):
        return _evaluate(options, signer, progress)


def require_own_outputs(options: EvaluationOptions, signing_key: AnyPath | None) -> list[Path]:
    """The folders that an evaluation writes.

    Raises:
        FshError: if one of them is an input, or holds what fsh did not make; if it cannot be
            written.
    """
    inputs = (options.data, options.run, *options.against, options.frames_folder, signing_key)
    outputs = [options.output]
    if options.user_study and options.user_study.resolve() != options.output.resolve():
        outputs.append(options.user_study)
    for folder in outputs:
        require_own_folder(folder, EVALUATION, inputs)
        require_outside_persons(folder)
    return outputs


def _evaluate(options: EvaluationOptions, signer: Signer, progress: Progress) -> Evaluation:
    runs = _open_runs(options, progress)
    spec = runs[options.run].spec
    checked = check_subjects(_subjects(options, spec, progress), runs, options, progress)
    subjects = checked.subjects
    for subject in subjects:
        _say_frames(subject, options, progress)
    drawn = [run.config.network.size for run in runs.values()]
    size = spec.size if options.size == CROP else min(drawn)
    set_thread_count(max(drawn))
    analyzer = DetectorFaceAnalyzer(spec)
    meshes = all(subject.meshes for subject in subjects)
    systems = [*_systems(options, runs, analyzer, progress), *baselines(meshes)]
    progress.say(f"landmark error, pose and expression are measured by {analyzer.landmark_backend}")
    networks, missing = load_metric_networks(progress, options.device)
    for name, why in analyzer.missing.items():
        progress.say(f"CSIM by {name} is not computed: {why}")
    folder = EvaluationFolder(options.output).cells
    settings = [
        EvaluationSettings(
            name, size, options.shots, options.seed, analyzer, networks, missing, folder
        )
        for name in options.protocols
    ]
    # Frames of a folder are of no video that `fsh forget` knows.
    videos = [] if options.frames_folder else [video_of(subject.source) for subject in subjects]
    for place in filter(None, (options.output, options.user_study)):
        record_shown(RunFolder.of(options.run), place, videos, progress)
    about = _about(options, runs, checked, size)
    rows: list[ResultRow] = []
    files: dict[str, dict[str, str]] = {}
    for result in run_protocols(subjects, systems, settings, progress):
        name, numbers = result.settings.protocol, result_rows(result)
        files[name] = _write(options, result, numbers, {"protocol": name, **about}, signer)
        rows += numbers
    return Evaluation(tuple(rows), about, files)


def _open_runs(options: EvaluationOptions, progress: Progress) -> dict[Path, Run]:
    """The runs to compare; all must have the same crop specification."""
    paths = (options.run, *options.against)
    runs = {path: Run.read(path, progress, options.device) for path in paths}
    for path, other in runs.items():
        runs[options.run].spec.require(
            other.spec, mine=f"run {shown(options.run)}", theirs=f"run {shown(path)}"
        )
    return runs


def _subjects(options: EvaluationOptions, spec: FaceSpec, progress: Progress) -> list[Subject]:
    """Everybody in the split or the folder."""
    frames, held = options.frames, options.held
    if options.frames_folder:
        return from_frames(options.frames_folder, spec, frames, held, progress)
    data = data_folder(options.data)
    return subjects_of_split(data, spec, split=options.split, inputs=frames, held_out=held)


def _say_frames(subject: Subject, options: EvaluationOptions, progress: Progress) -> None:
    """Say where a person has fewer frames than asked for, or damaged ones."""
    name = shown(subject.identity)
    if subject.damaged:
        progress.say(f"{name}: {subject.damaged}; it is done with the others")
    if subject.counts != (options.frames, options.held):
        inputs, others = subject.counts
        progress.say(f"{name}: only {inputs} + {others} frames")


def _systems(
    options: EvaluationOptions,
    runs: dict[Path, Run],
    analyzer: DetectorFaceAnalyzer,
    progress: Progress,
) -> list[EvaluatedSystem]:
    """What each run enters into the table; runs of one method are told apart by their names."""
    methods, rule = [r.config.method for r in runs.values()], fine_tuning_steps(options.steps)
    names = [path.name for path in runs]
    found: list[EvaluatedSystem] = []
    for path, run in runs.items():
        own = path.name if names.count(path.name) == 1 else str(path)
        label = own if methods.count(run.config.method) > 1 else ""
        found += systems_of(run, rule, progress, label, analyzer if options.steps == OWN else None)
    return found


def _about(
    options: EvaluationOptions, runs: dict[Path, Run], checked: CheckedSubjects, size: int
) -> dict[str, Any]:
    rule = fine_tuning_steps(options.steps)
    steps = {t: rule(t) for t in options.shots}
    return {
        "runs": {str(p): f"step {r.step}, weights {r.sha256[:12]}" for p, r in runs.items()},
        "fine_tuning_steps": {str(t): "own rule" if n is None else n for t, n in steps.items()},
        "crop": str(runs[options.run].spec),
        "compared_at": f"{size} px",
        "seed": options.seed,
        "frames": {s.identity: list(s.counts) for s in checked.subjects},
        **checked.to_json(),
        "damaged": {s.identity: s.damaged for s in checked.subjects if s.damaged},
    }


def _write(
    options: EvaluationOptions,
    result: EvaluationResult,
    rows: Sequence[ResultRow],
    about: dict[str, Any],
    signer: Signer,
) -> dict[str, str]:
    """The report of a protocol, and the study if it is the first one; their files."""
    files = write_report(options.output, result, rows, about, signer)
    if options.user_study and result.settings.protocol == options.protocols[0]:
        marks = report_marking(about, signer)
        page = write_study(options.user_study, result, options.seed, marks)
        files["user_study"] = str(page)
    return files
