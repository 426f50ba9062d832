/** Types for the functions of node-forge and sshpk that are used; the packages come without. */

interface Digest {
  create(): Digest;
}

export interface ForgePrivateKey {
  n: { bitLength(): number };
}

/** Byte strings are strings with one character per byte. */
export interface Forge {
  md: { sha256: Digest };
  pkcs1: {
    decode_rsa_oaep(
      key: ForgePrivateKey,
      encoded: string,
      options: { label: string; md: Digest; mgf1: { md: Digest } },
    ): string;
  };
  pki: {
    decryptRsaPrivateKey(pem: string, passphrase: string): ForgePrivateKey | null;
    privateKeyFromPem(pem: string): ForgePrivateKey;
    privateKeyToPem(key: ForgePrivateKey): string;
    rsa: {
      decrypt(data: string, key: ForgePrivateKey, isPublic: false, padding: false): string;
    };
  };
  util: { encodeUtf8(text: string): string };
}

export interface Sshpk {
  parsePrivateKey(
    text: string,
    format: "ssh-private",
    options: { passphrase?: string },
  ): { toString(format: "pkcs8"): string };
}
