/** Reports of a client, one JSON line each, written as events happen, so that a killed client loses only the last ones. */
export type Report =
  /** It initialized a session; all tokens of the session start with its name. */
  | { kind: "session"; session: string }
  /** It is about to call. `id` is the JSON-RPC id, which other sessions use too. */
  | { kind: "sent"; session: string; token: string; id: number; tool: Tool; characters: number }
  | { kind: "answered"; token: string; outcome: "success" | "error" }
  /** The connection broke, so no response will arrive. */
  | { kind: "broken"; token: string; reason: string }
  /** It received a wrong response, or data of another session. */
  | { kind: "wrong"; session: string; frame: string }
  /** It is paused, with no calls in flight. */
  | { kind: "idle" };

export type Tool = "echo" | "progress" | "fail";

/** Matches the token of a call in a text. Sessions are named like `s7x2x1`, and their tokens like `s7x2x1c15`. */
export const TOKEN = /\b(s\w+?)c(\d+)\b/;

/** The text of a call: its token and this many more characters. */
export function textOf(token: string, characters: number): string {
  return `${token} ${"lorem ipsum ".repeat(Math.ceil(characters / 12)).slice(0, characters)}`.trim();
}

/** The expected result of each tool of the echo server. */
export function answerOf(tool: Tool, text: string): string {
  return { echo: text, progress: "done", fail: "it failed" }[tool];
}
