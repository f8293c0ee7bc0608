"""Which addresses may be asked: private ones only if the user named them.

A host name can lead anywhere, so the address is checked again at the real connection.
"""

from __future__ import annotations

import socket
import urllib.request
from dataclasses import dataclass

from fsh.pipeline.ingest.failures import Failure
from fsh.schemas.tables.records import ErrorClass
from fsh.schemas.urls import YOUTUBE, address_of, host_group, is_loopback, split_url


@dataclass(frozen=True)
class AddressRule:
    """Which addresses may be asked for one request.

    Public addresses always; a private one only if the user's own list names it: a loopback URL
    allows loopback, any other private host allows itself. A list from the net allows none.

    Attributes:
        loopback: whether loopback addresses may be reached.
        hosts: private hosts, by the name or address the user wrote.
        proxy: URL of the proxy that all but this machine is asked through; empty: the system's.
    """

    loopback: bool = False
    hosts: frozenset[str] = frozenset()
    proxy: str = ""

    @classmethod
    def for_url(cls, url: str, *, trusted: bool, proxy: str = "") -> AddressRule:
        host = host_group(url) if trusted else ""
        hosts = frozenset({host} if host and host != YOUTUBE else ())
        return cls(is_loopback(host), hosts, proxy)

    def proxies_for(self, url: str) -> dict[str, str]:
        """Scheme → proxy for a URL; none for this machine, which no proxy leads to."""
        parts = split_url(url)
        if parts and is_loopback(parts.hostname or ""):
            return {}
        if self.proxy:
            return {"http": self.proxy, "https": self.proxy}
        return urllib.request.getproxies()

    def check_url(self, url: str) -> None:
        """Raises:
        Failure: if the scheme is not http(s), the URL carries a password, or its host is private.
        """
        parts = split_url(url)
        if not parts or parts.scheme.lower() not in ("http", "https") or not parts.hostname:
            raise Failure(
                ErrorClass.REFUSED, "scheme", f"only http and https are fetched, not {url[:120]}"
            )
        if parts.username or parts.password:
            raise Failure(
                ErrorClass.REFUSED, "credentials", "the URL carries a user name or password"
            )
        address = address_of(parts.hostname)
        if address is not None or is_loopback(parts.hostname):
            self._check(parts.hostname, str(address or "127.0.0.1"))
        elif self.proxies_for(url):  # the proxy will resolve the name: resolve it here first
            for found in _resolved(parts.hostname):
                self._check(parts.hostname, found)

    def check_peer(self, host: str, connection: socket.socket) -> None:
        """Check the address that was really connected to, whatever DNS answered before.

        Raises:
            Failure: if it is private and not allowed.
        """
        if not self._is_proxy(host):
            self._check(host, connection.getpeername()[0])

    def _is_proxy(self, host: str) -> bool:
        """Whether a connection is to a proxy; through SOCKS any connection is."""
        if self.proxy.lower().startswith("socks") and not is_loopback(host):
            return True
        proxies = [self.proxy] if self.proxy else urllib.request.getproxies().values()
        return any(parts.hostname == host for proxy in proxies if (parts := split_url(proxy)))

    def _check(self, host: str, found: str) -> None:
        address = address_of(found)
        if address is None or (address.is_global and not address.is_multicast):
            return
        if host.lower() in self.hosts or (self.loopback and address.is_loopback):
            return
        raise Failure(
            ErrorClass.REFUSED,
            "private_address",
            f"{host} is a private address ({found}), not to be asked",
        )


def _resolved(host: str) -> list[str]:
    try:
        return [str(answer[4][0]) for answer in socket.getaddrinfo(host, None)]
    except OSError:
        return []  # only the proxy can resolve it
