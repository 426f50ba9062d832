/** Types of the few functions of node-forge and sshpk that are used: the packages carry none. */

interface Digest {
  create(): Digest;
}

export interface ForgePrivateKey {
  n: { bitLength(): number };
}

/** Node-forge; it keeps byte strings in strings, one character for each byte. */
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
      generateKeyPair(
        options: { bits: number; e: number },
        done: (error: Error | null, pair: { privateKey: ForgePrivateKey }) => void,
      ): void;
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
