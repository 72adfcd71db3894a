"""The client against a real server: SERVER_CMD=build/caddy python3 -m unittest"""

from __future__ import annotations

import contextlib
import json
import time
import unittest
from typing import Any

import websocket
from cases import TestCase
from messages import decode, encode
from genosrtc import SessionError
from stage import PASSWORD, until

VALUES = ["", "hello", "grüße, 世界 🎉", '{"looks":"like JSON"}', "\x00\x1f\x7f\u2028", 0, 42, -1.5, 1e-7, 2**53 - 1, None, True,
          False, [], [1, "two", None, [3], {"four": 4}], {}, {"text": "hi", "ключ": {"nothing": None}}, b"", b"\x00",
          bytes(range(256)) * 200, {"$bin": "AAEC"}, {"$map": {"$bin": "AAEC"}}, {"$bin": 1, "more": 2}, [{"$bin": "AAEC"}]]


class Chat(TestCase):
    def test_values_both_ways(self) -> None:
        pair = self.pair()
        for one, other in (pair, pair[::-1]):
            for value in VALUES:
                one.session.send("chat", value, meta={"name": "ä", "n": [1, None]})
            one.session.flush(10)
            until("all come", lambda: len(other.messages) == len(VALUES))
            self.assertEqual(other.data("chat"), VALUES)
            self.assertEqual([type(value) for value in other.data("chat")], [type(value) for value in VALUES])
            for message in other.messages:
                self.assertEqual((message.sender, message.meta, message.history), (one.session.id, {"name": "ä", "n": [1, None]}, False))
            other.messages.clear()

    def test_directed(self) -> None:
        one, other = self.pair()
        third = self.peer()
        until("the third is there", lambda: third.session.id in one.session.peers)
        for to in (other.session.id, [other.session.id], [], [third.session.id, other.session.id]):
            one.session.send("private", str(to), to=to)
        one.session.send("chat", "end")
        for peer in (other, third):
            until("the end comes", lambda: peer.data("chat"))
        self.assertEqual(other.data("private"), [other.session.id, str([other.session.id]), str([third.session.id, other.session.id])])
        self.assertEqual(third.data("private"), [str([third.session.id, other.session.id])])
        self.assertEqual(one.messages, [])

    def test_presence(self) -> None:
        one, other = self.pair()
        superpeers = [peer for peer, kind in one.session.peers.items() if kind == "superpeer"]
        self.assertEqual(len(superpeers), 1)
        self.assertRegex(one.session.id, r"\A[0-9A-Za-z]{20}\Z")
        self.assertIn(("join", other.session.id, "session"), one.events)
        other.session.leave()
        until("one is told", lambda: ("leave", other.session.id, "session") in one.events)
        until("its end is told", lambda: other.states == ["joined", "ended"])
        self.assertNotIn(other.session.id, one.session.peers)

    def test_history(self) -> None:
        one = self.peer(room="a/b ü")
        for n in range(5):
            one.session.send("chat", n)
        one.session.send("chat", "not to all", to=[])
        one.session.flush(10)
        late = self.peer(room="a/b ü", history=3)
        one.session.send("chat", 5)
        until("all come", lambda: len(late.messages) == 4)
        self.assertEqual([(message.data, message.history) for message in late.messages], [(2, True), (3, True), (4, True), (5, False)])

    def test_pings(self) -> None:
        one, other = self.pair()
        for peer in (None, other.session.id, *one.session.peers):
            self.assertLess(one.session.ping(peer), 10)
        self.assertCode("unknown_peer", one.session.ping, "nobody")

    def test_progress_and_results(self) -> None:
        one, other = self.pair()
        told: list[tuple[str, float]] = []
        sent = one.session.send("chat", "hi", to=[other.session.id, "nobody"], progress=lambda *args: told.append(args))
        sent.wait(10)
        until("progress and result come", lambda: told and one.results)
        self.assertEqual(told, [(other.session.id, 1)])
        self.assertEqual(one.results, [(sent.seq, "nobody", "unknown_peer")])
        self.assertEqual(sent.failures, {"nobody": "unknown_peer"})

    def test_a_slow_handler_is_waited_for(self) -> None:
        one, other = self.pair()
        other.session.on_message = lambda message: (time.sleep(0.002), other.messages.append(message))
        for n in range(400):
            one.session.send("chat", [n, "x" * 10_000])
        until("all come", lambda: len(other.messages) == 400, 30)
        self.assertEqual([n for n, _ in other.data("chat")], list(range(400)))
        self.assertEqual(other.states, ["joined"])


class Errors(TestCase):
    def test_refused_sends(self) -> None:
        one, other = self.pair()
        for code, channel, data in (("channel_name", "", 1), ("channel_name", "thirteen-byte", 1), ("channel_name", "@_x", 1),
                                    ("too_large", "chat", "x" * (2 * 1024 * 1024 + 1))):
            with self.subTest(code):
                self.assertCode(code, one.session.send(channel, data).wait, 10)
        deep: Any = 0
        for _ in range(101):
            deep = [deep]
        self.assertCode("bad_data", one.session.send("chat", deep).wait, 10)
        self.assertCode("too_many", one.session.send("chat", 1, to=["x"] * 1001).wait, 10)
        self.assertCode("bad_message", one.session.send("chat", 1, to="x" * 65).wait, 10)
        one.session.send("chat", "still here").wait(10)
        until("it comes", lambda: other.data("chat") == ["still here"])
        self.assertEqual(one.states, ["joined"])

    def test_refused_here(self) -> None:
        one, _ = self.pair()
        for wrong in (float("nan"), "\ud83d", {"a": b"bytes"}, object()):
            with self.assertRaises((ValueError, TypeError)):
                one.session.send("chat", wrong)
        self.assertCode("too_large", one.session.send, "chat", "\x01" * 1_000_000)
        one.session.send("chat", 1).wait(10)

    def test_password(self) -> None:
        self.peer(room="locked", password=PASSWORD)
        for options in ({"password": "wrong"}, {}):
            self.assertCode("password", self.peer(room="locked", join=False, **options).session.join)

    def test_http(self) -> None:
        with self.assertRaises(SessionError) as caught:
            self.peer(room="none of that name", join=False).session.join()
        self.assertEqual(caught.exception.code, "http_404")
        with self.assertRaises(TimeoutError):
            self.peer("http://127.0.0.1:1/genosrtc", join=False).session.join(1)

    def test_protocol(self) -> None:
        """What this client never says."""
        for said, code, close in (
            ({"op": "ping", "id": 1}, "hello_expected", 1002),
            ({"op": "hello", "password": 5}, "hello_expected", 1002),
        ):
            with self.talk() as socket:
                socket.send(encode(said))
                self.assertEqual(decode(socket.receive())["code"], code)
                with self.assertRaises(websocket.Closed) as closed:
                    socket.receive()
                self.assertEqual((closed.exception.code, closed.exception.reason), (close, code))
        with self.talk() as socket:
            socket.send(encode({"op": "hello"}))
            self.assertEqual(decode(socket.receive())["op"], "welcome")
            for text, code in (("{", "bad_message"), ("{}", "bad_message"), ('{"op":"dance"}', "unknown_op"),
                               ('{"op":"send","channel":"c","data":1}', "bad_seq"), ('{"op":"send","seq":1,"channel":"c"}', "bad_data"),
                               ('{"op":"chunk","transfer":7,"offset":0,"data":{"$bin":"AAAA"}}', "unknown_transfer"),
                               ('{"op":"begin","transfer":7,"channel":"c","size":-1,"kind":"bytes"}', "bad_transfer")):
                socket.send(text)
                with self.subTest(text):
                    self.assertEqual(self.error(socket), code)
            socket.send(b"{}")
            with self.assertRaises(websocket.Closed) as closed:
                while True:
                    socket.receive()
            self.assertEqual(closed.exception.code, 1003)

    @contextlib.contextmanager
    def talk(self) -> Any:
        socket = websocket.connect(f"{self.server.url}/rooms/demo/ws", ["genosrtc.v1.json"])
        try:
            yield socket
        finally:
            socket.abort()

    def error(self, socket: websocket.WebSocket) -> str:
        while (message := json.loads(socket.receive()))["op"] != "error":
            pass
        return message["code"]


if __name__ == "__main__":
    unittest.main()
