/** Types of the part of dns-packet that is used: those on the npm registry know no question for all types. */

export interface PacketQuestion {
  readonly name: string;
  readonly type: string;
  readonly class?: string;
}

interface Owned {
  readonly name: string;
  readonly ttl?: number;
  readonly class?: string;
  readonly flush?: boolean;
}

export type PacketRecord =
  & Owned
  & (
    | { readonly type: "PTR" | "A" | "AAAA"; readonly data: string }
    | {
      readonly type: "SRV";
      readonly data: {
        readonly priority?: number;
        readonly weight?: number;
        readonly port: number;
        readonly target: string;
      };
    }
    | { readonly type: "TXT"; readonly data: readonly Uint8Array[] }
  );

/** What is decoded may also hold records of other types. */
export interface Packet {
  readonly type?: "query" | "response";
  readonly id?: number;
  readonly flags?: number;
  readonly questions?: readonly PacketQuestion[];
  readonly answers?: readonly PacketRecord[];
  readonly authorities?: readonly PacketRecord[];
  readonly additionals?: readonly PacketRecord[];
}

export function decode(buffer: Uint8Array): Required<Packet>;
export function encode(packet: Packet): Uint8Array<ArrayBuffer>;
export const AUTHORITATIVE_ANSWER: number;
