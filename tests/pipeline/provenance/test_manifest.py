"""C2PA manifests, signed and read back by the real library, without a network."""

from __future__ import annotations

import resource
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fixture_ffmpeg import binary
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from fsh.pipeline.provenance import signing
from fsh.pipeline.provenance.manifest import Claims, read_manifest, sign_file
from fsh.pipeline.provenance.media_types import media_type
from fsh.pipeline.provenance.signing import installation_signer, read_signer
from fsh.schemas.consent import NOT_STATED, Consent
from fsh.schemas.errors import FshError

ADA = Consent("Ada", "Ada", ("animate",), date(2027, 1, 31))
CLAIMS = Claims({"person": "ab" * 32, "model": "cd" * 32}, ADA, 0x00C0FFEE)


@pytest.fixture(autouse=True)
def installation(tmp_path, monkeypatch):
    monkeypatch.setenv("FSH_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "signing"


def make(folder, kind):
    path = folder / f"made.{kind}"
    if kind == "mp4":
        source = "testsrc=s=64x64:d=1"
        words = [binary(), "-v", "error", "-f", "lavfi", "-i", source, str(path)]
        subprocess.run(words, check=True)
    else:
        pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("kind", ["png", "jpg", "mp4"])
def test_a_signed_file_states_what_it_is(tmp_path, monkeypatch, installation, kind):
    path = make(tmp_path, kind)
    assert read_manifest(path).state == "absent"
    sign_file(path, CLAIMS, installation_signer())
    told = read_manifest(path)
    assert (told.state, told.detail, told.intact, told.ai_generated) == ("valid", "", True, True)
    assert told.generator.startswith("fsh") and told.signer.startswith("fsh installation ")
    assert told.claims["consent"] == ADA.to_json()
    assert told.claims["watermark"] == "00c0ffee"
    assert told.claims["made_from"] == {"person": "ab" * 32, "model": "cd" * 32}

    monkeypatch.setenv("FSH_HOME", str(tmp_path / "elsewhere"))
    there = read_manifest(path)
    assert there.state == "untrusted signer" and there.intact
    assert read_manifest(path, [installation / "authority.pem"]).state == "valid"

    content = bytearray(path.read_bytes())
    content[-25] ^= 1
    path.write_bytes(content)
    changed = read_manifest(path)
    assert changed.state == "tampered" and not changed.intact and "mismatch" in changed.detail


@pytest.mark.parametrize("kind", ["png", "mp4"])
def test_a_disk_that_takes_no_more_is_named_and_not_the_key(tmp_path, kind):
    """c2pa's own error is "Io: Other"; a limit of the file's size stands for a full disk."""
    path, signer = make(tmp_path, kind), installation_signer()
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(FshError, match="File too large") as refusal:
            sign_file(path, CLAIMS, signer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert refusal.value.where == str(path)
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == [path.name]
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["png", "jpg", "mp4"])
def test_a_changed_claim_is_tampering(tmp_path, kind):
    path = make(tmp_path, kind)
    sign_file(path, CLAIMS, installation_signer())
    content = path.read_bytes()
    path.write_bytes(content.replace(b"2027-01-31", b"2097-01-31"))
    assert read_manifest(path).state == "tampered"
    path.write_bytes(content.replace(b"c2cl", b"xxxx"))
    assert read_manifest(path).state == "tampered"


def test_the_unsigned_file_stays_if_the_signed_one_goes_elsewhere(tmp_path):
    path = make(tmp_path, "png")
    before = path.read_bytes()
    sign_file(path, Claims(), installation_signer(), to=tmp_path / "signed")
    assert path.read_bytes() == before
    told = read_manifest(tmp_path / "signed")
    assert told.state == "valid" and told.claims["consent"] == NOT_STATED
    assert told.claims["watermark"] is None


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 500, b"\x89PNG\r\n\x1a\n", b"\xff\xd8"])
def test_any_file_can_be_read_and_only_media_can_be_signed(tmp_path, content):
    path = tmp_path / "any"
    path.write_bytes(content)
    assert read_manifest(path).state == "absent"
    with pytest.raises(FshError, match="cannot be signed"):
        sign_file(path, CLAIMS, installation_signer())
    assert path.read_bytes() == content


def test_a_missing_file_is_an_error(tmp_path):
    for ask in (read_manifest, media_type):
        with pytest.raises(FshError, match="No such file"):
            ask(tmp_path / "nothing.png")


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(place=st.floats(0, 1), value=st.integers(1, 255), cut=st.booleans())
@example(place=0.046875, value=128, cut=False)  # the active manifest's name no longer fits
def test_damage_gives_a_state_and_never_an_exception(tmp_path, place, value, cut):
    path = tmp_path / "made.png"
    if not path.exists():
        sign_file(make(tmp_path, "png"), CLAIMS, installation_signer())
        (tmp_path / "whole").write_bytes(path.read_bytes())
    content = bytearray((tmp_path / "whole").read_bytes())
    at = min(int(place * len(content)), len(content) - 1)
    content[at] ^= value
    path.write_bytes(content[: at + 1] if cut else content)
    told = read_manifest(path)
    assert told.state in ("valid", "tampered", "absent", "untrusted signer")
    # What the manifest does not cover is its own padding; the picture lies behind it.
    if at > 8000 and not cut:
        assert told.state == "tampered"


def test_the_key_is_made_once_and_only_its_owner_can_read_it(installation):
    with ThreadPoolExecutor(4) as pool:
        chains = {signer.chain for signer in pool.map(lambda _: installation_signer(), range(4))}
    assert len(chains) == 1
    assert stat.S_IMODE((installation / "signer.pem").stat().st_mode) == 0o600
    assert sorted(p.name for p in installation.iterdir()) == ["authority.pem", "signer.pem"]
    assert "PRIVATE" not in (installation / "authority.pem").read_text()
    assert "PRIVATE" not in repr(installation_signer())
    (installation / "signer.pem").chmod(0o644)
    with pytest.raises(FshError, match="others can read"):
        installation_signer()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FSH_HOME", str(tmp_path / "file"))
    with pytest.raises(FshError, match="set FSH_HOME"):
        installation_signer()


def test_the_users_own_key(tmp_path):
    top, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    authority = signing._certificate("top", top, None, top)
    leaf = signing._certificate("me", own, authority, top)
    write_pem(tmp_path / "me.pem", own, leaf, authority)
    write_pem(tmp_path / "top.pem", None, authority)
    signer = read_signer(tmp_path / "me.pem")
    assert signer.algorithm == "ES384"
    path = sign_file(make(tmp_path, "png"), CLAIMS, signer)
    assert read_manifest(path).state == "untrusted signer"
    assert read_manifest(path, [tmp_path / "top.pem"]).signer == "me"
    assert read_manifest(path, [tmp_path / "top.pem"]).state == "valid"


def test_unsuitable_keys_are_refused(tmp_path):
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    alone = signing._certificate("alone", key, None, key)
    path = tmp_path / "key.pem"
    for content, words in (
        ("hello", "no certificate chain"),
        (None, "No such file"),
    ):
        if content:
            path.write_text(content)
        with pytest.raises(FshError, match=words):
            read_signer(path if content else tmp_path / "none.pem")
    write_pem(path, other, alone)
    with pytest.raises(FshError, match="not the key's"):
        read_signer(path)
    write_pem(path, None, alone)
    with pytest.raises(FshError, match="no private key"):
        read_signer(path)
    write_pem(path, key, alone, password=b"secret")
    with pytest.raises(FshError, match="unencrypted"):
        read_signer(path)
    write_pem(path, key, alone)
    picture = make(tmp_path, "png")
    before = picture.read_bytes()
    with pytest.raises(FshError, match="self-signed"):
        sign_file(picture, CLAIMS, read_signer(path))
    assert picture.read_bytes() == before
    now = datetime.now(UTC)
    old = (
        x509.CertificateBuilder(alone.issuer, alone.subject, key.public_key(), 7)
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now - timedelta(days=2))
        .sign(key, hashes.SHA256())
    )
    write_pem(path, key, old)
    with pytest.raises(FshError, match="not today"):
        read_signer(path)


def write_pem(path, key, *certificates, password: bytes | None = None) -> None:
    pem = serialization.Encoding.PEM
    lock = serialization.NoEncryption()
    if password:
        lock = serialization.BestAvailableEncryption(password)
    parts = [c.public_bytes(pem) for c in certificates]
    if key:
        parts.append(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, lock))
    path.write_bytes(b"".join(parts))
