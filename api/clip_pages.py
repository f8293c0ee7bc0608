"""``fsh inspect --serve``: a data set of any size in a browser, read as it is looked at."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fsh.data_places import data_folder
from fsh.defaults import AnyPath
from fsh.schemas.errors import FshError
from fsh.schemas.places.layout import DataFolder
from fsh.schemas.tables.conditions import Condition

if TYPE_CHECKING:
    from starlette.types import ASGIApp

#: Where the page is served, if nobody uses it.
PORT = 8737
#: Bytes of the largest question that is read.
_LARGEST_QUESTION = 20_000


def serve_clips(
    data: AnyPath = "data",
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    only: Sequence[str] = (),
    opened: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the page of a data set until the process is told to end.

    Its address holds a secret; who does not know it gets nothing.

    Args:
        data: the data folder.
        host: the address to listen at; others than 127.0.0.1 let others in.
        port: 0: :data:`PORT`, or another one if that is taken.
        only: conditions on the labels of the ingested lists, such as ``language=English``; other
            clips are left out.
        opened: told the page's address once the server listens.

    Raises:
        FshError: if there is no data set, no such clip, or the address cannot be listened at.
    """
    import uvicorn

    token = secrets.token_urlsafe(16)
    app = clip_application(data_folder(data), token, tuple(map(Condition.parse, only)))
    listener = _listen(host, port)
    name = f"[{host}]" if ":" in host else host
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    opened(f"http://{name}:{listener.getsockname()[1]}/{token}/")
    with listener, suppress(KeyboardInterrupt):  # Ctrl-C is how it ends
        server.run(sockets=[listener])


def clip_application(data: DataFolder, token: str, only: Sequence[Condition] = ()) -> ASGIApp:
    """The page's server as an ASGI application.

    Args:
        token: the first part of every path.
        only: conditions on the lists' labels.

    Raises:
        FshError: if there is no data set, or no such clip.
    """
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, JSONResponse, Response
    from starlette.routing import Route

    from fsh.pipeline.dataset.pages import clip_pictures
    from fsh.pipeline.dataset.pages import contact_sheet as sheet

    damage = sheet.DamageReport()
    browser = sheet.open_browser(data, damage, only)
    sheet.check_sizes(data, damage)
    counts = sheet.summary(browser.table)
    page = sheet.page_html(sheet.page_data(data, browser, only), counts, damage, sheet.SERVED)
    numbers = {name: n for n, name in enumerate(browser.table["clip_id"].to_pylist()) if name}
    headers = {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }

    @lru_cache(maxsize=64)
    def samples_of(clip: str) -> list:
        return clip_pictures.stored_samples(data, sheet.place_of(browser.table, numbers[clip]))

    async def show(request: Request) -> Response:
        return HTMLResponse(page, headers=headers)

    async def query(request: Request) -> Response:
        try:
            content = await request.body()
            if len(content) > _LARGEST_QUESTION:
                raise ValueError("too long")
            asked = read_question(json.loads(content))
        except (ValueError, TypeError, KeyError) as error:
            return Response(f"no question: {error}", 400, headers)
        found = await run_in_threadpool(lambda: browser.query(**asked))
        return JSONResponse(found, headers=headers)

    async def of_clip(request: Request) -> Response:
        name = request.path_params["clip"]
        if name not in numbers:
            return Response("not found", 404, headers)
        try:
            samples = await run_in_threadpool(samples_of, name)
            if request.url.path.startswith(f"/{token}/sound/"):
                content = await run_in_threadpool(clip_pictures.sound_bytes, samples)
                return Response(content, headers=headers, media_type="audio/wav")
            first = "first" in request.query_params
            film = await run_in_threadpool(lambda: clip_pictures.film_bytes(samples, first=first))
        except FshError:  # a rejected clip whose work was removed, or damage, which the page tells
            return Response(status_code=204, headers=headers)
        return Response(film, headers=headers, media_type="application/octet-stream")

    routes = [
        Route(f"/{token}/", show),
        Route(f"/{token}/query", query, methods=["POST"]),
        Route(f"/{token}/clip/{{clip}}", of_clip),
        Route(f"/{token}/sound/{{clip}}", of_clip),
    ]
    return Starlette(routes=routes)


def read_question(asked: Any) -> dict[str, Any]:
    """The arguments of :meth:`~fsh.pipeline.dataset.pages.browsing.ClipBrowser.query` in a page's
    JSON.

    Raises:
        ValueError, TypeError, KeyError: if it is none.
    """
    limits = {str(name): float(value) for name, value in dict(asked["limits"]).items()}
    offset, count = int(asked.get("offset", 0)), int(asked.get("count", 60))
    if offset < 0 or count < 0:
        raise ValueError("a place that there is not")
    return {
        "limits": limits,
        "words": str(asked.get("words", "")),
        "view": str(asked.get("view", "kept")),
        "sort": str(asked.get("sort", "")),
        "descending": bool(asked.get("descending", False)),
        "offset": offset,
        "count": count,
    }


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        FshError: if it cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for one in [port] if port else [PORT, 0]:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, one))
            listener.listen(64)
            return listener
        except OSError as error:
            listener.close()
            cause = error
    raise FshError(
        f"cannot listen at {host}:{port} ({cause.strerror or cause})",
        remedy="name another --port or --host",
    )
