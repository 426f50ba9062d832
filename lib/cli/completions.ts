/**
 * Writes completion scripts for bash, zsh and fish from the table of a program's command line.
 *
 * @module
 */

import {
  allOptions,
  type Option,
  type Program,
  type Subcommand,
  type ValueKind,
} from "./options.ts";
import type { SHELLS } from "./programs.ts";

/**
 * Writes the script that makes a shell complete a program's command line: commands, options that can still be given,
 * and their values where those are files, hosts or one of a few numbers.
 */
export function completions<Name extends string>(
  program: Program<Name>,
  shell: typeof SHELLS[number],
): string {
  const writers = { bash: writeBash, zsh: writeZsh, fish: writeFish };
  return writers[shell](program);
}

/** The choices of an argument that is named `a|b|c`. */
function choicesOf({ argument }: Subcommand<string>): string[] {
  return argument.includes("|") ? argument.split("|") : [];
}

function optionsOf<Name extends string>(
  program: Program<Name>,
  { options }: Subcommand<Name>,
): Option<Name>[] {
  return program.options.filter(({ name }) => options.includes(name));
}

/** The options that cannot be combined with this one. */
function rivalsOf<Name extends string>(program: Program<Name>, option: string): Name[] {
  const group = program.exclusive.find((group) => group.some((name) => name === option)) ?? [];
  return group.filter((name) => name !== option);
}

function dashed(names: readonly string[]): string[] {
  return names.map((name) => `--${name}`);
}

function namesOf(options: readonly Option<string>[]): string[] {
  return dashed(options.map(({ name }) => name));
}

/** Quotes a word for any of the shells. */
function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

// --- bash; macOS has 3.2, without compopt ---

function writeBash<Name extends string>(program: Program<Name>): string {
  const { name, subcommands } = program;
  const words = namesOf(allOptions(program));
  const first = [...subcommands.map(({ name }) => name), ...words];
  const values = Map.groupBy(
    program.options.filter(({ value }) => value && !value.isOptional),
    ({ value }) => bashValue(value!),
  );
  const row = (words: readonly string[], action: string) => `${words.join(" | ")}) ${action} ;;`;
  return `# Completes ${name} in bash: eval "$(${name} completions bash)"
_hearth_${name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]}
  local word words used=' '
  COMPREPLY=()
  # Bash splits --option=value into three words.
  if [[ $current == = ]]; then
    current=
  elif [[ $previous == = ]]; then
    previous=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $previous in
${[...values].map(([action, options]) => `    ${row(namesOf(options), action)}`).join("\n")}
  esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD - 1}"; do
    case $word in
${program.exclusive.map(dashed).map((group) => `      ${row(group, use(group))}`).join("\n")}
      ${row(["*"], 'used+="$word "')}
    esac
  done
  case $COMP_CWORD:\${COMP_WORDS[1]} in
    ${row(["1:*"], `words='${first.join(" ")}'`)}
${
    subcommands.map((subcommand) => {
      const next = [...choicesOf(subcommand), ...namesOf(optionsOf(program, subcommand))];
      return `    ${row([`*:${subcommand.name}`], `words='${next.join(" ")}'`)}\n`;
    }).join("")
  }    ${row(["*"], `words='${words.join(" ")}'`)}
  esac
  for word in $(compgen -W "$words" -- "$current"); do
    [[ $used == *" $word "* ]] || COMPREPLY+=("$word")
  done
}
complete -F _hearth_${name} ${name}
`;
}

function use(words: readonly string[]): string {
  return `used+='${words.join(" ")} '`;
}

function bashValue(value: ValueKind): string {
  switch (value.type) {
    case "file":
      return String.raw`compopt -o default 2>/dev/null || {
        local IFS=$'\n'
        COMPREPLY=($(compgen -f -- "$current"))
      }
      return`;
    case "host":
      return `COMPREPLY=($(compgen -A hostname -- "$current")); return`;
    case "choice":
      return `COMPREPLY=($(compgen -W '${value.choices.join(" ")}' -- "$current")); return`;
    default:
      return "return";
  }
}

// --- zsh ---

function writeZsh<Name extends string>(program: Program<Name>): string {
  const { name, subcommands } = program;
  const specs = (options: readonly Option<string>[]) =>
    options.map((option) => ` \\\n        ${quote(zshOption(program, option))}`).join("");
  const commands = subcommands.map(({ name, help }) => `${name}\\:${zshWord(help)}`).join(" ");
  return `#compdef ${name}
# Completes ${name} in zsh: eval "$(${name} completions zsh)" after compinit
_hearth_${name}() {
  case $((CURRENT > 2)):$words[2] in
${
    subcommands.map((subcommand) =>
      `    1:${subcommand.name})
      shift words
      ((CURRENT--))
      _arguments${zshArgument(subcommand)}${specs(optionsOf(program, subcommand))}
      ;;
`
    ).join("")
  }    *)
      _arguments${commands === "" ? "" : ` ${quote(`1: :((${commands}))`)}`}${
    specs(allOptions(program))
  }
      ;;
  esac
}
if [[ $funcstack[1] == _${name} ]]; then
  _hearth_${name}
else
  compdef _hearth_${name} ${name}
fi
`;
}

function zshOption<Name extends string>(
  program: Program<Name>,
  { name, value, help }: Option<string>,
): string {
  const rivals = dashed(rivalsOf(program, name));
  const start = rivals.length === 0 ? "" : `(${rivals.join(" ")})`;
  const text = help.replace(/[\\\[\]]/g, "\\$&");
  if (value === undefined) return `${start}--${name}[${text}]`;
  const [equals, colon] = value.isOptional ? ["=-", "::"] : ["=", ":"];
  const shown = `${zshMessage(value.name)}:${zshValue(value)}`;
  return `${start}--${name}${equals}[${text}]${colon}${shown}`;
}

function zshValue(value: ValueKind): string {
  switch (value.type) {
    case "file":
      return "_files";
    case "host":
      return "_hosts";
    case "choice":
      return `(${value.choices.join(" ")})`;
    default:
      return " ";
  }
}

function zshArgument(subcommand: Subcommand<string>): string {
  const choices = choicesOf(subcommand);
  if (subcommand.argument === "") return "";
  if (choices.length > 0) return ` ${quote(`1: :(${choices.join(" ")})`)}`;
  return ` ${quote(`1:${zshMessage(subcommand.argument)}: `)}`;
}

/** Escapes the colon, which would end the message. */
function zshMessage(text: string): string {
  return text.replace(/[\\:]/g, "\\$&");
}

function zshWord(text: string): string {
  return text.replace(/[^\w-]/g, "\\$&");
}

// --- fish ---

function writeFish<Name extends string>(program: Program<Name>): string {
  const { name, subcommands } = program;
  const names = subcommands.map(({ name }) => name).join(" ");
  const line = (conditions: readonly string[], ...words: string[]) => {
    const when = conditions.length === 0 ? [] : ["-n", quote(conditions.join("; and "))];
    return ["complete", "-c", name, ...when, ...words].join(" ");
  };
  const optionLines = (options: readonly Option<string>[], conditions: readonly string[]) =>
    options.map((option) => {
      const rivals = rivalsOf(program, option.name).join(" ");
      const alone = rivals === "" ? [] : [`not __fish_contains_opt ${rivals}`];
      return line([...conditions, ...alone], ...fishOption(option));
    });
  return [
    `# Completes ${name} in fish: ${name} completions fish | source`,
    line([], "-f"),
    ...subcommands.map(({ name, help }) =>
      line(["__fish_is_nth_token 1"], "-a", name, "-d", quote(help))
    ),
    ...optionLines(
      allOptions(program),
      names === "" ? [] : [`not __fish_seen_subcommand_from ${names}`],
    ),
    ...subcommands.flatMap((subcommand) => {
      const condition = `__fish_seen_subcommand_from ${subcommand.name}`;
      const choices = choicesOf(subcommand);
      return [
        ...(choices.length === 0 ? [] : [line([condition], "-a", quote(choices.join(" ")))]),
        ...optionLines(optionsOf(program, subcommand), [condition]),
      ];
    }),
    "",
  ].join("\n");
}

function fishOption({ name, value, help }: Option<string>): string[] {
  return ["-l", name, ...fishValue(value), "-d", quote(help)];
}

function fishValue(value: Option<string>["value"]): string[] {
  if (value?.isOptional) return [];
  switch (value?.type) {
    case undefined:
      return [];
    case "file":
      return ["-r", "-F"];
    case "host":
      return ["-x", "-a", "'(__fish_print_hostnames)'"];
    case "choice":
      return ["-x", "-a", `'${value.choices.join(" ")}'`];
    default:
      return ["-x"];
  }
}
