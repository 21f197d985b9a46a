import { DeweyError } from "../errors.ts";
import type { Tool } from "../tools/tool.ts";
import { tools } from "../tools/tools.ts";
import type { Caller } from "./caller.ts";

/** Which tools clients are offered: all, those that only read, or some by name. */
export type ToolChoice = "all" | "read" | readonly string[];

/** The name under which Dewey's recorder, hooks and commands introduce themselves. */
const OWN_CLIENT = "dewey";

/** The tools that clients are offered, in their fixed order. Throws `invalid` for a name that no tool has. */
export function offeredTools(choice: ToolChoice): ReadonlyMap<string, Tool> {
  const all = new Map([...tools].filter(([, { ownOnly }]) => ownOnly !== true));
  if (choice === "all") return all;
  if (choice === "read") return new Map([...all].filter(([, { annotations }]) => annotations.readOnlyHint));
  const unknown = choice.find((name) => !all.has(name));
  if (unknown !== undefined) {
    const remedy = `all, read, or some of ${[...all.keys()].join(", ")}`;
    const message = `DEWEY_TOOLS names no tool with ${JSON.stringify(unknown)}; it should be ${remedy}`;
    throw new DeweyError("invalid", message, { field: "DEWEY_TOOLS" });
  }
  return new Map([...all].filter(([name]) => choice.includes(name)));
}

/**
 * The tool that a caller asks for by name; undefined when there is none for it. Dewey's own programs may call every tool:
 * otherwise a choice of tools for models would end all recording. Any client can call itself so; a choice guards nothing.
 */
export function toolFor(name: string, { actor }: Caller, offered: ReadonlyMap<string, Tool>): Tool | undefined {
  return offered.get(name) ?? (actor.client_name === OWN_CLIENT ? tools.get(name) : undefined);
}
