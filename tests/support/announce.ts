/**
 * A program that announces a relay, real or not, until it is killed. Arguments: NAME PORT FINGERPRINT.
 */
import { Announcer } from "../../lib/discovery/announcer.ts";

const [name, port, fingerprint] = Deno.args;
const service = { name: name!, port: Number(port), fingerprint: fingerprint!, isLocked: false };
if (!await new Announcer(service).start()) Deno.exit(1);
