"""A study with people: which of three pictures of one person is the fake? The paper's USER."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fsh.defaults import AnyPath, as_paths
from fsh.evaluation.report import data_uri
from fsh.marking import Marking
from fsh.pipeline.pages import render_page
from fsh.schemas.errors import FshError
from fsh.schemas.ids import stable_hash
from fsh.schemas.places.run_layout import StudyFolder
from fsh.schemas.places.temporary import replacing
from fsh.trainer.evaluation.baselines import BASELINES
from fsh.trainer.evaluation.evaluation import EvaluationResult
from fsh.trainer.evaluation.metrics import mean_interval


@dataclass(frozen=True)
class Triplet:
    """Two true pictures and a drawn one; ``fake`` is the drawn one's place, 0 to 2."""

    name: str
    system: str
    shots: int
    identity: str
    frame: int
    others: tuple[int, int]
    fake: int


def triplets(outcome: EvaluationResult, seed: int) -> list[Triplet]:
    """One per identity, system and T, in random order.

    The true pictures are other held-out frames than the one that was drawn. The baselines
    show true pixels and are left out.
    """
    random = np.random.default_rng(seed)
    asked = [n for n in outcome.systems if n not in BASELINES]
    found = []
    for subject in outcome.subjects:
        count = len(outcome.references[subject.identity].features["pose"])
        if count < 3:
            continue
        for system in asked:
            for shots in outcome.settings.shots:
                frame, a, b = (int(i) for i in random.choice(count, 3, replace=False))
                place = int(random.integers(3))
                found.append((system, shots, subject.identity, frame, (a, b), place))
    if not found:
        raise FshError(
            "nobody has three held-out frames",
            remedy="evaluate with more hold-out frames (held, --held)",
        )
    order = random.permutation(len(found))
    return [Triplet(f"q{n:04d}", *found[i]) for n, i in enumerate(order)]


def write_study(folder: Path, outcome: EvaluationResult, seed: int, marks: Marking) -> Path:
    """Write the page that asks and, beside it, the key that scores; the page's path.

    All three pictures are enlarged, marked and compressed alike: only what was drawn may give the
    fake away. The page does not hold the key.

    Raises:
        FshError: in a protocol without true pictures, or with too few of them.
    """
    if not outcome.settings.self_reenactment:
        raise FshError("only self-reenactment has true pictures", remedy="use protocol fsth")
    asked, study = triplets(outcome, seed), StudyFolder(folder)
    name = f"{stable_hash(json.dumps([asdict(t) for t in asked])):016x}"
    questions = []
    for triplet in asked:
        real = outcome.reference_pictures(triplet.identity)
        shown = [real[i] for i in triplet.others]
        drawn = outcome.pictures(triplet.system, triplet.shots, triplet.identity)[triplet.frame]
        shown.insert(triplet.fake, drawn)
        pictures = [data_uri(_jpeg(picture), "jpeg") for picture in marks.frames(shown)]
        questions.append({"name": triplet.name, "pictures": pictures})
    key = {"study": name, "triplets": [asdict(t) for t in asked]}
    for file, text in (
        (
            study.page,
            render_page("fsh.evaluation", "user_study.html.j2", study=name, questions=questions),
        ),
        (study.key, json.dumps(key, indent=1) + "\n"),
    ):
        with replacing(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return study.page


@dataclass(frozen=True)
class UserScore:
    """USER of a system at a T: the share of its pictures that were found to be fakes.

    Attributes:
        low, high: 95 % interval over identities; None with one identity.
        n: answers.
        identities: people who were asked about.
    """

    metric: str
    system: str
    shots: int
    value: float
    low: float | None
    high: float | None
    n: int
    identities: int
    backbone: str


@dataclass(frozen=True)
class StudyScores:
    """What the participants' answers say, per system and T; 1/3 is chance."""

    participants: int
    results: tuple[UserScore, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "participants": self.participants,
            "results": [asdict(score) for score in self.results],
        }


def score_answers(
    answers: AnyPath | Sequence[AnyPath], study: AnyPath | None = None, seed: int = 0
) -> StudyScores:
    """USER, the share of fakes found, per system and T.

    Args:
        answers: files that the page gave, one per participant; one or several.
        study: the study's folder; None: the key lies beside the first file.
        seed: of the intervals.

    Raises:
        FshError: if there is none, a file is no answer, or is of another study.
    """
    paths = as_paths(answers)
    if not paths:
        raise FshError("no answers to score", remedy="name the files that the page gave")
    key = _read(StudyFolder(Path(study) if study else paths[0].parent).key, "triplets")
    fakes = {t["name"]: t for t in key["triplets"]}
    groups: dict[tuple[str, int], dict[str, list[float]]] = {}
    for path in paths:
        given = _read(path, "answers")
        if given.get("study") != key["study"]:
            remedy = "name that study's folder (study, --user-study)"
            raise FshError("answers of another study", where=path, remedy=remedy)
        for name, place in given["answers"].items():
            if name not in fakes or place not in (0, 1, 2):
                raise FshError(f"no such question or place: {name!r}, {place!r}", where=path)
            asked = fakes[name]
            people = groups.setdefault((asked["system"], asked["shots"]), {})
            people.setdefault(asked["identity"], []).append(float(place == asked["fake"]))
    scores = []
    for (system, shots), people in sorted(groups.items(), key=lambda item: (item[0][1], item[0])):
        found = mean_interval([np.array(v) for v in people.values()], seed=seed)
        finite = np.isfinite(found.low)
        scores.append(
            UserScore(
                metric="user",
                system=system,
                shots=shots,
                value=found.value,
                low=found.low if finite else None,
                high=found.high if finite else None,
                n=sum(map(len, people.values())),
                identities=len(people),
                backbone="people",
            )
        )
    return StudyScores(len(paths), tuple(scores))


def _read(path: Path, wanted: str) -> dict[str, Any]:
    try:
        body = json.loads(path.read_text())
    except FileNotFoundError:
        remedy = "name the study's folder (study, --user-study)"
        raise FshError("no such file", where=path, remedy=remedy) from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise FshError("not JSON", where=path) from None
    if not isinstance(body, dict) or wanted not in body:
        raise FshError(f"no {wanted} in it", where=path)
    return body


def _jpeg(picture: np.ndarray) -> bytes:
    quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
    _, coded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality)
    return coded.tobytes()
