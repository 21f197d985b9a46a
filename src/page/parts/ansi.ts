import { visible } from "../../visible.ts";

/** A run of text in one style. Colours are names of classes, or for the 256 and 16 million others CSS values. */
export interface AnsiRun {
  text: string;
  classes: string[];
  color?: string;
  background?: string;
}

interface Style {
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  struck: boolean;
  inverse: boolean;
  color: string | undefined;
  background: string | undefined;
}

const PLAIN: Style = {
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  struck: false,
  inverse: false,
  color: undefined,
  background: undefined,
};

const ESCAPE = "\u001B";
/** The end of text that names a window or a link. */
const BELL = "\u0007";
/** A sequence that sets colours and weights; its parameters are bounded, since it comes from outside. */
const styleSequence = new RegExp(`${ESCAPE}\\[([\\d;:]{0,100})m`, "y");
/** Any other sequence: those that move, erase, or name the window act on a terminal only, and say nothing here. */
const otherSequence = new RegExp(
  `${ESCAPE}(?:\\[[\\d;:?<=>!]{0,100}[ -/]{0,4}[@-~]|\\][^${BELL}${ESCAPE}]{0,2000}(?:${BELL}|${ESCAPE}\\\\)|[()][\\dA-Z]|[=>78cDEHMNOZ])`,
  "y",
);

/** Whether a text holds what a terminal would obey. */
export function hasAnsi(text: string): boolean {
  return text.includes(`${ESCAPE}[`);
}

/** A program's output as runs, each in one style. Linear in the text's length; hidden characters are shown by name. */
export function ansiRuns(text: string): AnsiRun[] {
  const runs: AnsiRun[] = [];
  let style = PLAIN;
  let from = 0;
  const take = (end: number) => {
    if (end > from) runs.push({ text: visible(overwritten(text.slice(from, end))), ...look(style) });
  };
  for (let at = text.indexOf(ESCAPE); at !== -1; at = text.indexOf(ESCAPE, Math.max(at + 1, from))) {
    styleSequence.lastIndex = at;
    const codes = styleSequence.exec(text);
    otherSequence.lastIndex = at;
    const sequence = codes ?? otherSequence.exec(text);
    if (sequence === null) continue;
    take(at);
    from = at + sequence[0].length;
    if (codes !== null) style = styled(style, codes[1] ?? "");
  }
  take(text.length);
  return runs;
}

/** What a carriage return leaves of a line: a progress bar wrote it again and again. */
function overwritten(text: string): string {
  if (!text.includes("\r")) return text;
  return text
    .replaceAll("\r\n", "\n")
    .split("\n")
    .map((line) => line.slice(line.trimEnd().lastIndexOf("\r") + 1))
    .join("\n");
}

const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

function styled(before: Style, text: string): Style {
  const codes = text.split(/[;:]/).map(Number);
  let style = { ...before };
  for (let index = 0; index < codes.length; index += 1) {
    const code = codes[index] ?? 0;
    if (code === 38 || code === 48) {
      const { color, taken } = extended(codes.slice(index + 1));
      style = code === 38 ? { ...style, color } : { ...style, background: color };
      index += taken;
    } else style = simple(style, code);
  }
  return style;
}

function simple(style: Style, code: number): Style {
  if (code === 0) return PLAIN;
  if (code === 1) return { ...style, bold: true };
  if (code === 2) return { ...style, dim: true };
  if (code === 3) return { ...style, italic: true };
  if (code === 4) return { ...style, underline: true };
  if (code === 7) return { ...style, inverse: true };
  if (code === 9) return { ...style, struck: true };
  if (code === 22) return { ...style, bold: false, dim: false };
  if (code === 23) return { ...style, italic: false };
  if (code === 24) return { ...style, underline: false };
  if (code === 27) return { ...style, inverse: false };
  if (code === 29) return { ...style, struck: false };
  if (code === 39) return { ...style, color: undefined };
  if (code === 49) return { ...style, background: undefined };
  const name = NAMES[code % 10];
  if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) return { ...style, color: name };
  if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) return { ...style, background: name };
  return style;
}

/** A colour of 256 (`5;n`) or of all (`2;r;g;b`), and how many codes it took. */
function extended([kind, first = 0, green = 0, blue = 0]: number[]): { color: string | undefined; taken: number } {
  if (kind === 5) return { color: first < 16 ? NAMES[first % 8] : indexed(first), taken: 2 };
  if (kind === 2) return { color: `rgb(${first & 255} ${green & 255} ${blue & 255})`, taken: 4 };
  return { color: undefined, taken: 0 };
}

function indexed(code: number): string {
  if (code >= 232) {
    const grey = 8 + (code - 232) * 10;
    return `rgb(${grey} ${grey} ${grey})`;
  }
  const cube = code - 16;
  const level = (step: number) => (step === 0 ? 0 : 55 + step * 40);
  return `rgb(${level(Math.floor(cube / 36))} ${level(Math.floor(cube / 6) % 6)} ${level(cube % 6)})`;
}

function look(style: Style): Omit<AnsiRun, "text"> {
  const { color, background } = style.inverse ? { color: style.background, background: style.color } : style;
  const weights = (["bold", "dim", "italic", "underline", "struck", "inverse"] as const).filter((each) => style[each]);
  const classes = weights.map((each) => `ansi-${each}`);
  const isNamed = (value: string | undefined) => value !== undefined && NAMES.includes(value);
  if (isNamed(color)) classes.push(`ansi-${color}`);
  if (isNamed(background)) classes.push(`ansi-on-${background}`);
  return {
    classes,
    ...(color === undefined || isNamed(color) ? {} : { color }),
    ...(background === undefined || isNamed(background) ? {} : { background, color: color ?? readableOn(background) }),
  };
}

/** Black or white, whichever is read better on a colour of the form `rgb(r g b)`. */
function readableOn(background: string): string {
  const [red = 0, green = 0, blue = 0] = (background.match(/\d+/g) ?? []).map(Number);
  return red * 0.3 + green * 0.59 + blue * 0.11 > 140 ? "black" : "white";
}
