"""Where the time of ``fsh shard`` went: stages of a span, notes of workers, records of runs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsh.pipeline.dataset.config import AnalysisConfig
from fsh.pipeline.dataset.pages.contact_sheet import shown_throughput
from fsh.pipeline.dataset.spans.division import Span
from fsh.pipeline.dataset.spans.stages import StageClock, measured, stage, staged
from fsh.pipeline.dataset.throughput import RunClock, note_of_span, note_work, read_notes
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.throughput import STAGES, SpanWork, Throughput, Work

ANALYSIS = AnalysisConfig()
SPANS = [Span(f"v-{n}", 0.0, 30.0, f"videos/v-{n}.mp4", str(n)) for n in range(4)]


def test_a_stage_is_charged_what_is_done_in_it_and_not_in_one_inside():
    now = [5.0]
    clock = StageClock(lambda: now[0])
    now[0] = 6.0
    before = clock.enter("scores")
    now[0] = 8.0
    outer = clock.enter("sound")
    now[0] = 12.0
    clock.enter(outer)
    now[0] = 12.5
    clock.enter(before)
    now[0] = 13.0
    work = clock.work(30.0, 2)
    assert (before, outer) == ("other", "scores")
    assert work.cores == {"other": 1.5, "scores": 2.5, "sound": 4.0}
    assert (work.seconds, work.clips, work.decoded) == (30.0, 2, False)


def test_items_belong_to_the_stage_that_makes_them_and_an_error_leaves_it():
    def spend(seconds: float) -> None:
        end = clock._spent() + seconds
        while clock._spent() < end:
            pass

    def items():
        for _ in range(3):
            spend(0.02)
            yield 1
        raise ValueError

    with measured() as clock, pytest.raises(ValueError):
        for _ in staged("decode", items()):
            with stage("crop"):
                spend(0.01)
    with stage("write"):  # nobody measures any more
        spend(0.01)
    cores = clock.work(1.0, 0).cores
    assert cores["decode"] >= 0.06 and cores["crop"] >= 0.03 and "write" not in cores
    assert cores["decode"] > cores["crop"]


def test_a_run_takes_what_others_have_noted_too_and_removes_it(tmp_path):
    data = DataFolder(tmp_path)
    clock = RunClock(workers=2)
    clock.expect(data, SPANS[:1], ANALYSIS)
    with clock.phase("spans"):
        note_work(data, SPANS[0], ANALYSIS, SpanWork(30.0, 3, 9.0, {"decode": 4.0, "crop": 1.0}))
    # A part of an array job did these; one note was cut short, one is no worker's.
    note_work(data, SPANS[1], ANALYSIS, SpanWork(30.0, 2, 9.0, {"decode": 2.0}))
    note_work(data, SPANS[2], ANALYSIS, SpanWork(30.0, 1, 1.0, {"scores": 0.5}))
    note_of_span(data, SPANS[3], ANALYSIS).write_text('{"seconds": 3')
    other = {"seconds": 1, "clips": 1, "elapsed": 1, "cores": {"decode": float("inf")}}
    (data.times / "v-9.x.json").write_text(json.dumps(other))
    run = clock.record(data)
    assert run.analysed == Work(2, 60.0, 5, 18.0, {"decode": 6.0, "crop": 1.0})
    assert run.analysed.per_minute == {"decode": 6.0, "crop": 1.0}
    assert run.remade == Work(1, 30.0, 1, 1.0, {"scores": 0.5})
    assert run.clips == 3
    assert replace(run, phases={"spans": 1.5}).clips_per_second == 2.0
    assert not data.times.exists() and read_notes(data) == {}
    known = Throughput.read(data.throughput)
    assert known.runs == (run,) and known.analysed == run.analysed
    RunClock(workers=2).record(data)  # nothing was done: not worth a record
    assert Throughput.read(data.throughput) == known
    note_work(data, SPANS[0], ANALYSIS, SpanWork(30.0, 3, 9.0, {"decode": 4.0}))
    RunClock(workers=1).record(data)
    assert Throughput.read(data.throughput).analysed.cores == {"decode": 10.0, "crop": 1.0}
    assert len(shown_throughput(Throughput.read(data.throughput))["runs"]) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1}', '{"version": 9}', '{"version":'])
def test_what_cannot_be_read_counts_for_nothing(tmp_path, content):
    (tmp_path / "throughput.json").write_text(content)
    assert Throughput.read(tmp_path / "throughput.json") == Throughput()
    assert Throughput.read(tmp_path / "none") == Throughput()


@given(st.dictionaries(st.text(max_size=9), st.floats(0, 1e6), max_size=4))
def test_a_stage_that_nobody_knows_is_left_out(cores):
    work = Work.of([SpanWork(60.0, 1, 1.0, cores)])
    assert work.cores.keys() <= STAGES.keys()
    assert all(work.per_minute[name] == pytest.approx(cores[name], abs=1e-3) for name in work.cores)
