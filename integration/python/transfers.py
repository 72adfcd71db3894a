"""The two ends of a transfer: what is said and what is kept, without sockets or threads.

The maps here are messages of docs/gateway.md as they are, with bytes as bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from messages import Map, Progress

_CHUNK = 32 << 10  # bytes of payload in a chunk that we send; 64 KiB would be allowed
_WINDOW = 512 * _CHUNK  # no window makes us leave more than 1,024 chunks unacknowledged
_ACK = 64 << 10  # bytes after which a recipient acknowledges
_IN_MEMORY = 64 << 20  # bytes of one transfer that a recipient keeps in memory
_ENDED = 1024  # transfers that came, and are remembered to have


class TransferError(Exception):
    """A transfer that reached nobody, or not us. `code` is as in docs/gateway.md."""

    def __init__(self, code: str, text: str = ""):
        super().__init__(f"{code}: {text}" if text else code)
        self.code = code


def payload(data: Any) -> tuple[BinaryIO, int, str]:
    """Return data as a file, its size in bytes, and its kind.

    Data is bytes, a string, a file that is open for reading bytes and can be sought, or a JSON value.
    """
    if hasattr(data, "seek"):
        return data, data.seek(0, io.SEEK_END), "bytes"
    if isinstance(data, (bytes, bytearray, memoryview)):
        raw, kind = bytes(data), "bytes"
    elif isinstance(data, str):
        raw, kind = data.encode(), "text"
    else:
        raw, kind = json.dumps(data, ensure_ascii=False, allow_nan=False).encode(), "json"
    return io.BytesIO(raw), len(raw), kind


class Outgoing:
    """A transfer that we send. A recipient that did not get it is in `failures`."""

    def __init__(self, number: int, data: Any, fields: Map, progress: Progress | None):
        self.number = number
        self._source, self.size, kind = payload(data)
        self._begin = {"op": "begin", "transfer": number, "size": self.size, "kind": kind, **fields}
        self.progress = progress
        self._window = 0
        self.acknowledged = 0  # bytes that all recipients have
        self.failures: dict[str | None, str] = {}  # peer → error
        self._sending = False  # begin is answered, and all is not sent yet
        self._asking = True  # begin is not answered yet
        self._offset = 0  # what is sent next
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._error: Exception | None = None
        self._done = threading.Event()

    def wait(self, timeout: float | None = None) -> None:
        """Return when at least one recipient has all of it, and all have answered; else raise TransferError."""
        if not self._done.wait(timeout):
            raise TimeoutError(f"transfer {self.number}: {self.acknowledged} of {self.size} bytes are acknowledged")
        if self._error:
            raise self._error

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def fail(self, error: Exception) -> None:
        if not self.done:
            self._error = error
            self._done.set()

    def begin(self, window: int) -> Map:
        """What is said first, and again after resuming."""
        self._window = min(window, _WINDOW)
        self._sending, self._asking = False, True
        return {**self._begin, "offset": self.acknowledged}

    def next(self) -> Map | None:
        """The next chunk or the end, where one may be sent now."""
        if self.done or not self._sending:
            return None
        if self._offset == self.size:
            self._sending = False
            return {"op": "end", "transfer": self.number, "hash": self._digest()}
        size = min(_CHUNK, self.size - self._offset, self.acknowledged + self._window - self._offset)
        if size <= 0:
            return None
        data = self._read(self._offset, size)
        chunk = {"op": "chunk", "transfer": self.number, "offset": self._offset, "data": data}
        self._offset += size
        return chunk

    def hear(self, message: Mapping[str, Any]) -> None:
        """Take in what the server says of this transfer."""
        op = message["op"]
        if op == "begin":
            self._offset, self._sending, self._asking = message["offset"], True, False
        elif op == "ack":
            self.acknowledged = max(self.acknowledged, message["offset"])
        elif op == "result":
            self.failures[message.get("peer")] = message["error"]
        elif op == "end":
            self._done.set()
        elif op == "cancel":
            self.fail(TransferError(message.get("reason", "cancelled"), _list(self.failures)))
        elif op == "error" and (self._asking or message["code"] == "unknown_transfer"):
            # A begin that is at fault has no other answer. Of a chunk that is, a begin tells more.
            self.fail(TransferError(message["code"], message.get("message", "")))

    def _read(self, offset: int, size: int) -> bytes:
        self._source.seek(offset)
        data = self._source.read(size)
        if len(data) != size:
            raise TransferError("changed", f"the source ends at {offset + len(data)} of {self.size} bytes")
        if offset <= self._hashed < offset + size:
            self._hash.update(data[self._hashed - offset:])
            self._hashed = offset + size
        return data

    def _digest(self) -> str:
        while self._hashed < self.size:  # where we were told to begin behind what we ever sent
            self._read(self._hashed, min(_CHUNK, self.size - self._hashed))
        return self._hash.hexdigest()


class Incoming:
    """A transfer that comes to us. At its end `error` is None, or says why it is not whole."""

    def __init__(self, begin: Mapping[str, Any]):
        self.sender: str = begin["from"]
        self.number: int = begin["transfer"]
        self.channel: str = begin["channel"]
        self.size: int = begin["size"]
        self.kind: str = begin["kind"]
        self.meta: Any = begin.get("meta")
        self.received = 0  # bytes
        self.error: str | None = None
        self.done = False
        self.file: BinaryIO = io.BytesIO()
        self._acknowledged = 0
        self._hash = hashlib.sha256()

    @property
    def data(self) -> Any:
        """The payload, where it was kept in memory."""
        if self.error or not isinstance(self.file, io.BytesIO):
            raise TransferError(self.error or "elsewhere", "the payload is in a file")
        raw = self.file.getvalue()
        return raw if self.kind == "bytes" else raw.decode() if self.kind == "text" else json.loads(raw)

    def hear(self, message: Mapping[str, Any]) -> Map | None:
        """Take in what the server says of this transfer; return the answer."""
        op = message["op"]
        if op == "begin":
            if self.received < message.get("offset", 0):
                self._finish("lost")
                return self._say("cancel", reason="lost")
            self._acknowledged = self.received
            return self._say("begin", offset=self.received)
        if op == "chunk" and message["offset"] == self.received:
            return self._store(message["data"])
        if op == "cancel":
            self._finish(message.get("reason", "cancelled"))
        elif op == "end":
            self._finish(None if self._whole(message["hash"]) else "corrupt")
            return self._say("cancel", reason="corrupt") if self.error else self._say("end")
        return None

    def _store(self, data: bytes) -> Map | None:
        self.file.write(data)
        self._hash.update(data)
        self.received += len(data)
        if self.received - self._acknowledged < _ACK and self.received < self.size:
            return None
        self._acknowledged = self.received
        return self._say("ack", offset=self.received)

    def _whole(self, digest: str) -> bool:
        try:
            if isinstance(self.file, io.BytesIO):
                _ = self.data
        except ValueError:  # not of its kind
            return False
        return self.received == self.size and self._hash.hexdigest() == digest

    def _finish(self, error: str | None) -> None:
        self.error, self.done = error, True

    def _say(self, op: str, **fields: Any) -> Map:
        return {"op": op, "transfer": self.number, "from": self.sender, **fields}


class Arrivals:
    """The transfers that come to us."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], Incoming] = {}
        self._ended: dict[tuple[str, int], None] = {}  # those that came whole, oldest first

    def hear(self, message: Map, offer: Callable[[Incoming], BinaryIO | None] | None) -> tuple[Map | None, Incoming | None]:
        """Take in what the server says; return the answer, and the transfer that has ended by it.

        `offer` returns a file for a transfer that begins, or None to refuse it.
        """
        op, key = message["op"], (message["from"], message["transfer"])
        named = {"transfer": key[1], "from": key[0]}
        one = self._open.get(key)
        if not one:
            if op != "begin":
                return None, None
            if key in self._ended:
                return {"op": "end", **named}, None
            if message.get("offset", 0) > 0:
                return {"op": "cancel", **named, "reason": "unknown"}, None
            one = Incoming(message)
        try:
            if key not in self._open:
                file = offer(one) if offer else one.file if one.size <= _IN_MEMORY else None
                if file is None:
                    return {"op": "cancel", **named, "reason": "refused"}, None
                one.file = file
                self._open[key] = one
            answer = one.hear(message)
        except Exception as error:  # of the application, or of its file
            answer, one.error, one.done = {"op": "cancel", **named, "reason": str(error)[:80]}, str(error), True
        if not one.done:
            return answer, None
        self._open.pop(key, None)
        if not one.error:
            self._ended[key] = None
            if len(self._ended) > _ENDED:
                del self._ended[next(iter(self._ended))]
        return answer, one

    def drop(self, one: Incoming) -> None:
        self._open.pop((one.sender, one.number), None)

    def forget(self, sender: str | None = None) -> list[Incoming]:
        """Nothing more comes of this sender, or of any: return what is not whole."""
        lost = [one for one in self._open.values() if sender in (None, one.sender)]
        for one in lost:
            one.error = "gone"
        for kept in (self._open, self._ended):
            for key in [key for key in kept if sender in (None, key[0])]:
                del kept[key]
        return lost


def _list(failures: Mapping[str | None, str]) -> str:
    return ", ".join(f"{peer}: {error}" for peer, error in failures.items())
