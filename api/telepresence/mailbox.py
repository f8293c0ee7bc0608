"""A place for one thing: the newest wins, and nothing ever queues."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Holds the newest item until a thread takes it; an older one that nobody took is dropped."""

    def __init__(self) -> None:
        self._item: Item | None = None
        self._closed = False
        self._changed = threading.Condition()
        self.dropped = 0

    def put(self, item: Item) -> None:
        """Leave an item, in place of one that may be there."""
        with self._changed:
            self.dropped += self._item is not None
            self._item = item
            self._changed.notify()

    def take(self) -> Item | None:
        """The newest item, as soon as there is one; None once the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed)
            item, self._item = self._item, None
            return None if self._closed else item

    def close(self) -> None:
        """Wake up whoever waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
