"""How good T photos make a person: FF against FT and the baselines, on unseen people.

    python tests/benchmarks/few_shot.py DATA RUN [--identities 5] [--held 16] [--out FOLDER]
        [--parts] [--plain RUN]

With --parts also people that are drawn without one of the parts that pictures are put together of
(copied_parts.py), and what true motion would give (true_motion.py); with --plain those of a run
without references. --measured-by names the landmark backend that measures.

The functions of ``fsh evaluate`` and nothing else: SSIM, sharpness, identity similarity, landmark,
pose and expression errors in self-reenactment, those of turned heads by themselves too; and the
ratio of output's to driver's jitter when driven by another person.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from copied_parts import ablations
from true_motion import TrueMotion

from fsh.cli.console import progress
from fsh.evaluation.options import CROP, NETWORK, SIZES, fine_tuning_steps
from fsh.evaluation.report import format_value
from fsh.face_analysis import MEASURING, DetectorFaceAnalyzer
from fsh.pipeline.faces.backends import BACKENDS
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.places.temporary import scratch_folder
from fsh.trainer.evaluation.baselines import baselines
from fsh.trainer.evaluation.evaluation import evaluate
from fsh.trainer.evaluation.results_table import result_rows
from fsh.trainer.evaluation.settings import EvaluationSettings
from fsh.trainer.evaluation.subjects import subjects_of_split
from fsh.trainer.evaluation.systems import systems_of
from fsh.trainer.runs import Run

SHOTS = (1, 8, 32)
FOUND = ("csim_dlib", "lost", "akd", "pose", "expression")
SHOWN = {"fsth": ("ssim", "sharpness", *FOUND), "modern": (*FOUND, "jitter")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--identities", type=int)
    parser.add_argument("--held", type=int, default=16)
    parser.add_argument("--steps", default="authors")
    parser.add_argument("--shots", default=",".join(map(str, SHOTS)))
    parser.add_argument("--size", choices=SIZES, default=CROP)
    parser.add_argument("--protocols", nargs="+", choices=[*SHOWN], default=[*SHOWN])
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--plain", type=Path)
    parser.add_argument("--measured-by", choices=[*BACKENDS], default=MEASURING)
    parser.add_argument("--out", type=Path, help="kept there, and gone on from")
    options = parser.parse_args()
    shots = tuple(int(shot) for shot in options.shots.split(","))
    with progress() as bar, ExitStack() as stack:
        folder = options.out or stack.enter_context(scratch_folder("few-shot"))
        run = Run.read(options.run, bar)
        people = subjects_of_split(DataFolder(options.data), run.spec, held_out=options.held)
        size = run.config.network.size if options.size == NETWORK else run.spec.size
        own = systems_of(run, fine_tuning_steps(options.steps), bar)
        own = own[:1] if options.steps == "0" else own  # fine-tuned by nothing it is the same
        if options.parts:
            own += [*ablations(run), TrueMotion(people)]
        if options.plain:
            own += systems_of(Run.read(options.plain, bar), lambda _: 0, bar, "no references")[:1]
        systems = [*own, *baselines(all(person.meshes for person in people))]
        analyzer = DetectorFaceAnalyzer(run.spec, measuring=options.measured_by)
        skipped = dict.fromkeys(("fid", "lpips"), "not asked for")
        settings = [
            EvaluationSettings(name, size, shots, 0, analyzer, {}, skipped, folder)
            for name in options.protocols
        ]
        evaluations = evaluate(people[: options.identities], systems, settings, bar)
        for evaluation, protocol in zip(evaluations, options.protocols, strict=True):
            for row in result_rows(evaluation):
                if row.metric in SHOWN[protocol]:
                    shown = f"T={row.shots:<2}  {row.system:17}  {row.title}: {format_value(row)}"
                    print(f"{row.protocol}  {row.frames:6}  n={row.n:<4}  {shown}")


if __name__ == "__main__":
    main()
