"""ML-KEM-768 (FIPS 203) in plain Python, for the known answers; `generate` and the rest of what a
handshake uses come from `cryptography` where it has them, and from here where it does not.
"""

import hashlib
import os

N, Q, K = 256, 3329, 3                 # FIPS 203, 8: ML-KEM-768 has k = 3, eta = 2, du = 10, dv = 4
DU, DV = 10, 4
EK_BYTES, KCT_BYTES = 1184, 1088


def _bitrev7(i):
    return int(f"{i:07b}"[::-1], 2)


ZETAS = [pow(17, _bitrev7(i), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * _bitrev7(i) + 1, Q) for i in range(128)]


def _ntt(f):
    f, i, size = list(f), 1, 128
    while size >= 2:
        for start in range(0, N, 2 * size):
            zeta, i = ZETAS[i], i + 1
            for j in range(start, start + size):
                t = zeta * f[j + size] % Q
                f[j + size], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
        size //= 2
    return f


def _inverse_ntt(f):
    f, i, size = list(f), 127, 2
    while size <= 128:
        for start in range(0, N, 2 * size):
            zeta, i = ZETAS[i], i - 1
            for j in range(start, start + size):
                t = f[j]
                f[j] = (t + f[j + size]) % Q
                f[j + size] = zeta * (f[j + size] - t) % Q
        size *= 2
    return [x * 3303 % Q for x in f]


def _multiply(f, g):
    out = []
    for i, gamma in enumerate(GAMMAS):
        a0, a1, b0, b1 = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        out += [(a0 * b0 + a1 * b1 * gamma) % Q, (a0 * b1 + a1 * b0) % Q]
    return out


def _add(f, g):
    return [(a + b) % Q for a, b in zip(f, g)]


def _dot(fs, gs):
    total = [0] * N
    for f, g in zip(fs, gs):
        total = _add(total, _multiply(f, g))
    return total


def _encode(d, f):
    value = sum(x << d * i for i, x in enumerate(f))
    return value.to_bytes(32 * d, "little")


def _decode(d, data):
    value = int.from_bytes(data, "little")
    return [value >> d * i & (1 << d) - 1 for i in range(N)]


def _compress(d, f):
    return [((x << d + 1) + Q) // (2 * Q) % (1 << d) for x in f]


def _decompress(d, f):
    return [(x * Q * 2 + (1 << d)) >> d + 1 for x in f]


def _sample_ntt(seed):
    data, out = hashlib.shake_128(seed).digest(3 * 512), []
    for i in range(0, len(data), 3):
        a, b, c = data[i:i + 3]
        out += [x for x in (a + 256 * (b % 16), b // 16 + 16 * c) if x < Q]
        if len(out) >= N:
            return out[:N]
    raise AssertionError("more bytes needed")      # never, but with 2^-400


def _sample_cbd(seed, b):
    """Centered binomial with eta = 2 from PRF(seed, b)."""
    bits = int.from_bytes(hashlib.shake_256(seed + bytes([b])).digest(128), "little")
    out = []
    for _ in range(N):
        out.append((bits & 1) + (bits >> 1 & 1) - (bits >> 2 & 1) - (bits >> 3 & 1))
        bits >>= 4
    return [x % Q for x in out]


def _g(data):
    d = hashlib.sha3_512(data).digest()
    return d[:32], d[32:]


def _matrix(rho):
    return [[_sample_ntt(rho + bytes([j, i])) for j in range(K)] for i in range(K)]


def _pke_keys(d):
    rho, sigma = _g(d + bytes([K]))
    a = _matrix(rho)
    s = [_ntt(_sample_cbd(sigma, i)) for i in range(K)]
    e = [_ntt(_sample_cbd(sigma, K + i)) for i in range(K)]
    t = [_add(_dot(a[i], s), e[i]) for i in range(K)]
    return b"".join(_encode(12, f) for f in t) + rho, s


def _pke_encrypt(ek, m, r):
    t = [_decode(12, ek[384 * i:384 * i + 384]) for i in range(K)]
    a = _matrix(ek[384 * K:])
    y = [_ntt(_sample_cbd(r, i)) for i in range(K)]
    e1 = [_sample_cbd(r, K + i) for i in range(K)]
    e2 = _sample_cbd(r, 2 * K)
    u = [_add(_inverse_ntt(_dot([a[j][i] for j in range(K)], y)), e1[i]) for i in range(K)]
    v = _add(_add(_inverse_ntt(_dot(t, y)), e2), _decompress(1, _decode(1, m)))
    return b"".join(_encode(DU, _compress(DU, f)) for f in u) + _encode(DV, _compress(DV, v))


def _pke_decrypt(s, c):
    u = [_decompress(DU, _decode(DU, c[320 * i:320 * i + 320])) for i in range(K)]
    v = _decompress(DV, _decode(DV, c[320 * K:]))
    w = _inverse_ntt(_dot(s, [_ntt(f) for f in u]))
    return _encode(1, _compress(1, [(a - b) % Q for a, b in zip(v, w)]))


def good_ek(ek):
    """FIPS 203, 7.2: the length, and every value below 3329."""
    return len(ek) == EK_BYTES and all(
        x < Q for i in range(K) for x in _decode(12, ek[384 * i:384 * i + 384]))


def encaps_internal(ek, m):
    """(kct, kss) of FIPS 203, algorithm 17."""
    kss, r = _g(m + hashlib.sha3_256(ek).digest())
    return _pke_encrypt(ek, m, r), kss


class PlainKey:
    """A decapsulation key from its seed d || z (FIPS 203, algorithms 16 and 18)."""

    def __init__(self, seed):
        self.ek, self.s = _pke_keys(seed[:32])
        self.z, self.h = seed[32:], hashlib.sha3_256(self.ek).digest()

    def decapsulate(self, kct):
        m = _pke_decrypt(self.s, kct)
        kss, r = _g(m + self.h)
        if _pke_encrypt(self.ek, m, r) != kct:
            return hashlib.shake_256(self.z + kct).digest(32)
        return kss


try:
    from cryptography.hazmat.primitives.asymmetric.mlkem import (
        MLKEM768PrivateKey, MLKEM768PublicKey)

    class Key:
        """A decapsulation key; `ek` and decapsulate()."""

        def __init__(self, seed):
            self.key = MLKEM768PrivateKey.from_seed_bytes(seed)
            self.ek = self.key.public_key().public_bytes_raw()

        def decapsulate(self, kct):
            return self.key.decapsulate(kct)

    def encapsulate(ek):
        kss, kct = MLKEM768PublicKey.from_public_bytes(ek).encapsulate()
        return kct, kss
except ImportError:
    Key = PlainKey

    def encapsulate(ek):
        return encaps_internal(ek, os.urandom(32))
