"""The client against a real server: SERVER_CMD=build/caddy python3 -m unittest test_client"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import tempfile
import threading
import time
import unittest
from typing import Any

import websocket
from genosrtc import Incoming, Message, Session, SessionError, TransferError
from messages import decode, encode
from stage import PASSWORD, Gate, Server, until

server: Server


def setUpModule() -> None:
    global server
    server = Server()


def tearDownModule() -> None:
    server.close()
    assert threading.active_count() == 1, threading.enumerate()


class Peer:
    """A session that keeps what it was told."""

    def __init__(self, url: str, room: str = "demo", **options: Any):
        self.messages: list[Message] = []
        self.events: list[tuple[str, str, str | None]] = []
        self.states: list[str] = []
        self.results: list[tuple[int, str | None, str]] = []
        self.errors: list[str] = []
        self.transfers: list[Incoming] = []
        self.session = session = Session(url, room, **options)
        session.on_message = self.messages.append
        session.on_peer = lambda *event: self.events.append(event)
        session.on_state = lambda state, _: self.states.append(state)
        session.on_result = lambda *result: self.results.append(result)
        session.on_error = lambda error: self.errors.append(error.code)
        session.on_transfer = self.transfers.append

    def data(self, channel: str) -> list[Any]:
        return [message.data for message in self.messages if message.channel == channel]


class TestCase(unittest.TestCase):
    def peer(self, url: str | None = None, room: str = "demo", join: bool = True, **options: Any) -> Peer:
        peer = Peer(url or server.url, room, **options)
        self.addCleanup(peer.session.leave)
        if join:
            peer.session.join()
        return peer

    def pair(self, *urls: str | None) -> tuple[Peer, Peer]:
        """Two peers that see each other."""
        one, other = (self.peer(url) for url in urls or (None, None))
        until("they meet", lambda: other.session.id in one.session.peers and one.session.id in other.session.peers)
        return one, other

    def gate(self) -> Gate:
        gate = Gate(server.port)
        self.addCleanup(gate.close)
        return gate

    def assertCode(self, code: str, call: Any, *args: Any, **options: Any) -> None:
        with self.assertRaises((SessionError, TransferError)) as caught:
            call(*args, **options)
        self.assertEqual(caught.exception.code, code)


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
        self.assertEqual(other.states, ["joined", "ended"])
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


class Resume(TestCase):
    def traffic(self, interrupt: Any, rounds: int, gates: tuple[Gate, Gate]) -> None:
        """Both send all the time while they are interrupted; nothing is lost, doubled or out of order."""
        one, other = self.pair(*(gate.url for gate in gates))
        ids = [one.session.id, other.session.id]
        going, sent = True, [0, 0]

        def send(at: int, peer: Peer) -> None:
            while going:
                data = b"%d" % sent[at] if sent[at] % 3 else {"n": sent[at], "text": "ä" * random.randrange(500)}
                peer.session.send("chat", data)
                sent[at] += 1
                time.sleep(0.002)

        threads = [threading.Thread(target=send, args=args) for args in enumerate((one, other))]
        for thread in threads:
            thread.start()
        try:
            for n in range(rounds):
                time.sleep(0.4)
                interrupt(n)
                for peer in (one, other):
                    until("it has resumed", lambda: peer.states.count("resumed") > n, 20)
        finally:
            going = False
            for thread in threads:
                thread.join()
        for peer, count in ((one, sent[1]), (other, sent[0])):
            peer.session.flush(20)
            until("all have come", lambda: len(peer.messages) >= count, 20)
        time.sleep(0.5)  # for what should not come
        for peer, count in ((one, sent[1]), (other, sent[0])):
            numbers = [int(data) if isinstance(data, bytes) else data["n"] for data in peer.data("chat")]
            self.assertEqual(numbers, list(range(count)))
            self.assertGreater(count, 200)
            self.assertGreaterEqual(peer.states.count("resumed"), rounds)
            self.assertNotIn("renewed", peer.states)
            self.assertEqual([event for event, *_ in peer.events if event == "leave" and _[1] == "session"], [])
        self.assertEqual([one.session.id, other.session.id], ids)
        print(f"    {sent} messages over {rounds} interruptions, nothing lost or doubled")

    def test_cut(self) -> None:
        gates = (self.gate(), self.gate())

        def cut(n: int) -> None:
            for gate in gates:
                gate.cut(stay_shut=n % 2 == 1)
            time.sleep(0.5 * (n % 2))
            for gate in gates:
                gate.reopen()

        self.traffic(cut, 6, gates)

    def test_killed_server(self) -> None:
        def kill(_: int) -> None:
            server.kill()
            server.start()

        self.traffic(kill, 2, (self.gate(), self.gate()))

    def test_expired(self) -> None:
        gate = self.gate()
        one, other = self.pair(gate.url, None)
        before = one.session.id
        one.session.send("chat", "before").wait(10)
        gate.cut(stay_shut=True)
        lost = one.session.send("chat", "too late")
        until("the other is told that it left", lambda: any(event == ("leave", before, "session") for event in other.events), 20)
        gate.reopen()
        self.assertCode("renewed", lost.wait, 30)
        until("it is another session", lambda: one.session.id != before)
        one.session.send("chat", "after").wait(10)
        until("it comes", lambda: "after" in other.data("chat"))
        self.assertEqual(other.data("chat"), ["before", "after"])
        self.assertIn("renewed", one.states)

    def test_elsewhere(self) -> None:
        one, _ = self.pair()
        socket = websocket.connect(f"{server.url}/rooms/demo/ws", ["genosrtc.v1.json"])
        socket.send(encode({"op": "hello", "resume": one.session.welcome["resume"]}))
        self.assertTrue(decode(socket.receive())["resumed"])
        until("the older ends", lambda: "ended" in one.states)
        self.assertCode("resumed elsewhere", one.session.send, "chat", "hi")
        socket.send(encode({"op": "leave"}))
        with self.assertRaises(websocket.Closed):
            while True:
                socket.receive()


class Transfers(TestCase):
    SIZE = 5_000_000

    def interrupted(self, interrupt: Any, sender_url: str, receiver_url: str) -> None:
        one, other = self.pair(sender_url, receiver_url)
        data = random.Random(1).randbytes(self.SIZE)
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
            source.write(data)
            other.session.on_offer = lambda incoming: target
            fractions: list[float] = []
            halfway = threading.Event()

            def progress(_: str, fraction: float) -> None:
                fractions.append(fraction)
                if fraction > 0.3:
                    halfway.set()

            start = time.monotonic()
            transfer = one.session.transfer("file", source, to=other.session.id, meta={"name": "ä.bin"}, progress=progress)
            self.assertTrue(halfway.wait(20))
            at = transfer.acknowledged
            interrupt()
            transfer.wait(60)
            seconds = time.monotonic() - start
            until("it is whole", lambda: other.transfers)
            (incoming,) = other.transfers
            target.seek(0)
            self.assertEqual(hashlib.sha256(target.read()).hexdigest(), hashlib.sha256(data).hexdigest())
        self.assertEqual((incoming.error, incoming.meta, incoming.size, incoming.sender), (None, {"name": "ä.bin"}, self.SIZE, one.session.id))
        self.assertEqual(transfer.failures, {})
        self.assertLess(at, self.SIZE)
        until("progress ends", lambda: fractions[-1] == 1)
        print(f"    5 MB in {seconds:.2f} s, interrupted at {at} bytes; {len(fractions)} progress messages")

    def test_sender_cut(self) -> None:
        gate = self.gate()
        self.interrupted(gate.cut, gate.url, server.url)
        self.assertGreaterEqual(gate.connections, 2)
        self.assertLess(gate.passed, 1.5 * 4 / 3 * self.SIZE, "it went on, rather than from the start")

    def test_receiver_cut(self) -> None:
        gate = self.gate()
        self.interrupted(gate.cut, server.url, gate.url)
        self.assertGreaterEqual(gate.connections, 2)

    def test_both_cut(self) -> None:
        gates = self.gate(), self.gate()
        self.interrupted(lambda: [gate.cut() for gate in gates], *(gate.url for gate in gates))

    def test_killed_server(self) -> None:
        self.interrupted(lambda: (server.kill(), server.start()), server.url, server.url)

    def test_kinds(self) -> None:
        one, other = self.pair()
        values = [b"", b"\x00\xff" * 50_000, "", "grüße 🎉" * 10_000, {"a": [1, None]}, None]
        for value in values:
            one.session.transfer("file", value).wait(10)
        until("all come", lambda: len(other.transfers) == len(values))
        self.assertEqual([incoming.data for incoming in other.transfers], values)
        self.assertEqual([incoming.kind for incoming in other.transfers], ["bytes"] * 2 + ["text"] * 2 + ["json"] * 2)

    def test_many_beside_messages(self) -> None:
        one, other = self.pair()
        values = [random.Random(n).randbytes(1_000_000 + n) for n in range(8)]
        transfers = [one.session.transfer("file", value) for value in values]
        for n in range(100):
            one.session.send("chat", n)
        for transfer in transfers:
            transfer.wait(30)
        until("all come", lambda: len(other.transfers) == 8 and len(other.messages) == 100)
        self.assertEqual(sorted((incoming.data for incoming in other.transfers), key=len), values)
        self.assertEqual(other.data("chat"), list(range(100)))

    def test_failures(self) -> None:
        one, other = self.pair()
        self.assertCode("nobody", one.session.transfer("file", b"x", to="nobody").wait, 10)
        other.session.on_offer = lambda incoming: None
        refused = one.session.transfer("file", b"x")
        self.assertCode("nobody", refused.wait, 10)
        self.assertEqual(refused.failures, {other.session.id: "refused"})
        self.assertCode("channel_name", one.session.transfer("a name too long", b"x").wait, 10)

    def test_cancelled_by_the_sender(self) -> None:
        one, other = self.pair()
        began = threading.Event()
        other.session.on_offer = lambda incoming: (began.set(), io.BytesIO())[1]
        transfer = one.session.transfer("file", bytes(50_000_000))
        self.assertTrue(began.wait(10))
        one.session.cancel(transfer, "no longer")
        self.assertCode("cancelled", transfer.wait, 10)
        until("the recipient is told", lambda: other.transfers)
        self.assertEqual(other.transfers[0].error, "no longer")
        one.session.transfer("file", b"next").wait(10)

    def test_a_source_that_ends_early(self) -> None:
        one, other = self.pair()
        source = io.BytesIO(bytes(200_000))
        one.session.send("chat", "hi")
        source.seek = lambda at, whence=0: 300_000 if whence else io.BytesIO.seek(source, at)  # type: ignore[method-assign]
        self.assertCode("changed", one.session.transfer("file", source).wait, 10)
        until("the recipient is told", lambda: other.transfers)


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
        socket = websocket.connect(f"{server.url}/rooms/demo/ws", ["genosrtc.v1.json"])
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
