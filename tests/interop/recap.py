"""What others hand on (PROTOCOL.md §17): RECAP, and WANT and GIVE of scope 1.

As a helper it gives to those who know the password, and in a room without one nothing: that is
less than a helper may.
"""

import struct
import time

import hearth as h

FEATURE = 4
WANT, GIVE, RECAP = 0x62, 0x63, 0x64
ASK_AFTER, ASK_BY, ANSWER, GAP = 5, 15, 20, 60
MESSAGES, SECONDS, BYTES = 20, 3600, 32 * 1024          # for newcomers
MOST_ASKED, PAYLOAD, LIMIT, MOST = 2, 15982, 1 << 20, 200
MESSAGE, NOTE = 0, 4
EDIT, RETRACT = 3, 4


def entry(kind, age, ident, fp, flags, nick, text, reply=h.NO_REF):
    """§16, with the age in the place of the time."""
    name = nick.encode("utf-8")
    body = (bytes([kind]) + h.u64(age) + h.u64(0) + ident + reply + fp + bytes(32)
            + bytes([flags, len(name)]) + name + text)
    return struct.pack(">H", len(body)) + body


def entries(data):
    """The entries of a GIVE; a ProtocolError drops all of it."""
    found = []
    while data:
        h._need(len(data) >= 2, "entry")
        size = int.from_bytes(data[:2], "big")
        body, data = data[2:2 + size], data[2 + size:]
        h._need(len(body) == size >= 99, "entry: length")
        kind, nick = body[0], body[98]
        h._need(kind in (MESSAGE, NOTE) and body[97] < 32 and size >= 99 + nick, "entry")
        h._need((body[17:25] != h.NO_REF) == (kind == MESSAGE), "entry: id")
        h._need(kind == MESSAGE or body[25:33] != h.NO_REF and size > 99 + nick, "entry: note")
        text = body[99 + nick:]
        what = text[0] if kind == NOTE else None
        found.append({"kind": kind, "age": int.from_bytes(body[1:9], "big"), "id": body[17:25],
                      "reply": body[25:33], "fp": body[33:65], "to": body[65:97],
                      "flags": body[97], "nick": h.received_nick(body[99:99 + nick]),
                      "what": what, "text": h._utf8(text[what is not None:], "entry")})
    return found


class Recap:
    """The part of one client."""

    def __init__(self, client, emit, on):
        self.client, self.emit, self.on, self.turned = client, emit, on, False
        self.heard = []                # [reference, at, id, FP, flags, nick, text, edit]
        self.answered = {}             # FP -> when
        self.due = self.round = None   # since when it is to ask; what was asked
        self.has_asked = False

    @property
    def feature(self):
        return FEATURE if self.on else 0

    def turn(self, on):
        self.on, self.turned = on, True
        if not on:
            self.heard = []
        self.client.to_all(bytes([RECAP, int(on)]))

    def ready(self, m):
        if self.turned:
            self.client.say(m.channel, bytes([RECAP, int(self.on)]))

    def welcome(self):
        if self.on and not self.has_asked:
            self.due = time.monotonic()

    # -- what is heard

    def hear(self, fp, ident, flags, nick, text):
        """A message to the room that its author lets be handed on."""
        if self.on:
            ref = h.reference(fp, ident)
            self.heard.append([ref, time.monotonic(), ident, fp, flags, nick, text, None])
            self.heard = self.heard[-MOST:]

    def note(self, fp, ref, what, text, allowed):
        for item in [i for i in self.heard if i[0] == ref and i[3] == fp]:
            if what == EDIT and allowed:
                item[7] = text
            elif what in (EDIT, RETRACT):
                self.heard.remove(item)

    # -- the messages

    def take(self, m, kind, body):
        try:
            if kind == RECAP:
                h._need(len(body) == 1 and body[0] < 2, "RECAP")
                m.recap = body[0] == 1
            elif kind == WANT and m.fp != self.client.fp:
                self.answer(m, body)
            elif kind == GIVE and self.round is not None and m in self.round["of"]:
                self.given(m, body)
        except h.ProtocolError:
            pass                       # ignored

    def answer(self, m, body):
        h._need(len(body) >= 7, "WANT")
        seconds, n = int.from_bytes(body[1:5], "big"), int.from_bytes(body[5:7], "big")
        h._need(len(body) == 7 + 8 * n and n <= 1900 and 1 <= seconds <= 604800, "WANT")
        t = time.monotonic()
        if body[0] != 1 or not self.on or t - self.answered.get(m.fp, -GAP) < GAP:
            return
        self.answered[m.fp] = t
        has = {body[7 + 8 * i:15 + 8 * i] for i in range(n)}
        items = [i for i in self.heard
                 if i[0] not in has and t - i[1] <= min(seconds, SECONDS)][-MESSAGES:]
        packed = [b"".join(self.packed(i, t)) for i in items] if self.client.kroom else []
        while sum(map(len, packed)) > BYTES:
            packed.pop(0)
        part = b""
        for each in packed:
            if len(part) + len(each) > PAYLOAD:
                self.client.say(m.channel, bytes([GIVE, 0]) + part)
                part = b""
            part += each
        self.client.say(m.channel, bytes([GIVE, 1]) + part)

    @staticmethod
    def packed(item, t):
        ref, at, ident, fp, flags, nick, text, edit = item
        age = int((t - at) * 1000)
        yield entry(MESSAGE, age, ident, fp, flags, nick, text.encode("utf-8"))
        if edit is not None:
            changed = bytes([EDIT]) + edit.encode("utf-8")
            yield entry(NOTE, age, h.NO_REF, fp, 0, nick, changed, ref)

    def given(self, m, body):
        mine = self.round["of"][m]
        if mine["done"]:
            return
        h._need(1 <= len(body) <= 1 + PAYLOAD and body[0] < 2, "GIVE")
        mine["bytes"] += len(body)
        mine["entries"] += entries(body[1:]) if mine["bytes"] <= LIMIT + 65536 else []
        mine["done"] = body[0] == 1 or mine["bytes"] > LIMIT + 65536

    # -- asking

    def tick(self):
        t, c = time.monotonic(), self.client
        if self.due is not None and t - self.due >= ASK_AFTER:
            helpers = {}
            for m in c.members.values():
                if m.recap and m.channel is not None and m.channel.up and m.fp != c.fp:
                    helpers.setdefault(m.fp, m)
            if len(helpers) >= MOST_ASKED or t - self.due >= ASK_BY:
                self.due, self.has_asked = None, True
                chosen = list(helpers.values())[:MOST_ASKED]
                refs = [ref for ref, (_, _, private) in c.said.items() if private is None][-1900:]
                self.round = {"at": t, "of": {m: {"entries": [], "bytes": 0, "done": False}
                                              for m in chosen}}
                for m in chosen:
                    c.say(m.channel, bytes([WANT, 1]) + struct.pack(">IH", 86400, len(refs))
                          + b"".join(refs))
        if self.round is not None and (t - self.round["at"] >= ANSWER or all(
                mine["done"] for mine in self.round["of"].values())):
            self.finish()

    def finish(self):
        told = {}                      # (FP, id, flags, text) -> [entry, by]
        for m, mine in self.round["of"].items():
            messages = {}
            for e in mine["entries"]:
                if e["to"] != bytes(32) or e["flags"] & 2 or e["fp"] == self.client.fp:
                    continue
                ref = h.reference(e["fp"], e["id"])
                if e["kind"] == MESSAGE and ref not in messages and len(messages) < MOST:
                    messages[ref] = {**e, "flags": e["flags"] & 1}
                elif e["what"] == EDIT and e["fp"] == messages.get(e["reply"], e)["fp"]:
                    if e["reply"] in messages:
                        messages[e["reply"]]["text"] = e["text"]
            for ref, e in messages.items():
                if ref not in self.client.said:
                    key = (e["fp"], e["id"], e["flags"], e["text"])
                    told.setdefault(key, (e, []))[1].append(h.fp_text(m.fp))
        self.round = None
        if not told:
            return
        in_order = sorted(told.values(), key=lambda pair: -pair[0]["age"])
        by = sorted({one for _, some in in_order for one in some})
        self.emit("missed", **{"from": "hearsay"}, by=by, count=len(told),
                  seconds=in_order[0][0]["age"] // 1000)
        for e, some in in_order:
            self.emit("chat", id=e["id"].hex(), nick=e["nick"], fingerprint=h.fp_text(e["fp"]),
                      private=False, action=bool(e["flags"] & 1), late=False, view="same",
                      text=e["text"], missed=True, hearsay=some)
