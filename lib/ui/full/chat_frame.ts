/**
 * A frame of the chat: the conversation and what is around it.
 *
 * @module
 */

import type { Conversation, MessageEntry } from "../conversation.ts";
import { type LayoutContext, NARROW, nickColumns, shownNick } from "../layout.ts";
import {
  type Frame,
  type InputLine,
  pad,
  type Row,
  type Segment,
  type Size,
  widthOf,
} from "../terminal/mod.ts";
import type { Viewport } from "../viewport.ts";
import {
  type InputRows,
  layoutHead,
  layoutInput,
  layoutMenu,
  layoutPrompt,
  layoutSide,
  layoutStatus,
  layoutTabs,
  type Look,
  SIDE_COLUMNS,
} from "./frame.ts";
import type { Choice, Find } from "./modes.ts";

/** What the line that is typed does to a message. */
export interface Task {
  readonly what: "answer" | "react" | "edit";
  readonly entry: MessageEntry;
}

/** What a frame shows. */
export interface ChatState {
  readonly list: readonly Conversation[];
  /** Where the line that is typed goes. */
  readonly shown: Conversation;
  readonly view: Viewport;
  /** The `seq` of the first entry that is new. */
  readonly firstNew: number | undefined;
  readonly input: Pick<InputLine, "view" | "isAsking">;
  readonly find: Find | undefined;
  readonly choice: Choice | undefined;
  readonly task: Task | undefined;
  /** Shown in the status row before anything else; empty for none. */
  readonly hint: string;
  /** An activity; empty for none. */
  readonly progress: string;
  /** The user's own. */
  readonly nick: string;
  readonly isAway: boolean;
  /** Whether nothing rings and nothing is told. */
  readonly isQuiet: boolean;
  /** Whether there is a side column, where there is room for it. */
  readonly hasSide: boolean;
  readonly hasTimes: boolean;
  /** In ms since 1970. */
  readonly now: number;
}

/** How the conversation was laid out: its height in rows, and with what. */
export interface Body {
  readonly height: number;
  readonly context: LayoutContext;
}

const MIN_ROWS_WITH_HEAD = 8;
const MIN_ROWS_WITH_STATUS = 4;
const MAX_INPUT_ROWS = 8;
/** The part of the screen that the line takes at most, and what stands above it. */
const INPUT_SHARE = 3;
const MIN_COLUMNS_WITH_SIDE = 100;
/** Longer rows are hard to read. */
const MAX_TEXT_COLUMNS = 140;
const MIN_COLUMNS_WITH_TIME = 30;
const MIN_COLUMNS_WITH_HELP = 60;
/** The part of the screen that one message may fill, and bounds for it in rows. */
const MESSAGE_SHARE = 0.7;
export const MIN_MESSAGE_ROWS = 4;
const MAX_MESSAGE_ROWS = 40;

const TASK_WORDS = { answer: "answers", react: "reacts to", edit: "changes" } as const;

/** Lays out one frame. */
export class ChatFrame {
  readonly #state: ChatState;
  readonly #look: Look;

  constructor(state: ChatState, look: Look) {
    this.#state = state;
    this.#look = look;
  }

  /** Lays it out for a size. */
  layOut({ columns, rows }: Size): { frame: Frame; body: Body } {
    const { list, shown: conversation, choice, hasSide: mayHaveSide } = this.#state;
    const look = this.#look;
    const hasHead = rows >= MIN_ROWS_WITH_HEAD;
    const hasStatus = rows >= MIN_ROWS_WITH_STATUS;
    const most = Math.floor(rows / INPUT_SHARE);
    const input = this.#layoutInput(columns, Math.max(1, Math.min(MAX_INPUT_ROWS, most)));
    const above = this.#layoutAbove(columns, hasStatus ? most : 0);
    const fixed = Number(hasHead) + Number(hasStatus) + input.rows.length + above.length;
    const height = Math.max(0, rows - fixed);
    const hasSide = mayHaveSide && columns >= MIN_COLUMNS_WITH_SIDE &&
      conversation.kind !== "client";
    const context = this.#context(hasSide ? columns - SIDE_COLUMNS : columns, height);
    const body = this.#layoutBody(height, context);
    const side = hasSide ? layoutSide(list, conversation, height, look) : undefined;
    const all: Row[] = [
      ...(hasHead ? [layoutHead(conversation, columns, look)] : []),
      ...body.map((row, i) => side === undefined ? row : [...side[i]!, ...row]),
      ...above,
      ...(hasStatus ? [this.#layoutStatus(columns, hasSide)] : []),
      ...input.rows,
    ];
    const top = all.length - input.rows.length;
    const shown = all.slice(-rows);
    const row = Math.max(0, top + input.cursor.row - (all.length - shown.length));
    const cursor = choice ? undefined : { row, column: input.cursor.column };
    return { frame: { rows: shown, cursor }, body: { height, context } };
  }

  #context(columns: number, height: number): LayoutContext {
    const { shown, nick, find, hasTimes, now } = this.#state;
    const width = Math.min(columns >= NARROW ? columns - 1 : columns, MAX_TEXT_COLUMNS);
    return {
      ...this.#look,
      width,
      nickWidth: width < NARROW ? 0 : nickColumns(shown, width, this.#look.text),
      ownNick: nick,
      maxRows: Math.max(
        MIN_MESSAGE_ROWS,
        Math.min(MAX_MESSAGE_ROWS, Math.floor(MESSAGE_SHARE * height)),
      ),
      query: find?.query ?? "",
      timestamps: hasTimes && width >= MIN_COLUMNS_WITH_TIME,
      now,
    };
  }

  #layoutBody(height: number, context: LayoutContext): Row[] {
    const { view, firstNew, choice } = this.#state;
    const rows = view.rows(height, context, firstNew);
    const shown = choice === undefined ? rows : this.#markChosen(rows, choice, context);
    const blank = Array.from({ length: Math.max(0, height - rows.length) }, () => []);
    return [...blank, ...shown];
  }

  #markChosen(rows: readonly Row[], { seq }: Choice, { width, theme }: LayoutContext): Row[] {
    const own = new Set(this.#state.view.rowsOf(seq));
    const turn = (row: Row) =>
      pad(row, width).map((segment): Segment => ({ ...segment, style: theme.chosen }));
    return rows.map((row) => own.has(row) ? turn(row) : row);
  }

  #layoutStatus(columns: number, hasSide: boolean): Row {
    const right = this.#statusRight(columns);
    const left = this.#statusLeft(hasSide ? undefined : columns - widthOf(right) - 1);
    return layoutStatus(left, right, columns, this.#look);
  }

  /** @param room Columns for the conversations; undefined if they stand in the side column. */
  #statusLeft(room: number | undefined): Row {
    const { list, shown, hint, choice, find, progress, nick } = this.#state;
    const { theme, text } = this.#look;
    const words = (words: string, style = theme.bar) =>
      text.segments(` ${text.clean(words)}`, style);
    if (hint !== "") return words(hint, theme.barStrong);
    if (choice !== undefined) return words(choiceKeys(choice));
    if (find !== undefined) {
      const { matches, at, query } = find;
      const count = matches.length === 0 ? "not found" : `${at + 1} of ${matches.length}`;
      return [
        ...words(query === "" ? "type what to find" : count, theme.barStrong),
        ...text.segments(
          ` ${text.sign("· ↑ ↓", "- Up Down")} go on, Enter stays, Esc back`,
          theme.barDim,
        ),
      ];
    }
    if (progress !== "") return words(progress);
    const tabs = room === undefined ? [] : layoutTabs(list, shown, room, this.#look);
    if (tabs.length > 0) return tabs;
    return text.segments(` ${shownNick(nick, text)}`, theme.bar);
  }

  #statusRight(columns: number): Row {
    const { shown: { kind, connection, retryAt }, view, choice, find, now } = this.#state;
    const { isAway, isQuiet } = this.#state;
    const { theme, text } = this.#look;
    const words = (shown: string, style: string) => text.segments(` ${shown} `, style);
    if (choice !== undefined) return [];
    if (connection === "offline") {
      const left = (retryAt ?? 0) - now;
      const when = left > 0 ? `, again in ${Math.ceil(left / 1000)} s` : "";
      return words(`offline${when}`, theme.barAlert);
    }
    if (connection === "searching") return words("looking for the host", theme.barAlert);
    if (connection === "connecting" && kind !== "client") {
      return words("connecting", theme.barDim);
    }
    const arrow = text.sign("↓ ", "");
    if (!view.isFollowing && find === undefined) {
      return view.missed > 0
        ? words(`${arrow}${view.missed} new below ${text.sign("·", "-")} Esc`, theme.barStrong)
        : words(`${arrow}Esc to the newest`, theme.barDim);
    }
    const absence = [...(isAway ? ["away"] : []), ...(isQuiet ? ["dnd"] : [])].join(", ");
    if (absence !== "") return words(absence, theme.barStrong);
    if (columns < MIN_COLUMNS_WITH_HELP) return [];
    return words(`F1 keys ${text.sign("·", "-")} /help`, theme.barDim);
  }

  /** What stands between the conversation and the status: candidates, hints about the line, what it is for. */
  #layoutAbove(columns: number, room: number): Row[] {
    const { input, task } = this.#state;
    const look = this.#look;
    const { theme, text } = look;
    const { candidates, chosen, hint } = input.view;
    const rows: Row[] = [];
    if (task !== undefined) {
      const { what, entry } = task;
      const words = `${TASK_WORDS[what]} ${shownNick(entry.nick, text)}: ${
        text.cleanLine(entry.text)
      }`;
      const end = text.segments("  Esc drops", theme.dim);
      const corner = text.sign(" ╭ ", " ");
      rows.push([...text.fit(corner + words, Math.max(0, columns - 11), theme.dim), ...end]);
    }
    if (hint !== "") rows.push(text.fit(` ${text.cleanLine(hint)}`, columns, theme.dim));
    if (candidates.length > 0) {
      rows.unshift(...layoutMenu(candidates, chosen, { columns, room: room - rows.length }, look));
    }
    return rows.slice(0, Math.max(0, room));
  }

  #layoutInput(columns: number, maxRows: number): InputRows {
    const { input, find, shown } = this.#state;
    const look = this.#look;
    const { theme, text } = look;
    const size = { columns, maxRows };
    if (find !== undefined && !input.isAsking) {
      const { text: typed, cursor } = find.buffer;
      return layoutInput(text.segments("find ", theme.strong), { text: typed, cursor }, size, look);
    }
    const { question, line, cursor } = input.view;
    const prompt = question === undefined
      ? layoutPrompt(shown, columns, look)
      : text.segments(text.cleanLine(question), theme.strong);
    return layoutInput(prompt, { text: line, cursor }, size, look);
  }
}

function choiceKeys({ entry }: Choice): string {
  const own = entry?.own ? ", e changes, d takes back" : "";
  return `Enter answers, + reacts${own}, c copies, Esc back`;
}
