"""Rooms without a session: a reader of Server-Sent Events and POST, written from docs/gateway.md.

    room = Room("http://localhost:8080/genosrtc", "demo")
    room.post("chat", {"text": "hello"})
    for event in room.events(["chat"], history=10):
        print(event.name, event.data)
"""

from __future__ import annotations

import base64
import http.client
import json
import random
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from messages import Map, decode, escaped

_SILENCE = 45  # seconds; a stream shows a sign of life every 20
_PAUSE = 15  # seconds between two attempts at most, unless the server wants more
_PASSING = {408, 409, 429, 502, 503, 504}  # statuses with which the same request may be made again


class Refused(Exception):
    """The server refused a request; `problem` is its problem document (RFC 9457)."""

    def __init__(self, status: int, problem: Map, retry_after: float):
        super().__init__(f"HTTP {status} {problem.get('detail') or problem.get('title') or ''}".rstrip())
        self.status = status
        self.problem = problem
        self.retry_after = retry_after  # seconds


@dataclass(frozen=True)
class Event:
    """`name` is welcome, message or peer; `data` is a map as in a JSON session, with bytes as bytes."""

    name: str
    id: str  # the last that the stream named
    data: Map


@dataclass(frozen=True)
class Posted:
    seq: int  # the message's place in the room
    failures: dict[str, str] = field(default_factory=dict)  # peer that it did not reach → error


class Room:
    """A room as plain HTTP shows it. Its calls may be made by many threads."""

    def __init__(self, url: str, room: str, *, password: str | None = None, context: ssl.SSLContext | None = None):
        if room in ("", ".", ".."):
            raise ValueError(f"no URL can name the room {room!r}")
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.netloc
        self._path = f"{parts.path.rstrip('/')}/rooms/{quote(room, safe='')}"
        self._context = context
        self._headers: dict[str, str] = {}
        if password is not None:
            self._headers["Authorization"] = "Basic " + base64.b64encode(f":{password}".encode()).decode()

    def peers(self) -> dict[str, str | None]:
        """The peers that the server is connected with, itself included: id → type."""
        peers = self._request("GET", "", timeout=10)["peers"]
        return {peer["peer"]: peer.get("type") for peer in peers}

    def post(self, channel: str, data: Any, *, to: str | Sequence[str] = (), key: str | None = None,
             timeout: float = 30) -> Posted:
        """Send bytes, a string or a JSON value as the server's own peer, to all or to some.

        Repeated until it is answered; the key makes that safe, unless the server restarts meanwhile.
        """
        if isinstance(data, (bytes, bytearray, memoryview)):
            body, kind = bytes(data), "application/octet-stream"
        elif isinstance(data, str):
            body, kind = data.encode(), "text/plain"
        else:
            body, kind = json.dumps(escaped(data), ensure_ascii=False, allow_nan=False).encode(), "application/json"
        headers = {"Content-Type": kind, "Idempotency-Key": key or str(uuid.uuid4())}
        path = f"/channels/{quote(channel, safe='')}"
        if to:
            path += "?" + urlencode({"to": [to] if isinstance(to, str) else to}, doseq=True)
        end, failures = time.monotonic() + timeout, 0
        while True:
            wait = 0.0
            try:
                answer = self._request("POST", path, body, headers, max(0.1, end - time.monotonic()))
                results = answer.get("results", [])
                return Posted(answer["seq"], {result["peer"]: result["error"] for result in results})
            except Refused as refused:
                wait = refused.retry_after
                if refused.status not in _PASSING or time.monotonic() + wait > end:
                    raise
            except (OSError, http.client.HTTPException):
                if time.monotonic() > end:
                    raise
            failures += 1
            time.sleep(wait + _pause(failures))

    def events(self, channels: Sequence[str] = (), *, history: int = 0, last: str = "") -> Events:
        """Read these channels, or all. With the id of an event, what is behind it comes first."""
        query = {"channel": channels} | ({"history": [history]} if history else {})
        return Events(self, "/events?" + urlencode(query, doseq=True), last)

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._secure:
            return http.client.HTTPSConnection(self._host, timeout=timeout, context=self._context)
        return http.client.HTTPConnection(self._host, timeout=timeout)

    def _request(self, method: str, path: str, body: bytes | None = None, headers: Map | None = None,
                 timeout: float = 30) -> Map:
        connection = self._connection(timeout)
        try:
            connection.request(method, self._path + path, body, {**self._headers, **(headers or {})})
            response = connection.getresponse()
            if response.status >= 300:
                raise _refusal(response)
            return json.loads(response.read())
        finally:
            connection.close()


class Events(Iterator[Event]):
    """The events of a room, over as many connections as it takes. `last` is the id to go on from."""

    def __init__(self, room: Room, path: str, last: str):
        self.last = last
        self.connections = 0
        self._room = room
        self._path = path
        self._closed = threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._retry = 1.0  # seconds
        self._stream = self._endless()

    def __next__(self) -> Event:
        return next(self._stream)

    def close(self) -> None:
        """End it, from any thread: who waits for the next event gets no more."""
        self._closed.set()
        if raw := self._socket:
            try:
                socket.socket.shutdown(raw, socket.SHUT_RDWR)
            except OSError:
                pass

    def _endless(self) -> Iterator[Event]:
        failures = 0
        while not self._closed.is_set():
            wait = 0.0
            try:
                for event in self._one():
                    failures = 0
                    yield event
            except Refused as refused:
                wait = refused.retry_after
                if refused.status not in _PASSING:
                    raise
            except ssl.SSLCertVerificationError:
                raise
            except (OSError, http.client.HTTPException):
                pass
            failures += 1
            self._closed.wait(max(wait, self._retry if failures == 1 else 0) + _pause(failures))

    def _one(self) -> Iterator[Event]:
        """The events of one connection."""
        connection = self._room._connection(_SILENCE)
        try:
            connection.connect()
            self._socket = connection.sock
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self.last} if self.last else {})
            connection.request("GET", self._room._path + self._path, headers={**self._room._headers, **headers})
            response = connection.getresponse()
            if response.status != 200:
                raise _refusal(response)
            self.connections += 1
            name, data, last = "", [], self.last
            while not self._closed.is_set() and (line := response.readline()).endswith(b"\n"):
                key, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(":")
                value = value[1:] if value.startswith(" ") else value
                if key == "data":
                    data.append(value)
                elif key == "event":
                    name = value
                elif key == "id" and "\0" not in value:
                    last = value  # it counts once the event is whole
                elif key == "retry" and value.isdigit():
                    self._retry = int(value) / 1000
                elif line in (b"\n", b"\r\n"):
                    self.last = last
                    if data:
                        yield Event(name or "message", self.last, decode("\n".join(data)))
                    name, data = "", []
        finally:
            self._socket = None
            connection.close()


def _refusal(response: http.client.HTTPResponse) -> Refused:
    try:
        problem = json.loads(response.read(64 << 10))
    except ValueError:
        problem = {}
    wait = response.headers.get("Retry-After", "")
    return Refused(response.status, problem if isinstance(problem, dict) else {}, float(wait) if wait.isdigit() else 0)


def _pause(failures: int) -> float:
    return random.uniform(0, min(_PAUSE, 0.1 * 2 ** min(failures, 8)))
