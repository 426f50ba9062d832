import type { BlockState } from "../../lib/ui/terminal/screen.ts";

/** An input block in which nothing is typed yet. */
export const STATE: BlockState = {
  prompt: "> ",
  promptCode: "",
  line: "",
  cursor: 0,
  status: "",
  below: [],
  hintCode: "",
  utf8: true,
};
