"""Connections on this machine never go through a proxy, whatever is set for the others.

Beam's parts talk to each other through gRPC, which like most libraries takes its proxy from the
environment. A proxy elsewhere cannot reach this machine's own ports: every call would wait for an
answer that never comes.
"""

from __future__ import annotations

import os

_LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0")
#: Environment variables that name a proxy, in lower case; each is known in upper case as well.
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "ftp_proxy")
_EXCEPTIONS = ("no_proxy", "NO_PROXY", "no_grpc_proxy")


def proxy_variables() -> list[str]:
    """The environment variables that name a proxy."""
    names = [name for lower in _PROXIES for name in (lower, lower.upper())]
    return [name for name in names if os.environ.get(name)]


def keep_local_connections_direct() -> None:
    """Add this machine's own names to the exceptions of its proxies, for child processes too.

    Exceptions that are there are kept: of the two spellings, and gRPC's own, one library reads this
    one and one that.
    """
    if not proxy_variables():
        return
    named = [os.environ.get(name, "") for name in _EXCEPTIONS]
    shared = next(filter(None, named[:2]), "")
    for name, value in zip(_EXCEPTIONS, named, strict=True):
        if (value or shared).strip() == "*":
            os.environ[name] = value or shared
            continue
        known = [one.strip() for one in (value or shared).split(",") if one.strip()]
        os.environ[name] = ",".join(dict.fromkeys([*known, *_LOCAL]))
