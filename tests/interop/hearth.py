"""HEARTH/1, written from the text of the protocol alone.

This module holds everything that needs no network: identities (§1), the
handshake of both layers (§3), records (§4), transport frames (§5), peer
messages, views (§6), passwords (§7), safety numbers (§8) and nicknames (§9).
It shares no code with the program that it tests.  Python 3.11, `cryptography`.
"""

import base64
import hashlib
import hmac
import os
import struct
import unicodedata
from collections import namedtuple

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey, X25519PublicKey)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

MAGIC = b"HEARTH/1"
MAGIC_OTHER = b"HEARTH/?"
ZERO32 = bytes(32)
MAX_COUNTER = 2 ** 48 - 1          # §1: counters are below 2^48
MAX_TIME = 2 ** 53 - 1             # §1: times are below 2^53
MIN_RECORD_BYTES, MAX_RECORD_BYTES = 17, 16400
MAX_PLAINTEXT = MAX_RECORD_BYTES - 16
MAX_PAYLOAD_BYTES = 16000
MAX_TEXT_BYTES = 8192
MAX_CT_TRANSPORT, MAX_CT_PEER = 1067, 1581
SPAN = 1024                        # §4: records under one key


class ProtocolError(Exception):
    """The other side broke the protocol."""


class HandshakeError(Exception):
    """A handshake message is refused; nothing is said about why (§3)."""


# --- §1: numbers, hashes, keys ------------------------------------------------

def H(*parts):
    """SHA-256."""
    return hashlib.sha256(b"".join(parts)).digest()


def L(data):
    """u16 length || data."""
    return struct.pack(">H", len(data)) + data


def Ext(salt, ikm):
    """HKDF-SHA256 extract (RFC 5869, 2.2)."""
    return hmac.new(salt, ikm, hashlib.sha256).digest()


def Exp(prk, info, n):
    """HKDF-SHA256 expand (RFC 5869, 2.3)."""
    if isinstance(info, str):
        info = info.encode("ascii")
    out, block, count = b"", b"", 1
    while len(out) < n:
        block = hmac.new(prk, block + info + bytes([count]), hashlib.sha256).digest()
        out += block
        count += 1
    return out[:n]


def nonce(n):
    return bytes(4) + struct.pack(">Q", n)


def aead_seal(key, n, ad, plaintext):
    return ChaCha20Poly1305(key).encrypt(nonce(n), plaintext, ad)


def aead_open(key, n, ad, ct):
    """Raises ValueError when the tag is wrong or the text too short."""
    if len(ct) < 16:
        raise ValueError("shorter than a tag")
    try:
        return ChaCha20Poly1305(key).decrypt(nonce(n), ct, ad)
    except InvalidTag:
        raise ValueError("tag") from None


def x25519(private, public):
    """§3: aborts on an all-zero result.  `private`: 32 bytes."""
    try:
        out = X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise HandshakeError("x25519") from None
    if out == ZERO32:
        raise HandshakeError("x25519")
    return out


def x25519_public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def id_prefix(k):
    """The first 23 bytes of an ID with a modulus of k bytes."""
    return (struct.pack(">I", 7) + b"ssh-rsa" + struct.pack(">I", 3) + b"\x01\x00\x01"
            + struct.pack(">I", k + 1) + b"\x00")


class PublicIdentity:
    """An ID checked by its form alone (§1), and what can be done with it."""

    def __init__(self, blob):
        k = len(blob) - 23
        if k not in (128, 256, 384, 512):
            raise ValueError("ID: length")
        if blob[:23] != id_prefix(k):
            raise ValueError("ID: prefix")
        if not blob[23] & 0x80 or not blob[-1] & 1:
            raise ValueError("ID: modulus")
        self.id, self.k = bytes(blob), k
        self.fp = H(self.id)
        self.key = rsa.RSAPublicNumbers(65537, int.from_bytes(blob[23:], "big")).public_key()

    @property
    def bits(self):
        return self.k * 8

    def verify(self, ctx, message, signature):
        """SIG(ctx, m): PSS, SHA-256, MGF1-SHA-256, salt of exactly 32 bytes."""
        if len(signature) != self.k:
            return False
        try:
            self.key.verify(signature, ctx.encode("ascii") + b"\0" + message,
                            padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
            return True
        except InvalidSignature:
            return False

    def encapsulate(self, s):
        return self.key.encrypt(s, OAEP)


OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), b"hearth/1 kem")


class PrivateIdentity(PublicIdentity):
    """One's own RSA key."""

    def __init__(self, key):
        numbers = key.private_numbers().public_numbers
        if numbers.e != 65537:
            raise ValueError("the public exponent is not 65537")
        k = (numbers.n.bit_length() + 7) // 8
        self.private = key
        super().__init__(id_prefix(k) + numbers.n.to_bytes(k, "big"))

    @classmethod
    def from_pem(cls, pem):
        if isinstance(pem, str):
            pem = pem.encode()
        return cls(serialization.load_pem_private_key(pem, None))

    @classmethod
    def generate(cls, bits=2048):
        return cls(rsa.generate_private_key(65537, bits))

    def pem(self):
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption())

    def sign(self, ctx, message):
        return self.private.sign(
            ctx.encode("ascii") + b"\0" + message,
            padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())

    def decapsulate(self, c):
        """§3: random bytes when OAEP fails, or gives anything but 32 bytes."""
        fallback = os.urandom(32)
        try:
            s = self.private.decrypt(c, OAEP)
        except ValueError:
            return fallback
        return s if len(s) == 32 else fallback


def load_identity(path, bits=2048, fits=None):
    """PKCS#8 PEM at `path`; made there when missing, until it `fits`."""
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
        fresh = PrivateIdentity.generate(bits)
        while fits is not None and not fits(fresh):
            fresh = PrivateIdentity.generate(bits)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as f:
            f.write(fresh.pem())
        return fresh
    with open(path, "rb") as f:
        return PrivateIdentity.from_pem(f.read())


def fp_text(fp):
    """§1: as `ssh-keygen -lf` shows it."""
    return "SHA256:" + base64.b64encode(fp).decode().rstrip("=")


def fp_from_text(text):
    if not text.startswith("SHA256:"):
        raise ValueError("no fingerprint")
    body = text[7:]
    fp = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    if len(fp) != 32 or fp_text(fp) != text:
        raise ValueError("no fingerprint")
    return fp


# --- §3: handshake ----------------------------------------------------------------

def peer_prologue(fp_s, room, fp_i, fp_r, sid_i, sid_r):
    out = fp_s + room + fp_i + fp_r + sid_i + sid_r
    assert len(out) == 144
    return out


def split_fields(plaintext, count):
    """`count` times L(x), filling the text exactly."""
    fields, at = [], 0
    for _ in range(count):
        if len(plaintext) < at + 2:
            raise HandshakeError("fields")
        size = struct.unpack_from(">H", plaintext, at)[0]
        at += 2
        if len(plaintext) < at + size:
            raise HandshakeError("fields")
        fields.append(plaintext[at:at + size])
        at += size
    if at != len(plaintext):
        raise HandshakeError("trailing bytes")
    return fields


class Handshake:
    """What both roles share.  Every intermediate value is kept for the known answers."""

    def __init__(self, mode, key, prologue=b"", psk=ZERO32, ephemeral=None):
        assert mode in ("transport", "peer")
        self.mode, self.key, self.prologue, self.psk = mode, key, prologue, psk
        self.ephemeral = ephemeral or os.urandom(32)
        self.public = x25519_public(self.ephemeral)
        self.other = None
        self.s = b""

    @property
    def max_ct3(self):
        return MAX_CT_PEER if self.mode == "peer" else MAX_CT_TRANSPORT

    def _th0(self, m1):
        self.th0 = H(b"hearth/1 " + self.mode.encode() + b"\0", self.prologue, m1)

    def _secrets(self, other, er):
        self.ee = x25519(self.ephemeral, other)
        self.th1 = H(self.th0, er)
        self.prk = Ext(self.th1, self.ee + self.psk)
        self.kR = Exp(self.prk, "hearth/1 hs responder", 32)
        self.kI = Exp(self.prk, "hearth/1 hs initiator", 32)

    def _finish(self, ct3):
        self.th3 = H(self.th2, L(ct3))
        self.prk2 = Ext(self.th3, self.prk + self.s)
        self.ckI = Exp(self.prk2, "hearth/1 ap initiator", 32)
        self.ckR = Exp(self.prk2, "hearth/1 ap responder", 32)

    def _opened(self, key, ad, message, limit, fields):
        """Length bounds, AEAD, exact fields: the first checks of both sides."""
        if len(message) < 2:
            raise HandshakeError("length")
        size = struct.unpack_from(">H", message)[0]
        if size != len(message) - 2 or not 16 <= size <= limit:
            raise HandshakeError("length")
        try:
            plaintext = aead_open(key, 0, ad, message[2:])
        except ValueError:
            raise HandshakeError("AEAD") from None
        return plaintext, split_fields(plaintext, fields)

    def _identity(self, blob, sig_len):
        try:
            other = PublicIdentity(blob)
        except ValueError:
            raise HandshakeError("ID") from None
        if sig_len != other.k:
            raise HandshakeError("length of the signature")
        return other


class Initiator(Handshake):
    """I of §3: m1(), read_m2(), m3(); then ckI, ckR, th3."""

    def m1(self):
        self.M1 = MAGIC + self.public
        self._th0(self.M1)
        return self.M1

    def read_m2(self, m2, expected_fp=None):
        """Returns the responder's PublicIdentity.  `expected_fp`: claimed (peer) or pinned."""
        if len(m2) < 34:
            raise HandshakeError("length")
        er, rest = m2[:32], m2[32:]
        self._secrets(er, er)
        self.ct2_plaintext, (blob, sig) = self._opened(
            self.kR, self.th1, rest, MAX_CT_TRANSPORT, 2)
        other = self._identity(blob, len(sig))
        if not other.verify("hearth/1 responder", self.th1 + other.id, sig):
            raise HandshakeError("signature")
        if expected_fp is not None and other.fp != expected_fp:
            raise HandshakeError("fingerprint")
        self.th2 = H(self.th1, rest)
        self.other = other
        return other

    def m3(self, s=None, c=None, sig=None):
        """`s`, `c` and `sig` are given only by the known-answer test."""
        signed, fields = self.th2 + self.key.id, L(self.key.id)
        if self.mode == "peer":
            self.s = s or os.urandom(32)
            self.c = c or self.other.encapsulate(self.s)
            signed += self.c
            fields += L(self.c)
        sig = sig or self.key.sign("hearth/1 initiator", signed)
        self.ct3_plaintext = fields + L(sig)
        ct3 = aead_seal(self.kI, 0, self.th2, self.ct3_plaintext)
        self._finish(ct3)
        return L(ct3)


class Responder(Handshake):
    """R of §3: read_m1(), m2(), read_m3()."""

    def read_m1(self, m1):
        if len(m1) != 40 or m1[:8] != MAGIC:
            raise HandshakeError("M1")
        self._th0(m1)
        self._secrets(m1[8:], self.public)

    def m2(self, sig=None):
        sig = sig or self.key.sign("hearth/1 responder", self.th1 + self.key.id)
        self.ct2_plaintext = L(self.key.id) + L(sig)
        ct2 = aead_seal(self.kR, 0, self.th1, self.ct2_plaintext)
        self.th2 = H(self.th1, L(ct2))
        return self.public + L(ct2)

    def read_m3(self, m3, expected_fp=None):
        """Returns the initiator's PublicIdentity."""
        peer = self.mode == "peer"
        self.ct3_plaintext, fields = self._opened(
            self.kI, self.th2, m3, self.max_ct3, 3 if peer else 2)
        blob, sig = fields[0], fields[-1]
        if peer and len(fields[1]) != self.key.k:
            raise HandshakeError("length of c")
        other = self._identity(blob, len(sig))
        signed = self.th2 + other.id + (fields[1] if peer else b"")
        if not other.verify("hearth/1 initiator", signed, sig):
            raise HandshakeError("signature")
        if expected_fp is not None and other.fp != expected_fp:
            raise HandshakeError("fingerprint")
        if peer:
            self.s = self.key.decapsulate(fields[1])
        self._finish(m3[2:])
        self.other = other
        return other


# --- §4: records --------------------------------------------------------------------

class Chain:
    """One direction: chain key, counter, and the key of the present span of 1024."""

    def __init__(self, ck):
        self.ck, self.n = ck, 0
        self.key = Exp(ck, "hearth/1 key", 32)

    def _advance(self):
        self.n += 1
        if self.n % SPAN == 0:
            self.ck = Exp(self.ck, "hearth/1 next", 32)
            self.key = Exp(self.ck, "hearth/1 key", 32)

    def _check(self):
        if self.n > MAX_COUNTER:
            raise ProtocolError("the counter is used up")

    def seal(self, plaintext):
        self._check()
        ct = aead_seal(self.key, self.n, b"", plaintext)
        self._advance()
        return ct

    def open(self, ct):
        self._check()
        try:
            plaintext = aead_open(self.key, self.n, b"", ct)
        except ValueError:
            raise ProtocolError("record") from None
        self._advance()
        return plaintext


def frame(kind, body):
    """u8 type || L(body)."""
    return bytes([kind]) + L(body)


def frames(plaintext):
    """The frames of a record, one after the other; what stands behind a broken one counts
    as broken only when it is reached (nothing follows a CLOSE, §4)."""
    if not plaintext:
        raise ProtocolError("no frame")
    at = 0
    while at < len(plaintext):
        if len(plaintext) < at + 3:
            raise ProtocolError("frame cut")
        kind, size = struct.unpack_from(">BH", plaintext, at)
        at += 3
        if len(plaintext) < at + size:
            raise ProtocolError("frame cut")
        yield kind, plaintext[at:at + size]
        at += size


def pack_frames(queue):
    """Takes frames off the front of `queue` (a deque) into one plaintext (§4)."""
    out = bytearray()
    while queue and len(out) + len(queue[0]) <= MAX_PLAINTEXT:
        out += queue.popleft()
    return bytes(out)


# --- §5: transport frames ---------------------------------------------------------

(CLOSE, PING, PONG, JOIN, WELCOME, JOINED, LEFT, SEND, RECV) = (
    0x00, 0x01, 0x02, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15)
FRAME_NAMES = {CLOSE: "CLOSE", PING: "PING", PONG: "PONG", JOIN: "JOIN", WELCOME: "WELCOME",
               JOINED: "JOINED", LEFT: "LEFT", SEND: "SEND", RECV: "RECV"}
REASONS = {0: "normal", 1: "password", 2: "not allowed", 3: "protocol error", 4: "timeout",
           5: "full", 6: "replaced", 7: "shutting down", 8: "removed", 9: "key too weak",
           10: "too slow"}
FINAL_REASONS = {0, 1, 2, 6, 8, 9}

Frame = namedtuple("Frame", "kind fields")


def _need(condition, what):
    if not condition:
        raise ProtocolError(what)


def parse_frame(kind, body, receiver):
    """Form of a frame for `receiver` ("relay" or "client"); no state."""
    n = len(body)
    if kind == CLOSE:
        _need(n == 1, "CLOSE")
        return Frame(kind, {"reason": body[0]})
    if kind in (PING, PONG):
        _need(n == 8, "PING")
        return Frame(kind, {"data": body})
    if receiver == "relay" and kind == JOIN:
        _need(n == 80, "JOIN")
        return Frame(kind, {"proof": body[:32], "room": body[32:64], "instance": body[64:]})
    if receiver == "client" and kind == WELCOME:
        _need(n >= 12, "WELCOME")
        sid, (capacity, count) = body[:8], struct.unpack_from(">HH", body, 8)
        _need(n == 12 + 40 * count, "WELCOME")
        members = [[body[i:i + 8], body[i + 8:i + 40]] for i in range(12, n, 40)]
        return Frame(kind, {"sid": sid, "capacity": capacity, "members": members})
    if receiver == "client" and kind == JOINED:
        _need(n == 40, "JOINED")
        return Frame(kind, {"sid": body[:8], "fp": body[8:]})
    if receiver == "client" and kind == LEFT:
        _need(n == 9, "LEFT")
        return Frame(kind, {"sid": body[:8], "why": body[8]})
    if kind == (SEND if receiver == "relay" else RECV):
        _need(13 < n <= 13 + MAX_PAYLOAD_BYTES, "payload")
        _need(1 <= body[8] <= 4, "kind")
        return Frame(kind, {"sid": body[:8], "kind": body[8], "tag": body[9:13],
                            "payload": body[13:]})
    raise ProtocolError(f"frame type {kind:02x}")


class ClientRoster:
    """What a client may be told in which order (§5)."""

    def __init__(self):
        self.sid, self.capacity, self.members = None, 0, {}

    def take(self, kind, body):
        """Parses, checks against the state, changes the state; returns the Frame."""
        f = parse_frame(kind, body, "client")
        v = f.fields
        if kind in (CLOSE, PING, PONG):
            return f
        if kind == WELCOME:
            _need(self.sid is None, "a second WELCOME")
            _need(1 <= v["capacity"] <= 256 and len(v["members"]) < v["capacity"], "capacity")
            sids = [sid for sid, _ in v["members"]] + [v["sid"]]
            _need(len(set(sids)) == len(sids) and bytes(8) not in sids, "sids")
            self.sid, self.capacity = v["sid"], v["capacity"]
            self.members = {sid: fp for sid, fp in v["members"]}
            return f
        _need(self.sid is not None, "before WELCOME")
        if kind == JOINED:
            _need(v["sid"] not in self.members and v["sid"] not in (self.sid, bytes(8)), "sid")
            _need(len(self.members) + 1 < self.capacity, "beyond the capacity")
            self.members[v["sid"]] = v["fp"]
        else:
            _need(v["sid"] in self.members, "unknown sid")
            if kind == LEFT:
                del self.members[v["sid"]]
        return f


class RelayReader:
    """What a relay may be told in which order (§5): JOIN or CLOSE first, JOIN once."""

    def __init__(self):
        self.joined = False

    def take(self, kind, body):
        f = parse_frame(kind, body, "relay")
        if kind == JOIN:
            _need(not self.joined, "a second JOIN")
            self.joined = True
        elif kind != CLOSE:
            _need(self.joined, "the first frame is no JOIN")
        return f


WHITE_SPACE = frozenset([*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B),
                         0x2028, 0x2029, 0x202F, 0x205F, 0x3000])


def nfc(text):
    return unicodedata.normalize("NFC", text)


def room_name(name):
    """r of §5; ValueError when it is no room name."""
    r = nfc(nfc(name).lower())
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in r):
        raise ValueError("room: character")
    if not 1 <= len(r.encode("utf-8")) <= 64:
        raise ValueError("room: length")
    if ord(r[0]) in WHITE_SPACE or ord(r[-1]) in WHITE_SPACE:
        raise ValueError("room: white space at an end")
    return r


def room_tag(name):
    return H(b"hearth/1 room\0", room_name(name).encode("utf-8"))


# --- §6: peer messages --------------------------------------------------------------

HELLO, CHAT, NICK, ACK, GAP, AWAY = 0x20, 0x21, 0x22, 0x23, 0x24, 0x41
FLAG_ACTION, FLAG_PRIVATE, FLAG_LATE = 1, 2, 4

Message = namedtuple("Message", "kind fields")


def _u64(data, what, limit=MAX_COUNTER):
    value = int.from_bytes(data, "big")
    _need(value <= limit, what)
    return value


def _utf8(data, what):
    try:
        return data.decode("utf-8")        # strict; Python keeps a byte-order mark
    except UnicodeDecodeError:
        raise ProtocolError(what + ": UTF-8") from None


def received_nick(data):
    """§9: what is a protocol error on receipt."""
    _need(1 <= len(data) <= 64, "nick: length")
    nick = _utf8(data, "nick")
    _need(nfc(nick) == nick, "nick: NFC")
    _need(not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs")
                  for c in nick), "nick: character")
    return nick


def parse_message(data):
    """The plaintext of a peer record (§6); form only."""
    _need(len(data) >= 1, "empty message")
    kind, body = data[0], data[1:]
    if kind == CLOSE:
        _need(len(body) == 1, "CLOSE")
        return Message(kind, {"reason": body[0]})
    if kind == HELLO:
        _need(len(body) >= 21 and len(body) == 21 + body[20], "HELLO")
        return Message(kind, {"features": int.from_bytes(body[:4], "big"),
                              "instance": body[4:20], "nick": received_nick(body[21:])})
    if kind == CHAT:
        _need(57 < len(body) <= 57 + MAX_TEXT_BYTES, "CHAT: length")
        seq = _u64(body[:8], "seq")
        _need(seq > 0, "seq 0")
        _need(body[24] & ~7 == 0, "flags")
        return Message(kind, {"seq": seq, "id": body[8:16],
                              "time": _u64(body[16:24], "time", MAX_TIME),
                              "flags": body[24], "view": body[25:57],
                              "text": _utf8(body[57:], "text")})
    if kind == NICK:
        _need(len(body) >= 8, "NICK")
        seq = _u64(body[:8], "seq")
        _need(seq > 0, "seq 0")
        return Message(kind, {"seq": seq, "nick": received_nick(body[8:])})
    if kind in (ACK, GAP):
        _need(len(body) == 8, "ACK")
        return Message(kind, {"n": _u64(body, "counter")})
    if kind == AWAY:
        try:
            _need(len(body) <= 200, "AWAY")
            return Message(kind, {"text": _utf8(body, "AWAY")})
        except ProtocolError:
            return Message(kind, {})       # malformed: ignored
    if 0x40 <= kind <= 0x7F:
        return Message(kind, {})
    raise ProtocolError(f"message type {kind:02x}")


def check_state(message, hello_in, sent):
    """§6: nothing but CLOSE before HELLO, one HELLO, no ACK above what was sent."""
    if message.kind == CLOSE:
        return
    _need((message.kind == HELLO) != hello_in, "HELLO first, and once")
    if message.kind == ACK:
        _need(message.fields["n"] <= sent, "ACK above what was sent")


def u64(n):
    return struct.pack(">Q", n)


def build_close(reason):
    return bytes([CLOSE, reason])


def build_hello(instance, nick, features=0):
    data = nick.encode("utf-8")
    return bytes([HELLO]) + struct.pack(">I", features) + instance + bytes([len(data)]) + data


def build_chat(seq, ident, time_ms, flags, view, text):
    return (bytes([CHAT]) + u64(seq) + ident + u64(time_ms) + bytes([flags]) + view
            + text.encode("utf-8"))


def build_nick(seq, nick):
    return bytes([NICK]) + u64(seq) + nick.encode("utf-8")


def build_ack(received):
    return bytes([ACK]) + u64(received)


def build_gap(following):
    return bytes([GAP]) + u64(following)


def build_away(text):
    return bytes([AWAY]) + text.encode("utf-8")


def view_hash(fp_s, room, members):
    """§6.  `members`: pairs (sid, FP), oneself among them."""
    return H(b"hearth/1 view\0", fp_s, room, *[sid + fp for sid, fp in sorted(members)])


# --- §7, §8: password, safety number ------------------------------------------------

def password_keys(password, fp_s):
    """(Kjoin, Kroom)."""
    k = hashlib.scrypt(nfc(password).encode("utf-8"), salt=H(b"hearth/1 pw\0", fp_s),
                       n=2 ** 17, r=8, p=1, maxmem=256 * 2 ** 20, dklen=64)
    return k[:32], k[32:]


def join_proof(kjoin, th3):
    return hmac.new(kjoin, b"hearth/1 join\0" + th3, hashlib.sha256).digest()


def join_text(kjoin):
    return "hearth-join:" + base64.b64encode(kjoin).decode().rstrip("=")


def safety_number(ident):
    d = hashlib.sha512(b"hearth/1 safety\0" + ident).digest()
    return " ".join(f"{int.from_bytes(d[i:i + 5], 'big') % 100000:05d}" for i in range(0, 30, 5))


# --- §9: nicknames --------------------------------------------------------------------

DEFAULT_IGNORABLE = [
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)]
# Letters of the script Common.  Python has no Script property: others are told by the name.
COMMON_LETTERS = [
    (0xB5, 0xB5), (0x2B9, 0x2DF), (0x2E5, 0x2E9), (0x2EC, 0x2FF), (0x374, 0x374),
    (0x640, 0x640), (0x3006, 0x3006), (0x3031, 0x3035), (0x303C, 0x303C), (0x30FC, 0x30FC),
    (0xA717, 0xA721), (0xA788, 0xA788), (0xFF70, 0xFF70), (0xFF9E, 0xFF9F),
    (0x2100, 0x2125), (0x2127, 0x2129), (0x212C, 0x2131), (0x2133, 0x214D),
    (0x1D400, 0x1D7FF)]
EAST_ASIAN = {"HAN", "HIRAGANA", "KATAKANA", "BOPOMOFO", "HANGUL"}


def _within(code, ranges):
    return any(low <= code <= high for low, high in ranges)


def script_of(letter):
    """The script of a letter by its name (Common: None).  An approximation that is good for
    the scripts people write in."""
    if _within(ord(letter), COMMON_LETTERS):
        return None
    words = unicodedata.name(letter, "?").split()
    while words[0] in ("FULLWIDTH", "HALFWIDTH"):
        words.pop(0)
    word = words[0].split("-")[0]
    if word in ("CJK", "IDEOGRAPHIC"):
        word = "HAN"
    elif word in ("MODIFIER", "FEMININE", "MASCULINE", "KELVIN", "ANGSTROM", "TURNED"):
        word = "LATIN"
    elif word == "OHM":
        word = "GREEK"
    return "EAST ASIAN" if word in EAST_ASIAN else word


def nick_columns(nick):
    columns = 0
    for c in nick:
        if unicodedata.category(c) in ("Mn", "Mc", "Me"):
            continue
        columns += 2 if unicodedata.east_asian_width(c) in "WF" else 1
    return columns


def own_nick_ok(nick):
    """§9: all that a client enforces on its own user."""
    try:
        received_nick(nick.encode("utf-8"))
    except (ProtocolError, UnicodeEncodeError):
        return False
    marks, scripts = 0, set()
    for i, c in enumerate(nick):
        category = unicodedata.category(c)
        if _within(ord(c), DEFAULT_IGNORABLE):
            return False
        if category in ("Mn", "Mc"):
            marks += 1
            if marks > 4:
                return False
        else:
            marks = 0
            if not (category[0] == "L" or category == "Nd" or c in "._-"):
                return False
        if category[0] == "L":
            scripts.add(script_of(c))
        if i == 0 and not (category[0] == "L" or category == "Nd"):
            return False
    return len(scripts - {None}) <= 1 and 1 <= nick_columns(nick) <= 24


def shown_nick(nick, fp):
    return nick if own_nick_ok(nick) else "?" + fp_text(fp)[7:11]


def shown_nicks(members):
    """`members`: triples (nick, fp, sid); how each is shown when all are present."""
    shown = [shown_nick(nick, fp) for nick, fp, _ in members]

    def twins(names):
        folded = [n.casefold() for n in names]
        return [folded.count(f) > 1 for f in folded]

    first = [n + "#" + fp_text(m[1])[7:11] if twin else n
             for n, twin, m in zip(shown, twins(shown), members)]
    return [n + "#" + m[2].hex()[:4] if twin else full
            for n, full, twin, m in zip(shown, first, twins(first), members)]
