/**
 * The functions of @std that are used, with types; no other module imports @std.
 *
 * @module
 */

// @ts-types="./std.d.ts"
export { parseArgs } from "@std/cli/parse-args";
// @ts-types="./std.d.ts"
export { decodeBase64, encodeBase64 } from "@std/encoding/base64";
export type { ParsedArguments, ParseOptions } from "./std.d.ts";
