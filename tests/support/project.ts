/** The texts of the project's own files, for tests about the project as a whole. */

const ROOT = new URL("../../", import.meta.url);
const SKIPPED = [".git", "node_modules", "dist", "__pycache__"];

/** The text of one file of the project. */
export function readProject(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

/** The paths of all files below a folder; its name is empty or ends in a slash. */
export async function listProject(folder = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (SKIPPED.includes(name)) continue;
    if (isDirectory) files.push(...await listProject(`${folder}${name}/`));
    else files.push(folder + name);
  }
  return files.sort();
}

/** The paths of all files of the project. */
export const PATHS: readonly string[] = await listProject();

/** The texts of all sources and documents, by path. */
export const FILES: ReadonlyMap<string, string> = new Map(
  await Promise.all(
    PATHS.filter((path) => /\.(ts|js|css|html|md|py|json|sh|yml|pv|pvl)$|^\.ci\//.test(path))
      .map(async (path) => [path, await readProject(path)] as const),
  ),
);
