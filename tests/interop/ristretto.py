"""ristretto255 (RFC 9496) and CPace of draft-irtf-cfrg-cpace with it, in plain Python.

Not in constant time: for tests only.
"""

import hashlib
import os

P = 2 ** 255 - 19
ORDER = 2 ** 252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)                # extended coordinates X, Y, Z, T
ZERO32 = bytes(32)


def _negative(x):
    return x & 1


def _abs(x):
    return P - x if x & 1 else x


def _sqrt_ratio(u, v):
    """RFC 9496, 4.2."""
    r = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    check = v * r * r % P
    if check in ((-u) % P, -u * SQRT_M1 % P):
        r = r * SQRT_M1 % P
    return check in (u % P, -u % P), _abs(r)


INVSQRT_A_MINUS_D = _sqrt_ratio(1, (-1 - D) % P)[1]
SQRT_AD_MINUS_ONE = 25063068953384623474111414158702152701244531502492656460079210482610430750235
ONE_MINUS_D_SQ = (1 - D * D) % P
D_MINUS_ONE_SQ = (D - 1) ** 2 % P
assert SQRT_AD_MINUS_ONE ** 2 % P == (-D - 1) % P


def decode(data):
    """4.3.1; ValueError for what is no encoding."""
    s = int.from_bytes(data, "little")
    if len(data) != 32 or s >= P or _negative(s):
        raise ValueError("not canonical")
    ss = s * s % P
    u1, u2 = (1 - ss) % P, (1 + ss) % P
    u2_sqr = u2 * u2 % P
    v = (-(D * u1 * u1) - u2_sqr) % P
    square, inv = _sqrt_ratio(1, v * u2_sqr % P)
    den_x = inv * u2 % P
    x = _abs(2 * s * den_x % P)
    y = u1 * inv * den_x * v % P
    t = x * y % P
    if not square or _negative(t) or y == 0:
        raise ValueError("no element")
    return x, y, 1, t


def encode(point):
    """4.3.2."""
    x0, y0, z0, t0 = point
    u1, u2 = (z0 + y0) * (z0 - y0) % P, x0 * y0 % P
    inv = _sqrt_ratio(1, u1 * u2 * u2 % P)[1]
    den1, den2 = inv * u1 % P, inv * u2 % P
    z_inv = den1 * den2 * t0 % P
    x, y, den = x0, y0, den2
    if _negative(t0 * z_inv % P):
        x, y, den = y0 * SQRT_M1 % P, x0 * SQRT_M1 % P, den1 * INVSQRT_A_MINUS_D % P
    if _negative(x * z_inv % P):
        y = -y % P
    return _abs(den * (z0 - y) % P).to_bytes(32, "little")


def _map(data):
    """4.3.4, MAP."""
    t = int.from_bytes(data, "little") % 2 ** 255 % P
    r = SQRT_M1 * t * t % P
    u = (r + 1) * ONE_MINUS_D_SQ % P
    v = (-1 - r * D) * (r + D) % P
    square, s = _sqrt_ratio(u, v)
    c = -1
    if not square:
        s, c = -_abs(s * t % P) % P, r
    n = (c * (r - 1) * D_MINUS_ONE_SQ - v) % P
    w0, w1 = 2 * s * v % P, n * SQRT_AD_MINUS_ONE % P
    w2, w3 = (1 - s * s) % P, (1 + s * s) % P
    return w0 * w3 % P, w2 * w1 % P, w1 * w3 % P, w0 * w2 % P


def from_hash(data):
    """4.3.4: the element derived from 64 bytes."""
    return add(_map(data[:32]), _map(data[32:]))


def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * D * p[3] * q[3] % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(k, point):
    out = IDENTITY
    for bit in bin(k % ORDER)[2:]:
        out = add(out, out)
        if bit == "1":
            out = add(out, point)
    return out


# --- CPace ------------------------------------------------------------------------------

def _lv(data):
    size, head = len(data), b""        # LEB128, as the draft prepends lengths
    while True:
        head += bytes([size & 127 | (128 if size > 127 else 0)])
        size >>= 7
        if not size:
            return head + data


def generator_string(prs, ci, sid, dsi=b"CPaceRistretto255", block=128):
    zeros = max(0, block - 1 - len(_lv(prs)) - len(_lv(dsi)))
    return _lv(dsi) + _lv(prs) + _lv(bytes(zeros)) + _lv(ci) + _lv(sid)


def generator(prs, ci, sid):
    return from_hash(hashlib.sha512(generator_string(prs, ci, sid)).digest())


def isk(sid, k, yi, ada, yr, adb):
    return hashlib.sha512(_lv(b"CPaceRistretto255_ISK") + _lv(sid) + _lv(k)
                          + _lv(yi) + _lv(ada) + _lv(yr) + _lv(adb)).digest()


class CPace:
    """One side: Y to send, then result(other's Y), 64 bytes.  `y`: only known answers give it."""

    def __init__(self, prs, ci, sid, initiator, y=None):
        self.sid, self.initiator = sid, initiator
        self.y = 1 + int.from_bytes(os.urandom(64), "little") % (ORDER - 1) if y is None else y
        self.g = generator(prs, ci, sid)
        self.Y = encode(multiply(self.y, self.g))

    def result(self, other, own_ad=b"", other_ad=b""):
        """ValueError for a Y that has no ISK."""
        self.K = encode(multiply(self.y, decode(other)))
        if self.K == ZERO32:
            raise ValueError("the identity")
        own, theirs = (self.Y, own_ad), (other, other_ad)
        first, second = (own, theirs) if self.initiator else (theirs, own)
        return isk(self.sid, self.K, *first, *second)
