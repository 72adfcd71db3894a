"""A client of the session protocol, written from docs/gateway.md and nothing else.

    session = Session("http://localhost:8080/genosrtc", "demo")
    session.on_message = lambda message: print(message.sender, message.data)
    session.join()
    session.send("chat", {"text": "hello"}).wait()
    session.transfer("files", open("large.bin", "rb"), to=peer).wait()
    session.leave()

A lost connection is opened again and the session goes on; what was sent meanwhile waits. All
`on_…` are called one after the other in a thread of their own: they may call everything here. A
message is acknowledged when its `on_message` has returned; who takes long is sent no more meanwhile.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable
from typing import Any

from conversation import Conversation
from messages import Message, Progress, Sent, SessionError, encode, recipients
from transfers import Incoming, Outgoing, TransferError

__all__ = ["Incoming", "Message", "Outgoing", "Sent", "Session", "SessionError", "TransferError"]

_AHEAD = 4 << 20  # characters unacknowledged from which on `send` waits
_RECENT = 1024  # sends whose results and progress are still told


class Session(Conversation):
    """One peer of a room. Set the `on_…` that you want, then `join`."""

    @property
    def id(self) -> str:
        """Our peer id; it stays while the session does."""
        return self.welcome["peer"]

    def join(self, timeout: float = 30) -> Session:
        """Connect, and return when we are welcome; raise what is in the way."""
        for run in (self._connect, self._call):
            threading.Thread(target=run, name=f"genosrtc{run.__name__}", daemon=True).start()
        with self._changed:
            if not self._changed.wait_for(lambda: self.welcome or self._end, timeout):
                self._finish(TimeoutError(f"not welcome in time: {self._why}"))
            if self._end:
                raise self._end
        return self

    def __enter__(self) -> Session:
        return self if self.welcome else self.join()

    def __exit__(self, *_: object) -> None:
        self.leave()

    def send(self, channel: str, data: Any, *, to: str | Iterable[str] | None = None, meta: Any = None,
             progress: Progress | None = None) -> Sent:
        """Send bytes, a string or any JSON value, to all or to some. It is kept until acknowledged.

        While 4 MiB are unacknowledged it waits.
        """
        message = {"op": "send", "channel": channel, "data": data} | recipients(to, meta)
        if progress:
            message["progress"] = True
        with self._changed:
            self._changed.wait_for(lambda: self._end or sum(len(sent.text) for sent in self._unacknowledged.values()) < _AHEAD)
            self._check()
            text = encode(message | {"seq": self._seq + 1})
            limit = 2 * self.welcome["limits"]["message"] + (64 << 10)
            if len(text) > limit or len(text.encode()) > limit:  # it would end every connection that it is sent on
                raise SessionError("too_large", f"more than {limit} bytes of JSON; use a transfer")
            self._seq += 1
            sent = self._unacknowledged[self._seq] = self._recent[self._seq] = Sent(self._seq, text, progress)
            self._unsent.append(sent)
            self._recent.pop(self._seq - _RECENT, None)
            self._changed.notify_all()
        return sent

    def transfer(self, channel: str, data: Any, *, to: str | Iterable[str] | None = None, meta: Any = None,
                 progress: Progress | None = None) -> Outgoing:
        """Send bytes, a string, a JSON value or an open file, of any size, to sessions."""
        fields = {"channel": channel} | recipients(to, meta)
        encode(fields)
        with self._changed:
            self._check()
            one = Outgoing(next(self._numbers), data, fields, progress)
            self._outgoing[one.number] = one
            self._say(one.begin(self.welcome["limits"]["window"]))
        return one

    def cancel(self, transfer: Outgoing | Incoming, reason: str = "cancelled") -> None:
        """End a transfer: ours for all, that of somebody else for us."""
        with self._changed:
            if isinstance(transfer, Incoming):
                self._calls.put((self._arrivals.drop, (transfer,)))
                self._say({"op": "cancel", "transfer": transfer.number, "from": transfer.sender, "reason": reason})
            else:
                self._cancel(transfer, TransferError("cancelled", reason), reason)

    def ping(self, peer: str | None = None, timeout: float = 20) -> float:
        """Return how many seconds the server, or a peer, took to answer."""
        answer: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        with self._changed:
            self._changed.wait_for(lambda: self._socket or self._end, timeout)
            self._check()
            start, number = time.monotonic(), next(self._numbers)
            self._pings[number] = answer
            self._say({"op": "ping", "id": number} | ({"peer": peer} if peer else {}))
        try:
            error = answer.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError("no pong") from None
        finally:
            self._pings.pop(number, None)
        if error:
            raise SessionError(error)
        return time.monotonic() - start

    def flush(self, timeout: float | None = None) -> None:
        """Wait until the server has acknowledged every send."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._end or not self._unacknowledged, timeout):
                raise TimeoutError(f"{len(self._unacknowledged)} sends are not acknowledged")
            self._check()

    def leave(self, timeout: float = 10) -> None:
        """End the session, once the server has all that was sent. Everybody sees us leave."""
        with self._changed:
            self._changed.wait_for(lambda: self._end or (self._socket and not self._unacknowledged), timeout)
            self._say({"op": "leave"})
            self._changed.wait_for(lambda: self._end, timeout if self._socket else 0)
            self._finish(SessionError("left"))

    def close(self) -> None:
        """Drop the connection without a word: the others see us until the session expires."""
        with self._changed:
            self._finish(SessionError("closed"))
