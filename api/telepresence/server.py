"""The page's server: a page, its script and style, a clip, and a socket; nothing for strangers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from fsh.telepresence.access import Access, headers
from fsh.telepresence.page_connection import PageConnection
from fsh.telepresence.studio import Studio

_PAGE = Path(__file__).parent / "page"
#: Files of the page, and their types.
_FILES = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "clock.js": ("clock.js", "text/javascript; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
}
#: Pages open at once; each costs a core of its own.
MOST_CONNECTIONS = 4
#: Codes of closing a socket: another origin, too many pages.
_FORBIDDEN, _TOO_MANY = 4403, 4429


def application(
    studio: Studio, access: Access, clip: Path | None, started: Callable[[], None] | None = None
) -> ASGIApp:
    """The whole server as an ASGI application.

    Args:
        clip: the video that stands in for the camera.
        started: called when it is ready.
    """

    async def file(request: Request) -> Response:
        known = _FILES.get(request.path_params["name"])
        if known is None:
            return PlainTextResponse("not found", 404)
        return FileResponse(_PAGE / known[0], media_type=known[1])

    async def camera(request: Request) -> Response:
        return PlainTextResponse("not found", 404) if clip is None else FileResponse(clip)

    async def socket(connection: WebSocket) -> None:
        await connection.accept()
        if len(studio.connections) >= MOST_CONNECTIONS:
            await connection.close(_TOO_MANY, f"{MOST_CONNECTIONS} pages are open already")
            return
        await PageConnection(connection, studio).serve()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if started is not None:
            asyncio.get_running_loop().call_later(0.2, started)
        yield

    routes = [
        WebSocketRoute("/socket", socket),
        Route("/camera", camera),
        Route("/{name:path}", file),
    ]
    return _Guard(Starlette(routes=routes, lifespan=lifespan), access)


class _Guard:
    """Lets through what has the right host, token and origin, and takes the token off the path."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        known = Headers(scope=scope)
        host, origin = known.get("host", ""), known.get("origin")
        rest = self._access.allows_path(scope["path"])
        allowed = rest is not None and self._access.allows_host(host)
        if scope["type"] == "websocket":
            # Browsers always say where a socket's page is from.
            if not allowed or not self._access.allows_origin(origin or "", host):
                await send({"type": "websocket.close", "code": _FORBIDDEN})
                return
        elif origin is not None and not self._access.allows_origin(origin, host):
            allowed = False

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers(host))
            await send(message)

        if not allowed:
            await PlainTextResponse("not found", 404)(scope, receive, send_with_headers)
            return
        path = f"/{rest}"
        inner = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
        await self._app(inner, receive, send_with_headers)
