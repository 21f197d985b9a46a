import type { Message } from "../client/replies.ts";

/**
 * The arguments of a recorded call. Metadata holds them with long texts as length and hash, and the content holds each text
 * whole behind its name; together they give every argument whole. Undefined when a call's content does not have that shape.
 */
export function callArguments({ content, metadata }: Message): Map<string, unknown> | undefined {
  const given = metadata?.["arguments"];
  if (typeof given !== "object" || given === null || Array.isArray(given)) return undefined;
  const found = Object.entries(given).map(([name, value]: [string, unknown]): [string, unknown] => {
    const length = abridgedLength(value);
    return [name, length === undefined ? value : (wholeText(content, name, length) ?? value)];
  });
  return new Map(found);
}

/** The length of a text that metadata has by length and hash. */
function abridgedLength(value: unknown): number | undefined {
  if (typeof value !== "object" || value === null || !("sha256" in value) || !("characters" in value)) return undefined;
  return typeof value.characters === "number" ? value.characters : undefined;
}

/** Places where an argument's name is looked for: its own text may hold the same line. */
const MOST_PLACES = 50;

function wholeText(content: string, name: string, length: number): string | undefined {
  const label = `\n${name}: `;
  let at = content.indexOf(label);
  for (let place = 0; at !== -1 && place < MOST_PLACES; place += 1) {
    const from = at + label.length;
    const end = from + length;
    if (end === content.length || content[end] === "\n") return content.slice(from, end);
    at = content.indexOf(label, at + 1);
  }
  return undefined;
}
