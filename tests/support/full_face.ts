/** The full-screen face without a terminal: what it asks of one is left undone. */
import { FullFace } from "../../lib/ui/full/full_face.ts";
import { withDefaults } from "../../lib/ui/settings.ts";

type Options = ConstructorParameters<typeof FullFace>[0];

export function makeFullFace(
  options: Pick<Options, "client" | "clock"> & Partial<Options>,
): FullFace {
  return new FullFace({
    color: "256",
    utf8: true,
    settings: withDefaults({}),
    maxBytes: 8192,
    redraw: () => {},
    changed: () => {},
    bell: () => {},
    copy: () => {},
    stop: () => {},
    quit: () => {},
    ...options,
  });
}
