"""Who may talk to the page's server: whoever has the token, from the page itself, by its address.

The token keeps out whoever cannot read the address; the check of ``Origin`` keeps out other pages
in the same browser; the check of ``Host`` keeps out names that an attacker points at this machine.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass

#: Nothing is loaded from elsewhere, no other page may frame this one.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self' {sockets}; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Access:
    """What the server answers to.

    Attributes:
        host: the address that it listens at.
        token: the first part of every path.
    """

    host: str
    token: str

    @classmethod
    def new(cls, host: str) -> Access:
        return cls(host, secrets.token_urlsafe(24))

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host == "localhost" or _is_loopback(self.host)

    def allows_host(self, header: str) -> bool:
        """Whether a request's ``Host`` is a name of this machine's, and not some other domain."""
        name = _without_port(header)
        if name in ("localhost", self.host) or _is_loopback(name):
            return True
        return not self.local and (_is_address(name) or name == socket.gethostname().lower())

    def allows_path(self, path: str) -> str | None:
        """What is asked for, behind the token; None if the token is missing or another one."""
        token, _, rest = path.removeprefix("/").partition("/")
        right = secrets.compare_digest(token.encode(errors="replace"), self.token.encode())
        return rest if right and path.startswith(f"/{token}/") else None

    def allows_origin(self, origin: str, header: str) -> bool:
        """Whether a request's ``Origin`` is the page that this server gave, at ``Host``."""
        return origin.lower() in (f"http://{header.lower()}", f"https://{header.lower()}")


def headers(host: str) -> Mapping[str, str]:
    """The headers of every answer; ``host``: the request's."""
    return {
        "content-security-policy": POLICY.format(sockets=f"ws://{host} wss://{host}"),
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cross-origin-resource-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "camera=(self), microphone=(self), display-capture=()",
        "cache-control": "no-store",
    }


def _without_port(header: str) -> str:
    name = header.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0].removeprefix("[")
    return name.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return _is_address(name) and ipaddress.ip_address(name).is_loopback
