/**
 * Where the entries of a received folder are kept: each under a harmless name, no two under names that are one on some
 * system (PROTOCOL.md §15).
 *
 * @module
 */

import { keptPath, MAX_NUMBER, nameKey, numberedName } from "./name.ts";
import { decodeUtf8 } from "../../base/bytes.ts";

/** One folder of the tree. */
interface Folder {
  readonly path: readonly string[];
  /** By the name that was sent. */
  readonly folders: Map<string, Folder>;
  /** Keys of the names that are taken. */
  readonly taken: Set<string>;
}

/** What to do for one entry. */
export interface Placed {
  /** Folders to create first, each by its components; the entry itself, if it is one, comes last. */
  readonly folders: (readonly string[])[];
  /** The components of the entry. */
  readonly path: readonly string[];
}

export class Tree {
  readonly #root: Folder = makeFolder([]);

  /**
   * Places an entry.
   *
   * @param path As sent.
   * @returns Nothing if it cannot be kept.
   */
  place(path: Uint8Array, kind: "file" | "folder"): Placed | undefined {
    const kept = keptPath(path);
    if (kept === undefined) return undefined;
    const sent = decodeUtf8(path).split("/");
    const created: (readonly string[])[] = [];
    let parent = this.#root;
    const parents = kind === "folder" ? kept.length : kept.length - 1;
    for (let i = 0; i < parents; i++) {
      let folder = parent.folders.get(sent[i]!);
      if (folder === undefined) {
        const name = takeName(parent, kept[i]!);
        if (name === undefined) return undefined;
        folder = makeFolder([...parent.path, name]);
        parent.folders.set(sent[i]!, folder);
        created.push(folder.path);
      }
      parent = folder;
    }
    if (kind === "folder") return { folders: created, path: parent.path };
    const name = takeName(parent, kept.at(-1)!);
    return name === undefined ? undefined : { folders: created, path: [...parent.path, name] };
  }
}

function makeFolder(path: readonly string[]): Folder {
  return { path, folders: new Map(), taken: new Set() };
}

function takeName({ taken }: Folder, name: string): string | undefined {
  for (let number = 1; number <= MAX_NUMBER; number++) {
    const candidate = number === 1 ? name : numberedName(name, number);
    const key = nameKey(candidate);
    if (taken.has(key)) continue;
    taken.add(key);
    return candidate;
  }
  return undefined;
}
