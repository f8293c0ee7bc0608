"""Tables and records: what is written is what is read, and tables of older versions still are."""

from __future__ import annotations

from dataclasses import fields, replace
from enum import StrEnum
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsh.schemas.errors import FshError, SchemaMismatch
from fsh.schemas.tables import parquet, rows
from fsh.schemas.tables.columns import CLIPS, SOURCES
from fsh.schemas.tables.parquet import (
    read_clips,
    read_sources,
    read_table,
    to_table,
    write_clips,
    write_sources,
    write_table,
)
from fsh.schemas.tables.records import (
    Clip,
    ErrorClass,
    IdentityOrigin,
    RejectReason,
    Source,
    SourceState,
    known,
)
from fsh.schemas.tables.versions import describe_columns

SOURCE = Source(request_id="r", url="a.mp4", state=SourceState.STORED)


@pytest.mark.parametrize("schema", [SOURCES, CLIPS])
def test_every_column_is_described(schema):
    assert all(text for _, _, text in describe_columns(schema))


def test_a_table_is_checked_when_it_is_read(tmp_path):
    path = tmp_path / "sources.parquet"
    write_table(to_table([{"url": "a.mp4", "line": 1}], SOURCES), path, SOURCES)
    assert read_table(path, SOURCES).to_pylist()[0]["url"] == "a.mp4"
    with pytest.raises(SchemaMismatch, match="clips table does not fit: missing"):
        read_table(path, CLIPS)
    with pytest.raises(SchemaMismatch, match="nonsense"):
        to_table([{"nonsense": 1}], SOURCES)
    path.write_bytes(b"not parquet")
    with pytest.raises(SchemaMismatch, match="not a readable Parquet"):
        read_table(path, SOURCES)


#: What a column of a type may hold in a record.
FITTING = {
    pa.string(): (str, StrEnum),
    pa.bool_(): (bool,),
    pa.int32(): (int,),
    pa.int64(): (int,),
    pa.float32(): (float,),
    pa.float64(): (float,),
    pa.list_(pa.float32()): (np.ndarray, tuple),
}


@pytest.mark.parametrize(("record", "schema"), [(Source, SOURCES), (Clip, CLIPS)])
def test_a_records_fields_are_the_columns_in_their_order_and_of_their_types(record, schema):
    assert [field.name for field in fields(record)] == schema.names
    for name, hint in get_type_hints(record).items():
        if name.startswith("_"):
            continue
        union = get_args(hint) or (hint,)
        kinds = [get_origin(kind) or kind for kind in union if kind is not type(None)]
        assert len(kinds) == 1 and issubclass(kinds[0], FITTING[schema.field(name).type]), name


def values_of(record: type, schema: pa.Schema) -> st.SearchStrategy:
    """Any record: every field any value that its column can hold."""
    enums: dict[str, type[StrEnum]] = record._enums
    strategies: dict[str, st.SearchStrategy] = {}
    for field in fields(record):
        kind = schema.field(field.name).type
        if field.name in enums:
            values: st.SearchStrategy[Any] = st.sampled_from(enums[field.name])
        elif kind == pa.list_(pa.float32()):
            count = 4 if field.name == "bbox" else 128
            values = st.lists(st.floats(width=32), min_size=count, max_size=count)
            values = values.map(tuple if field.name == "bbox" else np.float32)
        elif pa.types.is_floating(kind):
            values = st.floats(width=kind.bit_width)
        elif pa.types.is_integer(kind):
            bits = kind.bit_width - 1
            values = st.integers(-(2**bits), 2**bits - 1)
        else:
            values = st.booleans() if kind == pa.bool_() else st.text(max_size=9)
        optional = field.default is None
        strategies[field.name] = st.none() | values if optional else values
    return st.builds(record, **strategies)


def shown(record: Source | Clip) -> tuple[str, bytes]:
    """A record's values as text, in which NaN is NaN."""
    embedding = getattr(record, "embedding", None)
    if embedding is None:
        return repr(record), b""
    return repr(replace(record, embedding=None)), embedding.tobytes()


@settings(deadline=None, max_examples=60)
@given(st.lists(values_of(Clip, CLIPS), max_size=4))
def test_clips_survive_their_table(tmp_path_factory, clips):
    path = tmp_path_factory.mktemp("clips") / "clips.parquet"
    write_clips(clips, path)
    found = read_clips(path)
    assert list(map(shown, found)) == list(map(shown, clips))
    first = path.read_bytes()
    write_clips(found, path)
    assert path.read_bytes() == first


@settings(deadline=None, max_examples=60)
@given(st.lists(values_of(Source, SOURCES), max_size=4))
def test_sources_survive_their_table(tmp_path_factory, sources):
    path = tmp_path_factory.mktemp("sources") / "sources.parquet"
    write_sources(sources, path)
    found = read_sources(path)
    assert list(map(shown, found)) == list(map(shown, sources))
    first = path.read_bytes()
    write_sources(found, path)
    assert path.read_bytes() == first


def test_many_rows_are_written_group_by_group(monkeypatch, tmp_path):
    monkeypatch.setattr(rows, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(rows, "_BATCHES", 2)
    monkeypatch.setattr(parquet, "GROUP", 6)
    path, again = tmp_path / "clips.parquet", tmp_path / "again.parquet"
    for count, groups in ((0, 1), (6, 1), (20, 4)):
        clips = [Clip(video_id=f"v-{n:016x}", frames=n) for n in range(count)]
        write_clips(iter(clips), path)
        assert pq.ParquetFile(path).num_row_groups == groups
        assert read_clips(path) == clips
        write_table(read_table(path, CLIPS), again, CLIPS)
        assert read_clips(again) == clips and pq.ParquetFile(again).num_row_groups == groups


def test_none_is_null_except_where_a_column_is_empty_instead():
    row = Clip(video_id="v").to_row()
    assert row.pop("reason") == "" and row.pop("video_id") == "v" and row.pop("kept") is False
    assert set(row.values()) == {None}
    assert SOURCE.to_row()["error_class"] == "" and SOURCE.to_row()["duration"] is None
    rejected = Clip(video_id="v", identity_from=IdentityOrigin.LABEL, reason=RejectReason.DARK)
    assert rejected.to_row()["reason"] == "dark" and rejected.to_row()["identity_from"] == "label"
    assert replace(SOURCE, error_class=ErrorClass.PERMANENT).to_row()["error_class"] == "permanent"


def test_null_is_a_fields_default():
    row = dict.fromkeys(SOURCES.names) | {"request_id": "r", "url": "a.mp4", "state": "stored"}
    assert Source.from_row(row) == SOURCE


def test_a_value_that_a_column_cannot_have_is_told_with_its_file(tmp_path):
    path = tmp_path / "clips.parquet"
    write_table(to_table([{"video_id": "v", "reason": "mood"}], CLIPS), path, CLIPS)
    with pytest.raises(SchemaMismatch, match=r"clips.parquet: not a clips table .*mood"):
        read_clips(path)
    with pytest.raises(FshError, match="lacks a value"):
        known(Clip(video_id="v").start)


def old_table(*, version: str = "") -> pa.Table:
    """A table of clips as fsh wrote it before columns and a reason were renamed."""
    rows = [
        {"video_id": "a", "kept": True, "reason": "", "frame_difference": 0.5},
        {"video_id": "b", "kept": False, "reason": "brief_track", "identity_consistency": 0.25},
        {"video_id": "c", "kept": False, "reason": None},
    ]
    names = {"frame_difference": "stillness", "identity_consistency": "purity"}
    table = to_table(rows, CLIPS)
    table = table.rename_columns([names.get(name, name) for name in table.schema.names])
    reasons = ["", "glimpse", None]
    place = table.schema.get_field_index("reason")
    table = table.set_column(place, table.schema.field("reason"), pa.array(reasons, pa.string()))
    metadata = {b"title": b"clips"} | ({b"version": version.encode()} if version else {})
    return table.replace_schema_metadata(metadata)


def test_a_table_of_version_1_still_reads(tmp_path):
    path = tmp_path / "clips.parquet"
    pq.write_table(old_table(), path)
    first, second, third = read_clips(path)
    assert (first.frame_difference, first.kept, first.reason) == (0.5, True, None)
    assert (second.identity_consistency, second.reason) == (0.25, RejectReason.BRIEF_TRACK)
    assert third.reason is None
    assert read_table(path, CLIPS)["reason"].to_pylist() == ["", "brief_track", None]


def test_a_table_of_version_2_has_no_scores_of_a_mesh(tmp_path):
    path = tmp_path / "clips.parquet"
    clip = Clip(video_id="v", yaw=3.0, gaze_x=0.5, eyes_shut=0.25)
    write_clips([clip], path)
    assert read_clips(path) == [clip]
    new = ["mouth_opening", "eye_opening", "eyes_shut", "gaze_x", "gaze_y"]
    old = pq.read_table(path).drop_columns(new)
    pq.write_table(old.replace_schema_metadata({"title": "clips", "version": "2"}), path)
    assert read_clips(path) == [replace(clip, gaze_x=None, eyes_shut=None)]
    pq.write_table(old.replace_schema_metadata({"title": "clips", "version": "3"}), path)
    with pytest.raises(SchemaMismatch, match=r"missing \['eye_opening'"):
        read_clips(path)


def test_a_table_of_a_newer_version_says_so(tmp_path):
    path = tmp_path / "clips.parquet"
    pq.write_table(old_table(version="5"), path)
    with pytest.raises(SchemaMismatch, match=r"version 5, not 4\) → update fsh"):
        read_clips(path)


@pytest.mark.parametrize("schema", [SOURCES, CLIPS])
def test_a_table_says_its_version(schema, tmp_path):
    write_table(to_table([], schema), tmp_path / "table.parquet", schema)
    metadata = pq.read_schema(tmp_path / "table.parquet").metadata
    assert metadata[b"version"] == schema.metadata[b"version"]
