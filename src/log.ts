export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

type Fields = Record<string, unknown>;

/** Says what happened: `event` is a short constant sentence, the fields hold what varies. Never contents, never secrets. */
export interface Log {
  debug(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
  /** A log that adds these fields to every line. */
  with(fields: Fields): Log;
}

export interface LogOptions {
  level: LogLevel;
  /** One JSON object a line for machines, or a short readable line for a terminal. */
  format: "json" | "text";
  write(line: string): void;
  /** What is to be written in a text's place, for a log of what others say: it may hold their secrets. */
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

/** What waits at most for whoever reads the log; a client that never reads our stderr must not cost us memory. */
const MAX_UNREAD_CHARACTERS = 4_000_000;

/** The log of a process: on stderr, because stdout belongs to the protocol when a client has started us. */
export function stderrLog(level: LogLevel, mask?: LogOptions["mask"]): Log {
  // Whoever read it may be gone; without this the next line would end the process.
  process.stderr.on("error", () => {});
  return createLog({ level, format: process.stderr.isTTY ? "text" : "json", write: writer(process.stderr), mask });
}

/** Writes lines, and leaves out those for which nobody makes room, saying how many when there is room again. */
function writer(stream: NodeJS.WriteStream): (line: string) => void {
  let unread = 0;
  let left = 0;
  const send = (line: string) => {
    unread += line.length;
    stream.write(line, () => (unread -= line.length));
  };
  return (line) => {
    if (unread > MAX_UNREAD_CHARACTERS) {
      left += 1;
      return;
    }
    if (left > 0)
      send(`${JSON.stringify({ level: "warn", event: "lines of the log that nobody read were left out", left })}\n`);
    left = 0;
    send(line);
  };
}

function render({ format, mask }: LogOptions, level: LogLevel, event: string, fields: Fields): string {
  const time = new Date().toISOString();
  const shown = (value: unknown) => (typeof value === "string" && mask ? mask(value) : value);
  const plain = Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, shown(describe(value))]));
  if (format === "json") return JSON.stringify({ time, level, event, ...plain });
  const rest = Object.entries(plain).map(([key, value]) => `${key}=${word(value)}`);
  return [time.slice(11, 19), level === "info" ? "" : level.toUpperCase(), event, ...rest].filter(Boolean).join(" ");
}

/** An error logs as its message: a stack or a cause may quote what a caller sent. */
function describe(value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}

/** A value as one word, so that a line break in it cannot forge a line of the log. */
function word(value: unknown): string {
  return typeof value === "string" && /^[^\s"]+$/.test(value) ? value : JSON.stringify(value);
}
