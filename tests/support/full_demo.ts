/**
 * Drives the full-screen face without a network, for tests and pictures: `full_demo.ts [SCENE [told]]`.
 *
 * Typed lines are sent to nobody; `/flood N`, `/hostile`, `/offline`, `/quit` and `/ask` are commands. With `told`, the
 * title of the window tells which line a frame shows, whether a flood goes on, the size, and how often everything was
 * painted from nothing by Ctrl-L: `[LINE] still 80x24 1`.
 */

import { systemClock } from "../../lib/base/clock.ts";
import { FullFace } from "../../lib/ui/full/full_face.ts";
import { withDefaults } from "../../lib/ui/settings.ts";
import { colorDepth } from "../../lib/ui/terminal/colors.ts";
import { Fullscreen } from "../../lib/ui/terminal/fullscreen.ts";
import { isUtf8Locale } from "../../lib/base/locale.ts";
import type { Size } from "../../lib/ui/terminal/screen.ts";
import { DemoChat, SCENES } from "./demo_chat.ts";

const [name = "chat", isTold] = Deno.args;
const env = (name: string) => Deno.env.get(name);
const utf8 = isUtf8Locale(env, Deno.build.os);
const simple = /^(?:linux|vt\d)/.test(env("TERM") ?? "");
const chat = new DemoChat(() => void leave(0));
let repaints = 0;
/** Set once the face exists. */
const device: { screen?: Fullscreen } = {};
const face: FullFace = new FullFace({
  client: chat,
  clock: chat.clock,
  color: colorDepth(env, true),
  utf8,
  settings: withDefaults({}),
  maxBytes: 8192,
  redraw: () => {
    repaints++;
    device.screen?.redraw();
  },
  changed: () => device.screen?.schedule(),
  bell: () => device.screen?.send("\x07"),
  copy: () => {},
  stop: () => void device.screen?.stop(),
  quit: () => void leave(0),
});
const screen = device.screen = new Fullscreen({
  utf8,
  simple,
  frame: (size) => {
    if (isTold) tell(size);
    return face.frame(size);
  },
  onInput: (input) => face.take(input),
  onWidths: (widths) => face.widths = widths,
  onBackground: (background) => face.background = background,
  onName: () => {},
  onHangup: () => Deno.exit(129),
});

let told = "";

/** The terminal takes the title right behind the frame. */
function tell({ columns, rows }: Size): void {
  const state = `${chat.isFlooding ? "flood" : "still"} ${columns}x${rows} ${repaints}`;
  const title = `[${face.input.view.line}] ${state}`;
  if (title !== told) device.screen?.send(`\x1b]2;${title}\x07`);
  told = title;
}

async function leave(code: number): Promise<void> {
  await device.screen?.close();
  Deno.exit(code);
}

Deno.addSignalListener("SIGTERM", () => void leave(143));
Deno.addSignalListener("SIGHUP", () => void leave(129));
const background = env("BACKGROUND");
if (background === "dark" || background === "light") face.background = background;
screen.open();
const scene = SCENES[name];
if (scene === undefined) throw new RangeError(`scenes: ${Object.keys(SCENES).join(", ")}`);
scene(chat, face);
systemClock.after(0, () => device.screen?.schedule());
