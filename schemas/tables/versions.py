"""Tables of older versions as tables of today's, and what tables no version can read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from fsh.schemas.errors import SchemaMismatch
from fsh.schemas.tables.records import RejectReason

#: What to do with a table that does not fit.
REMEDY = "it was written by another version of fsh; move it away and run again"
#: Names in version 1 of the table of clips. Version 1 did not say so.
_OLD_COLUMNS = {"stillness": "frame_difference", "purity": "identity_consistency"}
_OLD_REASONS = {"glimpse": RejectReason.BRIEF_TRACK.value}
#: Columns by the table, and the version of it that had them first.
_NEW_COLUMNS: dict[str, dict[int, tuple[str, ...]]] = {
    "clips": {
        3: ("mouth_opening", "eye_opening", "eyes_shut", "gaze_x", "gaze_y"),
        4: (
            *("cover_start", "cover_end"),
            *("speech", "sync_offset", "sync_confidence", "text_overlap"),
            *("motion_print", "duplicate_of"),
        ),
    },
    "sources": {2: ("labels", "file_start")},
}


def table_title(schema: pa.Schema) -> str:
    """What a table holds: ``sources`` or ``clips``."""
    return (schema.metadata or {}).get(b"title", b"table").decode()


def upgraded_table(table: pa.Table, schema: pa.Schema, path: Path) -> pa.Table:
    """A table with the names and columns of this version, if an older one wrote it.

    Args:
        schema: what it should have.
        path: of the table, for messages.

    Raises:
        SchemaMismatch: if a newer fsh wrote it.
    """
    if table_title(table.schema) != table_title(schema):
        return table
    version, newest = _version(table.schema), _version(schema)
    if version > newest:
        raise SchemaMismatch(
            f"written by a newer fsh ({table_title(schema)} table version {version}, not {newest})",
            where=path,
            remedy="update fsh",
        )
    if table_title(schema) == "clips" and version < 2:
        table = _with_new_names(table)
    added = _NEW_COLUMNS.get(table_title(schema), {})
    for name in (name for first, new in added.items() if version < first for name in new):
        if name not in table.schema.names:
            field = schema.field(name)
            table = table.append_column(field, pa.nulls(len(table), field.type))
    return table


def check_columns(found: pa.Schema, wanted: pa.Schema, path: Path) -> None:
    """Raises:
    SchemaMismatch: if a table at ``path`` has not exactly the wanted columns.
    """
    missing = sorted(set(wanted.names) - set(found.names))
    unknown = sorted(set(found.names) - set(wanted.names))
    types = [
        f"{f.name} is {found.field(f.name).type}, not {f.type}"
        for f in wanted
        if f.name in found.names and found.field(f.name).type != f.type
    ]
    if missing or unknown or types:
        title = table_title(wanted)
        raise SchemaMismatch(
            f"{title} table does not fit: missing {missing}, unknown {unknown}, {types}",
            where=path,
            remedy=REMEDY,
        )


def _with_new_names(table: pa.Table) -> pa.Table:
    """Clips of version 1 with the names of version 2."""
    table = table.rename_columns([_OLD_COLUMNS.get(n, n) for n in table.schema.names])
    place = table.schema.get_field_index("reason")
    if place < 0:
        return table
    reasons = [_OLD_REASONS.get(reason, reason) for reason in table["reason"].to_pylist()]
    return table.set_column(place, table.schema.field("reason"), pa.array(reasons, pa.string()))


def _version(schema: pa.Schema) -> int:
    said = (schema.metadata or {}).get(b"version", b"1")
    return int(said) if said.isdigit() else 1


def describe_columns(schema: pa.Schema) -> list[tuple[str, str, str]]:
    """(name, type, description) of every column; the type as Arrow has it, or ``list of float``."""
    return [
        (
            f.name,
            f"list of {f.type.value_type}" if pa.types.is_list(f.type) else str(f.type),
            f.metadata[b"description"].decode(),
        )
        for f in schema
    ]
