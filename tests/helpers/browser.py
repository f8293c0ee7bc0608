"""A real headless Chromium, driven over its DevTools socket; no driver or library is needed."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

#: Seconds that anything may take before a test gives up on it.
PATIENCE = 240
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def chromium() -> str | None:
    """The browser's path, or None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One tab."""

    def __init__(self, address: str) -> None:
        self._socket: ClientConnection = connect(address, max_size=None, open_timeout=PATIENCE)
        self._numbers = itertools.count(1)
        #: Errors in the page, and what it was refused.
        self.console: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the DevTools protocol, and its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE))
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.console.append(json.dumps(params["exceptionDetails"]))
        elif message.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.console.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def run(self, code: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        told = self.call(
            "Runtime.evaluate",
            expression=code,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait(self, code: str, seconds: float = PATIENCE) -> Any:
        """The value of an expression as soon as it is true; until the page is loaded it is not."""
        end = time.monotonic() + seconds
        code = f"(() => {{ try {{ return {code}; }} catch {{ return null; }} }})()"
        while not (value := self.run(code)):
            assert time.monotonic() < end, f"in vain: {code}; console: {self.console}"
            time.sleep(0.05)
        return value

    def key(self, key: str) -> None:
        """Press and release a key."""
        code = f"Digit{key}" if key.isdigit() else f"Key{key.upper()}"
        for kind in ("keyDown", "keyUp"):
            text = key if kind == "keyDown" else ""
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code, text=text)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def screenshot(self, path: Path) -> None:
        shot = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        with suppress(Exception):
            self._socket.close()


class Browser:
    """The browser's process and its tabs."""

    def __init__(self, process: subprocess.Popen, port: int) -> None:
        self.process, self._port = process, port
        self._pages: list[Page] = []

    def tab(self, url: str = "about:blank") -> Page:
        """A new tab."""
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/json/new", method="PUT")
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            page = Page(json.load(answer)["webSocketDebuggerUrl"])
        self._pages.append(page)
        page.open(url)
        return page

    def kill(self) -> None:
        """End it as a crash would."""
        for page in self._pages:
            page.close()
        self.process.kill()
        self.process.wait(PATIENCE)


@contextmanager
def browser(folder: Path, camera: Path | None = None, size: str = "1280,860") -> Iterator[Browser]:
    """A browser whose camera is a file (.mjpeg or .y4m, repeated), and whose microphone hums.

    Args:
        folder: for its profile.
    """
    executable = chromium()
    assert executable
    command = [executable, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-dev-shm-usage", "--disable-background-networking", "--mute-audio"]
    command += ["--autoplay-policy=no-user-gesture-required", f"--window-size={size}"]
    command += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    command += [f"--user-data-dir={folder}", "--remote-debugging-port=0", "about:blank"]
    if camera is not None:
        command.append(f"--use-file-for-fake-video-capture={camera}")
    told = folder / "DevToolsActivePort"
    told.unlink(missing_ok=True)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE
        while not (told.is_file() and told.read_text().strip()):
            assert time.monotonic() < end and process.poll() is None, "the browser did not start"
            time.sleep(0.05)
        yield Browser(process, int(told.read_text().split()[0]))
    finally:
        process.kill()
        process.wait(PATIENCE)
