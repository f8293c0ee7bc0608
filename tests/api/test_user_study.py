"""The report and the user study, as a browser shows them, and from answers to USER."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from plain_analyzer import PlainAnalyzer
from tiny_data import SPEC, write_data

from fsh.evaluation import report as evaluation_report
from fsh.evaluation import user_study as study
from fsh.pipeline.provenance.manifest import read_manifest
from fsh.pipeline.provenance.signing import installation_signer
from fsh.schemas.errors import FshError
from fsh.schemas.progress import Silent
from fsh.schemas.run_pictures import RunPictures
from fsh.trainer.evaluation.baselines import NearestPhoto
from fsh.trainer.evaluation.evaluation import evaluate
from fsh.trainer.evaluation.results_table import result_rows
from fsh.trainer.evaluation.settings import EvaluationSettings
from fsh.trainer.evaluation.subjects import subjects_of_split

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ABOUT = {"protocol": "fsth", "runs": {"runs/<x>": "step 2"}}


class Dark(NearestPhoto):
    """Draws the nearest photo, darker: something to tell apart."""

    name, fingerprint = "dark & <odd>", "1"

    def fit(self, photos):
        draw = super().fit(photos)
        return lambda landmarks: draw(landmarks) // 2


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    data = write_data(root, people=3, samples=1, frames=8, split="test")
    settings = EvaluationSettings("fsth", 32, (1, 2), 0, PlainAnalyzer(), {}, {}, root / "cells")
    subjects = subjects_of_split(data, SPEC, inputs=4, held_out=4)
    return evaluate(subjects, [Dark(), NearestPhoto()], [settings], Silent())[0]


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def browsed(path) -> str:
    """The page as a browser has it after running its scripts."""
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout


def test_the_report_stands_alone_and_is_marked(outcome, tmp_path):
    rows = result_rows(outcome)
    found = evaluation_report.write_report(tmp_path, outcome, rows, ABOUT, installation_signer())
    text = (tmp_path / "fsth.html").read_text()
    page = Page(text)
    assert "AI-generated" in text and "<odd>" not in text and "&lt;odd&gt;" in text
    pictures = page.all("img")
    assert len(pictures) == 3 and all(p["src"].startswith("data:image/png") for p in pictures)
    assert not re.search(r'(src|href)="(?!data:)', text)
    plots = len({r.metric for r in rows if r.value is not None})
    assert len(page.all("svg")) == plots and len(page.all("polyline")) == 2 * plots
    strips = sorted((tmp_path / "strips").glob("*.png"))
    assert len(strips) == 3 and read_manifest(strips[0]).state != "absent"
    body = json.loads((tmp_path / "fsth.json").read_text())
    assert body["results"] == [row.to_json() for row in rows]
    assert set(found) == {"json_file", "table", "page"}


def with_script(page: str, script: str) -> str:
    """A page with a script of the test's own, which its policy lets run beside the page's."""
    body = script.removeprefix("<script>").removesuffix("</script>")
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    allowed = f"&#39;sha256-{digest}&#39;"
    if "script-src " in page:
        page = page.replace("script-src ", f"script-src {allowed} ", 1)
    else:
        page = page.replace("form-action", f"script-src {allowed}; form-action", 1)
    return page.replace("</html>", script + "</html>")


@pytest.mark.skipif(not CHROMIUM, reason="no chromium here")
def test_a_browser_draws_the_report(outcome, tmp_path):
    evaluation_report.write_report(
        tmp_path, outcome, result_rows(outcome), ABOUT, installation_signer()
    )
    page = tmp_path / "fsth.html"
    check = """<script>document.body.dataset.seen = [...document.images]
      .every((i) => i.naturalWidth > 300) + " " + [...document.querySelectorAll("circle")]
      .every((c) => { const b = c.getBoundingClientRect(), s = c.ownerSVGElement
      .getBoundingClientRect(); return b.left >= s.left && b.bottom <= s.bottom; });</script>"""
    page.write_text(with_script(page.read_text(), check))
    assert 'data-seen="true true"' in browsed(page)


@pytest.mark.skipif(not CHROMIUM, reason="no chromium here")
def test_a_browser_collects_the_answers(outcome, tmp_path):
    """Click through the study as a participant would, and score what the page would save."""
    marks = evaluation_report.report_marking(ABOUT, installation_signer())
    page = study.write_study(tmp_path, outcome, 0, marks)
    clicks = """<script>document.querySelectorAll("section").forEach((_, i) => {
      if (i % 2) document.querySelector("section.now button").click();
      else document.dispatchEvent(new KeyboardEvent("keydown", { key: "3" })); });
      document.body.dataset.saved = saved();
      document.body.dataset.end = document.getElementById("end").hidden;</script>"""
    copy = tmp_path / "clicked.html"
    copy.write_text(with_script(page.read_text(), clicks))
    seen = browsed(copy)
    assert 'data-end="false"' in seen
    saved = re.search(r'data-saved="([^"]*)"', seen)[1].replace("&quot;", '"')
    answers = json.loads(saved)
    assert len(answers["answers"]) == 3 * 2 and set(answers["answers"].values()) == {0, 2}
    (tmp_path / "answers.json").write_text(saved)
    assert study.score_answers([tmp_path / "answers.json"], None, 0).participants == 1


def test_answers_are_scored_against_the_key_and_the_page_does_not_hold_it(outcome, tmp_path):
    marks = evaluation_report.report_marking(ABOUT, installation_signer())
    page = study.write_study(tmp_path, outcome, 0, marks)
    key = json.loads((tmp_path / "key.json").read_text())
    assert "fake" not in re.sub(r"(?i)which one is the fake", "", page.read_text())
    assert {t["system"] for t in key["triplets"]} == {"dark & <odd>"}
    for triplet in key["triplets"]:
        assert len({triplet["frame"], *triplet["others"]}) == 3
    right = {t["name"]: t["fake"] for t in key["triplets"]}
    wrong = {name: (place + 1) % 3 for name, place in right.items()}
    for name, given in (("a", right), ("b", wrong)):
        text = json.dumps({"study": key["study"], "answers": given})
        (tmp_path / f"{name}.json").write_text(text)
    best = study.score_answers([tmp_path / "a.json"], None, 0).results
    assert [r.value for r in best] == [1, 1] and [r.shots for r in best] == [1, 2]
    both = study.score_answers([tmp_path / "a.json", tmp_path / "b.json"], tmp_path, 0)
    assert [r.value for r in both.results] == [0.5, 0.5] and both.results[0].n == 6


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ('{"study": "x"}', "no answers"),
        ('{"study": "x", "answers": {}}', "another study"),
    ],
)
def test_other_files_are_no_answers(outcome, tmp_path, text, told):
    study.write_study(
        tmp_path, outcome, 0, evaluation_report.report_marking(ABOUT, installation_signer())
    )
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(FshError, match=told):
        study.score_answers([tmp_path / "bad.json"], None, 0)


def test_the_three_pictures_are_treated_alike(outcome):
    asked = study.triplets(outcome, 0)
    assert asked == study.triplets(outcome, 0) != study.triplets(outcome, 1)
    places = np.bincount([t.fake for s in range(30) for t in study.triplets(outcome, s)])
    assert places.min() > 30


def test_an_erasure_finds_all_that_was_written(outcome, tmp_path):
    """What evaluations write is listed in schemas.shown; a file not listed there would stay."""
    folder = tmp_path / "evaluation"
    shutil.copytree(outcome.settings.folder, folder / "cells")
    signer = installation_signer()
    evaluation_report.write_report(folder, outcome, result_rows(outcome), ABOUT, signer)
    study.write_study(folder, outcome, 0, evaluation_report.report_marking(ABOUT, signer))
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(written) > 10
    assert RunPictures(tmp_path, folder, None).files() == written
