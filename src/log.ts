import { escapedJson, visible } from "./visible.ts";

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

type Fields = Record<string, unknown>;

/** `event` is a short constant sentence; the fields hold what varies. Neither contents nor secrets are ever logged. */
export interface Log {
  debug(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
  /** Returns a log that adds these fields to every line. */
  with(fields: Fields): Log;
}

export interface LogOptions {
  level: LogLevel;
  /** One JSON object per line for machines, or a short readable line for a terminal. */
  format: "json" | "text";
  write(line: string): void;
  /** Replaces every text before it is written: text from other programs may contain secrets. */
  mask?: ((text: string) => string) | undefined;
}

export function createLog(options: LogOptions, bound: Fields = {}): Log {
  const least = logLevels.indexOf(options.level);
  const line =
    (level: LogLevel) =>
    (event: string, fields: Fields = {}) => {
      if (logLevels.indexOf(level) < least) return;
      options.write(`${render(options, level, event, { ...bound, ...fields })}\n`);
    };
  return {
    debug: line("debug"),
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
    with: (fields) => createLog(options, { ...bound, ...fields }),
  };
}

/** Limit on log text waiting to be read, so that a client that never reads our stderr costs no memory. */
const MAX_UNREAD_CHARACTERS = 4_000_000;

/** The log of a process, on stderr: stdout carries the protocol when a client starts us. */
export function stderrLog(level: LogLevel, mask?: LogOptions["mask"]): Log {
  // The reader may have exited; without a listener the next line would end the process.
  process.stderr.on("error", () => {});
  return createLog({ level, format: process.stderr.isTTY ? "text" : "json", write: lineWriter(process.stderr), mask });
}

/** Drops lines while too much is unread, and logs how many were dropped once there is room again. */
export function lineWriter(stream: NodeJS.WritableStream): (line: string) => void {
  let unread = 0;
  let dropped = 0;
  const send = (line: string) => {
    unread += line.length;
    stream.write(line, () => (unread -= line.length));
  };
  return (line) => {
    if (unread > MAX_UNREAD_CHARACTERS) {
      dropped += 1;
      return;
    }
    if (dropped > 0)
      send(
        `${JSON.stringify({ level: "warn", event: "log lines were dropped because nothing read them", dropped })}\n`,
      );
    dropped = 0;
    send(line);
  };
}

function render({ format, mask }: LogOptions, level: LogLevel, event: string, fields: Fields): string {
  const time = new Date().toISOString();
  const shown = (value: unknown) => (typeof value === "string" && mask ? mask(value) : value);
  const plain = Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, shown(describe(value))]));
  if (format === "json") return escapedJson(JSON.stringify({ time, level, event, ...plain }));
  const rest = Object.entries(plain).map(([key, value]) => `${key}=${word(value)}`);
  return [time.slice(11, 19), level === "info" ? "" : level.toUpperCase(), event, ...rest]
    .filter(Boolean)
    .map((part) => visible(part))
    .join(" ");
}

/** An error is logged as its message: a stack or a cause may quote the caller's input. */
function describe(value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}

/** Quotes a value unless it is one word, so that a line break in it cannot forge a log line. */
function word(value: unknown): string {
  return typeof value === "string" && /^[^\s"]+$/.test(value) ? value : JSON.stringify(value);
}
