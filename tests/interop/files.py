"""Files (§15), written from the text of the protocol alone: what members say about them, the direct
connection, and both sides of a transfer.

A client takes files if it has a folder for them, under NAME, beside NAME.part while they come.  Of
folders only whole files go on after a break, here.  Names are not repaired: what is not plain is
refused.
"""

import asyncio
import hashlib
import os
import socket
import struct

import hearth as h

OFFER, ANSWER, WHERE, PIECE = 0x50, 0x51, 0x52, 0x53
FEATURE = 1
GO, DATA, ENTRY, SKIP, DONE, GOT, KEPT, ALIVE, STOP = *range(0x10, 0x18), 0x1F
DECLINED, ACCEPTED, PAUSED, BUSY, NO_ROOM, BAD_NAME = range(6)
TO_ROOM, EXECUTABLE, SIZE_UNKNOWN = 1, 2, 4
CODES = {1: "declined", 2: "cancelled", 3: "busy", 4: "disk-full", 5: "changed", 6: "unreadable",
         7: "name", 8: "protocol", 9: "lost"}
ANSWER_CODES = {DECLINED: 1, BUSY: 3, NO_ROOM: 4, BAD_NAME: 7}
MAX_SIZE = 2 ** 53 - 1
MAX_DATA, MAX_PIECE_DATA, MAX_PATH, MAX_ENTRIES, MAX_NAME = 262144, 15360, 1024, 65536, 255
MIN_RECORD, MAX_RECORD = 17, 262176
WINDOW = 65536
DIAL_SECONDS, SILENCE_SECONDS, ALIVE_SECONDS = 3.0, 30.0, 10.0
MAGIC = b"HEARTH/F"
_need = h._need


class Stop(Exception):
    """The transfer ends with this code."""

    def __init__(self, code, tell=True):
        super().__init__(CODES[code])
        self.code, self.tell = code, tell


# --- what members say

def build_offer(ident, kind, flags, size, entries, mtime, listing, name):
    return (bytes([OFFER]) + ident + bytes([kind, flags]) + h.u64(size)
            + struct.pack(">I", entries) + h.u64(mtime) + listing + name)


def build_answer(ident, answer, have=0, digest=h.ZERO32):
    return bytes([ANSWER]) + ident + bytes([answer]) + h.u64(have) + digest


def build_where(ident, secret, port, addresses):
    body = b"".join(bytes([len(a)]) + a for a in addresses)
    return bytes([WHERE]) + ident + secret + struct.pack(">HB", port, len(addresses)) + body


def build_piece(ident, kind, body=b""):
    return bytes([PIECE]) + ident + bytes([kind]) + body


def parse(kind, body):
    """The fields of a message; ProtocolError for a malformed one, which is ignored."""
    _need(len(body) > 16, "id")
    v, rest = {"ident": body[:16]}, body[16:]
    if kind == OFFER:
        _need(1 <= len(rest) - 54 <= MAX_NAME, "OFFER: length")
        v.update(kind=rest[0], flags=rest[1], size=h._u64(rest[2:10], "size", MAX_SIZE),
                 entries=int.from_bytes(rest[10:14], "big"),
                 mtime=h._u64(rest[14:22], "mtime", h.MAX_TIME), listing=rest[22:54],
                 name=rest[54:])
        _need(v["kind"] <= 1 and v["flags"] <= 7 and v["entries"] <= MAX_ENTRIES, "OFFER")
    elif kind == ANSWER:
        _need(len(rest) == 41 and rest[0] <= BAD_NAME, "ANSWER")
        v.update(answer=rest[0], have=h._u64(rest[1:9], "have", MAX_SIZE), hash=rest[9:])
    elif kind == WHERE:
        _need(len(rest) >= 35 and rest[34] <= 8, "WHERE")
        v.update(secret=rest[:32], port=int.from_bytes(rest[32:34], "big"), addresses=[])
        at = 35
        for _ in range(rest[34]):
            _need(at < len(rest) and rest[at] in (4, 16), "WHERE: address")
            v["addresses"].append(rest[at + 1:at + 1 + rest[at]])
            at += 1 + rest[at]
        _need(at == len(rest), "WHERE: length")
    else:
        v.update(frame=parse_frame(rest[0], rest[1:]))
        _need(rest[0] != DATA or len(rest) - 1 <= MAX_PIECE_DATA, "PIECE: length")
    return v


def parse_frame(kind, body):
    """(type, value) of a file frame: a number, bytes, or the fields of an ENTRY."""
    if kind in (GO, DONE, GOT):
        _need(len(body) == 8, "position")
        return kind, h._u64(body, "position", MAX_SIZE)
    if kind == DATA:
        _need(1 <= len(body) <= MAX_DATA, "DATA")
        return kind, body
    if kind == ENTRY:
        _need(1 <= len(body) - 18 <= MAX_PATH and body[0] <= 1 and body[1] in (0, 2), "ENTRY")
        return kind, {"kind": body[0], "flags": body[1],
                      "size": h._u64(body[2:10], "size", MAX_SIZE),
                      "mtime": h._u64(body[10:18], "mtime", h.MAX_TIME), "path": body[18:]}
    if kind in (SKIP, STOP):
        _need(len(body) == 1 and (kind == SKIP or body[0] in CODES), "code")
        return kind, body[0]
    _need(kind in (KEPT, ALIVE) and not body, "file frame")
    return kind, None


# --- the direct connection

def file_keys(ident, secret, ee=None, e_d=None, e_l=None):
    """hint; with ee and both keys also the chain keys of what the dialer and the listener send."""
    prk = h.Ext(b"hearth/2 file\0" + ident, secret)
    hint = h.Exp(prk, "hearth/2 file hint", 16)
    if ee is None:
        return hint
    prk2 = h.Ext(e_d + e_l, ee + prk)
    return hint, h.Exp(prk2, "hearth/2 file dialer", 32), h.Exp(prk2, "hearth/2 file listener", 32)


def pack(frames):
    """The plaintext of a record."""
    return b"".join(bytes([kind]) + struct.pack(">I", len(body)) + body for kind, body in frames)


def unpack(plaintext):
    """The parsed frames of a record, which they fill."""
    frames, at = [], 0
    while at < len(plaintext):
        _need(len(plaintext) >= at + 5, "frame cut")
        end = at + 5 + int.from_bytes(plaintext[at + 1:at + 5], "big")
        _need(len(plaintext) >= end, "frame cut")
        frames.append(parse_frame(plaintext[at], plaintext[at + 5:end]))
        at = end
    return frames


class Direct:
    """A connection straight to the other side, after its handshake."""

    state, most = "direct", MAX_DATA

    def __init__(self, reader, writer, send_ck, receive_ck):
        self.reader, self.writer = reader, writer
        self.out, self.incoming = h.Chain(send_ck), h.Chain(receive_ck)
        self.frames = []

    async def put(self, *frames):
        await self.put_plaintext(pack(frames))

    async def put_plaintext(self, plaintext):
        ct = self.out.seal(plaintext)
        await self.put_bytes(struct.pack(">I", len(ct)) + ct)

    async def put_bytes(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def record(self):
        size = int.from_bytes(await self.reader.readexactly(4), "big")
        if not MIN_RECORD <= size <= MAX_RECORD:
            raise EOFError("length of a record")
        try:
            plaintext = self.incoming.open(await self.reader.readexactly(size))
        except h.ProtocolError:
            raise EOFError("a record that does not open") from None
        return unpack(plaintext)

    async def get(self):
        while not self.frames:
            self.frames = await self.record()
        return self.frames.pop(0)

    def close(self):
        self.writer.close()


async def greet(reader, writer, ident, secret):
    """The side that dials."""
    private = os.urandom(32)
    e_d = h.x25519_public(private)
    writer.write(MAGIC + file_keys(ident, secret) + e_d)
    e_l = await asyncio.wait_for(reader.readexactly(32), 1)
    _, ck_d, ck_l = file_keys(ident, secret, h.x25519(private, e_l), e_d, e_l)
    return Direct(reader, writer, ck_d, ck_l)


async def answer(reader, writer, ident, secret):
    """The side that listens; nothing to another hint."""
    hello = await reader.readexactly(56)
    _need(hello[:24] == MAGIC + file_keys(ident, secret), "hint")
    private, e_d = os.urandom(32), hello[24:]
    e_l = h.x25519_public(private)
    _, ck_d, ck_l = file_keys(ident, secret, h.x25519(private, e_d), e_d, e_l)
    writer.write(e_l)
    return Direct(reader, writer, ck_l, ck_d)


LOST = (OSError, EOFError, asyncio.TimeoutError)
BROKEN = (*LOST, h.ProtocolError, h.HandshakeError)


class Race:
    """Both listen and dial.  For the sender the first connection that is made is the one, for the
    receiver the one on which GO comes."""

    def __init__(self, ident, sends):
        self.ident, self.sends, self.secret = ident, sends, os.urandom(32)
        self.won = asyncio.get_running_loop().create_future()
        self.tasks, self.server, self.port, self.made = [], None, 0, []

    async def listen(self):
        self.server = await asyncio.start_server(
            lambda r, w: self.run(answer(r, w, self.ident, self.secret), w), "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    def dial(self, where):
        for address in where["addresses"]:
            family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
            self.tasks.append(asyncio.ensure_future(self.dial_one(
                socket.inet_ntop(family, address), where["port"], where["secret"])))

    async def dial_one(self, host, port, secret):
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError:
            return
        await self.run(greet(reader, writer, self.ident, secret), writer)

    async def run(self, handshake, writer):
        try:
            direct = await handshake
            self.made.append(direct)
            await direct.put((ALIVE, b""))
            frames = await direct.record()
            if not self.sends:
                while frames[0][0] == ALIVE:
                    frames = frames[1:] or await direct.record()
                _need(frames[0][0] == GO, "GO first")
            if not self.won.done():
                direct.frames = [] if self.sends else frames
                self.made.remove(direct)
                self.won.set_result(direct)
                return
        except BROKEN:
            pass
        writer.close()

    def end(self):
        if self.server:
            self.server.close()
        for task in self.tasks:
            task.cancel()
        for direct in self.made:
            direct.close()


class Pieces:
    """Through the relay, in the channel of the moment."""

    state, most = "relayed", MAX_PIECE_DATA

    def __init__(self, transfer):
        self.transfer = transfer

    async def put(self, *frames):
        for kind, body in frames:
            self.transfer.say(build_piece(self.transfer.id, kind, body))

    async def get(self):
        return await self.transfer.pieces.get()

    def close(self):
        pass


# --- transfers

class Transfer:
    """One offer and one person, in one direction."""

    def __init__(self, files, fp, offer):
        self.files, self.fp, self.offer, self.id = files, fp, offer, offer["ident"]
        self.pieces = asyncio.Queue()
        self.where = self.task = self.link = None

    def member(self):
        for m in self.files.client.members.values():
            if m.fp == self.fp and m.channel and m.channel.hello_in and m.files:
                return m
        return None

    def say(self, message):
        m = self.member()
        if m:
            self.files.client.say(m.channel, message)

    def tell(self, event, **more):
        self.files.emit(event, id=self.id.hex(), fingerprint=h.fp_text(self.fp), **more)

    def begin(self, *given):
        """Anew, from the start of a way."""
        self.cancel()
        self.link = None
        self.pieces, self.where = asyncio.Queue(), asyncio.get_running_loop().create_future()
        self.task = asyncio.ensure_future(self.guard(*given))

    def cancel(self):
        if self.task and self.task is not asyncio.current_task():
            self.task.cancel()

    async def guard(self, *given):
        try:
            await self.run(*given)
            return
        except Stop as stop:
            if stop.tell:
                await Pieces(self).put((STOP, bytes([stop.code])))
            code = stop.code
        except h.ProtocolError as error:
            self.files.client.notice(f"{self.id.hex()}: {error}")
            await Pieces(self).put((STOP, b"\x08"))
            code = 8
        self.fail(code)

    def fail(self, code):
        self.over()
        self.tell("transferfailed", code=CODES[code])

    async def meet(self, sends):
        """A way to the other side: the race, told by both WHEREs, or None."""
        race = Race(self.id, sends)
        addresses = self.files.addresses
        try:
            if addresses:
                await race.listen()
            self.say(build_where(self.id, race.secret, race.port, addresses))
            await self.first_of(self.where, seconds=SILENCE_SECONDS)
            if addresses and self.where.done() and self.where.result()["addresses"]:
                race.dial(self.where.result())
                await self.first_of(race.won, seconds=DIAL_SECONDS if sends else SILENCE_SECONDS)
            return race.won.result() if race.won.done() else Pieces(self)
        finally:
            race.end()

    async def first_of(self, future, seconds):
        """Until this is there, or a piece, or the time is over."""
        peek = asyncio.ensure_future(self.peek())
        await asyncio.wait([future, peek], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        peek.cancel()

    async def peek(self):
        """Until there is a piece."""
        while self.pieces.empty():
            await asyncio.sleep(0.02)


def digest_of(paths, size):
    """SHA-256 of the first bytes of files; None where there are fewer."""
    total = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as f:
            while size and (data := f.read(min(size, 1 << 20))):
                total.update(data)
                size -= len(data)
    return None if size else total.digest()


class Sending(Transfer):
    """`entries`: of (ENTRY body or None for a file itself, path, size)."""

    def __init__(self, files, fp, offer, entries):
        super().__init__(files, fp, offer)
        self.entries = entries

    def over(self):
        self.files.sending.pop((self.fp, self.id), None)

    def take_answer(self, v):
        if v["answer"] == ACCEPTED:
            self.begin(v["have"], v["hash"])
        elif v["answer"] in ANSWER_CODES:
            self.cancel()
            if v["answer"] != NO_ROOM:
                self.over()
            self.tell("transferfailed", code=CODES[ANSWER_CODES[v["answer"]]])

    async def run(self, have, digest):
        start = 0
        if have and digest_of([p for _, p, size in self.entries if size], have) == digest:
            start = have
        # What is there already needs no direct connection.
        link = Pieces(self) if have and start == self.offer["size"] else await self.meet(True)
        self.link = link
        self.tell("transfer", state=link.state, start=start)
        self.sent = self.got = start
        reading = asyncio.ensure_future(self.read(link))
        try:
            await self.write(link, start, reading)
            await reading
        except LOST:
            self.link = None
            try:
                await asyncio.wait_for(reading, 1)     # why, if that was said
            except LOST:
                pass
            while True:                # until the receiver says what it has
                await asyncio.sleep(2)
                self.say(build_offer(**self.offer))
        finally:
            reading.cancel()
            link.close()
        self.finish()

    def finish(self):
        self.over()
        self.tell("sentfile", bytes=self.offer["size"])

    async def write(self, link, start, reading):
        await link.put((GO, h.u64(start)))
        await self.files.fault(link)
        position = 0
        for body, path, size in self.entries:
            end = position + size
            if end > start or size == 0 and position >= start:
                if body is not None:
                    await link.put((ENTRY, body))
                if size:
                    with open(path, "rb") as f:
                        f.seek(max(0, start - position))
                        while data := f.read(link.most):
                            while link.state == "relayed" and self.sent - self.got > WINDOW:
                                if reading.done():
                                    return
                                await asyncio.sleep(0.005)
                            self.sent += len(data)
                            await link.put((DATA, data))
                            await self.files.fault(link, self.sent)
            position = end
        await link.put((DONE, h.u64(self.offer["size"])))

    async def read(self, link):
        while True:
            kind, value = await asyncio.wait_for(link.get(), SILENCE_SECONDS)
            if kind == GOT:
                if value > self.sent:
                    h._need(link.state == "relayed", "GOT above what was sent")
                    continue
                self.got = value
            elif kind == STOP:
                raise Stop(value, tell=False)
            elif kind == KEPT:
                return
            else:
                _need(kind == ALIVE, "a frame of the receiver")


class Receiving(Transfer):
    """Kept in the folder of the client; the part may be of an earlier run."""

    def __init__(self, files, fp, offer):
        super().__init__(files, fp, offer)
        self.name = offer["name"].decode()
        self.path = os.path.join(files.folder, self.name)
        self.part = self.path + ".part"
        self.folder = offer["kind"] == 1

    def over(self):
        self.files.receiving.pop((self.fp, self.id), None)

    async def run(self):
        while True:
            have = 0
            if not self.folder and os.path.exists(self.part):
                have = os.path.getsize(self.part)
            digest = digest_of([self.part], have) if have else h.ZERO32
            self.pieces, self.where = asyncio.Queue(), asyncio.get_running_loop().create_future()
            self.say(build_answer(self.id, ACCEPTED, have, digest))
            link = self.link = await self.meet(False)
            try:
                await self.take(link)
                return
            except LOST:
                await asyncio.sleep(1)
            finally:
                self.link = None
                link.close()

    async def take(self, link):
        while (first := await asyncio.wait_for(link.get(), SILENCE_SECONDS))[0] != GO:
            if first[0] == STOP:
                raise Stop(first[1], tell=False)
        position = first[1]
        self.tell("transfer", state=link.state, start=position)
        await self.files.fault(link)
        total, listing, last = self.offer["size"], hashlib.sha256(), b""
        target, left = None, 0
        if not self.folder:
            target, left = open(self.part, "ab"), total - position
            target.truncate(position)
        else:
            os.makedirs(self.part, exist_ok=True)
        try:
            while True:
                kind, value = await asyncio.wait_for(link.get(), SILENCE_SECONDS)
                if kind == DATA:
                    _need(target and len(value) <= left, "DATA beyond the size")
                    target.write(value)
                    left -= len(value)
                    position += len(value)
                    await link.put((GOT, h.u64(position)))
                    await self.files.fault(link, position)
                elif kind == ENTRY:
                    _need(self.folder and left == 0 and last < value["path"], "ENTRY")
                    last, left = value["path"], value["size"]
                    listing.update(bytes([value["kind"], value["flags"]]) + h.u64(left)
                                   + h.u64(value["mtime"]) + last)
                    target = self.make(value, target)
                elif kind == SKIP:
                    _need(target and self.folder, "SKIP")
                    position -= target.tell()
                    total -= target.tell() + left
                    left = 0
                elif kind == DONE:
                    _need(left == 0 and value == total == position, "DONE")
                    break
                elif kind == STOP:
                    raise Stop(value, tell=False)
                else:
                    _need(kind == ALIVE, "a frame of the sender")
        finally:
            if target:
                target.close()
        if self.folder:
            _need(listing.digest() == self.offer["listing"], "listing")
        os.rename(self.part, self.path)
        self.files.kept.add((self.fp, self.id))
        self.over()
        self.tell("received", path=self.path, bytes=position)
        try:
            await link.put((KEPT, b""))
        except LOST:
            pass                       # the sender asks again

    def make(self, entry, before):
        """Makes what an ENTRY names; the parts of its path are plain or refused."""
        if before:
            before.close()
        try:
            names = entry["path"].decode().split("/")
        except UnicodeDecodeError:
            raise Stop(7) from None
        if len(names) > 32 or any(n in ("", ".", "..") or "\\" in n or "\0" in n for n in names):
            raise Stop(7)
        path = os.path.join(self.part, *names)
        if entry["kind"] == 1:
            os.mkdir(path)
            return None
        return open(path, "xb")


class Files:
    """The transfers of a client."""

    def __init__(self, client, emit, folder, direct):
        self.client, self.emit, self.folder = client, emit, folder
        self.addresses = [socket.inet_aton("127.0.0.1")] if direct else []
        self.sending, self.receiving, self.offers, self.kept = {}, {}, {}, set()
        self.faults = []

    def ready(self, m):
        """A new channel: what stands is said again."""
        for t in list(self.sending.values()):
            if t.fp == m.fp:
                t.say(build_offer(**t.offer))
        for t in list(self.receiving.values()):
            if t.fp == m.fp and not isinstance(t.link, Direct):
                t.begin()

    def take(self, m, kind, body):
        try:
            v = parse(kind, body)
        except h.ProtocolError as error:
            self.client.notice(f"ignored: {error}")
            return
        key = m.fp, v["ident"]
        if kind == OFFER:
            self.take_offer(m, key, v)
        elif kind == ANSWER and key in self.sending:
            self.sending[key].take_answer(v)
        elif kind in (WHERE, PIECE):
            t = self.sending.get(key) or self.receiving.get(key)
            if t is None or t.where is None:
                return
            if kind == PIECE and v["frame"][0] == STOP:
                t.cancel()             # also while there is a direct connection
                t.fail(v["frame"][1])
            elif kind == PIECE and v["frame"][0] == KEPT and not t.link:
                t.cancel()
                t.finish()
            elif kind == PIECE:
                t.pieces.put_nowait(v["frame"])
            elif not t.where.done():
                t.where.set_result(v)

    def take_offer(self, m, key, v):
        if v["entries"] == 0:
            if self.offers.pop(key, None) or key in self.receiving:
                self.emit("transferfailed", id=v["ident"].hex(), code="cancelled")
            if key in self.receiving:
                self.receiving.pop(key).cancel()
            return
        if key in self.kept:           # the sender has not heard that
            self.client.say(m.channel, build_piece(v["ident"], KEPT))
        if key in self.offers or key in self.receiving or key in self.kept:
            return
        name = v["name"].decode("utf-8", "replace")
        if not self.folder or "/" in name or name in (".", "..") or "\0" in name:
            self.client.say(m.channel, build_answer(v["ident"], BAD_NAME))
            return
        self.offers[key] = v
        self.emit("offer", id=v["ident"].hex(), nick=self.client.shown(m), name=name,
                  fingerprint=h.fp_text(m.fp), kind="folder" if v["kind"] else "file",
                  size=v["size"], files=v["entries"], executable=bool(v["flags"] & EXECUTABLE),
                  private=not v["flags"] & TO_ROOM)

    def line(self, kind, o):
        """A line of standard input."""
        if kind == "send":
            self.send(o)
            return
        if kind == "filefault":
            self.faults.append(o)
            return
        ident = bytes.fromhex(o["id"])
        key = next(k for k in [*self.offers, *self.sending, *self.receiving] if k[1] == ident)
        if kind == "accept":
            t = self.receiving[key] = Receiving(self, key[0], self.offers.pop(key))
            t.begin()
        elif kind == "decline":
            self.offers.pop(key)
            self.say_to(key[0], build_answer(ident, DECLINED))
        elif key in self.sending:      # cancel
            t = self.sending.pop(key)
            t.cancel()
            t.say(build_piece(ident, STOP, b"\x02") if t.task
                  else build_offer(**{**t.offer, "entries": 0}))
        else:
            t = self.receiving.pop(key)
            t.cancel()
            t.say(build_piece(ident, STOP, b"\x02"))

    def say_to(self, fp, message):
        for m in self.client.members.values():
            if m.fp == fp and m.channel:
                self.client.say(m.channel, message)

    def send(self, o):
        path, to = o["path"].rstrip("/"), o.get("to")
        entries = list(listing_of(path)) if os.path.isdir(path) else \
            [(None, path, os.path.getsize(path))]
        folder = os.path.isdir(path)
        bodies = b"".join(body for body, _, _ in entries) if folder else b""
        offer = {"ident": os.urandom(16), "kind": int(folder), "flags": 0 if to else TO_ROOM,
                 "size": sum(size for _, _, size in entries), "entries": max(1, len(entries)),
                 "mtime": os.stat(path).st_mtime_ns // 1000000,
                 "listing": hashlib.sha256(bodies).digest() if folder else h.ZERO32,
                 "name": os.path.basename(path).encode()}
        people = self.client.find(to) if to else self.client.members.values()
        fps = {m.fp for m in people if m.channel and m.files}
        for fp in fps:
            t = Sending(self, fp, offer, entries)
            self.sending[fp, t.id] = t
            t.say(build_offer(**offer))
        self.emit("offered", id=offer["ident"].hex(), name=os.path.basename(path),
                  size=offer["size"], to=sorted(map(h.fp_text, fps)))

    async def fault(self, link, position=0):
        """What {"type":"filefault","what":W} asks for does its harm once, on a direct connection:
        "cut" after some bytes; "record" sends the plaintext "hex", "bytes" what it is."""
        if not self.faults or link.state != "direct" or position < self.faults[0].get("after", 0):
            return
        o = self.faults.pop(0)
        if o["what"] == "cut":
            link.close()
            raise EOFError
        await (link.put_plaintext if o["what"] == "record" else link.put_bytes)(
            bytes.fromhex(o["hex"]))


def listing_of(top):
    """(ENTRY body, path, size) of everything in a folder, in the order of the bytes of paths."""
    found = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                found[os.path.relpath(path, top).replace(os.sep, "/").encode()] = path
    for name in sorted(found):
        path, folder = found[name], os.path.isdir(found[name])
        info = os.stat(path)
        size = 0 if folder else info.st_size
        flags = 2 if not folder and info.st_mode & 0o100 else 0
        yield (bytes([int(folder), flags]) + h.u64(size)
               + h.u64(info.st_mtime_ns // 1000000) + name), path, size
