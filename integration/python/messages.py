"""The messages of the session protocol as JSON, and what a send is to its sender."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Map = dict[str, Any]
Progress = Callable[[str, float], None]  # is called with a peer id and what that peer has, up to 1


class SessionError(Exception):
    """The server refused something, or the session is over. `code` is as in docs/gateway.md."""

    def __init__(self, code: str, text: str = ""):
        super().__init__(f"{code}: {text}" if text else code)
        self.code = code


@dataclass(frozen=True)
class Message:
    """What somebody sent. `data` is bytes, a string or any JSON value."""

    seq: int
    channel: str
    sender: str
    data: Any
    meta: Any = None
    history: bool = False


class Sent:
    """A send. `failures` tells whom it did not reach: peer → error."""

    def __init__(self, seq: int, text: str, progress: Progress | None):
        self.seq = seq
        self.text = text  # as it goes over the WebSocket
        self.progress = progress
        self.failures: dict[str | None, str] = {}
        self.error: Exception | None = None
        self._done = threading.Event()

    def wait(self, timeout: float | None = None) -> None:
        """Return when the server has it safe; raise SessionError if it was refused or the session is over."""
        if not self._done.wait(timeout):
            raise TimeoutError(f"send {self.seq} is not acknowledged")
        if self.error:
            raise self.error

    def finish(self, error: Exception | None = None) -> None:
        self.error = self.error or error
        self.text = ""
        self._done.set()


class Owed:
    """The acknowledgement that is due for messages that came."""

    def __init__(self) -> None:
        self.socket: object = None  # the connection that they came by
        self.seq = self._messages = self._size = 0
        self._since = 0.0

    def add(self, socket: object, seq: int, size: int) -> None:
        self._since = self._since or time.monotonic()
        self.socket, self.seq = socket, seq
        self._messages += 1
        self._size += size

    def due(self, idle: bool) -> bool:
        """Whether to acknowledge now; `idle` is when nothing else has come."""
        return self._messages > 0 and (
            idle or self._messages >= 32 or self._size >= 32 << 10 or time.monotonic() - self._since > 0.5)


def encode(message: Mapping[str, Any]) -> str:
    """Raises ValueError or TypeError for what JSON cannot say."""
    if "data" in message:
        message = {**message, "data": escaped(message["data"])}
    text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text.encode()  # a lone surrogate is an error here rather than in the thread that writes
    return text


def decode(text: str | bytes) -> Map:
    message = json.loads(text)
    if "data" in message:
        message["data"] = unescaped(message["data"])
    return message


def recipients(to: str | Iterable[str] | None, meta: Any) -> Map:
    """The fields `to` and `meta`, where there are such."""
    fields: Map = {} if meta is None else {"meta": meta}
    if to is not None:
        fields["to"] = to if isinstance(to, str) else list(to)
    return fields


def escaped(data: Any) -> Any:
    """Data as JSON says it."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return {"$bin": base64.b64encode(data).decode()}
    return {"$map": data} if isinstance(data, Mapping) and data.keys() & {"$bin", "$map"} else data


def unescaped(data: Any) -> Any:
    """Data from what JSON said."""
    if isinstance(data, dict) and len(data) == 1:
        if "$bin" in data:
            return base64.b64decode(data["$bin"])
        if "$map" in data:
            return data["$map"]
    return data
