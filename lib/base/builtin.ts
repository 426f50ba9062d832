/**
 * Modules of Node.js that are loaded when they are first used: together they take 20 ms of a program's start.
 *
 * @module
 */

import type * as NodeCrypto from "node:crypto";
import type * as NodePath from "node:path";
import type * as NodeUrl from "node:url";

interface Builtins {
  readonly process: {
    getBuiltinModule(name: "node:crypto"): typeof NodeCrypto;
    getBuiltinModule(name: "node:path"): typeof NodePath;
    getBuiltinModule(name: "node:url"): typeof NodeUrl;
  };
}

// A getter: the process object of Node.js comes with the first look at it.
const builtins = globalThis as unknown as Builtins;
let loadedCrypto: typeof NodeCrypto | undefined;

/** node:crypto. */
export function nodeCrypto(): typeof NodeCrypto {
  return loadedCrypto ??= builtins.process.getBuiltinModule("node:crypto");
}

/** node:path. */
export function nodePath(): typeof NodePath {
  return builtins.process.getBuiltinModule("node:path");
}

/** node:url. */
export function nodeUrl(): typeof NodeUrl {
  return builtins.process.getBuiltinModule("node:url");
}
