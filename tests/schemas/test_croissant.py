"""``dataset.json`` against the reference reader of Croissant: valid, and it really loads clips."""

from __future__ import annotations

import json

import mlcroissant
import pytest
from erasable import make

from fsh.schemas.ids import file_sha256
from fsh.schemas.shards.card import DatasetCard
from fsh.schemas.tables.columns import CLIPS
from fsh.schemas.tables.parquet import read_table


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made") / "data", ["ann", "bob", "cyd", "dan", "eve"])


def test_the_reference_reader_finds_no_fault(data):
    dataset = mlcroissant.Dataset(data.card)
    assert not dataset.metadata.ctx.issues.errors
    assert dataset.metadata.ctx.conforms_to.value.endswith("croissant/1.1")
    told = json.loads(data.card.read_text())
    for name in ("dataCollection", "dataBiases", "dataLimitations", "dataUseCases"):
        assert told[f"rai:{name}"] and getattr(
            dataset.metadata, "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
        )
    assert told["rai:personalSensitiveInformation"]


def test_it_loads_the_clips_table(data):
    rows = list(mlcroissant.Dataset(data.card).records("clips"))
    table = read_table(data.clips, CLIPS).to_pylist()
    assert len(rows) == len(table) == 5
    assert set(rows[0]) == {f"clips/{name}" for name in CLIPS.names}
    for row, wanted in zip(rows, table, strict=True):
        assert row["clips/clip_id"].decode() == wanted["clip_id"]
        assert row["clips/kept"] == wanted["kept"]


def test_the_card_knows_the_tables_hash_and_its_own(data):
    told = json.loads(data.card.read_text())
    (table,) = [f for f in told["distribution"] if f["@id"] == "clips/clips.parquet"]
    assert table["sha256"] == file_sha256(data.clips)
    card = DatasetCard.read(data.card)
    assert card.sha256 == file_sha256(data.card)
    assert len(card.shards) == len(told["distribution"]) - 1
