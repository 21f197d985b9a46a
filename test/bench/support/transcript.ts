import { createWriteStream } from "node:fs";
import type { Writer } from "./text.ts";

/** One row per this many is broken, and one of an unknown type. */
export const BROKEN_EVERY = 1000;
const UNKNOWN_EVERY = 100;
const BROKEN = '{"type":"assistant","message":{"content":[{"type":"te';
const FIRST_ROW_MS = 1_760_000_000_000;

/** Writes rows until there are this many, or this many bytes. Returns their number. */
export async function writeRows(
  path: string,
  most: { rows?: number; bytes?: number },
  text: (row: number) => string,
): Promise<number> {
  const { rows = Infinity, bytes = Infinity } = most;
  const stream = createWriteStream(path);
  let row = 0;
  for (let written = 0; row < rows && written < bytes; row += 1) {
    const line = `${text(row)}\n`;
    written += line.length;
    if (!stream.write(line)) await new Promise((resolve) => stream.once("drain", resolve));
  }
  await new Promise<void>((resolve) => stream.end(() => resolve()));
  return row;
}

/** Prompts, replies, calls and results in turn, with the fields Claude Code adds. `said` is the text of each. */
export function rowText(said: string, sessionId: string, row: number, more: object = {}): string {
  if (row % BROKEN_EVERY === BROKEN_EVERY - 1) return BROKEN;
  const about = {
    parentUuid: null,
    userType: "external",
    promptId: `p${Math.floor(row / 4)}`,
    timestamp: new Date(FIRST_ROW_MS + row * 1000).toISOString(),
    uuid: crypto.randomUUID(),
    sessionId,
    cwd: "/home/ada/project",
    gitBranch: "main",
    version: "2.1.197",
    ...more,
  };
  if (row % UNKNOWN_EVERY === UNKNOWN_EVERY - 2)
    return JSON.stringify({ type: "from-the-future", ...about, news: "x" });
  const id = `toolu_${sessionId}_${Math.floor(row / 4)}`;
  const content = [
    [{ type: "text", text: said }],
    [{ type: "text", text: said }],
    [{ type: "tool_use", id, name: "Bash", input: { command: said } }],
    [{ type: "tool_result", tool_use_id: id, content: said }],
  ][row % 4];
  const isUser = row % 4 === 0 || row % 4 === 3;
  const usage = isUser ? {} : { model: "claude-opus-4-8", usage: { input_tokens: 10, output_tokens: 5 } };
  return JSON.stringify({
    type: isUser ? "user" : "assistant",
    ...about,
    message: { role: isUser ? "user" : "assistant", content, ...usage },
  });
}

/** Rows of long tasks: tool output is stored twice, as text and as data, with an occasional picture. */
export function largeRow(writer: Writer, sessionId: string): (row: number) => string {
  // Generating two gigabytes of text would take longer than importing them.
  const texts = Array.from({ length: LARGE_TEXTS }, () => writer.text(LARGE_CHARACTERS));
  const picture = Buffer.from(Array.from({ length: PICTURE_BYTES }, () => Math.floor(writer.random() * 256)));
  return (row) => {
    const said = `${row} ${texts[Math.floor(writer.random() * LARGE_TEXTS)]}`;
    if (row % PICTURE_EVERY !== 3) return rowText(said, sessionId, row, { toolUseResult: { stdout: said } });
    const image = {
      type: "image",
      source: { type: "base64", media_type: "image/png", data: picture.toString("base64") },
    };
    return rowText(said, sessionId, row, { toolUseResult: { stdout: said, blocks: [image] } });
  };
}

const LARGE_TEXTS = 200;
const LARGE_CHARACTERS = 15_000;
const PICTURE_BYTES = 500_000;
const PICTURE_EVERY = 100;
