import { asDeweyError } from "../errors.ts";
import type { DeweyError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Store } from "../store/store.ts";
import { UUID_PATTERN } from "../tools/fields.ts";
import type { Tool } from "../tools/tool.ts";
import { isObject } from "../wire/frame.ts";
import type { Caller } from "./caller.ts";

/** Ids are short; a client may send anything. */
const MAX_ID_CHARACTERS = 100;
/** Longer messages quote a caller. */
const MAX_CAUSE_CHARACTERS = 500;
const STACK_LINES = 3;

export interface FailedCall {
  /** Undefined for a name that no tool has. */
  tool: Tool | undefined;
  args: unknown;
  caller: Pick<Caller, "actor" | "requestId">;
  thrown: unknown;
}

/**
 * Logs a failed call as one line: what was called, by whom, about which conversation, and why it failed. Nothing that a
 * caller wrote gets there except ids and the client's name: arguments may hold anything, and so may the names of fields.
 */
export function logFailedCall(log: Log, store: Store, { tool, args, caller, thrown }: FailedCall): void {
  const error = asDeweyError(thrown);
  const { session, client_name, client_version, address } = store.audit.shown(caller.actor);
  const field = tool && knownField(tool, error);
  const line = {
    tool: tool?.name ?? "unknown",
    client: [client_name, client_version].filter(Boolean).join(" ") || null,
    session,
    address,
    conversation: conversationOf(args),
    request: typeof caller.requestId === "string" ? caller.requestId.slice(0, MAX_ID_CHARACTERS) : caller.requestId,
    code: error.code,
    ...(field === undefined ? {} : { field }),
    cause: causeOf(error, field),
  };
  // Callers' mistakes are theirs to correct; the others are the operator's.
  if (error.code === "internal")
    log.error(EVENT, { ...line, stack: error.stack?.split("\n").slice(1, 1 + STACK_LINES) });
  else if (error.code === "unavailable") log.warn(EVENT, line);
  else log.info(EVENT, line);
}

const EVENT = "a tool call failed";

function conversationOf(args: unknown): string | null {
  const id = isObject(args) ? args["conversation_id"] : undefined;
  return typeof id === "string" && UUID_PATTERN.test(id) ? id : null;
}

/** The argument at fault, when it is one of the tool's: what lies within it, or is unknown, is the caller's text. */
function knownField(tool: Tool, { field }: DeweyError): string | undefined {
  const name = /^\w+/.exec(field ?? "")?.[0] ?? "";
  return Object.hasOwn(tool.input.shape, name) ? name : undefined;
}

/** Why it failed, in Dewey's own words; what a message quotes is left out. */
function causeOf({ code, message, field }: DeweyError, known: string | undefined): string {
  if (code === "internal" || code === "unavailable") return message;
  if (message.startsWith("there is no field")) return "there is no field of this name";
  const named = field === undefined ? message : message.replaceAll(field, known ?? "an argument");
  return named.slice(0, MAX_CAUSE_CHARACTERS).replaceAll(/"(?:[^"\\]|\\.)*(?:"|$)/g, "…");
}
