"""Checks, payload by payload, how a running client treats other members (§3, §4, §6, §9).

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
import kem

LOBBY = h.room_tag("lobby")
M1, M2, M3, RECORD = 1, 2, 3, 4
PATIENCE = 150                         # far longer than any answer takes, on a busy machine too
QUIET = 0.7                            # longer than an answer takes that is due at once
EARLY = 0.1                            # by so much may a timer be early

kat = katcheck.Kat()
kat.check_keys(kat.kat["keys"])
LOW, HIGH, WEAK_HIGH = kat.keys["bob"], kat.keys["relay"], kat.keys["weak"]

count = 0


def want(condition, what):
    """Counts a check. Raises AssertionError when it fails."""
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
        head = self.take(32 + kem.KCT_BYTES + 2)
        self.fp_s = hs.read_m2(head + self.take(struct.unpack(">H", head[-2:])[0])).fp
        m3 = hs.m3()
        self.out, self.incoming = h.Chain(hs.ckI), h.Chain(hs.ckR)
        join = h.frame(h.JOIN, h.ZERO32 + LOBBY + os.urandom(16))
        self.s.sendall(m3 + h.L(self.out.seal(join)))
        self.sid = self.to = None
        while self.sid is None:
            want(self.pull(PATIENCE), "WELCOME")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave()

    def take(self, n):
        """The next n bytes of the connection. Raises EOFError at its end."""
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
            elif kind == h.PART and body[:8] == self.to:
                self.inbox.append((RECORD, body[8:12], (body[12:69], body[69:]), time.monotonic()))
            elif kind == h.WELCOME:
                self.sid = body[:8]
                self.session = h.SessionKey.of_member(self.key, self.fp_s, LOBBY, self.sid)
                self.members = {body[i:i + 8]: body[i + 8:i + 40] for i in range(12, len(body), 40)}
                self.to = next(sid for sid, fp in self.members.items() if LOW.fp < fp < HIGH.fp)
            elif kind == h.JOINED:
                self.members[body[:8]] = body[8:]
            elif kind == h.LEFT:
                self.members.pop(body[:8])
        return True

    def send(self, kind, tag, payload):
        """A SEND to the client."""
        body = self.to + bytes([kind]) + tag + payload
        self.s.sendall(h.L(self.out.seal(h.frame(h.SEND, body))))

    def next(self, timeout=PATIENCE):
        """(kind, tag, payload, when) of the client's next payload; None when there is none."""
        end = time.monotonic() + timeout
        while not self.inbox:
            if not self.pull(end - time.monotonic()):
                return None
        return self.inbox.pop(0)

    def expect(self, kind, what, timeout=PATIENCE):
        """(tag, payload) of the client's next payload, which must be of this kind."""
        got = self.next(timeout)
        want(got is not None and got[0] == kind, f"{what}: got {got and (got[0], got[1].hex())}")
        return got[1], got[2]

    def quiet(self, what, seconds=QUIET):
        """Nothing may come from the client for so long."""
        got = self.next(seconds)
        want(got is None, f"silence after {what}: got {got and (got[0], got[1].hex())}")

    def cast(self, tag, box, common, to=None):
        """A CAST of one entry, whose box may be malformed."""
        self.s.sendall(h.L(self.out.seal(h.frame(h.CAST, h.build_cast(
            [(to or self.to, tag, box)], common)))))

    def handshake(self, initiates, key=None, kroom=None, session=None):
        """Our side of a handshake with the client; another key or session key makes it a wrong one."""
        own, other = (self.key.fp, self.sid), (self.members[self.to], self.to)
        (fp_i, sid_i), (fp_r, sid_r) = (own, other) if initiates else (other, own)
        prologue = h.peer_prologue(self.fp_s, LOBBY, fp_i, fp_r, sid_i, sid_r)
        role = h.Initiator if initiates else h.Responder
        return role("peer", key or self.key, prologue, kroom, session or self.session)

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
        """Says goodbye, CLOSE(0), and waits until the relay has closed."""
        try:
            self.s.sendall(h.L(self.out.seal(h.frame(h.CLOSE, b"\0"))))
            while self.s.recv(65536):
                pass
        except OSError:
            pass
        self.s.close()

    def cut(self):
        """Ends the connection by a reset, without a CLOSE."""
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.s.close()

    def view(self):
        """The view of a message to the room, as this member sees it (§6)."""
        return h.view_hash(self.fp_s, LOBBY, [*self.members.items(), (self.sid, self.key.fp)])

    def pair_view(self):
        """The view of a private message to the client (§6)."""
        return h.view_hash(self.fp_s, LOBBY,
                           [(self.to, self.members[self.to]), (self.sid, self.key.fp)])


class Talk:
    """One channel with the client."""

    def __init__(self, place, tag, out, incoming):
        self.place, self.tag = place, tag
        self.out, self.incoming = h.Chain(out), h.Chain(incoming)

    def say(self, message):
        """A message, padded and sealed as the next record."""
        self.raw(h.pad(message))

    def raw(self, plaintext):
        """The next record, with a plaintext that need not be padded or a message."""
        self.place.send(RECORD, self.tag, self.out.seal(plaintext))

    def say_cast(self, content, seq, k=None):
        """A content to the client in an envelope of its own."""
        k = k or os.urandom(32)
        common = h.seal_common(k, content)
        self.place.cast(self.tag, h.seal_box(self.out, common, seq, k), common)

    def hear(self, kind, what, timeout=PATIENCE):
        """The fields of the client's next message, which must be of this kind."""
        got = self.place.next(timeout)
        want(got is not None and got[:2] == (RECORD, self.tag),
             f"{what}: got {got and (got[0], got[1].hex())}")
        message = self.opened(got[2])
        if message.kind == h.TOPIC != kind:            # comes somewhere behind HELLO
            return self.hear(kind, what, timeout)
        want(message.kind == kind, f"{what}: got {message}")
        return message.fields

    def opened(self, data):
        """The message of a record, or of a PART as (box, common)."""
        if isinstance(data, tuple):
            return h.open_part(self.incoming, *data)
        return h.parse_message(h.unpad(self.incoming.open(data)))

    def hello(self, nick="probe", instance=None):
        """A HELLO; what comes back is left to the caller."""
        self.say(h.build_hello(instance or self.place.instance, nick))

    def up(self, nick="probe", received=0, acked=0, **options):
        """HELLO and ACK both ways: `acked` is what the client has taken so far."""
        self.hello(nick, **options)
        self.hear(h.HELLO, "HELLO")
        want(self.hear(h.ACK, "the first ACK")["n"] == acked, f"ACK({acked})")
        self.say(h.build_ack(received))
        return self

    def skip_acks(self):
        """Takes the ACKs that wait; what comes first behind them stays."""
        while True:
            got = self.place.next()
            want(got is not None, "more than ACKs")
            n, ck, key = self.incoming.n, self.incoming.ck, self.incoming.key
            message = self.opened(got[2])
            if message.kind != h.ACK:
                self.incoming.n, self.incoming.ck, self.incoming.key = n, ck, key
                self.place.inbox.insert(0, got)
                return self

    def chat(self, seq, text, flags=0, view=None, ident=None, reply=h.NO_REF):
        """A CHAT with the right view unless told otherwise; returns its id, 8 bytes."""
        ident = ident or os.urandom(8)
        self.say(h.build_chat(seq, ident, int(time.time() * 1000), flags,
                              view or self.place.view(), text, reply))
        return ident

    def closed(self, reason, what):
        """The client must end the channel with this reason."""
        want(self.hear(h.CLOSE, "CLOSE after " + what)["reason"] == reason,
             f"CLOSE({reason}) after {what}")


# --- what a responder does ----------------------------------------------------------------

def check_pairing(client, place):
    """Tags, kinds and turns: what does not fit is dropped, the newest M1 counts (§6)."""
    for kind in (M2, M3, RECORD):
        place.send(kind, b"none", os.urandom(60))
    place.send(M1, b"none", place.handshake(True).m1()[:-1])
    place.send(M1, b"none", h.MAGIC_OTHER + bytes(1248))
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
    named(client, "Łucja")
    for kind in (M1, M2, M3):
        place.send(kind, talk.tag, place.handshake(True).m1())
    place.quiet("the tag of a channel with other kinds")
    place.send(RECORD, os.urandom(4), os.urandom(60))
    place.cast(os.urandom(4), os.urandom(57), os.urandom(28))
    place.quiet("an unknown tag")
    talk.chat(1, "stream 1")
    want(talk.hear(h.ACK, "ACK")["n"] == 1, "ACK(1)")
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
                talk.up()              # with a first ACK(0), so that the stream has its numbers
            data = katcheck.repeated(case)
            talk.say(data) if data else talk.raw(b"")
            if before:                 # §6: the responder has moved, and said HELLO
                talk.hear(h.HELLO, "HELLO")
            talk.closed(3, case["reason"])
    for case in kat.kat["padding"]["rejected"]:
        with Place(port, LOW) as place:
            talk = place.begin().up()
            talk.raw(katcheck.repeated(case))
            talk.closed(3, "padding: " + case["reason"])
    for what, record in (("a wrong tag", os.urandom(60)), ("16 bytes", os.urandom(16)),
                         ("1 byte", b"x")):
        with Place(port, LOW) as place:
            talk = place.begin().up()
            place.send(RECORD, talk.tag, record)
            talk.closed(3, what)
    with Place(port, LOW) as place:
        talk = place.begin().up()
        talk.raw(b"")
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
            if kind == h.CLOSE:
                talk.say(data)
                place.quiet("CLOSE: " + case["reason"], 0.2)
                continue
            fields = h.parse_message(data).fields
            seq = fields.get("seq", 1)
            if case.get("state"):          # after CHAT 5
                talk.say(h.build_gap(5))
                talk.chat(5, "fifth")
            elif seq != 1:
                talk.say(data)
                talk.closed(3, f"seq {seq} in an empty stream")
                talk = place.begin().up()
                talk.say(h.build_gap(seq))
            talk.say(data)
            talk.say(h.build_hello(os.urandom(16), "twice"))   # refused: all before it was taken
            while True:
                got = place.next()
                want(got is not None, "an answer after " + case["reason"])
                message = talk.opened(got[2])
                if message.kind == h.CLOSE:
                    break
                if kind in (h.CHAT, h.NICK, h.NOTE) and message.kind == h.ACK:
                    want(message.fields["n"] in (seq - 1, seq), "taken: " + case["reason"])


def check_forgeries(client, port):
    """An M3 with another identity than the roster's, a bad CERT, ED or c is ignored without a
    trace (§3)."""
    alice = kat.keys["alice"]
    oaep = h.padding.OAEP(h.padding.MGF1(h.hashes.SHA256()), h.hashes.SHA256(), b"hearth/1 kem")
    member = h.SessionKey.of_member
    for what, given in (
            ("a c under another label", {"c": lambda hs: hs.other.key.encrypt(bytes(32), oaep)}),
            ("a c of 31 bytes", {"c": lambda hs: hs.other.encapsulate(bytes(31))}),
            ("a c of zeros", {"c": lambda hs: bytes(hs.other.k)}),
            ("a c a byte short", {"c": lambda hs: bytes(hs.other.k - 1)}),
            ("a bad ED", {"sig": lambda hs: os.urandom(64)}),
            ("ED under R's label", {"sig": lambda hs: hs.session.sign(
                "hearth/2 peer responder", hs.th2 + hs.key.id + hs.session.pk)}),
            ("another identity", {"key": alice}),
            ("another identity with its own CERT", {
                "key": alice, "session": lambda p: member(alice, p.fp_s, LOBBY, p.sid)}),
            ("CERT of another sid", {
                "session": lambda p: member(p.key, p.fp_s, LOBBY, os.urandom(8))}),
            ("CERT of the other's sid", {"session": lambda p: member(p.key, p.fp_s, LOBBY, p.to)}),
            ("CERT of another room", {
                "session": lambda p: member(p.key, p.fp_s, bytes(32), p.sid)}),
            ("CERT of another relay", {
                "session": lambda p: member(p.key, bytes(32), LOBBY, p.sid)}),
            ("CERT as of a relay", {"session": lambda p: h.SessionKey.of_relay(p.key)}),
            ("CERT of somebody else", {"session": lambda p: member(alice, p.fp_s, LOBBY, p.sid)})):
        with Place(port, LOW) as place:
            talk = place.begin().up()
            tag, hs = place.ask()
            hs.key = given.pop("key", place.key)
            if "session" in given:
                hs.session = given.pop("session")(place)
            place.send(M3, tag, hs.m3(**{n: f(hs) for n, f in given.items()}))
            Talk(place, tag, hs.ckI, hs.ckR).hello()
            place.quiet(what)
            talk.chat(1, "undisturbed")
            want(talk.hear(h.ACK, "ACK")["n"] == 1, "the established channel goes on")
    with Place(port, LOW) as place:
        ours = place.handshake(True).m1()
        for what, m1 in (("ek of ff", ours[:40] + b"\xff" * 1184 + ours[1224:]),
                         ("eI zero", ours[:8] + bytes(32) + ours[40:]),
                         ("YI where none has a password", ours[:1224] + h.CPace(
                             bytes(32), bytes(32), bytes(32), True).Y),
                         ("transport's length", ours[:1224]), ("a byte more", ours + b"\0"),
                         ("HEARTH/1", b"HEARTH/1" + ours[8:])):
            place.send(M1, os.urandom(4), m1)
            place.quiet("M1: " + what)


def check_sessions(client, port):
    """A member may use a new session key for each handshake; bad CERTs in M2 are refused (§3)."""
    with Place(port, LOW) as place:
        for _ in range(2):
            place.session = h.SessionKey.of_member(place.key, place.fp_s, LOBBY, place.sid)
            place.begin().up()
    with Place(port, HIGH) as place:   # and as responder: each bad M2 is a failed handshake
        for what, spoil in (("CERT of another sid", lambda p: h.SessionKey.of_member(
                                p.key, p.fp_s, LOBBY, os.urandom(8))),
                            ("CERT as of a relay", lambda p: h.SessionKey.of_relay(p.key))):
            tag, m1 = place.expect(M1, "M1")
            hs = place.handshake(False, session=spoil(place))
            hs.read_m1(m1)
            place.send(M2, tag, hs.m2())
            got = place.next(0.5)
            want(got is None or got[0] != M3, "no M3 after M2: " + what)
            if got:
                place.inbox.insert(0, got)
        want(len(set(m1)) > 16, "M1")


def check_answers(client, port):
    """At most 6 M1s a minute are answered for a sid (§6)."""
    with Place(port, LOW) as place:
        for _ in range(6):
            place.ask()
        for _ in range(3):
            place.send(M1, os.urandom(4), place.handshake(True).m1())
            place.quiet("the seventh M1 of a minute")


def check_weak(client, port):
    """A key below 2048 bits: CLOSE(9), by the initiator as its first record (§3, §6)."""
    key = h.PrivateIdentity.generate(1024)
    while not key.fp < LOW.fp:
        key = h.PrivateIdentity.generate(1024)
    with Place(port, key) as place:
        for _ in range(2):             # the first CLOSE may have been lost: refused again
            talk = place.begin()
            talk.hello()
            talk.closed(9, "the first record of a weak key")
    with Place(port, WEAK_HIGH) as place:
        place.answer().closed(9, "M3")
        place.quiet("a refusal", 1.5)
    want(not client.all("joined", weak=True), "who is refused is not shown")


# --- what a sender does -----------------------------------------------------------------

def check_sender(client, port):
    """Nothing with a seq before the first ACK, resending, GAP, another instance, undelivered (§6)."""
    instance = os.urandom(16)
    place = Place(port, LOW, instance)
    talk = place.begin()
    talk.hello("sender")
    talk.hear(h.HELLO, "HELLO")
    want(talk.hear(h.ACK, "ACK")["n"] == 0, "ACK(0)")
    named(client, "sender")
    client.chat("one")
    sent = client.wait("sent")
    place.quiet("HELLO: nothing with a seq before the first ACK")
    talk.say(h.build_ack(0))
    one = talk.hear(h.CHAT, "the first message")
    want((one["seq"], one["text"], one["flags"]) == (1, "one", 0), f"CHAT 1: {one}")
    want((one["view"], one["reply"]) == (place.view(), h.NO_REF), "its view")
    want(one["id"].hex() == sent["id"], "its id")
    talk = place.begin()               # beside the old one, on which nothing was acknowledged
    talk.up("sender")
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
    talk.closed(3, "an ACK above every number given out")
    # the same instance at another place: nothing is lost, nothing comes twice
    place.cut()
    client.wait("left", why="lost")
    client.chat("three")
    client.wait("sent", count=3)
    place = Place(port, LOW, instance)
    talk = place.begin().up(received=2)
    three = talk.hear(h.CHAT, "what was written meanwhile")
    want((three["seq"], three["text"]) == (3, "three") and three["flags"] in (0, 4), f"{three}")
    want(three["view"] == place.view(), "the view of now")
    # not acknowledged, and another instance comes
    place.cut()
    client.wait("left", why="lost", count=2)
    client.chat("four")
    client.wait("sent", count=4)
    place = Place(port, LOW)
    talk = place.begin().up()
    for seq, text in ((1, "three"), (2, "four")):
        moved = talk.hear(h.CHAT, "what no instance has acknowledged")
        want((moved["seq"], moved["text"], moved["flags"]) == (seq, text, 4), f"moved: {moved}")
    talk.say(h.build_ack(1))
    client.wait("delivered", id=client.wait("sent", count=3)["id"])
    lost = client.wait("sent", count=4)
    place.leave()                      # gives up its copy; the first instance is only lost
    place = Place(port, LOW, instance)
    talk = place.begin().up(received=2)
    want([talk.hear(h.CHAT, "CHAT")["seq"] for _ in range(2)] == [3, 4], "copies of its own")
    talk.say(h.build_ack(3))
    want(not client.all("undelivered", id=lost["id"]), "an instance may still take it")
    place.leave()
    client.wait("undelivered", id=lost["id"])
    # a forgotten stream: the first ACK says where it goes on
    with Place(port, LOW) as place:
        talk = place.begin().up(received=41)
        client.chat("five")
        want(talk.hear(h.CHAT, "CHAT")["seq"] == 42, "next = received + 1")
        talk.say(h.build_ack(42))
        talk.say(h.build_ack(43))
        talk.closed(3, "an ACK above every number given out")
    with Place(port, LOW) as place:
        talk = place.begin()
        talk.hello()
        talk.hear(h.HELLO, "HELLO"), talk.hear(h.ACK, "ACK")
        talk.say(h.build_ack(h.MAX_COUNTER))
        talk.closed(3, "a first ACK of 2^48 - 1: the next would be 2^48")


def check_moves(client, port):
    """§6: R sends on the old channel until I's first record on the new one has verified, then
    only on the new one; what still comes on the old one is nothing."""
    with Place(port, LOW) as place:
        old = place.begin().up("mover")
        named(client, "mover")
        new = place.begin()            # M3 without HELLO
        client.chat("still on the old one")
        want(old.hear(h.CHAT, "on the old one")["text"] == "still on the old one", "CHAT")
        old.chat(1, "and back")
        client.wait("chat", text="and back")
        while old.hear(h.ACK, "ACK")["n"] != 1:
            pass
        new.up("mover", acked=1)
        want(new.hear(h.CHAT, "again on the new one")["text"] == "still on the old one", "CHAT")
        old.chat(2, "on a channel that is forgotten")
        place.quiet("a record of the forgotten channel")
        new.chat(2, "on the new one")
        want(new.hear(h.ACK, "ACK")["n"] == 2, "ACK(2)")
        want(not client.all("chat", text="on a channel that is forgotten"), "forgotten")
        third = place.begin()          # ends before its first record: the new one goes on
        place.send(RECORD, third.tag, os.urandom(60))
        place.quiet("a first record that does not verify")
        new.chat(3, "undisturbed")
        want(new.hear(h.ACK, "ACK")["n"] == 3, "ACK(3)")


def check_casts(client, port):
    """PARTs: what is right is taken as a record, everything else ends the channel (§6)."""
    def chat(place, text, flags=0, ident=None, view=None, at=None):
        return h.content_of(h.build_chat(1, ident or os.urandom(8), at or int(time.time() * 1000),
                                         flags, view or place.view(), text))
    with Place(port, LOW) as place:
        talk = place.begin().up("caster")
        content = chat(place, "in an envelope", h.FLAG_ACTION)
        talk.say_cast(content, 1)
        want(client.wait("chat", text="in an envelope")["action"], "an action in a PART")
        talk.chat(2, "and a record")
        talk.say_cast(chat(place, "x" * 8192), 3)
        client.wait("chat", text="x" * 8192)
        talk.say_cast(content, 4)          # the same id: taken, acknowledged, not shown
        while talk.hear(h.ACK, "ACK")["n"] != 4:
            pass
        want(len(client.all("chat", text="in an envelope")) == 1, "an id once")
        talk.say_cast(content, 3)          # a lower seq: dropped, and the record counts
        talk.chat(5, "behind it")
        client.wait("chat", text="behind it")
    for what, spoil in (
            ("private", lambda t, c: t.say_cast(chat(t.place, "a", h.FLAG_PRIVATE), 1)),
            ("late", lambda t, c: t.say_cast(chat(t.place, "a", h.FLAG_LATE), 1)),
            ("flag 8", lambda t, c: t.say_cast(chat(t.place, "a", 8), 1)),
            ("seq 0", lambda t, c: t.say_cast(c, 0)),
            ("seq 2", lambda t, c: t.say_cast(c, 2)),
            ("a malformed content with a lower seq", lambda t, c: (
                t.say_cast(c, 1), t.say_cast(chat(t.place, "a", h.FLAG_LATE), 1))),
            ("a NICK", lambda t, c: t.say_cast(b"\x22nick-of-some-length", 1)),
            ("an ACK", lambda t, c: t.say_cast(b"\x23" + bytes(20), 1)),
            ("an extension", lambda t, c: t.say_cast(b"\x40" + bytes(20), 1)),
            ("a TOPIC", lambda t, c: t.say_cast(h.build_topic(1, "x"), 1)),
            ("a KEY", lambda t, c: t.say_cast(b"\x26" + os.urandom(32), 1)),
            ("an empty text", lambda t, c: t.say_cast(c[:58], 1)),
            ("id zeros", lambda t, c: t.say_cast(chat(t.place, "a", ident=bytes(8)), 1)),
            ("NOTE with an empty reaction", lambda t, c: t.say_cast(
                h.content_of(h.build_note(1, bytes(8), 1)), 1)),
            ("ad empty", lambda t, c: envelope(t, c, ad=lambda common: b"")),
            ("ad the common itself", lambda t, c: envelope(t, c, ad=lambda common: common)),
            ("another common", lambda t, c: envelope(t, c, other=True)),
            ("common with n = 1", lambda t, c: envelope(t, c, n=1)),
            ("common with associated data", lambda t, c: envelope(t, c, common_ad=b"x")),
            ("common not padded", lambda t, c: envelope(t, c, padded=False)),
            ("another k", lambda t, c: envelope(t, c, k=bytes(32))),
            ("CHAT's type in the box", lambda t, c: envelope(t, c, kind=0x21)),
            ("type 27 in the box", lambda t, c: envelope(t, c, kind=0x27)),
            ("an extension's type in the box", lambda t, c: envelope(t, c, kind=0x41))):
        with Place(port, LOW) as place:
            talk = place.begin().up()
            spoil(talk, chat(place, "spoiled: " + what))
            talk.skip_acks().closed(3, "PART: " + what)
            want(what.startswith("a malformed content")
                 or not client.all("chat", text="spoiled: " + what), "not shown: " + what)
    with Place(port, LOW) as place:        # before HELLO
        talk = place.begin()
        talk.say_cast(chat(place, "too early"), 1)
        talk.hear(h.HELLO, "HELLO")
        talk.closed(3, "PART before HELLO")
    with Place(port, LOW) as place:        # as the first record, and it does not open
        talk = place.begin()
        place.cast(talk.tag, os.urandom(57), os.urandom(28))
        place.quiet("a PART that is a bad first record")


def envelope(talk, content, ad=h.H, other=False, n=0, common_ad=b"", padded=True, k=None, kind=0x26):
    """A PART in which one thing is wrong."""
    real = os.urandom(32)
    common = h.aead_seal(real, n, common_ad, h.pad(content) if padded else content + bytes(3))
    box = talk.out.seal(bytes([kind]) + h.u64(1) + (k or real), ad(common))
    if other:
        common = h.seal_common(real, content[:-1] + b"!")
    talk.place.cast(talk.tag, box, common)


def check_notes(client, port):
    """Ids, replies, NOTEs: from whom, and arriving before the message they refer to (§6)."""
    with Place(port, LOW) as place:
        talk = place.begin().up("noter")
        named(client, "noter")
        fp, seq = LOW.fp, iter(range(1, 99))
        first = talk.chat(next(seq), "first")
        client.wait("chat", text="first")
        talk.chat(next(seq), "the id of first again", ident=first)
        talk.chat(next(seq), "an answer", reply=h.reference(fp, first))
        want(client.wait("chat", text="an answer").get("reply") == first.hex(), "reply")
        talk.chat(next(seq), "an answer to nothing", reply=os.urandom(8))
        want("reply" not in client.wait("chat", text="an answer to nothing"), "unknown reply")
        want(not client.all("chat", text="the id of first again"), "an id is shown once")
        client.chat("mine")
        mine = bytes.fromhex(client.wait("sent", text="mine")["id"])
        said = talk.skip_acks().hear(h.CHAT, "CHAT")
        talk.say(h.build_ack(said["seq"]))
        own = h.reference(client_fp(place), mine)

        def note(ref, what, text=""):
            talk.say(h.build_note(next(seq), ref, what, text))
        note(own, 1, "👍"), note(own, 3, "not mine to change"), note(own, 4)
        note(h.reference(fp, mine), 3, "an id under another FP")
        note(own, 1, "ab"), note(own, 9, "what?"), note(own, 2)
        note(h.reference(fp, first), 3, "first, changed")
        note(h.reference(fp, first), 4)
        later = os.urandom(8)
        note(h.reference(fp, later), 3, "later, changed before it came")
        talk.chat(next(seq), "later", ident=later)
        client.wait("note", what="edit", ref=later.hex(), text="later, changed before it came")
        got = [(e["what"], e["ref"], e["text"]) for e in client.all("note")
               if e["fingerprint"] == h.fp_text(fp)]
        want(got == [("reaction", mine.hex(), "👍"), ("unreaction", mine.hex(), ""),
                     ("edit", first.hex(), "first, changed"), ("retraction", first.hex(), ""),
                     ("edit", later.hex(), "later, changed before it came")], f"NOTEs: {got}")
        client.say(type="note", ref=first.hex(), what="reaction", text="🎉")
        fields = talk.skip_acks().hear(h.NOTE, "a NOTE of the client")
        want((fields["ref"], fields["what"], fields["text"])
             == (h.reference(fp, first), 1, "🎉"), f"{fields}")
        talk.say(h.build_ack(fields["seq"]))


def check_topics(client, port):
    """The newest topic wins, unless it is from the future; each new channel is sent it (§6)."""
    with Place(port, LOW) as place:
        talk = place.begin().up()
        t = int(time.time() * 1000)
        talk.say(h.build_topic(t + 2, "newest"))
        client.wait("topic", text="newest")
        talk.say(h.build_topic(t + 1, "older"))
        talk.say(h.build_topic(t + 2, "newesa"))           # the same time, a smaller text
        talk.say(h.build_topic(t + 2 * h.DAY_MS, "the day after tomorrow"))
        talk.say(h.build_topic(2 ** 53, "a time that is none"))
        talk.say(h.build_topic(t + 2, "newesz"))
        client.wait("topic", text="newesz")
        want([e["text"] for e in client.all("topic")][-2:] == ["newest", "newesz"], "topics")
        talk = place.begin()
        talk.hello()
        talk.hear(h.HELLO, "HELLO")
        kinds = {}
        for _ in range(2):
            message = talk.opened(place.next()[2])
            kinds[message.kind] = message.fields
        want(kinds.get(h.TOPIC) == {"time": t + 2, "text": "newesz"}, f"TOPIC: {kinds}")
        talk.say(h.build_ack(0))
        talk.say(h.build_topic(t + 3, ""))                 # none: so that no other check hears it
        talk.say(h.build_hello(os.urandom(16), "twice"))
        talk.closed(3, "a second HELLO")


def named(client, nick):
    """Waits until the client shows this nick: in its minute where one had too many (§10)."""
    poll(lambda: client.all("joined", nick=nick) or client.all("nick", nick=nick),
         "the nick " + nick)


def client_fp(place):
    return place.members[place.to]


def check_guesses(client, port, password):
    """A client with a password (§7): Y that does not fit, and 3 guesses of a stranger."""
    with Place(port, LOW) as place:
        kroom = h.password_keys(password, place.fp_s)[1]
        ours = place.handshake(True, kroom=kroom).m1()
        for what, y in (("zeros", h.ZERO32), ("no element", b"\1" + bytes(31)),
                        ("ff", b"\xff" * 32)):
            place.send(M1, os.urandom(4), ours[:1224] + y)
            place.quiet("an M1 whose Y does not fit: " + what)
        for attempt in range(3):
            tag, hs = os.urandom(4), place.handshake(True, kroom=os.urandom(32))
            place.send(M1, tag, hs.m1())
            got, m2 = place.expect(M2, f"M2 to guess {attempt + 1}")
            try:
                hs.read_m2(m2, client_fp(place))
                want(False, "another password opens M2")
            except h.HandshakeError:
                want(True, "M2 does not open")
        place.send(M1, os.urandom(4), place.handshake(True, kroom=os.urandom(32)).m1())
        place.quiet("a fourth guess", 1.5)
    with Place(port, kat.keys["alice"]) as place:      # the right password is no guess
        for i in range(4):
            tag, hs = place.ask(kroom=kroom)
            place.send(M3, tag, hs.m3())
            Talk(place, tag, hs.ckI, hs.ckR).up(f"alice{i}")
    want(not [e for e in client.all("joined") if not e["nick"].startswith("alice")], "shown")


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
        named(client, "pia"), named(client, "otto")
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
        want(time.monotonic() - start > 4.9, "decided after 5 s, not before")


def check_nicks(client, port):
    """Nicks that break a rule, and nicks of two (§9)."""
    for nick in ("pаypal", "-dash", "Ⅷ"):
        with Place(port, LOW) as place:
            place.begin().up(nick)
            shown = h.shown_nick(nick, LOW.fp)
            want(shown[0] == "?", "a broken rule")
            named(client, shown)
    with Place(port, LOW) as place, Place(port, HIGH) as other:
        place.begin().up("Twin")
        aside = other.answer()
        aside.hear(h.HELLO, "HELLO")
        aside.hello("tWIN")
        named(client, "tWIN#" + h.fp_text(HIGH.fp)[7:11])


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
        want(len(m1) == 1256 and m1[:8] == h.MAGIC and m1[1224:] == h.ZERO32, "M1")
        place.send(M1, os.urandom(4), place.handshake(False) and m1)
        place.send(M2, os.urandom(4), os.urandom(900))
        place.send(M3, tag, os.urandom(900))
        place.send(RECORD, tag, os.urandom(60))
        place.quiet("what does not fit")
        tags = {tag}
        for seconds in (1, 2):
            at = time.monotonic()
            place.send(M2, tag, os.urandom(1900))
            tag, m1 = place.expect(M1, "another M1 after a bad M2")
            want(time.monotonic() - at > seconds - EARLY, f"not before {seconds} s")
            want(tag not in tags, "a new tag")
            tags.add(tag)
        hs = place.handshake(False)
        hs.read_m1(m1)
        place.send(M2, tag, hs.m2())
        born = time.monotonic()
        _, m3 = place.expect(M3, "M3")
        hs.read_m3(m3, place.members[place.to])
        talk = Talk(place, tag, hs.ckR, hs.ckI)
        talk.hear(h.HELLO, "HELLO together with M3")
        place.quiet("HELLO")
        talk.hello()
        want(talk.hear(h.ACK, "ACK")["n"] == 0, "ACK(0)")
        talk.say(h.build_ack(0))
        at = time.monotonic()
        talk.say(h.build_close(4))
        place.inbox.insert(0, place.next())
        want(time.monotonic() - at > 4 - EARLY or at - born > 30,
             "then 4 s: the channel has not lasted 30 s")
        talk = place.answer()
        talk.hear(h.HELLO, "HELLO")
        place.send(RECORD, talk.tag, os.urandom(60))
        got = place.next()
        want(got[0] == M1, "no CLOSE where not even the first record verifies")
    with Place(port, HIGH) as place:
        talk = place.answer()
        talk.hear(h.HELLO, "HELLO")
        talk.hello()
        talk.hear(h.ACK, "ACK")
        talk.say(h.build_ack(0))       # after any other end it would begin anew after 1 s
        talk.say(h.build_close(0))
        place.quiet("CLOSE(0)", 2.5)


# --- what takes long ----------------------------------------------------------------------

def check_silence(client, port):
    """Without an M2 for 15 s, and 1 s more, the client sends another M1 (§6)."""
    at = time.monotonic()
    with Place(port, HIGH) as place:
        first, _ = place.expect(M1, "M1")
        tag, _ = place.expect(M1, "M1 again")
        want(time.monotonic() - at > 16 - EARLY, "not before 15 and 1 s")
        want(tag != first, "a new tag")


def check_no_ack(client, port):
    """A channel whose first ACK does not come ends with CLOSE(4) after 30 s (§6)."""
    with Place(port, LOW) as place:
        at = time.monotonic()
        talk = place.begin()
        talk.hello()
        talk.hear(h.HELLO, "HELLO"), talk.hear(h.ACK, "ACK")
        talk.closed(4, "30 s without the first ACK")
        want(time.monotonic() - at > 30 - EARLY, "not before 30 s")


def poll(condition, what, timeout=PATIENCE):
    """Waits for a condition. Raises AssertionError when it takes too long."""
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
    """Everything; checks that compare views or count events run alone."""
    client.wait("welcome")
    with Place(port, LOW) as place:
        check_pairing(client, place)
    check_sender(client, port)         # first: it counts what the client sends
    check_moves(client, port)
    with Place(port, LOW) as place:
        check_stream(client, place)
    check_private(client, port)
    check_notes(client, port)
    check_casts(client, port)
    check_topics(client, port)
    check_nicks(client, port)
    check_twice(client, port)
    together(client, port, [check_refused], [check_initiator],
             [check_forgeries, check_sessions, check_answers, check_weak],
             *([[check_silence], [check_no_ack]] if slow else []))
    return count
