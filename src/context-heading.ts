import { escapedJson } from "./visible.ts";

/** Limit on a name in a heading: a client may name itself anything. */
const MAX_NAME_CHARACTERS = 80;

/** The parts of a startup context that its heading states. */
interface Headed {
  name: string;
  written_at: string;
  written_by: { client_name: string | null; client_version: string | null };
}

/**
 * The line above a startup context in a session. A context reads as instruction and any client may have written it, so the
 * line names its author, as the client named itself, and the time. Names are JSON strings: none can end the line.
 */
export function contextHeading({ name, written_at, written_by }: Headed): string {
  const author = [written_by.client_name, written_by.client_version].filter(Boolean).join(" ") || "unknown";
  return `Startup context ${quoted(name)}, kept by Dewey, written by ${quoted(author)} at ${written_at}:`;
}

function quoted(text: string): string {
  const shown = text.length > MAX_NAME_CHARACTERS ? `${text.slice(0, MAX_NAME_CHARACTERS).toWellFormed()}…` : text;
  return escapedJson(JSON.stringify(shown));
}
