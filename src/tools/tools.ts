import { DeweyError } from "../errors.ts";
import type { Actor } from "../store/audit.ts";
import type { Store } from "../store/store.ts";
import * as audit from "./audit.ts";
import * as calls from "./calls.ts";
import * as contexts from "./contexts.ts";
import * as conversations from "./conversations.ts";
import * as database from "./database.ts";
import * as imports from "./imports.ts";
import * as messages from "./messages.ts";
import * as results from "./results.ts";
import * as search from "./search.ts";
import * as sessions from "./sessions.ts";
import * as stats from "./stats.ts";
import * as tail from "./tail.ts";
import type { Tool } from "./tool.ts";

/** All tools by name. */
export const tools: ReadonlyMap<string, Tool> = new Map(
  [conversations, messages, imports, search, contexts, sessions, results, tail, calls, stats, audit, database]
    .flatMap((noun) => Object.values<Tool>(noun))
    .map((tool) => [tool.name, tool]),
);

/** Validates the arguments and calls the tool. Throws `invalid`, naming the first wrong field and the remedy. */
export async function callTool(
  tool: Tool,
  store: Store,
  args: unknown,
  actor: Actor,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const parsed = tool.input.safeParse(args ?? {});
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw issue ? argumentError(issue) : new DeweyError("invalid", "the arguments are wrong");
  }
  return tool.handle(store, parsed.data, actor, signal);
}

type Issue = { code?: string | undefined; path: PropertyKey[]; message: string; keys?: string[]; input?: unknown };

function argumentError(issue: Issue): DeweyError {
  const path = pathText(issue.path);
  if (issue.code === "unrecognized_keys") {
    const field = pathText([...issue.path, issue.keys?.[0] ?? ""]);
    return new DeweyError("invalid", `there is no field ${field}; leave it out, or correct its name`, { field });
  }
  const field = path === "" ? "arguments" : path;
  return new DeweyError("invalid", `${field} ${complaint(issue)}`, { field });
}

/** Rewords zod's message for a wrong or missing type, so that it continues the field's name. */
function complaint(issue: Issue): string {
  const expected = /^Invalid input: expected (\w+), received (\w+)$/.exec(issue.message);
  if (!expected) return issue.message;
  const [, wanted, got] = expected;
  return got === "undefined" ? `is missing; it should be a ${wanted}` : `should be a ${wanted}, not ${got}`;
}

/** `messages[3].role`. */
function pathText(path: PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    return text === "" ? String(part) : `${text}.${String(part)}`;
  }, "");
}
