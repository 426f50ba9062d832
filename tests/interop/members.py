"""Asks a running client, payload by payload, what §3, §4, §6 and §9 demand of it towards other members.

check(client, port, slow) plays members of its room through a relay.  The client's fingerprint lies
between those of LOW, who begins with it, and HIGH, with whom it begins.  `client` is a Program of
selftest.py.  With `slow` come the waits of 15 and 30 s.
"""

import os
import socket
import struct
import threading
import time

import hearth as h
import katcheck

LOBBY = h.room_tag("lobby")
M1, M2, M3, RECORD = 1, 2, 3, 4
QUIET = 0.7                            # longer than any answer takes that is due at once

kat = katcheck.Kat()
kat.check_keys(kat.kat["keys"])
LOW, HIGH, WEAK_HIGH = kat.keys["bob"], kat.keys["relay"], kat.keys["weak"]

count = 0


def want(condition, what):
    global count
    count += 1
    if not condition:
        raise AssertionError("members: " + what)


def is_between(key):
    """Whether a client with this key meets LOW and HIGH in both roles."""
    return LOW.fp < key.fp < HIGH.fp


class Place:
    """A member of the lobby that says to the one other member what a check wants."""

    def __init__(self, port, key, instance=None):
        self.key, self.buffer, self.inbox = key, b"", []
        self.instance = instance or os.urandom(16)
        self.s = socket.create_connection(("127.0.0.1", port))
        hs = h.Initiator("transport", key)
        self.s.sendall(hs.m1())
        head = self.take(34)
        self.fp_s = hs.read_m2(head + self.take(struct.unpack(">H", head[32:])[0])).fp
        m3 = hs.m3()
        self.out, self.incoming = h.Chain(hs.ckI), h.Chain(hs.ckR)
        join = h.frame(h.JOIN, h.ZERO32 + LOBBY + os.urandom(16))
        self.s.sendall(m3 + h.L(self.out.seal(join)))
        self.sid = self.to = None
        while self.sid is None:
            want(self.pull(5), "WELCOME")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave()

    def take(self, n):
        while len(self.buffer) < n:
            piece = self.s.recv(65536)
            if not piece:
                raise EOFError
            self.buffer += piece
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def pull(self, timeout):
        """Takes the frames of the next record; false when none came in time."""
        end = time.monotonic() + timeout
        while True:
            size = struct.unpack(">H", self.buffer[:2])[0] if len(self.buffer) >= 2 else 65536
            if len(self.buffer) >= 2 + size:
                break
            self.s.settimeout(max(0.001, end - time.monotonic()))
            try:
                piece = self.s.recv(65536)
            except TimeoutError:
                return False
            finally:
                self.s.settimeout(None)
            if not piece:
                raise EOFError
            self.buffer += piece
        for kind, body in h.frames(self.incoming.open(self.take(2 + size)[2:])):
            if kind == h.PING:
                self.s.sendall(h.L(self.out.seal(h.frame(h.PONG, body))))
            elif kind == h.RECV and body[:8] == self.to:
                self.inbox.append((body[8], body[9:13], body[13:], time.monotonic()))
            elif kind == h.WELCOME:
                self.sid = body[:8]
                self.members = {body[i:i + 8]: body[i + 8:i + 40] for i in range(12, len(body), 40)}
                self.to = next(sid for sid, fp in self.members.items() if LOW.fp < fp < HIGH.fp)
            elif kind == h.JOINED:
                self.members[body[:8]] = body[8:]
            elif kind == h.LEFT:
                self.members.pop(body[:8])
        return True

    def send(self, kind, tag, payload):
        body = self.to + bytes([kind]) + tag + payload
        self.s.sendall(h.L(self.out.seal(h.frame(h.SEND, body))))

    def next(self, timeout=5):
        """(kind, tag, payload, when) of the client's next payload; None when there is none."""
        end = time.monotonic() + timeout
        while not self.inbox:
            if not self.pull(end - time.monotonic()):
                return None
        return self.inbox.pop(0)

    def expect(self, kind, what, timeout=5):
        got = self.next(timeout)
        want(got is not None and got[0] == kind, f"{what}: got {got and (got[0], got[1].hex())}")
        return got[1], got[2]

    def quiet(self, what, seconds=QUIET):
        got = self.next(seconds)
        want(got is None, f"silence after {what}: got {got and (got[0], got[1].hex())}")

    def handshake(self, initiates, key=None, psk=h.ZERO32):
        own, other = (self.key.fp, self.sid), (self.members[self.to], self.to)
        (fp_i, sid_i), (fp_r, sid_r) = (own, other) if initiates else (other, own)
        prologue = h.peer_prologue(self.fp_s, LOBBY, fp_i, fp_r, sid_i, sid_r)
        role = h.Initiator if initiates else h.Responder
        return role("peer", key or self.key, prologue, psk)

    def ask(self, tag=None, **options):
        """M1 and its answer: the handshake, ready for M3."""
        tag = tag or os.urandom(4)
        hs = self.handshake(True, **options)
        self.send(M1, tag, hs.m1())
        got, m2 = self.expect(M2, "M2")
        want(got == tag, "M2 has the tag of its M1")
        hs.read_m2(m2, self.members[self.to])
        return tag, hs

    def begin(self, tag=None):
        """A channel up to M3; HELLO is left to the caller."""
        tag, hs = self.ask(tag)
        self.send(M3, tag, hs.m3())
        return Talk(self, tag, hs.ckI, hs.ckR)

    def answer(self):
        """A channel that the client begins; its HELLO waits to be heard."""
        tag, m1 = self.expect(M1, "M1")
        hs = self.handshake(False)
        hs.read_m1(m1)
        self.send(M2, tag, hs.m2())
        got, m3 = self.expect(M3, "M3")
        want(got == tag, "M3 has the tag of its M1")
        hs.read_m3(m3, self.members[self.to])
        return Talk(self, tag, hs.ckR, hs.ckI)

    def leave(self):
        try:
            self.s.sendall(h.L(self.out.seal(h.frame(h.CLOSE, b"\0"))))
            while self.s.recv(65536):
                pass
        except OSError:
            pass
        self.s.close()

    def cut(self):
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.s.close()

    def view(self):
        return h.view_hash(self.fp_s, LOBBY, [*self.members.items(), (self.sid, self.key.fp)])

    def pair_view(self):
        return h.view_hash(self.fp_s, LOBBY,
                           [(self.to, self.members[self.to]), (self.sid, self.key.fp)])


class Talk:
    """One channel with the client."""

    def __init__(self, place, tag, out, incoming):
        self.place, self.tag = place, tag
        self.out, self.incoming = h.Chain(out), h.Chain(incoming)

    def say(self, plaintext):
        self.place.send(RECORD, self.tag, self.out.seal(plaintext))

    def hear(self, kind, what, timeout=5):
        """The fields of the client's next message, which has to be of this kind."""
        got = self.place.next(timeout)
        want(got is not None and got[:2] == (RECORD, self.tag),
             f"{what}: got {got and (got[0], got[1].hex())}")
        message = h.parse_message(self.incoming.open(got[2]))
        want(message.kind == kind, f"{what}: got {message}")
        return message.fields

    def hello(self, nick="probe", instance=None):
        self.say(h.build_hello(instance or self.place.instance, nick))

    def up(self, nick="probe", received=0, acked=0, **options):
        """HELLO and ACK both ways: `acked` is what the client has taken so far."""
        self.hello(nick, **options)
        self.hear(h.HELLO, "HELLO")
        want(self.hear(h.ACK, "the first ACK")["n"] == acked, f"ACK({acked})")
        self.say(h.build_ack(received))
        return self

    def chat(self, seq, text, flags=0, view=None):
        self.say(h.build_chat(seq, os.urandom(8), int(time.time() * 1000), flags,
                              view or self.place.view(), text))

    def closed(self, reason, what):
        want(self.hear(h.CLOSE, "CLOSE after " + what)["reason"] == reason,
             f"CLOSE({reason}) after {what}")


# --- what a responder does ----------------------------------------------------------------

def check_pairing(client, place):
    """Tags, kinds and turns: what does not fit is dropped, the newest M1 counts (§6)."""
    for kind in (M2, M3, RECORD):
        place.send(kind, b"none", os.urandom(60))
    place.send(M1, b"none", place.handshake(True).m1()[:-1])
    place.send(M1, b"none", h.MAGIC_OTHER + bytes(range(32)))
    place.quiet("what belongs to nothing")
    first, old = place.ask()
    place.send(M1, first, place.handshake(True).m1())
    place.quiet("an M1 with the tag of a handshake")
    tag, hs = place.ask()
    place.send(M3, first, old.m3())
    place.quiet("the M3 of a handshake that was replaced")
    place.send(RECORD, tag, os.urandom(60))
    place.send(M3, tag, hs.m3())
    place.quiet("M3 alone: a responder waits for the first record")


def check_stream(client, place):
    """ACK, seq, GAP, extensions, and the next channel goes on where this one ended (§6)."""
    talk = place.begin().up("Łucja")
    client.wait("joined", nick="Łucja")
    for kind in (M1, M2, M3):
        place.send(kind, talk.tag, place.handshake(True).m1())
    place.quiet("the tag of a channel with other kinds")
    start = time.monotonic()
    talk.chat(1, "stream 1")
    want(talk.hear(h.ACK, "ACK")["n"] == 1, "ACK(1)")
    want(time.monotonic() - start < 1.3, "ACK within 1 s")
    want(client.wait("chat", text="stream 1")["view"] == "same", "view")
    talk.chat(1, "stream 1 again")
    for ignored in (b"\x40", b"\x7f" + bytes(99), b"\x41\xff", b"\x41" + b"a" * 201):
        talk.say(ignored)
    talk.say(h.build_away("at lunch"))
    talk.say(h.build_nick(2, "Zofia"))
    talk.say(h.build_gap(10))
    talk.say(h.build_gap(10))          # nothing missing this time
    talk.chat(10, "stream 10")
    client.wait("away", text="at lunch")
    client.wait("nick", nick="Zofia")
    client.wait("chat", text="stream 10", nick="Zofia")
    want(client.wait("lost")["count"] == 7, "3 to 9 are lost")
    want(len(client.all("lost")) == 1, "told once")
    want(not client.all("chat", text="stream 1 again"), "a lower seq is dropped")
    while talk.hear(h.ACK, "ACK")["n"] < 10:
        pass
    talk.chat(12, "stream 12")
    talk.closed(3, "a seq beyond the next")
    talk = place.begin().up("Zofia", acked=10)
    talk.chat(11, "stream 11")
    client.wait("chat", text="stream 11")


def check_refused(client, port):
    """Every message that kat.json says is a protocol error ends the channel with CLOSE(3)."""
    for case in kat.kat["messages"]["rejected"]:
        with Place(port, LOW) as place:
            talk = place.begin()
            before = (case.get("state") or "after").startswith("before")
            if not before:
                talk.up()
            talk.say(katcheck.repeated(case))
            if before:                 # §6: the responder has moved, and said HELLO
                talk.hear(h.HELLO, "HELLO")
            talk.closed(3, case["reason"])
    for what, record in (("a wrong tag", os.urandom(60)), ("16 bytes", os.urandom(16)),
                         ("1 byte", b"x")):
        with Place(port, LOW) as place:
            talk = place.begin().up()
            place.send(RECORD, talk.tag, record)
            talk.closed(3, what)
    with Place(port, LOW) as place:
        talk = place.begin().up()
        talk.say(b"")
        talk.closed(3, "a record without a message")
        talk.chat(1, "after the end")
        place.quiet("the end of a channel")
    for case in kat.kat["messages"]["edge"]:
        with Place(port, LOW) as place:
            talk = place.begin().up()
            data = katcheck.repeated(case)
            kind = data[0]
            if kind == h.HELLO:        # §6: once, so it has to be the first
                talk = place.begin()
                talk.say(data)
                talk.hear(h.HELLO, "HELLO with " + case["reason"])
                continue
            talk.say(data)
            if kind == h.CLOSE:
                place.quiet("CLOSE: " + case["reason"], 0.2)
                continue
            fields = h.parse_message(data).fields
            if kind in (h.CHAT, h.NICK) and fields["seq"] != 1:
                talk.closed(3, f"seq {fields['seq']} in an empty stream")
                continue
            end = time.monotonic() + 5
            talk.say(h.build_hello(os.urandom(16), "twice"))   # refused: all before it was taken
            while True:
                got = place.next(end - time.monotonic())
                want(got is not None, "an answer after " + case["reason"])
                message = h.parse_message(talk.incoming.open(got[2]))
                if message.kind == h.CLOSE:
                    break
                if kind in (h.CHAT, h.NICK) and message.kind == h.ACK:
                    want(message.fields["n"] == 1, "taken: " + case["reason"])


def check_forgeries(client, port):
    """Who is not who the roster says, has another password, or sends a bad c, hears nothing (§3)."""
    with Place(port, LOW) as place:
        talk = place.begin().up()
        tag, hs = place.ask()
        place.send(M3, tag, hs.m3(c=hs.other.key.encrypt(os.urandom(32), h.padding.OAEP(
            h.padding.MGF1(h.hashes.SHA256()), h.hashes.SHA256(), b"another label"))))
        Talk(place, tag, hs.ckI, hs.ckR).hello()
        place.quiet("a c that does not decrypt")
        tag, hs = place.ask()
        place.send(M3, tag, hs.m3(c=bytes(hs.other.k)))
        Talk(place, tag, hs.ckI, hs.ckR).hello()
        place.quiet("a c of zeros")
        tag, hs = place.ask()
        place.send(M3, tag, hs.m3(sig=os.urandom(hs.key.k)))
        Talk(place, tag, hs.ckI, hs.ckR).hello()
        place.quiet("a bad signature")
        tag, hs = place.ask()
        hs.key = kat.keys["alice"]
        place.send(M3, tag, hs.m3())
        Talk(place, tag, hs.ckI, hs.ckR).hello()
        place.quiet("another identity")
        talk.chat(1, "undisturbed")
        want(talk.hear(h.ACK, "ACK")["n"] == 1, "the established channel goes on")
    with Place(port, LOW) as place:
        tag = os.urandom(4)
        hs = place.handshake(True, psk=b"p" * 32)
        place.send(M1, tag, hs.m1())
        _, m2 = place.expect(M2, "M2")
        try:
            hs.read_m2(m2)
            want(False, "another password opens M2")
        except h.HandshakeError:
            pass
        place.send(M3, tag, h.L(os.urandom(800)))
        place.quiet("another password")


def check_answers(client, port):
    """At most 6 M1s a minute are answered for a sid (§6)."""
    with Place(port, LOW) as place:
        tags = [os.urandom(4) for _ in range(9)]
        answers = []
        for tag in tags:
            place.send(M1, tag, place.handshake(True).m1())
            got = place.next(QUIET)
            if got is not None:
                answers.append(got[:2])
        want(answers == [(M2, tag) for tag in tags[:6]], f"6 answers, not {len(answers)}")


def check_weak(client, port):
    """A key below 2048 bits: CLOSE(9), by the initiator as its first record (§3, §6)."""
    key = h.PrivateIdentity.generate(1024)
    while not key.fp < LOW.fp:
        key = h.PrivateIdentity.generate(1024)
    with Place(port, key) as place:
        talk = place.begin()
        talk.hello()
        talk.closed(9, "the first record of a weak key")
        place.send(M1, os.urandom(4), place.handshake(True).m1())
        place.quiet("an M1 of who was refused")
    with Place(port, WEAK_HIGH) as place:
        place.answer().closed(9, "M3")
        place.quiet("a refusal", 1.5)
    want(not client.all("joined", weak=True), "who is refused is not shown")


# --- what a sender does -----------------------------------------------------------------

def check_sender(client, port):
    """Nothing with a seq before the first ACK, resending, GAP, late, moved, undelivered (§6)."""
    instance = os.urandom(16)
    place = Place(port, LOW, instance)
    talk = place.begin()
    client.chat("one")
    sent = client.wait("sent")
    talk.hello()
    talk.hear(h.HELLO, "HELLO"), talk.hear(h.ACK, "ACK")
    place.quiet("HELLO: nothing with a seq before the first ACK")
    talk.say(h.build_ack(0))
    one = talk.hear(h.CHAT, "the first message")
    want((one["seq"], one["text"], one["flags"]) == (1, "one", 0), f"CHAT 1: {one}")
    want(one["view"] == place.view(), "its view")
    want(one["id"].hex() == sent["id"], "its id")
    talk = place.begin()               # beside the old one, on which nothing was acknowledged
    talk.up()
    again = talk.hear(h.CHAT, "the same again")
    want(again == one, f"sent again as it was: {again}")
    talk.say(h.build_ack(1))
    client.wait("delivered", id=sent["id"])
    client.chat("two")
    two = talk.hear(h.CHAT, "the second message")
    want((two["seq"], two["text"]) == (2, "two"), f"CHAT 2: {two}")
    talk.say(h.build_ack(0))
    place.quiet("a lower ACK")
    talk.say(h.build_close(4))
    place.quiet("CLOSE: it is not answered")
    talk = place.begin().up(received=1)
    want(talk.hear(h.CHAT, "CHAT 2 again")["seq"] == 2, "CHAT 2 again")
    talk.say(h.build_ack(2))
    place.quiet("the last ACK")
    talk = place.begin().up(received=0)
    want(talk.hear(h.GAP, "GAP: nothing before 3 is kept")["n"] == 3, "GAP(3)")
    talk.say(h.build_ack(2))
    talk.say(h.build_ack(3))
    talk.closed(3, "an ACK above what was sent")
    place.cut()
    client.wait("left", why="lost")
    client.chat("three")
    client.wait("sent", count=3)
    place = Place(port, LOW, instance)
    talk = place.begin().up(received=2)
    three = talk.hear(h.CHAT, "what was written meanwhile")
    want((three["seq"], three["text"], three["flags"]) == (3, "three", 4), f"late: {three}")
    want(three["view"] == place.view(), "the view of now")
    place.cut()                        # not acknowledged, and another instance comes
    client.wait("left", why="lost", count=2)
    client.chat("four")
    client.wait("sent", count=4)
    place = Place(port, LOW)
    talk = place.begin().up()
    for seq, text in ((1, "three"), (2, "four")):
        moved = talk.hear(h.CHAT, "what has moved")
        want((moved["seq"], moved["text"], moved["flags"]) == (seq, text, 4), f"moved: {moved}")
    talk.say(h.build_ack(1))
    lost = client.wait("sent", count=4)
    place.leave()
    client.wait("undelivered", id=lost["id"])


def check_private(client, port):
    """A private message's view is that of the two; /me and NICK go out as what they are."""
    with Place(port, LOW) as place, Place(port, HIGH) as other:
        talk = place.begin().up("pia")
        aside = other.answer()
        aside.hear(h.HELLO, "HELLO")
        aside.hello("otto")
        aside.hear(h.ACK, "ACK")
        aside.say(h.build_ack(0))
        poll(lambda: not place.pull(0.2) and other.sid in place.members, "JOINED")
        client.wait("joined", nick="pia"), client.wait("joined", nick="otto")
        client.say(type="private", to="pia", text="psst")
        said = talk.hear(h.CHAT, "a private message")
        want((said["flags"], said["view"]) == (2, place.pair_view()), f"private: {said}")
        other.quiet("a private message to somebody else")
        client.command("/me waves")
        want(talk.hear(h.CHAT, "an action")["flags"] == 1, "action")
        want(aside.hear(h.CHAT, "an action")["view"] == place.view(), "the view of the room")
        talk.chat(1, "private back", 2, place.pair_view())
        want(client.wait("chat", text="private back")["view"] == "same", "view of the two")
        talk.chat(2, "not the view of the two", 2)
        want(client.wait("chat", text="not the view of the two")["view"] == "differs",
             "the view of the room in a private message")
        start = time.monotonic()
        talk.chat(3, "another room", view=bytes(32))
        aside.chat(1, "meanwhile")
        client.wait("chat", text="meanwhile")
        want(client.wait("chat", text="another room")["view"] == "differs", "view")
        want(4.5 < time.monotonic() - start < 8, "decided after 5 s")


def check_nicks(client, port):
    """Nicks that break a rule, and nicks of two (§9)."""
    for nick in ("pаypal", "-dash", "Ⅷ"):
        with Place(port, LOW) as place:
            place.begin().up(nick)
            shown = h.shown_nick(nick, LOW.fp)
            want(shown[0] == "?", "a broken rule")
            client.wait("joined", nick=shown)
    with Place(port, LOW) as place, Place(port, HIGH) as other:
        place.begin().up("Twin")
        aside = other.answer()
        aside.hear(h.HELLO, "HELLO")
        aside.hello("tWIN")
        client.wait("joined", nick="tWIN#" + h.fp_text(HIGH.fp)[7:11])


def check_twice(client, port):
    """Two live channels of one (FP, instance): the newer one takes the stream (§6)."""
    instance = os.urandom(16)
    with Place(port, LOW, instance) as place, Place(port, LOW, instance) as other:
        first = place.begin().up()
        first.chat(1, "from the first")
        want(first.hear(h.ACK, "ACK")["n"] == 1, "ACK(1)")
        second = other.begin().up(acked=1)
        first.closed(6, "a newer channel of the same instance")
        second.chat(2, "from the second")
        client.wait("chat", text="from the second")


# --- what an initiator does -------------------------------------------------------------

def check_initiator(client, port):
    """M1 at once, a new tag for each attempt, 1 and 2 s, and after CLOSE(0) never again (§6)."""
    with Place(port, HIGH) as place:
        tag, m1 = place.expect(M1, "M1 at once")
        want(len(m1) == 40 and m1[:8] == h.MAGIC, "M1")
        place.send(M1, os.urandom(4), place.handshake(False) and m1)
        place.send(M2, os.urandom(4), os.urandom(900))
        place.send(M3, tag, os.urandom(900))
        place.send(RECORD, tag, os.urandom(60))
        place.quiet("what does not fit")
        tags, at = {tag}, time.monotonic()
        for seconds in (1, 2):
            place.send(M2, tag, os.urandom(700))
            at = time.monotonic()
            tag, m1 = place.expect(M1, "another M1 after a bad M2")
            want(seconds - 0.1 < time.monotonic() - at < seconds + 1.5, f"after {seconds} s")
            want(tag not in tags, "a new tag")
            tags.add(tag)
        hs = place.handshake(False)
        hs.read_m1(m1)
        place.send(M2, tag, hs.m2())
        _, m3 = place.expect(M3, "M3")
        hs.read_m3(m3, place.members[place.to])
        talk = Talk(place, tag, hs.ckR, hs.ckI)
        talk.hear(h.HELLO, "HELLO together with M3")
        place.quiet("HELLO")
        talk.hello()
        want(talk.hear(h.ACK, "ACK")["n"] == 0, "ACK(0)")
        talk.say(h.build_ack(0))
        talk.say(h.build_close(4))
        at = time.monotonic()
        place.inbox.insert(0, place.next())
        want(0.9 < time.monotonic() - at < 2.5, "1 s again after HELLO and first ACK")
        talk = place.answer()
        talk.hear(h.HELLO, "HELLO")
        place.send(RECORD, talk.tag, os.urandom(60))
        got = place.next()
        want(got[0] == M1, "no CLOSE where not even the first record verifies")
        place.inbox.insert(0, got)
        talk = place.answer()
        talk.hear(h.HELLO, "HELLO")
        talk.hello()
        talk.hear(h.ACK, "ACK")
        talk.say(h.build_ack(0))       # after any other end it would begin anew after 1 s
        talk.say(h.build_close(0))
        place.quiet("CLOSE(0)", 2)


# --- what takes long ----------------------------------------------------------------------

def check_silence(client, port):
    """No M2 for 15 s; no first ACK for 30 s."""
    with Place(port, HIGH) as place:
        first, _ = place.expect(M1, "M1")
        at = time.monotonic()
        tag, _ = place.expect(M1, "M1 again", 20)
        want(15.5 < time.monotonic() - at < 18.5, "after 15 and 1 s")
        want(tag != first, "a new tag")


def check_no_ack(client, port):
    with Place(port, LOW) as place:
        talk = place.begin()
        at = time.monotonic()
        talk.hello()
        talk.hear(h.HELLO, "HELLO"), talk.hear(h.ACK, "ACK")
        want(talk.hear(h.CLOSE, "CLOSE without the first ACK", 40)["reason"] == 4, "CLOSE(4)")
        want(29.5 < time.monotonic() - at < 33, "after 30 s")


def poll(condition, what, timeout=10):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("members: waited in vain for " + what)
        time.sleep(0.02)


def together(client, port, *groups):
    """Runs groups of checks side by side; those of one group one after the other."""
    failures = []

    def run(group):
        try:
            for action in group:
                action(client, port)
        except Exception as e:
            failures.append(e)
    threads = [threading.Thread(target=run, args=(g,)) for g in groups]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        raise failures[0]


def check(client, port, slow=False):
    """All of it; what compares views or counts what is told goes alone."""
    client.wait("welcome")
    with Place(port, LOW) as place:
        check_pairing(client, place)
    check_sender(client, port)         # first: it counts what the client sends
    with Place(port, LOW) as place:
        check_stream(client, place)
    check_private(client, port)
    check_nicks(client, port)
    check_twice(client, port)
    together(client, port, [check_refused], [check_initiator],
             [check_forgeries, check_answers, check_weak],
             *([[check_silence], [check_no_ack]] if slow else []))
    return count
