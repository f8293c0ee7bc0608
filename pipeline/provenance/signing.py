"""The key that an installation signs with, or the user's own.

An installation's key is made when it is first needed, below ``$FSH_HOME`` (default
``~/.config/fsh``): a certificate authority whose private key is discarded once it has signed one
leaf (ES256, e-mail protection, as C2PA requires; a self-signed leaf is refused). Files of this
installation are therefore "valid" here and of an "untrusted signer" elsewhere, unless
``authority.pem`` is passed on.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fsh.schemas.errors import FshError
from fsh.schemas.places.disk import CannotBeWritten
from fsh.schemas.places.temporary import temporary_folder

_YEARS = 10  # without a time stamp, a signature is valid only as long as its certificate


@dataclass(frozen=True)
class Signer:
    """A private key and its certificates.

    Attributes:
        algorithm: C2PA's name: ``ES256``, ``ES384``, ``ES512``, ``PS256``, ``ED25519``.
        chain: PEM certificates, the key's own first.
        key: PEM private key, not encrypted.
    """

    algorithm: str
    chain: str
    key: str = field(repr=False)


def installation_signer() -> Signer:
    """This installation's signer, made if there is none yet.

    Raises:
        FshError: if its folder cannot be written or its files are damaged or out of date.
    """
    folder = installation_folder() / "signing"
    try:
        if not (folder / "signer.pem").is_file():
            _make_key(folder)
        # A key that others can read proves nothing: refuse to sign with it.
        if os.name == "posix" and (folder / "signer.pem").stat().st_mode & 0o077:
            raise FshError(
                "others can read this key",
                where=folder / "signer.pem",
                remedy="chmod 600, or move the folder away to get a new key; on a disk without "
                "permissions, set FSH_HOME to a folder on another",
            )
    except (OSError, CannotBeWritten) as error:
        why = error.strerror if isinstance(error, OSError) else error.what
        raise FshError(
            f"no signing key can be kept here ({why})",
            where=folder,
            remedy="set FSH_HOME to a folder that can be written",
        ) from error
    return read_signer(folder / "signer.pem")


def read_signer(path: Path) -> Signer:
    """A signer from one PEM file: the key's certificate, those above it, and the private key.

    Raises:
        FshError: if something is missing, the key and its certificate do not match, or the
            certificate is out of date.
    """
    text = read_pem(path)
    try:
        certificates = x509.load_pem_x509_certificates(text.encode())
        key = serialization.load_pem_private_key(_private_key_pem(text), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise FshError(
            f"no certificate chain with an unencrypted private key in PEM ({error_text(error)})",
            where=path,
            remedy="put the certificates and the key into one PEM file",
        ) from error
    leaf = certificates[0]
    if leaf.public_key() != key.public_key():
        raise FshError("the first certificate is not the key's", where=path)
    if not leaf.not_valid_before_utc <= datetime.now(UTC) <= leaf.not_valid_after_utc:
        span = f"{leaf.not_valid_before_utc:%Y-%m-%d} to {leaf.not_valid_after_utc:%Y-%m-%d}"
        raise FshError(
            f"the certificate holds from {span}, not today ({datetime.now(UTC):%Y-%m-%d})",
            where=path,
            remedy="get a new one, or set this machine's clock",
        )
    pem = serialization.Encoding.PEM
    pkcs8 = serialization.PrivateFormat.PKCS8
    return Signer(
        algorithm=_algorithm(key, path),
        chain="".join(c.public_bytes(pem).decode() for c in certificates),
        key=key.private_bytes(pem, pkcs8, serialization.NoEncryption()).decode(),
    )


def installation_authority() -> list[Path]:
    """The PEM file of this installation's certificate authority; empty if there is none yet."""
    path = installation_folder() / "signing" / "authority.pem"
    return [path] if path.is_file() else []


def installation_folder() -> Path:
    """Where the files of this installation are kept: ``$FSH_HOME``, else ``~/.config/fsh``."""
    named = os.environ.get("FSH_HOME")
    return Path(named) if named else Path.home() / ".config" / "fsh"


def read_pem(path: Path) -> str:
    """The text of a PEM file.

    Raises:
        FshError: if it cannot be read.
    """
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise FshError(f"cannot be read ({error.strerror})", where=path) from error


def error_text(error: Exception) -> str:
    """An exception's message in one line of at most 160 characters."""
    return " ".join(str(error).split())[:160]


def _make_key(folder: Path) -> None:
    """Write a new authority and signer; of several processes the first one's are kept."""
    name = f"fsh installation {secrets.token_hex(4)}"
    authority_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _certificate(f"{name} authority", authority_key, None, authority_key)
    leaf = _certificate(name, leaf_key, authority, authority_key)
    pem = serialization.Encoding.PEM
    secret = leaf_key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with temporary_folder(folder) as scratch:
        (scratch / "authority.pem").write_bytes(authority.public_bytes(pem))
        (scratch / "signer.pem").touch(0o600)
        parts = leaf.public_bytes(pem), authority.public_bytes(pem), secret
        (scratch / "signer.pem").write_bytes(b"".join(parts))
        try:
            scratch.rename(folder)
        except OSError:
            if not (folder / "signer.pem").is_file():
                raise


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    """A certificate after the C2PA profile; that of an authority if there is no issuer."""
    authority = issuer is None
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "fsh"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    usage = x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    now = datetime.now(UTC)
    issuer_public = issuer_key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks differ
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(authority, 0 if authority else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False
        )
    )
    if not authority:
        mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(mail, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _algorithm(key: object, path: Path) -> str:
    """C2PA's name of the algorithm that a private key signs with; raises FshError."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        name = {256: "ES256", 384: "ES384", 521: "ES512"}.get(key.curve.key_size)
        if name:
            return name
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "PS256"
    raise FshError(f"C2PA does not know keys like {type(key).__name__}", where=path)


def _private_key_pem(text: str) -> bytes:
    """The part of a PEM file that holds the private key; raises ValueError if there is none."""
    found = re.search(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", text, re.DOTALL)
    if not found:
        raise ValueError("no private key in it")
    return found[0].encode()
