"""Which addresses may be asked: URL shapes, host groups, and who may reach a private host."""

from __future__ import annotations

import ipaddress
import re
import socket
import urllib.parse
import urllib.request
from dataclasses import dataclass

from fsh.pipeline.ingest.failures import Failure

YOUTUBE = "youtube"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?!\\)")
_YOUTUBE_HOST = re.compile(
    r"(?:[\w-]+\.)*(?:youtube(?:-nocookie)?\.com|youtu\.be|googlevideo\.com)"
)
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_VIDEO_PATH = re.compile(r"/(?:shorts|embed|live|v|e)/([A-Za-z0-9_-]{11})(?:/|$)")
_PLAYLIST_PATH = re.compile(r"/(?:playlist$|@|channel/|c/|user/)")
_BARE_HOST = re.compile(r"(?:www\.|m\.)?(?:youtube\.com|youtu\.be)/|www\.[\w.-]+\.[a-z]{2,}/")


def is_url(text: str) -> bool:
    """Whether a list's entry has a scheme, allowed or not, rather than being a path."""
    return _SCHEME.match(text) is not None


def with_scheme(text: str) -> str:
    """``youtu.be/…`` and ``www.host.org/…`` as people paste them, with https in front."""
    return f"https://{text}" if _BARE_HOST.match(text) else text


def youtube_key(url: str) -> str:
    """The 11-character id of a YouTube video's URL, or empty."""
    parts = _split(url)
    host = (parts.hostname or "") if parts else ""
    if not parts or not _YOUTUBE_HOST.fullmatch(host):
        return ""
    query = urllib.parse.parse_qs(parts.query)
    if host.endswith("youtu.be"):
        candidate = parts.path.strip("/").split("/")[0]
    elif match := _VIDEO_PATH.match(parts.path):
        candidate = match[1]
    else:
        candidate = query.get("v", [""])[0]
    return candidate if _YOUTUBE_ID.fullmatch(candidate) else ""


def is_youtube_id(text: str) -> bool:
    """Whether a bare word can be taken for a YouTube id: ids that look like words are not."""
    return _YOUTUBE_ID.fullmatch(text) is not None and any(c.isdigit() or c.isupper() for c in text)


def is_playlist(url: str) -> bool:
    """Whether a URL names a YouTube channel or playlist and no single video."""
    parts = _split(url)
    if not parts or not _YOUTUBE_HOST.fullmatch(parts.hostname or "") or youtube_key(url):
        return False
    return "list=" in parts.query or _PLAYLIST_PATH.match(parts.path) is not None


def source_key(url: str) -> str:
    """What makes two requests ask for the same video: YouTube's id, the URL, or the path."""
    if key := youtube_key(url):
        return f"yt-{key}"
    parts = _split(url) if is_url(url) else None
    if not parts or parts.scheme.lower() not in ("http", "https"):
        return url
    host = parts.netloc.lower()
    return urllib.parse.urlunsplit((parts.scheme.lower(), host, parts.path, parts.query, ""))


def host_group(url: str) -> str:
    """Whom the governor counts: ``youtube``, a host name, or empty for a local file."""
    if not is_url(url):
        return ""
    parts = _split(url)
    host = ((parts.hostname if parts else "") or "").lower()
    return YOUTUBE if _YOUTUBE_HOST.fullmatch(host) else host


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


@dataclass(frozen=True)
class AddressRule:
    """Who may be reached for one request.

    Public addresses always; a private one only if the user's own list names it: loopback opens
    loopback, any other private host opens itself. A list from the net opens none.

    Attributes:
        loopback: whether loopback addresses may be reached.
        hosts: private hosts, by the name or address the user wrote.
    """

    loopback: bool = False
    hosts: frozenset[str] = frozenset()

    @classmethod
    def for_url(cls, url: str, *, trusted: bool) -> AddressRule:
        host = host_group(url) if trusted else ""
        return cls(is_loopback(host), frozenset({host} if host and host != YOUTUBE else ()))

    def check_url(self, url: str) -> None:
        """Raises:
        Failure: if the scheme is not http(s), the URL carries a password, or its host is private.
        """
        parts = _split(url)
        if not parts or parts.scheme.lower() not in ("http", "https") or not parts.hostname:
            raise Failure("refused", "scheme", f"only http and https are fetched, not {url[:120]}")
        if parts.username or parts.password:
            raise Failure("refused", "credentials", "the URL carries a user name or password")
        address = _address(parts.hostname)
        if address is not None or is_loopback(parts.hostname):
            self._check(parts.hostname, str(address or "127.0.0.1"))
        elif urllib.request.getproxies():  # the proxy resolves: look while there is a name to see
            for found in _resolved(parts.hostname):
                self._check(parts.hostname, found)

    def check_peer(self, host: str, connection: socket.socket) -> None:
        """Judge the address that was really connected to, so that no DNS answer can cheat.

        Raises:
            Failure: if it is private and not opened by the user.
        """
        if not _is_proxy(host):
            self._check(host, connection.getpeername()[0])

    def _check(self, host: str, found: str) -> None:
        address = _address(found)
        if address is None or (address.is_global and not address.is_multicast):
            return
        if host.lower() in self.hosts or (self.loopback and address.is_loopback):
            return
        raise Failure(
            "refused", "private_address", f"{host} is a private address ({found}), not to be asked"
        )


def _split(url: str) -> urllib.parse.SplitResult | None:
    try:
        parts = urllib.parse.urlsplit(url)
        return parts if parts.port is None or parts.port >= 0 else None
    except ValueError:  # a broken IPv6 literal or port
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address written as such, also in the notations that resolvers accept (127.1, 0x7f…)."""
    text = host.strip("[]").split("%")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        if not re.fullmatch(r"(?:0[xX][0-9a-fA-F]+|\d+)(?:\.(?:0[xX][0-9a-fA-F]+|\d+)){0,3}", text):
            return None
        try:
            return ipaddress.IPv4Address(socket.inet_aton(text))
        except (OSError, ValueError):
            return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _resolved(host: str) -> list[str]:
    try:
        return [str(answer[4][0]) for answer in socket.getaddrinfo(host, None)]
    except OSError:
        return []  # only the proxy can resolve it


def _is_proxy(host: str) -> bool:
    proxies = [_split(proxy) for proxy in urllib.request.getproxies().values()]
    return any(proxy and proxy.hostname == host for proxy in proxies)
