"""HEARTH/2, written from the text of the protocol alone.

This module holds everything that needs no network: identities (§1), the handshake of both layers
(§3), records and padding (§4), transport frames (§5), peer messages, CAST, views (§6), passwords
(§7), safety numbers (§8) and nicknames (§9).  kem.py has ML-KEM, ristretto.py CPace.  It shares no
code with the program that it tests.  Python 3.11, `cryptography`.
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
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey, Ed25519PublicKey)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey, X25519PublicKey)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

import kem
import ristretto
from ristretto import CPace

MAGIC = b"HEARTH/2"
MAGIC_OTHER = b"HEARTH/?"
ZERO32 = bytes(32)
ZERO64 = bytes(64)
NO_SID = bytes(8)
MAX_COUNTER = 2 ** 48 - 1          # §1: counters are below 2^48
MAX_TIME = 2 ** 53 - 1             # §1: times are below 2^53
MIN_RECORD_BYTES, MAX_RECORD_BYTES = 17, 16400
MAX_PLAINTEXT = MAX_RECORD_BYTES - 16
MAX_PAYLOAD_BYTES = 16000
MAX_PADDED = MAX_PAYLOAD_BYTES - 16
MAX_TEXT_BYTES = 8192
MAX_NOTICE_BYTES = 1024
MAX_CT2, MAX_CT3_TRANSPORT, MAX_CT3_PEER = 1163, 1067, 1677
M1_BYTES = {"transport": 1224, "peer": 1256}
BOX_BYTES, MIN_COMMON, MAX_COMMON, MAX_CAST = 57, 28, 8720, 236
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


OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), b"hearth/2 kem")


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


class SessionKey:
    """§3: an Ed25519 key in memory, certified by an RSA identity."""

    def __init__(self, identity, ctx, context, seed=None, cert=None):
        self.sk = Ed25519PrivateKey.from_private_bytes(seed or os.urandom(32))
        self.pk = self.sk.public_key().public_bytes_raw()
        self.cert = cert or identity.sign(ctx, context + self.pk)

    @classmethod
    def of_relay(cls, identity, **given):
        return cls(identity, "hearth/2 relay session", b"", **given)

    @classmethod
    def of_member(cls, identity, fp_s, room, sid, **given):
        return cls(identity, "hearth/2 member session", fp_s + room + sid, **given)

    def sign(self, ctx, message):
        """ED(sk, ctx, m)."""
        return self.sk.sign(ctx.encode("ascii") + b"\0" + message)


def ed_verify(pk, ctx, message, signature):
    try:
        Ed25519PublicKey.from_public_bytes(pk).verify(
            signature, ctx.encode("ascii") + b"\0" + message)
        return True
    except (InvalidSignature, ValueError):
        return False


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


def split_fields(plaintext, spec):
    """`spec`: of each field its length, or None for L(x).  They fill the text exactly."""
    fields, at = [], 0
    for size in spec:
        if size is None:
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


SESSION_FIELDS = (None, 32, None, 64)              # ID, pk, CERT, ED
PEER_M3_FIELDS = (None, None, 32, None, 64)        # ID, c, pk, CERT, ED
TRANSPORT_M3_FIELDS = (None, None)                 # ID, SIG


class Handshake:
    """What both roles share.  Every intermediate value is kept for the known answers.

    Peer mode: `kroom` with a password; `session` is the own SessionKey (also of a relay).
    `ephemeral`, `y` and the other fixed values are given only by known answers and attacks.
    """

    initiator = None

    def __init__(self, mode, key, prologue=b"", kroom=None, session=None, ephemeral=None, y=None):
        assert mode in ("transport", "peer")
        self.mode, self.key, self.prologue, self.session = mode, key, prologue, session
        self.peer = mode == "peer"
        self.kroom, self.y = kroom if self.peer else None, y
        self.ephemeral = ephemeral or os.urandom(32)
        self.public = x25519_public(self.ephemeral)
        self.label = "hearth/2 peer " if self.peer else "hearth/2 "
        self.other = self.cpace = None
        self.psk, self.s = ZERO64, b""

    def _th0(self, m1):
        self.th0 = H(b"hearth/2 " + self.mode.encode() + b"\0", self.prologue, m1)

    def _own_y(self, ei):
        """YI or YR: empty in transport mode, zeros without a password."""
        if not self.peer:
            return b""
        if self.kroom is None:
            return ZERO32
        self.ci = H(b"hearth/2 cpace peer\0", self.prologue)
        self.cpace = CPace(self.kroom, self.ci, ei, self.initiator, self.y)
        return self.cpace.Y

    def _fits(self, y):
        """§7: both zeros, or both elements."""
        if (y == ZERO32) != (self.kroom is None):
            raise HandshakeError("Y does not fit")
        if self.kroom is not None:
            try:
                ristretto.decode(y)
            except ValueError:
                raise HandshakeError("Y") from None

    def _secrets(self, other, er, kss, own_kct, y_r, y_other):
        """th1, prk, kR, kI; `own_kct` is the kct of M2."""
        self.ee = x25519(self.ephemeral, other)
        self.kct = own_kct
        self.kss = kss() if callable(kss) else kss
        if self.cpace:
            try:
                self.psk = self.cpace.result(y_other)
            except ValueError:
                raise HandshakeError("Y") from None
        self.th1 = H(self.th0, er, own_kct, y_r)
        self.prk = Ext(self.th1, self.ee + self.kss + self.psk)
        self.kR = Exp(self.prk, "hearth/2 hs responder", 32)
        self.kI = Exp(self.prk, "hearth/2 hs initiator", 32)

    def _finish(self, ct3):
        self.th3 = H(self.th2, L(ct3))
        self.prk2 = Ext(self.th3, self.prk + self.s)
        self.ckI = Exp(self.prk2, "hearth/2 ap initiator", 32)
        self.ckR = Exp(self.prk2, "hearth/2 ap responder", 32)

    def _opened(self, key, ad, message, limit, spec):
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
        return plaintext, split_fields(plaintext, spec)

    def _identity(self, blob, expected_fp):
        """ID form, then the FP that is claimed in a room (a pin is the caller's)."""
        try:
            other = PublicIdentity(blob)
        except ValueError:
            raise HandshakeError("ID") from None
        if expected_fp is not None and other.fp != expected_fp:
            raise HandshakeError("fingerprint")
        return other

    def _certified(self, other, pk, cert):
        """CERT: of a relay, or of a member at the place that one's own prologue names."""
        if self.peer:
            fp_s_room, sid_i, sid_r = self.prologue[:64], self.prologue[128:136], self.prologue[136:]
            ctx = "hearth/2 member session"
            context = fp_s_room + (sid_r if self.initiator else sid_i)
        else:
            ctx, context = "hearth/2 relay session", b""
        if not other.verify(ctx, context + pk, cert):
            raise HandshakeError("CERT")


class Initiator(Handshake):
    """I of §3: m1(), read_m2(), m3(); then ckI, ckR, th3."""

    initiator = True

    def m1(self, dk_seed=None):
        self.dk = kem.Key(dk_seed or os.urandom(64))
        self.ek = self.dk.ek
        self.M1 = MAGIC + self.public + self.ek + self._own_y(self.public)
        self._th0(self.M1)
        return self.M1

    def read_m2(self, m2, expected_fp=None):
        """Returns the responder's PublicIdentity.  `expected_fp`: the claimed one of a peer."""
        head = 32 + kem.KCT_BYTES
        if len(m2) < head + 34:
            raise HandshakeError("length")
        er, kct, rest = m2[:32], m2[32:head], m2[head:]
        y = b""
        if self.peer:
            y, rest = rest[:32], rest[32:]
            self._fits(y)
        self._secrets(er, er, lambda: self.dk.decapsulate(kct), kct, y, y)
        self.ct2_plaintext, (blob, pk, cert, ed) = self._opened(
            self.kR, self.th1, rest, MAX_CT2, SESSION_FIELDS)
        other = self._identity(blob, expected_fp)
        self._certified(other, pk, cert)
        if not ed_verify(pk, self.label + "responder", self.th1 + other.id + pk, ed):
            raise HandshakeError("ED")
        self.th2 = H(self.th1, rest)
        self.other = other
        return other

    def m3(self, s=None, c=None, sig=None, plaintext=None):
        """Known answers give `s`, `c` and `sig`, attacks the whole `plaintext`."""
        if self.peer:
            self.s = s or os.urandom(32)
            self.c = c or self.other.encapsulate(self.s)
            signed = self.th2 + self.key.id + self.c + self.session.pk
            own = (L(self.key.id) + L(self.c) + self.session.pk + L(self.session.cert)
                   + (sig or self.session.sign(self.label + "initiator", signed)))
        else:
            own = L(self.key.id) + L(
                sig or self.key.sign(self.label + "initiator", self.th2 + self.key.id))
        self.ct3_plaintext = plaintext or own
        ct3 = aead_seal(self.kI, 0, self.th2, self.ct3_plaintext)
        self._finish(ct3)
        return L(ct3)


class Responder(Handshake):
    """R of §3: read_m1(), m2(), read_m3()."""

    initiator = False

    def read_m1(self, m1, kct=None, kss=None):
        """`kct` and `kss` are given only by known answers."""
        if len(m1) != M1_BYTES[self.mode] or m1[:8] != MAGIC:
            raise HandshakeError("M1")
        ei, ek, y = m1[8:40], m1[40:1224], m1[1224:]
        if not kem.good_ek(ek):
            raise HandshakeError("ek")
        if self.peer:
            self._fits(y)
        self._th0(m1)
        if kct is None:
            kct, kss = kem.encapsulate(ek)
        self.Y = self._own_y(ei)
        self._secrets(ei, self.public, kss, kct, self.Y, y)

    def m2(self, sig=None, plaintext=None):
        signed = self.th1 + self.key.id + self.session.pk
        self.ct2_plaintext = plaintext or (
            L(self.key.id) + self.session.pk + L(self.session.cert)
            + (sig or self.session.sign(self.label + "responder", signed)))
        ct2 = aead_seal(self.kR, 0, self.th1, self.ct2_plaintext)
        self.th2 = H(self.th1, L(ct2))
        return self.public + self.kct + self.Y + L(ct2)

    def read_m3(self, m3, expected_fp=None):
        """Returns the initiator's PublicIdentity."""
        if not self.peer:
            self.ct3_plaintext, (blob, sig) = self._opened(
                self.kI, self.th2, m3, MAX_CT3_TRANSPORT, TRANSPORT_M3_FIELDS)
            other = self._identity(blob, expected_fp)
            if not other.verify(self.label + "initiator", self.th2 + other.id, sig):
                raise HandshakeError("SIG")
        else:
            self.ct3_plaintext, (blob, c, pk, cert, ed) = self._opened(
                self.kI, self.th2, m3, MAX_CT3_PEER, PEER_M3_FIELDS)
            if len(c) != self.key.k:
                raise HandshakeError("length of c")
            other = self._identity(blob, expected_fp)
            self._certified(other, pk, cert)
            if not ed_verify(pk, self.label + "initiator", self.th2 + other.id + c + pk, ed):
                raise HandshakeError("ED")
            self.c, self.s = c, self.key.decapsulate(c)
        self._finish(m3[2:])
        self.other = other
        return other


# --- §4: records --------------------------------------------------------------------

class Chain:
    """One direction: chain key, counter, and the key of the present span of 1024."""

    def __init__(self, ck):
        self.ck, self.n = ck, 0
        self.key = Exp(ck, "hearth/2 key", 32)

    def _advance(self):
        self.n += 1
        if self.n % SPAN == 0:
            self.ck = Exp(self.ck, "hearth/2 next", 32)
            self.key = Exp(self.ck, "hearth/2 key", 32)

    def _check(self):
        if self.n > MAX_COUNTER:
            raise ProtocolError("the counter is used up")

    def seal(self, plaintext, ad=b""):
        self._check()
        ct = aead_seal(self.key, self.n, ad, plaintext)
        self._advance()
        return ct

    def open(self, ct, ad=b""):
        self._check()
        try:
            plaintext = aead_open(self.key, self.n, ad, ct)
        except ValueError:
            raise ProtocolError("record") from None
        self._advance()
        return plaintext


def padded_bytes(size):
    """Padmé: the length of the plaintext of a message of `size` bytes (its 80 is counted here)."""
    m = size + 1
    e = m.bit_length() - 1
    s = e.bit_length()
    mask = (1 << e - s) - 1
    return min(m + mask & ~mask, MAX_PADDED)


def pad(message):
    size = padded_bytes(len(message))
    assert len(message) < size
    return message + b"\x80" + bytes(size - len(message) - 1)


def unpad(plaintext):
    message = plaintext.rstrip(b"\0")
    if not message.endswith(b"\x80"):
        raise ProtocolError("padding")
    message = message[:-1]
    if not message or len(plaintext) != padded_bytes(len(message)):
        raise ProtocolError("padding")
    return message


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


# --- §5: transport frames ---------------------------------------------------------

(CLOSE, PING, PONG, JOIN, WELCOME, JOINED, LEFT, SEND, RECV, SHARE, PROOF, ADMIN, RESULT, NOTICE,
 CAST, PART) = (0x00, 0x01, 0x02, *range(0x10, 0x1D))
FRAME_NAMES = {CLOSE: "CLOSE", PING: "PING", PONG: "PONG", JOIN: "JOIN", WELCOME: "WELCOME",
               JOINED: "JOINED", LEFT: "LEFT", SEND: "SEND", RECV: "RECV", SHARE: "SHARE",
               PROOF: "PROOF", ADMIN: "ADMIN", RESULT: "RESULT", NOTICE: "NOTICE", CAST: "CAST",
               PART: "PART"}
REASONS = {0: "normal", 1: "password", 2: "not allowed", 3: "protocol error", 4: "timeout",
           5: "full", 6: "replaced", 7: "shutting down", 8: "removed", 9: "key too weak",
           10: "too slow"}
FINAL_REASONS = {0, 1, 2, 6, 8, 9}
KICK, BAN, UNBAN, BANS, ANNOUNCE, MOTD = range(1, 7)
DONE, NOT_ALLOWED, UNKNOWN_VERB, BAD_ARGUMENT, NOTHING_THERE, TOO_MUCH = range(6)

Frame = namedtuple("Frame", "kind fields")


def _need(condition, what):
    if not condition:
        raise ProtocolError(what)


def parse_frame(kind, body, receiver):
    """Form of a frame for `receiver` ("relay" or "client"); no state."""
    n, relay = len(body), receiver == "relay"
    if kind == CLOSE:
        _need(n == 1, "CLOSE")
        return Frame(kind, {"reason": body[0]})
    if kind in (PING, PONG):
        _need(n == 8, "PING")
        return Frame(kind, {"data": body})
    if relay and kind == JOIN:
        _need(n == 80, "JOIN")
        return Frame(kind, {"ya": body[:32], "room": body[32:64], "instance": body[64:]})
    if kind == PROOF or kind == SHARE and not relay:
        _need(n == 32, "PROOF or SHARE")
        return Frame(kind, {"data": body})
    if not relay and kind == WELCOME:
        _need(n >= 12, "WELCOME")
        sid, (capacity, count) = body[:8], struct.unpack_from(">HH", body, 8)
        _need(n == 12 + 40 * count, "WELCOME")
        members = [[body[i:i + 8], body[i + 8:i + 40]] for i in range(12, n, 40)]
        return Frame(kind, {"sid": sid, "capacity": capacity, "members": members})
    if not relay and kind == JOINED:
        _need(n == 40, "JOINED")
        return Frame(kind, {"sid": body[:8], "fp": body[8:]})
    if not relay and kind == LEFT:
        _need(n == 9, "LEFT")
        return Frame(kind, {"sid": body[:8], "why": body[8]})
    if kind == (SEND if relay else RECV):
        _need(13 < n <= 13 + MAX_PAYLOAD_BYTES, "payload")
        _need(1 <= body[8] <= 4, "kind")
        return Frame(kind, {"sid": body[:8], "kind": body[8], "tag": body[9:13],
                            "payload": body[13:]})
    if relay and kind == ADMIN:
        _need(n >= 5, "ADMIN")
        return Frame(kind, {"request": body[:4], "verb": body[4], "argument": body[5:]})
    if not relay and kind == RESULT:
        _need(n >= 5, "RESULT")
        return Frame(kind, {"request": body[:4], "status": body[4], "data": body[5:]})
    if not relay and kind == NOTICE:
        _need(2 <= n <= 1 + MAX_NOTICE_BYTES, "NOTICE")
        return Frame(kind, {"what": body[0], "text": _utf8(body[1:], "NOTICE")})
    if relay and kind == CAST:
        _need(n >= 1 and 1 <= body[0] <= MAX_CAST, "CAST: count")
        size = 12 + BOX_BYTES
        at = 1 + size * body[0]
        _need(MIN_COMMON <= n - at <= MAX_COMMON, "CAST: size")
        entries = [[body[i:i + 8], body[i + 8:i + 12], body[i + 12:i + size]]
                   for i in range(1, at, size)]
        return Frame(kind, {"entries": entries, "common": body[at:]})
    if not relay and kind == PART:
        _need(MIN_COMMON <= n - 69 <= MAX_COMMON, "PART: size")
        return Frame(kind, {"sid": body[:8], "tag": body[8:12], "box": body[12:69],
                            "common": body[69:]})
    raise ProtocolError(f"frame type {kind:02x}")


def build_cast(entries, common):
    """`entries`: (sid, tag, box)."""
    return bytes([len(entries)]) + b"".join(map(b"".join, entries)) + common


def cast_room(common):
    """How many entries one CAST holds beside this common (one record)."""
    return min(MAX_CAST, (MAX_PLAINTEXT - 3 - 1 - len(common)) // (12 + BOX_BYTES))


class ClientRoster:
    """What a client may be told in which order (§5).  `asks`: its Ya was no zeros."""

    def __init__(self, asks=False):
        self.asks = asks
        self.share = self.answer = None
        self.sid, self.capacity, self.members = None, 0, {}

    def take(self, kind, body):
        """Parses, checks against the state, changes the state; returns the Frame."""
        f = parse_frame(kind, body, "client")
        v = f.fields
        if kind in (CLOSE, PING, PONG):
            return f
        if kind in (SHARE, PROOF):
            _need(self.sid is None, "after WELCOME")
            if kind == SHARE:
                _need(self.asks and self.share is None, "SHARE")
                try:
                    _need(v["data"] != ZERO32, "SHARE of zeros")
                    ristretto.decode(v["data"])
                except ValueError:
                    raise ProtocolError("SHARE") from None
                self.share = v["data"]
            else:
                _need(self.share is not None and self.answer is None, "PROOF")
                self.answer = v["data"]
            return f
        if kind == WELCOME:
            _need(self.sid is None, "a second WELCOME")
            _need(1 <= v["capacity"] <= 256 and len(v["members"]) < v["capacity"], "capacity")
            sids = [sid for sid, _ in v["members"]] + [v["sid"]]
            _need(len(set(sids)) == len(sids) and NO_SID not in sids, "sids")
            self.sid, self.capacity = v["sid"], v["capacity"]
            self.members = {sid: fp for sid, fp in v["members"]}
            return f
        _need(self.sid is not None, "before WELCOME")
        if kind == JOINED:
            _need(v["sid"] not in self.members and v["sid"] not in (self.sid, NO_SID), "sid")
            _need(len(self.members) + 1 < self.capacity, "beyond the capacity")
            self.members[v["sid"]] = v["fp"]
        elif kind in (LEFT, RECV, PART):
            _need(v["sid"] in self.members, "unknown sid")
            if kind == LEFT:
                del self.members[v["sid"]]
        return f


class RelayReader:
    """What a relay may be told in which order (§5): JOIN or CLOSE first, JOIN once; between its
    SHARE and the PROOF (`proving`, set by the relay) only PROOF, CLOSE, PING and PONG."""

    def __init__(self):
        self.joined = self.proving = False

    def take(self, kind, body):
        f = parse_frame(kind, body, "relay")
        if kind == JOIN:
            _need(not self.joined, "a second JOIN")
            self.joined = True
        elif kind != CLOSE:
            _need(self.joined, "the first frame is no JOIN")
            if kind == PROOF:
                _need(self.proving, "PROOF")
                self.proving = False
            else:
                _need(not self.proving or kind in (PING, PONG), "something else than PROOF")
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
    return H(b"hearth/2 room\0", room_name(name).encode("utf-8"))


# --- §6: peer messages --------------------------------------------------------------

HELLO, CHAT, NICK, ACK, GAP, NOTE, KEY, AWAY, TOPIC = *range(0x20, 0x27), 0x41, 0x42
FLAG_ACTION, FLAG_PRIVATE, FLAG_LATE = 1, 2, 4
NO_REF = bytes(8)
REACTION, UNREACTION, EDIT, RETRACTION = 1, 2, 3, 4
NOTE_BYTES = {REACTION: (1, 32), UNREACTION: (0, 0), EDIT: (1, MAX_TEXT_BYTES), RETRACTION: (0, 0)}
DAY_MS = 86400000

Message = namedtuple("Message", "kind fields body", defaults=(b"",))   # body: of an extension


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


def _seq(data):
    seq = _u64(data, "seq")
    _need(seq > 0, "seq 0")
    return seq


def parse_message(data):
    """The message of a peer record (§6), its padding taken off; form only."""
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
        _need(65 < len(body) <= 65 + MAX_TEXT_BYTES, "CHAT: length")
        _need(body[8:16] != NO_REF, "id zeros")
        _need(body[24] & ~7 == 0, "flags")
        return Message(kind, {"seq": _seq(body[:8]), "id": body[8:16],
                              "time": _u64(body[16:24], "time", MAX_TIME),
                              "flags": body[24], "view": body[25:57], "reply": body[57:65],
                              "text": _utf8(body[65:], "text")})
    if kind == NICK:
        _need(len(body) >= 8, "NICK")
        return Message(kind, {"seq": _seq(body[:8]), "nick": received_nick(body[8:])})
    if kind in (ACK, GAP):
        _need(len(body) == 8, "ACK")
        return Message(kind, {"n": _u64(body, "counter")})
    if kind == NOTE:
        _need(17 <= len(body) <= 17 + MAX_TEXT_BYTES, "NOTE: length")
        fields = {"seq": _seq(body[:8]), "ref": body[8:16], "what": body[16]}
        if body[16] in NOTE_BYTES:
            low, high = NOTE_BYTES[body[16]]
            _need(low <= len(body) - 17 <= high, "NOTE: text")
            fields["text"] = _utf8(body[17:], "NOTE")
        return Message(kind, fields)
    if kind == AWAY:
        try:
            _need(len(body) <= 200, "AWAY")
            return Message(kind, {"away": _utf8(body, "AWAY")})
        except ProtocolError:
            return Message(kind, {})       # malformed: ignored
    if kind == TOPIC:
        try:
            _need(8 <= len(body) <= 208, "TOPIC")
            return Message(kind, {"time": _u64(body[:8], "time", MAX_TIME),
                                  "text": _utf8(body[8:], "TOPIC")})
        except ProtocolError:
            return Message(kind, {})       # malformed: ignored
    if 0x40 <= kind <= 0x7F:
        return Message(kind, {}, body)     # 50 to 53: see files.py
    raise ProtocolError(f"message type {kind:02x}")        # KEY too: only in a box


def check_state(message, hello_in, given_out):
    """§6: nothing but CLOSE before HELLO, one HELLO, no ACK above the numbers given out."""
    if message.kind == CLOSE:
        return
    _need((message.kind == HELLO) != hello_in, "HELLO first, and once")
    if message.kind == ACK:
        _need(message.fields["n"] <= given_out, "ACK above what was given out")


# --- §6: one envelope for many

def build_key(seq, k):
    return bytes([KEY]) + u64(seq) + k


def seal_common(k, content):
    return aead_seal(k, 0, b"", pad(content))


def seal_box(chain, common, seq, k):
    return chain.seal(build_key(seq, k), H(common))


def open_part(chain, box, common):
    """The Message of a PART; ProtocolError for everything that §6 calls a failed record."""
    data = chain.open(box, H(common))
    _need(len(data) == 41 and data[0] == KEY, "KEY in a box")
    _seq(data[1:9])
    try:
        content = unpad(aead_open(data[9:], 0, b"", common))
    except ValueError:
        raise ProtocolError("common") from None
    _need(content[0] in (CHAT, NOTE), "type of a content")
    message = parse_message(content[:1] + data[1:9] + content[1:])
    _need(message.fields.get("flags", 0) & ~FLAG_ACTION == 0, "flags of a content")
    return message


def content_of(message):
    """The content of a CHAT or NOTE: without its seq."""
    return message[:1] + message[9:]


def u64(n):
    return struct.pack(">Q", n)


def build_close(reason):
    return bytes([CLOSE, reason])


def build_hello(instance, nick, features=0):
    data = nick.encode("utf-8")
    return bytes([HELLO]) + struct.pack(">I", features) + instance + bytes([len(data)]) + data


def build_chat(seq, ident, time_ms, flags, view, text, reply=NO_REF):
    return (bytes([CHAT]) + u64(seq) + ident + u64(time_ms) + bytes([flags]) + view + reply
            + text.encode("utf-8"))


def build_note(seq, ref, what, text=""):
    return bytes([NOTE]) + u64(seq) + ref + bytes([what]) + text.encode("utf-8")


def build_topic(time_ms, text):
    return bytes([TOPIC]) + u64(time_ms) + text.encode("utf-8")


def build_nick(seq, nick):
    return bytes([NICK]) + u64(seq) + nick.encode("utf-8")


def build_ack(received):
    return bytes([ACK]) + u64(received)


def build_gap(following):
    return bytes([GAP]) + u64(following)


def build_away(text):
    return bytes([AWAY]) + text.encode("utf-8")


def reference(fp, ident):
    """How a message is referred to: its sender's FP is part of it."""
    return H(b"hearth/2 ref\0", fp, ident)[:8]


def view_hash(fp_s, room, members):
    """§6.  `members`: pairs (sid, FP), oneself among them."""
    return H(b"hearth/2 view\0", fp_s, room, *[sid + fp for sid, fp in sorted(members)])


# --- §7, §8: password, safety number ------------------------------------------------

def password_keys(password, fp_s):
    """(Kjoin, Kroom)."""
    k = hashlib.scrypt(nfc(password).encode("utf-8"), salt=H(b"hearth/2 pw\0", fp_s),
                       n=2 ** 17, r=8, p=1, maxmem=256 * 2 ** 20, dklen=64)
    return k[:32], k[32:]


class Join:
    """§7 towards the relay: Y to send; take(other's Y), ValueError where it has no ISK."""

    def __init__(self, kjoin, fp_i, fp_s, th3, initiator, y=None):
        self.th3 = th3
        self.ci = H(b"hearth/2 cpace transport\0", fp_i, fp_s)
        self.cpace = CPace(kjoin, self.ci, th3, initiator, y)
        self.Y = self.cpace.Y

    def take(self, other):
        self.isk = self.cpace.result(other)
        self.kp = Ext(self.th3, self.isk)
        self.proof = Exp(self.kp, "hearth/2 join client", 32)
        self.answer = Exp(self.kp, "hearth/2 join relay", 32)


def join_text(kjoin):
    return "hearth2-join:" + base64.b64encode(kjoin).decode().rstrip("=")


def join_key(text):
    """Kjoin of a `hearth2-join:` line."""
    if not text.startswith("hearth2-join:"):
        raise ValueError("no join key")
    body = text.removeprefix("hearth2-join:")
    kjoin = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    if len(kjoin) != 32:
        raise ValueError("no join key")
    return kjoin


def safety_number(ident):
    d = hashlib.sha512(b"hearth/2 safety\0" + ident).digest()
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
