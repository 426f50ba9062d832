/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// @ts-check
/** What the parts of the page ask of each other. Types alone: the browser does not load this. */

/** @typedef {import("./state.js").Entry} Entry */
/** @typedef {import("./state.js").Person} Person */
/**
 * @typedef {object} Page
 * @property {import("./state.js").State} state
 * @property {import("./socket.js").Socket} socket
 * @property {(message: Record<string, unknown>) => Promise<any>} request Asks the program for something.
 * @property {(type: string, entry: { seq?: number }, more: Record<string, unknown>) => Promise<void>} ask Does something
 *   to an entry of the conversation that is shown.
 * @property {(line: string) => Promise<any>} command Runs a command in the conversation that is shown.
 * @property {(line: string) => Promise<void>} run Runs a command, and shows what it answers.
 * @property {(result: any, where?: string) => void} told Says what was refused, where it was asked.
 * @property {(result: any, where: string) => void} answered Shows the answer to a command where it was typed.
 * @property {(lines: string | string[]) => void} say
 * @property {(id: string) => Promise<void>} go Turns to a conversation.
 * @property {() => void} soon Shows what has changed, with what else changes now.
 * @property {() => void} follow Something in the log has grown.
 * @property {() => void} chooseMessage
 * @property {(seq: number) => Promise<void>} goTo Turns to an entry of the conversation that is shown.
 * @property {(quote: import("./state.js").Quote) => void} goToQuoted
 * @property {(type: "quote" | "edit", entry: import("./state.js").MessageEntry) => void} turn What the next text answers or replaces.
 * @property {() => void} focusText
 * @property {() => void} showSend
 * @property {() => void} openSearch
 * @property {() => void} showList
 * @property {(fingerprint: string) => void} showPerson
 * @property {(person: Person) => Promise<void>} verify
 * @property {() => void} invite
 * @property {() => void} join
 * @property {() => void} showSelf
 * @property {() => void} showPlaceCard
 * @property {() => string} theme
 * @property {(theme: string) => void} setTheme
 * @property {{ controls(): HTMLElement }} alerts
 * @property {{ readonly isReady: boolean, add(files: Iterable<File>): void, send(where: string): void }} uploads
 */

export {};
