"""C2PA manifests: who made a file, from what, and whether it was changed since.

Everything happens on this machine: no time stamp service, no remote manifest, no revocation query.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fsh.pipeline.provenance.media_types import (
    STORE_TYPE,
    manifest_beside,
    media_type,
    needs_manifest_beside,
)
from fsh.pipeline.provenance.refusals import raising_what_was_refused
from fsh.pipeline.provenance.signing import (
    Signer,
    error_text,
    installation_authority,
    read_pem,
)
from fsh.schemas.consent import NOT_STATED, Consent
from fsh.schemas.errors import FshError
from fsh.schemas.places.temporary import replacing

#: Label of fsh's own assertion, which holds :class:`Claims`.
ASSERTION = "fsh.rendering"
AI_GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


class ManifestState(StrEnum):
    """Whether a file's manifest can be believed."""

    VALID = "valid"
    #: Unchanged, but the signer is not known here.
    UNTRUSTED = "untrusted signer"
    TAMPERED = "tampered"
    ABSENT = "absent"


@dataclass(frozen=True)
class Claims:
    """What fsh claims about a file in its manifest.

    Attributes:
        made_from: SHA-256 (hex) of each thing it was made from: ``model``, ``dataset``,
            ``person`` …
        consent: the statement, or None for "not stated".
        watermark: the payload that the pixels carry, or None if they carry none.
        private: whether the watermark can be read only with a secret key.
    """

    made_from: Mapping[str, str] = field(default_factory=dict)
    consent: Consent | None = None
    watermark: int | None = None
    private: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "made_from": dict(self.made_from),
            "consent": self.consent.to_json() if self.consent else NOT_STATED,
            "watermark": None if self.watermark is None else f"{self.watermark:08x}",
            "watermark_key": "private" if self.private else "public",
        }


@dataclass(frozen=True)
class Manifest:
    """What a file's manifest says, and whether it can be believed.

    Attributes:
        state: whether it can be believed.
        detail: why, in C2PA's own codes; empty if valid.
        signer: common name in the certificate; empty if there is none.
        generator: the tool that made the claim, with its version.
        ai_generated: whether the manifest says that the file is AI-generated.
        claims: the content of fsh's own assertion; empty if another tool wrote the manifest.
    """

    state: ManifestState
    detail: str = ""
    signer: str = ""
    generator: str = ""
    ai_generated: bool = False
    claims: Mapping[str, Any] = field(default_factory=dict)

    @property
    def intact(self) -> bool:
        """Whether the file is unchanged since it was signed."""
        return self.state in (ManifestState.VALID, ManifestState.UNTRUSTED)


def sign_file(source: Path, claims: Claims, signer: Signer, *, to: Path | None = None) -> Path:
    """Give a PNG, JPEG, GIF, MP4, QuickTime, Matroska or WebM file a signed manifest.

    Of Matroska and WebM it lies beside the file (:func:`manifest_beside`), of all others inside.

    Args:
        source: the file; its type is told by its content.
        to: where the signed file goes; default: it replaces ``source``. It appears only when
            complete.

    Returns:
        The path of the signed file.

    Raises:
        FshError: if it is another type of file, or the key or its certificates are refused.
    """
    import c2pa

    target, kind = to or source, media_type(source)
    if kind is None:
        raise FshError("cannot be signed: no PNG, JPEG, GIF, MP4, MOV, MKV or WebM", where=source)
    tool = {"name": "fsh", "version": _version()}
    created = {"action": "c2pa.created", "digitalSourceType": AI_GENERATED, "softwareAgent": tool}
    definition = {
        "claim_generator_info": [tool],
        "title": target.name,
        "format": kind,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {"label": ASSERTION, "data": claims.to_json() | {"fsh": tool["version"]}},
        ],
    }
    try:
        info = c2pa.C2paSignerInfo(
            c2pa.C2paSigningAlg[signer.algorithm],
            signer.chain.encode(),
            signer.key.encode(),
            None,
        )
        with (
            replacing(target) as temporary,
            source.open("rb") as before,
            temporary.open("w+b") as output,
            raising_what_was_refused(output) as after,
            c2pa.Signer.from_info(info) as c2pa_signer,
            c2pa.Builder(definition, _context()) as builder,
        ):
            beside = needs_manifest_beside(source)
            if beside:
                builder.set_no_embed()
            content = builder.sign(c2pa_signer, kind, before, after)
            if beside:
                with replacing(manifest_beside(target)) as own_file:
                    own_file.write_bytes(content)
    except c2pa.C2paError as error:
        raise FshError(
            f"cannot be signed ({error_text(error)})",
            where=source,
            remedy="check the signing key and its certificates; C2PA refuses self-signed ones",
        ) from error
    return target


def read_manifest(path: Path, anchors: Sequence[Path] = ()) -> Manifest:
    """Read and verify a file's manifest, whichever tool wrote it, without the network.

    Args:
        anchors: PEM files of certificate authorities to trust besides this installation's own.

    Raises:
        FshError: if the file or an anchor cannot be read at all.
    """
    import c2pa

    trusted = [read_pem(anchor) for anchor in (*anchors, *installation_authority())]
    beside = needs_manifest_beside(path) and manifest_beside(path).is_file()
    try:
        with path.open("rb") as file:
            context = _context("\n".join(trusted))
            if beside:
                kind, content = media_type(path), manifest_beside(path).read_bytes()
                reader: c2pa.Reader | None = c2pa.Reader(kind, file, content, context=context)
            else:
                reader = c2pa.Reader.try_create(file, context=context)
            if reader is None:
                return _unreadable(path, "a manifest is there but not where the format has it")
            with reader:
                return _manifest_of(json.loads(reader.json()))
    except OSError as error:
        raise FshError(f"cannot be read ({error.strerror})", where=path) from error
    except c2pa.C2paError as error:
        if beside:
            return Manifest(ManifestState.TAMPERED, detail=error_text(error))
        return _unreadable(path, error_text(error))


def _manifest_of(store: dict[str, Any]) -> Manifest:
    """The JSON of c2pa's reader as a :class:`Manifest`."""
    active = store.get("manifests", {}).get(store.get("active_manifest"))
    if active is None:
        return Manifest(ManifestState.TAMPERED, detail="the active manifest is missing")
    results = store.get("validation_results", {}).get("activeManifest", {})
    codes = [found["code"] for found in results.get("failure", [])]
    about_signer = all(code.startswith("signingCredential.") for code in codes)
    states = {"Trusted": ManifestState.VALID, "Valid": ManifestState.UNTRUSTED}
    state = states.get(store.get("validation_state", ""), ManifestState.TAMPERED)
    if state == ManifestState.TAMPERED and codes and about_signer:
        state = ManifestState.UNTRUSTED
    data = {found["label"]: found.get("data", {}) for found in active.get("assertions", [])}
    actions = [
        action
        for label, content in data.items()
        if label.startswith("c2pa.actions")
        for action in content.get("actions", [])
    ]
    tool = (active.get("claim_generator_info") or [{}])[0]
    signature = active.get("signature_info") or {}
    return Manifest(
        state=state,
        detail=", ".join(dict.fromkeys(codes)),
        signer=signature.get("common_name") or signature.get("issuer") or "",
        generator=f"{tool.get('name', '')} {tool.get('version', '')}".strip(),
        ai_generated=any(
            "trainedAlgorithmicMedia" in str(action.get("digitalSourceType", ""))
            for action in actions
        ),
        claims=data.get(ASSERTION, {}),
    )


def _unreadable(path: Path, reason: str) -> Manifest:
    """For a file whose manifest cannot be read: it has none, or a damaged one."""
    if path.stat().st_size:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as all_:
            if all_.find(STORE_TYPE) >= 0:
                return Manifest(ManifestState.TAMPERED, detail=reason)
    return Manifest(ManifestState.ABSENT)


def _context(anchors: str = ""):
    """c2pa's settings: no network access, no thumbnail; ``anchors``: PEM text of authorities."""
    import c2pa

    settings: dict[str, Any] = {
        "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
        "builder": {"thumbnail": {"enabled": False}},
    }
    if anchors:
        settings["trust"] = {"user_anchors": anchors}
    return c2pa.Context.from_dict(settings)


def _version() -> str:
    try:
        return version("fsh")
    except PackageNotFoundError:  # run from a source tree
        return "unknown"
