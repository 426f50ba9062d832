/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// @ts-check
/** Cards: a person and their digits, a room, oneself, an invitation. */

import { LOST } from "./bar.js";
import { $, button, clean, face, h, iconButton, qr, sign } from "./dom.js";
import { copyButton } from "./message.js";
import { fingerprintOf, personId } from "./state.js";

/** @typedef {import("./parts.js").Page} Page */
/** @typedef {import("./state.js").Person} Person */
/** @typedef {import("./dom.js").Child} Child */

const WHY = {
  self: "This is you.",
  new: "New: you meet this key for the first time. Compare digits to be sure who it is.",
  known: "Known: the same key as when you first met. Compare digits to be sure who it is.",
  verified: "Verified: you have compared digits, and the key has not changed since.",
  conflict:
    "Another key than before. It may be a new computer, or somebody else under this name: " +
    "nothing private is sent until you accept the key.",
};
const BANS = { "an hour": "1h", "a day": "1d", "ever": "" };

/** The cards. @param {Page} page */
export function makeCards(page) {
  const dialog = $("dialog");
  /** Whether the server of a conversation takes orders of this user; absent: not asked. @type {Map<string, boolean>} */
  const operates = new Map();
  /** What the open card shows that may change, and what shows it anew. @type {{ of(): unknown, was: string, draw(): void } | undefined} */
  let live;

  /** @param {Child | Child[]} title @param {...(Child | Child[])} content */
  function open(title, ...content) {
    live = undefined;
    dialog.replaceChildren(...clean([
      iconButton("close", "Close", () => dialog.close(), { "class": "plain shut" }),
      h("h2", { id: "dialog-title", tabindex: -1, autofocus: true }, title),
      ...content.flat(),
    ]));
    if (!dialog.open) dialog.showModal();
    dialog.querySelector("h2").focus();
  }
  dialog.addEventListener("click", (/** @type {Event} */ event) => {
    if (event.target === dialog) dialog.close();
  });

  /** Keeps the open card as things are. @param {() => unknown} of @param {() => void} draw */
  function follow(of, draw) {
    live = { of, draw, was: JSON.stringify(of()) };
  }

  function refresh() {
    if (page.state.here.connection !== "online") operates.delete(page.state.place);
    if (!live || !dialog.open) return;
    const now = JSON.stringify(live.of());
    if (now === live.was) return;
    live.was = now;
    const focused = document.activeElement;
    live.draw();
    if (document.activeElement === focused) return;
    /** @type {HTMLElement[]} */
    const all = [...dialog.querySelectorAll("button, input, select")];
    all.find(({ textContent }) => textContent === focused?.textContent)?.focus();
  }

  /** Runs a command; what was refused is said in the card. @param {string} line */
  async function run(line) {
    const result = await page.command(line);
    dialog.querySelector(".refused")?.remove();
    if (!result.ok) {
      const words = [result.message, result.hint].filter(Boolean).join(": ");
      dialog.append(h("p.refused", { role: "alert" }, words));
    }
    return result;
  }

  /** Runs a command and closes the card. @param {string} line */
  async function runAndClose(line) {
    const result = await run(line);
    if (result.ok) dialog.close();
    return result;
  }

  /**
   * A line to type in.
   *
   * @param {string} label
   * @param {string} value
   * @param {string} does
   * @param {(value: string) => void} submit
   * @param {string} [hint]
   */
  function field(label, value, does, submit, hint = "") {
    /** @type {any} */
    const input = h("input", {
      value,
      placeholder: hint,
      dir: "auto",
      autocomplete: "off",
      spellcheck: "false",
    });
    const take = (/** @type {Event} */ event) => {
      event.preventDefault();
      submit(input.value.trim());
    };
    return h(
      "form.field",
      { submit: take },
      h("label", {}, h("span", {}, label), input),
      h("button.quiet", { type: "submit" }, does),
    );
  }

  const isOperator = () => operates.get(page.state.place) === true;

  async function checkOperator() {
    const { place } = page.state;
    if (operates.has(place)) return;
    const { ok, status } = await page.command("/bans");
    operates.set(place, ok && status === 0);
    refresh();
  }

  /** @param {string} fingerprint */
  function showPerson(fingerprint) {
    const person = page.state.person(fingerprint);
    if (!person) return;
    if (person.trust === "self") return showSelf();
    drawPerson(person);
    checkOperator();
  }

  /** @param {Person} person */
  function drawPerson(person) {
    const { fingerprint, nick, trust, away, here, lost, ignored } = person;
    const id = personId(fingerprint);
    const isHere = page.state.place === id;
    open(
      [h("bdi", {}, nick), sign(trust)],
      h(
        "p",
        { dir: "auto" },
        here ? away ? `Away: ${away}` : "Here now" : lost ? LOST : "Not here",
        ignored && " · ignored: their messages are hidden",
      ),
      h(`p.why.${trust}`, {}, WHY[trust]),
      h("p.key", {}, h("code", {}, fingerprint), copyButton("Copy", fingerprint, "quiet")),
      h(
        "div.buttons",
        {},
        !isHere && (here || lost) &&
          button("Write", () => (dialog.close(), page.go(id)), "main"),
        here &&
          button(trust === "verified" ? "Show digits" : "Compare digits", () => verify(person)),
        trust === "conflict" && here &&
          button("Accept this key…", () => acceptKey(person)),
        button(ignored ? "Hear again" : "Ignore", async () => {
          await runAndClose(`/${ignored ? "unignore" : "ignore"} ${fingerprint}`);
        }),
        isHere && page.state.open.includes(id) &&
          button("Close conversation", () => runAndClose("/close")),
      ),
      isOperator() && here && [
        h("h3", {}, "As an operator"),
        h(
          "div.buttons.pairs",
          {},
          button("Remove", () => runAndClose(`/kick ${fingerprint}`), "quiet.bad"),
          Object.entries(BANS).map(([words, length]) =>
            button(
              `Ban for ${words}`,
              () => runAndClose(`/ban ${fingerprint} ${length}`.trimEnd()),
              "quiet.bad",
            )
          ),
        ),
      ],
    );
    const now = () => page.state.person(fingerprint) ?? { ...person, here: false, lost: false };
    follow(() => [now(), page.state.open.includes(id), isOperator()], () => drawPerson(now()));
  }

  /** @param {Person} person */
  function acceptKey({ fingerprint, nick }) {
    open(
      ["Accept the key of ", h("bdi", {}, nick), "?"],
      h("p", {}, "Ask them first, face to face or by telephone. Comparing digits makes sure."),
      h(
        "div.buttons",
        {},
        button("No", () => dialog.close()),
        button("Yes, they have a new key", async () => {
          const { ok, lines = [] } = await runAndClose(`/trust ${fingerprint}`);
          if (ok && page.state.person(fingerprint)?.trust === "conflict") page.say(lines);
        }, "main"),
      ),
    );
  }

  /** @param {Person} person */
  async function verify(person) {
    const { nick, fingerprint, trust } = person;
    const result = await page.command(`/verify ${fingerprint}`);
    if (!result.ok) return page.told(result);
    const isVerified = trust === "verified";
    const own = (/** @type {any} */ half) => half.own ? "Yours" : ["Of ", h("bdi", {}, nick)];
    open(
      isVerified
        ? [h("bdi", {}, nick), " is verified"]
        : trust === "conflict"
        ? [h("bdi", {}, nick), " has another key than before"]
        : ["Is this really ", h("bdi", {}, nick), "?"],
      h(
        "p",
        {},
        isVerified
          ? "You have compared these digits."
          : "Read these digits to each other, face to face or by telephone, not here.",
      ),
      result.halves.map((/** @type {{ own: boolean, digits: string }} */ half) =>
        h(
          "section.digits",
          {},
          h("h3", {}, own(half)),
          h("p", {}, half.digits.split(" ").map((group) => h("span", {}, group))),
        )
      ),
      isVerified ? h("div.buttons", {}, button("Close", () => dialog.close())) : [
        h(
          "div.buttons",
          {},
          button("They differ", () => drawDiffers(person)),
          button("They are the same", () => runAndClose(`/verify ${fingerprint} yes`), "main"),
        ),
        h("p.small", {}, "Not sure? Close this, and compare another time."),
      ],
    );
  }

  /** @param {Person} person */
  function drawDiffers({ nick }) {
    open(
      "The digits differ",
      h(
        "p",
        {},
        "Somebody may stand between you and ",
        h("bdi", {}, nick),
        ", or you looked at two different people. Write nothing that matters until you know why.",
      ),
      h("div.buttons", {}, button("Close", () => dialog.close(), "main")),
    );
  }

  async function invite() {
    const result = await page.command("/invite");
    if (!result.ok) return page.told(result);
    const { line, rows } = result;
    open(
      "Invite somebody",
      h(
        "p",
        {},
        "Who starts Hearth with this line is in this room. It names the server's key; a password is not in it.",
      ),
      rows && qr(rows, "The same line as a QR code"),
      h("pre.line", { tabindex: 0 }, line),
      h("div.buttons", {}, copyButton("Copy", line, "main")),
    );
  }

  function join() {
    open(
      "Join a room",
      h(
        "p",
        {},
        "A room begins with the first who joins it. Nobody can list rooms: tell its name to whom you want there.",
      ),
      field("Name", "", "Join", async (name) => {
        if (name === "") return;
        const result = await runAndClose(`/join ${name}`);
        if (result.ok) page.answered(result, page.state.place);
      }),
    );
    dialog.querySelector("input").focus();
  }

  function showRoom() {
    const { id, title, topic, notify } = page.state.here;
    if (!id.startsWith("room:")) return;
    const here = h("ul.here");
    const orders = h("div");
    const modes = { all: "all messages", mentions: "what names you", nothing: "nothing" };
    open(
      title,
      field(
        "Topic",
        topic,
        "Set",
        (text) => runAndClose(`/topic ${text}`),
        "what this room is about",
      ),
      h(
        "label.field",
        {},
        h("span", {}, "Tell me of"),
        h(
          "select",
          {
            change: (/** @type {any} */ event) => run(`/notify ${event.target.value}`),
          },
          Object.entries(modes).map(([mode, words]) =>
            h("option", { value: mode, selected: mode === notify }, words)
          ),
        ),
      ),
      h("h3", {}, "Here"),
      here,
      orders,
      h(
        "div.buttons",
        {},
        button(
          "Leave this room",
          () => runAndClose(`/part ${id.slice("room:".length)}`),
          "quiet.bad",
        ),
      ),
    );
    const draw = () => {
      here.replaceChildren(...page.state.of(id).people.map(personRow));
      if (isOperator() && !orders.hasChildNodes()) orders.append(...serverFields());
    };
    draw();
    follow(() => [page.state.of(id).people, isOperator()], draw);
    checkOperator();
  }

  /** @param {Person} person */
  const personRow = ({ fingerprint, nick, trust, away }) =>
    h(
      "li",
      {},
      h(
        "button.row",
        { type: "button", click: () => showPerson(fingerprint) },
        face(fingerprint, nick),
        h(
          "span.who",
          {},
          h("span.line", {}, h("bdi.name", {}, nick), sign(trust)),
          away && h("span.away", { dir: "auto" }, away),
        ),
      ),
    );

  const serverFields = () => [
    h("h3", {}, "As an operator"),
    field(
      "Announce to everybody on the server",
      "",
      "Announce",
      (text) => runAndClose(`/announce ${text}`),
    ),
    field("Message of the day", "", "Set", (text) => runAndClose(`/motd ${text}`)),
  ];

  function showSelf() {
    const { nick, away, fingerprint } = page.state.self;
    open(
      "You",
      field("Name", nick, "Change", (name) => runAndClose(`/nick ${name}`)),
      field(
        "Away",
        away,
        away ? "I am back" : "Say so",
        (text) => runAndClose(away || text === "" ? "/back" : `/away ${text}`),
        "lunch until one",
      ),
      h("p.key", {}, h("code", {}, fingerprint), copyButton("Copy", fingerprint, "quiet")),
      h("h3", {}, "This page"),
      page.alerts.controls(),
      h(
        "fieldset.themes",
        {},
        h("legend", {}, "Colours"),
        ["system", "light", "dark"].map((theme) =>
          h(
            "label",
            {},
            h("input", {
              type: "radio",
              name: "theme",
              checked: theme === page.theme(),
              change: () => page.setTheme(theme),
            }),
            theme === "system" ? "as the computer" : theme,
          )
        ),
      ),
      h("p.small", {}, "In the field, /help lists all commands."),
    );
  }

  return {
    showPerson,
    verify,
    invite,
    join,
    showRoom,
    showSelf,
    refresh,
    /** What was known of servers before an outage may be true no more. */
    forgetServers: () => operates.clear(),
    /** The card of the conversation that is shown. */
    showPlace() {
      const fingerprint = fingerprintOf(page.state.place);
      if (fingerprint === undefined) showRoom();
      else showPerson(fingerprint);
    },
    get isOpen() {
      return dialog.open;
    },
  };
}
