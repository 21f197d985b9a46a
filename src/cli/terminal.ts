import { styleText } from "node:util";
import type { TerminalConfig } from "../config.ts";
import { READABLE_COLUMNS, wrapped } from "./prose.ts";

/** The styles, each with the same meaning in every command. */
const looks = {
  heading: "bold",
  quiet: "dim",
  name: "cyan",
  match: "yellow",
  good: "green",
  bad: "red",
} as const;

/** How to write for the reader: a person at a terminal, or a program. */
export interface Terminal {
  /** Whether stdout is a terminal. */
  interactive: boolean;
  /** Characters that fit on a line. */
  columns: number;
  paint: (look: keyof typeof looks, text: string) => string;
  /** Renders Markdown for a person; leaves it as it is for programs. */
  markdown: (text: string) => string;
  /** Breaks sentences between words for a person; leaves them whole for programs. */
  prose: (text: string) => string;
  /** Cuts a line to the width left beside `taken` characters; leaves it whole for programs. */
  fit: (line: string, taken?: number) => string;
}

/** How to write to stdout: as to a terminal if it is one, else as to a program. */
export function terminalOf(config: TerminalConfig): Terminal {
  const interactive = process.stdout.isTTY;
  const colour = interactive && config.colour;
  const columns = interactive ? process.stdout.columns || DEFAULT_COLUMNS : Infinity;
  return {
    interactive,
    columns,
    paint: (look, text) => (colour ? styleText(looks[look], text, { validateStream: false }) : text),
    markdown: (text) =>
      interactive ? Bun.markdown.ansi(text, { colors: colour, columns: Math.min(columns, READABLE_COLUMNS) }) : text,
    prose: (text) => (interactive ? wrapped(text, Math.min(columns, READABLE_COLUMNS)) : text),
    fit: (line, taken = 0) => (interactive ? cut(line, Math.max(1, columns - taken)) : line),
  };
}

/** Used when the terminal does not report its width. */
const DEFAULT_COLUMNS = 80;
/** A text cut to a width in cells, with an ellipsis for the rest. */
export function cut(text: string, width: number): string {
  const short = Bun.sliceAnsi(text, 0, width, { ellipsis: "…" });
  // Bun takes one cell too many where a wide character stands across the cut.
  return Bun.stringWidth(short) <= width ? short : Bun.sliceAnsi(text, 0, width - 1, { ellipsis: "…" });
}

/** A time in the local time zone, to the minute or to the second. */
export function localTime(iso: string, precision: "minute" | "second" = "minute"): string {
  const time = new Date(iso);
  const two = (value: number) => `${value}`.padStart(2, "0");
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}`;
  return `${date} ${clock}${precision === "second" ? `:${two(time.getSeconds())}` : ""}`;
}

/** `1 message`, `2 messages`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
}

/** A duration as people say it: `12 ms`, `1.5 s`, `2 min 5 s`. */
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${tenths / 10} s`;
  const seconds = Math.round(ms / 1000);
  const [minutes, rest] = [Math.floor(seconds / 60), seconds % 60];
  return rest === 0 ? `${minutes} min` : `${minutes} min ${rest} s`;
}

/** `1.5 MB`, in powers of ten. */
export function bytesText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

/** Rows under a heading, in columns as wide as their widest cell. The last column gets the rest of the line. */
export function table(terminal: Terminal, heading: string[], rows: string[][]): string {
  const widths = heading.map((cell, column) =>
    Math.max(...[cell, ...rows.map((row) => row[column] ?? "")].map((text) => Bun.stringWidth(text))),
  );
  const line = (cells: string[]) =>
    terminal.fit(
      cells
        .map((cell, column) => (column === cells.length - 1 ? cell : pad(cell, widths[column] ?? 0)))
        .join("  ")
        .trimEnd(),
    );
  return [terminal.paint("quiet", line(heading)), ...rows.map(line)].map((text) => `${text}\n`).join("");
}

/** Right-aligns numbers, so that their digits line up. */
function pad(cell: string, width: number): string {
  const space = " ".repeat(Math.max(0, width - Bun.stringWidth(cell)));
  return /^[\d,.]+( ms)?$/.test(cell) ? space + cell : cell + space;
}
