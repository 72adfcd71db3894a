"""One Python client for a scenario in JavaScript (lib/python.js): calls as lines of JSON, answers too.

    → {"id":1,"call":"send","args":["chat",{"text":"hi"},{"to":null}]}
    ← {"id":1,"value":null}    or {"id":1,"error":"…"}

What it is told it says as {"log":"messages"|"events"|"progress","entry":{…}}. Bytes are {"$bin": base64}.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from genosrtc import Incoming, Message, Session
from messages import decode, encode

_printing = threading.Lock()


def say(**message: Any) -> None:
    with _printing:
        print(encode(message), flush=True)


def log(part: str, **entry: Any) -> None:
    say(log=part, **entry)


class Participant:
    def __init__(self, url: str, room: str, password: str | None):
        self.session = session = Session(url, room, password=password)
        session.on_message = self._message
        session.on_peer = lambda event, peer, kind: log("events", event=event, peer=peer, type=kind)
        session.on_progress = lambda channel, peer, fraction, meta: log(
            "progress", way="in", channel=channel, peer=peer, fraction=fraction, meta=meta)
        session.on_transfer = self._transfer
        session.on_state = lambda state, why: log("states", state=state, why=why)

    def _message(self, message: Message) -> None:
        log("messages", channel=message.channel, **{"from": message.sender}, data=message.data, meta=message.meta)

    def _transfer(self, incoming: Incoming) -> None:
        if incoming.error:
            log("states", state="transfer", why=incoming.error)
        else:
            log("messages", channel=incoming.channel, **{"from": incoming.sender}, data=incoming.data, meta=incoming.meta)

    def join(self) -> str:
        return self.session.join().id

    def send(self, channel: str, data: Any, to: Any, meta: Any, progress: bool) -> Any:
        """Start to send, in the order of the calls; what is returned waits for the acknowledgement."""
        told = lambda peer, fraction: log("progress", way="out", channel=channel, peer=peer, fraction=fraction, meta=None)
        return self.session.send(channel, data, to=to, meta=meta, progress=told if progress else None).wait

    def transfer(self, channel: str, data: Any, to: Any, meta: Any) -> Any:
        return self.session.transfer(channel, data, to=to, meta=meta).wait

    def ping(self, peer: str | None) -> float:
        return self.session.ping(peer) * 1000

    def leave(self) -> None:
        self.session.leave()


def main() -> None:
    participant = Participant(*json.loads(sys.argv[1]))

    def answer(number: int, call: Any, *args: Any) -> None:
        try:
            say(id=number, data=call(*args))
        except Exception as error:
            say(id=number, error=f"{type(error).__name__}: {error}")

    with ThreadPoolExecutor(256) as pool:
        for line in sys.stdin:
            request = decode(line)
            call, args = getattr(participant, request["call"]), request["args"]
            if "data" in request:
                args.insert(1, request["data"])
            if request["call"] in ("send", "transfer"):
                try:
                    call, args = call(*args), [30]
                except Exception as error:
                    say(id=request["id"], error=f"{type(error).__name__}: {error}")
                    continue
            pool.submit(answer, request["id"], call, *args)
    participant.session.close()


main()
