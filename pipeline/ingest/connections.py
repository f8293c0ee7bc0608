"""Requests to hosts over HTTP; private addresses are refused at the real connection."""

from __future__ import annotations

import http.client
import socket
import types
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any, Protocol

from fsh.pipeline.ingest import failures
from fsh.pipeline.ingest.addresses import AddressRule
from fsh.pipeline.ingest.failures import Failure
from fsh.schemas.tables.records import ErrorClass

_AGENT = "fsh/0.1"
_NO_HEADERS: Mapping[str, str] = types.MappingProxyType({})


class PeerRule(Protocol):
    """What decides whether the address that a connection really has may be asked."""

    def check_peer(self, host: str, connection: socket.socket) -> None: ...


def guarded(base: type[http.client.HTTPConnection], rule: PeerRule) -> Any:
    """A connection class that sends nothing to an address that the rule does not allow."""

    class Guarded(base):  # type: ignore[valid-type, misc]
        def connect(self) -> None:
            super().connect()
            try:
                rule.check_peer(self.host, self.sock)
            except Failure:
                self.close()
                raise

    return Guarded


def _through(socks: str, base: type[http.client.HTTPConnection]) -> Any:
    """A connection class that goes through a SOCKS proxy, if there is one."""
    if not socks:
        return base
    from yt_dlp.networking._urllib import make_socks_conn_class

    return make_socks_conn_class(base, socks)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, rule: AddressRule, socks: str) -> None:
        super().__init__()
        self._class = guarded(_through(socks, http.client.HTTPConnection), rule)

    def http_open(self, req):
        return self.do_open(self._class, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, rule: AddressRule, socks: str) -> None:
        super().__init__()
        self._class = guarded(_through(socks, http.client.HTTPSConnection), rule)

    def https_open(self, req):
        return self.do_open(self._class, req)


class _Redirect(urllib.request.HTTPRedirectHandler):
    def __init__(self, rule: AddressRule) -> None:
        self._rule = rule

    def http_error_302(self, req, fp, code, msg, headers):
        if target := headers.get("Location"):
            self._rule.check_url(urllib.parse.urljoin(req.full_url, target))
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def open_url(
    url: str, rule: AddressRule, timeout: float, headers: Mapping[str, str] = _NO_HEADERS
) -> Any:
    """An open response with status 200, or 206 if a range is asked for.

    Args:
        headers: sent besides the usual ones.

    Raises:
        Failure: whatever else comes of it.
    """
    rule.check_url(url)
    opener = urllib.request.OpenerDirector()
    proxies = rule.proxies_for(url)
    socks = next((p for p in proxies.values() if p.lower().startswith("socks")), "")
    for handler in (
        urllib.request.ProxyHandler({} if socks else proxies),
        _Http(rule, socks),
        _Https(rule, socks),
        _Redirect(rule),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    usual = {"User-Agent": _AGENT, "Accept": "*/*"}
    sent = {**usual, **headers, "Accept-Encoding": "identity"}
    try:
        request = urllib.request.Request(url, headers=sent)
        response = opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            raise failures.from_status(error.code, url, error.headers.get("Retry-After")) from error
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, OSError):
            raise failures.from_os(reason, url) from error
        raise Failure(ErrorClass.TRANSIENT, "network", f"{url}: {reason}") from error
    except OSError as error:
        raise failures.from_os(error, url) from error
    except http.client.InvalidURL as error:
        raise Failure(ErrorClass.PERMANENT, "bad_url", f"{url}: {error}") from error
    except (http.client.HTTPException, ValueError) as error:
        text = f"{url}: no proper answer ({str(error).strip() or type(error).__name__})"
        raise Failure(ErrorClass.TRANSIENT, "network", text) from error
    if response.status != 200 and not (response.status == 206 and "Range" in sent):
        with response:
            raise Failure(ErrorClass.PERMANENT, "http_status", f"HTTP {response.status} from {url}")
    return response
