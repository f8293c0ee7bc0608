"""The drawing as a camera of this machine, for video calls (``fsh[virtual-camera]``)."""

from __future__ import annotations

import sys
import threading
from typing import Any

import cv2
import numpy as np

from fsh.schemas.errors import FshError

#: Side in pixels and frames a second: programs expect a camera to keep both.
SIDE, RATE = 512, 30
_REMEDIES = {
    "linux": "sudo apt install v4l2loopback-dkms && sudo modprobe v4l2loopback "
    "exclusive_caps=1 card_label=fsh",
    "darwin": "install OBS Studio, and start its virtual camera once",
    "win32": "install OBS Studio",
}


class VirtualCamera:
    """Sends the newest picture to the device, again and again; close it at the end.

    Raises:
        FshError: if the extra is not installed, or this machine has no such device.
    """

    def __init__(self) -> None:
        try:
            import pyvirtualcam
        except ImportError as error:
            raise FshError(
                f"the virtual camera needs pyvirtualcam ({error})",
                remedy="pip install 'fsh[virtual-camera]'",
            ) from error
        try:
            self._camera: Any = pyvirtualcam.Camera(width=SIDE, height=SIDE, fps=RATE)
        except RuntimeError as error:
            raise FshError(
                f"this machine has no virtual camera ({error})",
                remedy=_REMEDIES.get(sys.platform, "see the documentation of pyvirtualcam"),
            ) from error
        self.device = str(self._camera.device)
        self._picture = np.zeros((SIDE, SIDE, 3), np.uint8)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._send, name="fsh-live-camera", daemon=True)
        self._thread.start()

    def show(self, picture: np.ndarray) -> None:
        """Show a marked picture, uint8 (H, H, 3) RGB, from now on."""
        large = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        self._picture = np.ascontiguousarray(large)

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        self._camera.close()

    def _send(self) -> None:
        while not self._closed.wait(1 / RATE):
            self._camera.send(self._picture)
