/** Types for the functions of @std that are used; the package on the npm registry comes without. */

export interface ParseOptions {
  boolean?: readonly string[];
  string?: readonly string[];
  collect?: readonly string[];
  alias?: Readonly<Record<string, string>>;
  "--"?: boolean;
  stopEarly?: boolean;
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

export interface ParsedArguments {
  _: (string | number)[];
  "--"?: string[];
  [option: string]: unknown;
}

export function parseArgs(args: readonly string[], options?: ParseOptions): ParsedArguments;
export function encodeBase64(data: Uint8Array): string;
export function decodeBase64(text: string): Uint8Array<ArrayBuffer>;
