/** What a client tells of its work, a line of JSON each, as it happens: a client that is killed has told all but its last moment. */
export type Report =
  /** It has initialized a session, whose name every token of it begins with. */
  | { kind: "session"; session: string }
  /** It is about to call. `id` is the call's JSON-RPC id, which other sessions use too. */
  | { kind: "sent"; session: string; token: string; id: number; tool: Tool; characters: number }
  | { kind: "answered"; token: string; outcome: "success" | "error" }
  /** There will be no answer: the connection has broken. */
  | { kind: "broken"; token: string; reason: string }
  /** It has received what belongs to somebody else, or an answer that is not right. */
  | { kind: "wrong"; session: string; frame: string }
  /** It was told to pause, and waits for nothing any more. */
  | { kind: "idle" };

export type Tool = "echo" | "progress" | "fail";

/** The token of a call that is in a text. Sessions' names have the form `s7x2x1`, their tokens `s7x2x1c15`. */
export const TOKEN = /\b(s\w+?)c(\d+)\b/;

/** What a call carries: its token, and so many more characters. */
export function textOf(token: string, characters: number): string {
  return `${token} ${"lorem ipsum ".repeat(Math.ceil(characters / 12)).slice(0, characters)}`.trim();
}

/** What each tool of the echo server answers. */
export function answerOf(tool: Tool, text: string): string {
  return { echo: text, progress: "done", fail: "it failed" }[tool];
}
