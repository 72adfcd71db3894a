"""Server-Sent Events and POST, with sessions in the same room."""

from __future__ import annotations

import threading
import time
import unittest
from typing import Any

from cases import TestCase
from plain import Event, Events, Refused, Room
from stage import PASSWORD, until

VALUES = ["", "grüße 🎉", 'x\n\ndata: y\r\n', b"", bytes(range(256)) * 100, None, 1.5, [1], {"text": "hi"}, {"$bin": "AAEC"}, {"$map": 1}]


class Reader:
    """Reads in a thread of its own and keeps what comes."""

    def __init__(self, events: Events):
        self.events = events
        self.all: list[Event] = []
        self.fault: Exception | None = None
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        until("the stream begins", lambda: self.named("welcome") or self.fault)

    def _read(self) -> None:
        try:
            for event in self.events:
                self.all.append(event)
        except Exception as error:
            self.fault = error

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event.data for event in list(self.all) if event.name == name]

    def data(self) -> list[Any]:
        return [message["data"] for message in self.named("message")]

    def close(self) -> None:
        self.events.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


class Plain(TestCase):
    def room(self, url: str | None = None, room: str = "demo", **options: Any) -> Room:
        return Room(url or self.server.url, room, context=self.server.context, **options)

    def reader(self, room: Room, *args: Any, **options: Any) -> Reader:
        reader = Reader(room.events(*args, **options))
        self.addCleanup(reader.close)
        return reader

    def test_post_reaches_sessions_and_readers(self) -> None:
        room, peer = self.room(), self.peer()
        reader = self.reader(room, ["chat"])
        (server,) = [id for id, kind in peer.session.peers.items() if kind == "superpeer"]
        posted = [room.post("chat", value) for value in VALUES]
        self.assertEqual(room.post("other", "not read").failures, {})
        until("all come", lambda: len(peer.messages) == len(VALUES) + 1 and len(reader.data()) == len(VALUES))
        self.assertEqual(peer.data("chat"), VALUES)
        self.assertEqual(reader.data(), VALUES)
        self.assertEqual([type(value) for value in reader.data()], [type(value) for value in VALUES])
        self.assertEqual([message["seq"] for message in reader.named("message")], [one.seq for one in posted])
        self.assertEqual({message["from"] for message in reader.named("message")} | {m.sender for m in peer.messages}, {server})

    def test_a_reader_hears_what_is_for_all(self) -> None:
        one, other = self.pair()
        reader = self.reader(self.room())
        for n in range(300):
            one.session.send("chat", [n, "x" * 1000], meta={"n": n})
            one.session.send("private", n, to=other.session.id)
        until("all come", lambda: len(reader.data()) == 300)
        self.assertEqual([n for n, _ in reader.data()], list(range(300)))
        self.assertEqual(reader.named("message")[7]["meta"], {"n": 7})
        third = self.peer()
        until("it is told who comes", lambda: any(peer["event"] == "join" and peer["peer"] == third.session.id for peer in reader.named("peer")))
        self.assertEqual(self.room().peers().keys() - {third.session.id}, {*one.session.peers, one.session.id} - {third.session.id})

    def test_to_single_peers(self) -> None:
        one, other = self.pair()
        posted = self.room().post("chat", "psst", to=[one.session.id, "nobody"])
        self.assertEqual(posted.failures, {"nobody": "unknown_peer"})
        self.assertEqual(self.room().post("chat", "end").failures, {})
        until("both hear the end", lambda: "end" in one.data("chat") and "end" in other.data("chat"))
        self.assertEqual((one.data("chat"), other.data("chat")), (["psst", "end"], ["end"]))

    def test_history(self) -> None:
        room = self.room(room="a/b ü")
        posted = [room.post("chat", n) for n in range(5)]
        reader = self.reader(room, ["chat"], history=3)
        until("it comes", lambda: len(reader.data()) == 3)
        self.assertEqual(reader.data(), [2, 3, 4])
        behind = self.reader(room, ["chat"], last=str(posted[0].seq))
        until("it comes", lambda: len(behind.data()) == 4)
        self.assertEqual((behind.data(), behind.named("welcome")[0]["resumed"]), ([1, 2, 3, 4], True))
        long_ago = self.reader(room, last="5")
        self.assertEqual([long_ago.named("welcome")[0][key] for key in ("resumed", "reason")], [False, "overflow"])

    def test_over_interruptions(self) -> None:
        gate = self.gate()
        reader = self.reader(self.room(gate.url), ["chat"])
        peer = self.peer()
        sent = 0
        for interrupt in (gate.cut, gate.cut, lambda: (self.server.kill(), self.server.start())):
            for _ in range(100):
                peer.session.send("chat", sent)
                sent += 1
            peer.session.flush(20)
            before = reader.events.connections
            interrupt()
            for _ in range(100):
                peer.session.send("chat", sent)
                sent += 1
            until("the reader is back", lambda: reader.events.connections > before, 30)
        until("all come", lambda: len(reader.data()) >= sent, 30)
        time.sleep(0.3)
        self.assertEqual(reader.data(), list(range(sent)))
        self.assertEqual([welcome["resumed"] for welcome in reader.named("welcome")], [False, True, True, True])
        print(f"    {sent} events over 3 interruptions, nothing lost or doubled")

    def test_posts_over_cuts_come_once(self) -> None:
        gate, peer = self.gate(), self.peer()
        room, going = self.room(gate.url), True

        def cut() -> None:
            while going:
                time.sleep(0.03)
                gate.cut()

        thread = threading.Thread(target=cut)
        thread.start()
        try:
            for n in range(150):
                room.post("chat", n)
        finally:
            going = False
            thread.join()
        self.assertGreater(gate.connections, 150, "some were repeated")
        until("all come", lambda: len(peer.messages) >= 150)
        time.sleep(0.3)
        self.assertEqual(peer.data("chat"), list(range(150)))

    def test_repeating(self) -> None:
        room, peer = self.room(), self.peer()
        self.assertEqual(room.post("chat", 1, key="once"), room.post("chat", 1, key="once"))
        self.assertRefused(422, room.post, "chat", 2, key="once")
        room.post("chat", "end")
        until("the end comes", lambda: "end" in peer.data("chat"))
        self.assertEqual(peer.data("chat"), [1, "end"])

    def test_refusals(self) -> None:
        room = self.room()
        self.assertRefused(400, room.post, "a name too long", 1)
        self.assertRefused(400, next, room.events(["a name too long"]))
        self.assertRefused(400, next, room.events(last="abc"))
        self.assertRefused(404, self.room(room="nobody's").peers)
        self.assertRefused(413, room.post, "chat", bytes(2 * 1024 * 1024 + 1))
        for password in (None, "wrong"):
            locked = self.room(room="locked", password=password)
            for call in (locked.peers, lambda: locked.post("chat", 1), lambda: next(locked.events())):
                self.assertRefused(401, call)
        locked = self.room(room="locked", password=PASSWORD)
        self.assertEqual(list(locked.peers().values()), ["superpeer"])
        self.assertEqual(self.reader(locked).named("welcome")[0]["room"], "locked")

    def assertRefused(self, status: int, call: Any, *args: Any, **options: Any) -> None:
        with self.assertRaises(Refused) as caught:
            call(*args, **options)
        self.assertEqual((caught.exception.status, caught.exception.problem["status"]), (status, status))


class Secure(Plain):
    tls = True
    test_over_interruptions = test_posts_over_cuts_come_once = None  # the gate's name is in no certificate


if __name__ == "__main__":
    unittest.main()
