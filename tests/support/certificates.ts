/**
 * Certificates for tests, by openssl as docs/cluster.md has it.
 *
 * @module
 */

import { areInstalled, run } from "./netns.ts";

/** Whether they cannot be made: before version 3, and elsewhere, openssl does not sign with them in one step. */
export const NO_CERTIFICATES = !await areInstalled("openssl") ||
  !/^OpenSSL [3-9]/.test(await run("openssl", "version"));

const NEW = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" ");

/** Makes NAME.pem and NAME.key of an authority in a folder. @returns The certificate. */
export async function makeAuthority(folder: string, name: string): Promise<string> {
  await run("openssl", ...NEW, "-subj", `/CN=${name}`, ...filesOf(folder, name));
  return await Deno.readTextFile(`${folder}/${name}.pem`);
}

/** Makes NAME.pem and NAME.key for 127.0.0.1, signed by an authority there. */
export async function makeCertificate(folder: string, name: string, by: string): Promise<void> {
  await run(
    "openssl",
    ...[...NEW, "-CA", `${folder}/${by}.pem`, "-CAkey", `${folder}/${by}.key`],
    ...["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"],
    ...["-addext", "basicConstraints=CA:FALSE", ...filesOf(folder, name)],
  );
}

function filesOf(folder: string, name: string): string[] {
  return ["-keyout", `${folder}/${name}.key`, "-out", `${folder}/${name}.pem`];
}
