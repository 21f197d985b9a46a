import { judgeData } from "./judging.ts";
import { secretName } from "./names.ts";
import type { SecretName } from "./names.ts";
import type { Scan } from "./scan.ts";
import { isMixed } from "./values.ts";

// Secrets in columns: of CSV, of tables with bars, of SQL's INSERT and of PostgreSQL's COPY.

/** Longest line that is looked at as the head of a table, and longest row. */
const MAX_HEAD_CHARACTERS = 2000;
const MAX_ROW_CHARACTERS = 20_000;
/** A fast check of a line: names and separators only, and one that may be a secret's. */
const headLine = /^[\w .:/|,;"'`\t\r-]+$/;
const headStem = /pass|pwd|secret|token|key|pin|cred|auth/i;
/** What may stand in a cell of a head. */
const headName = /^[\w .:/-]{1,40}$/;
/** Lines between the head and the rows, and around them. */
const border = /^[\s|+:=\-─━═┌┬┐├┼┤└┴┘╞╪╡]{3,}$/;

type Separator = "|" | "," | ";" | "\t";

interface Column {
  index: number;
  name: SecretName;
}

/** A cell of a row: its bounds without spaces and quotation marks. */
interface Cell {
  start: number;
  end: number;
  isQuoted: boolean;
}

/** Cuts the columns under the names of secrets, when this separator is the first in the head of a table. */
export function tableHead(scan: Scan, at: number, separator: Separator): void {
  const { text } = scan;
  if (at < scan.headEnd || at < scan.tableEnd) return;
  const start = text.lastIndexOf("\n", at) + 1;
  const end = lineEnd(text, at);
  scan.headEnd = end;
  if (end - start > MAX_HEAD_CHARACTERS) return;
  const line = text.slice(start, end);
  if (!headStem.test(line) || !headLine.test(line)) return;
  const names = cellsOf(text, { start, end }, separator).map((cell) => text.slice(cell.start, cell.end));
  if (names.length < 2 || !names.every((name) => headName.test(name))) return;
  const columns = secretColumns(names);
  if (columns.length > 0) rows(scan, end + 1, { columns, count: names.length, separator });
}

/** `INSERT INTO users (email, password) VALUES ('…', '…')`, by where it begins. */
export function insertion(scan: Scan, start: number): void {
  const { text } = scan;
  if (start < scan.tableEnd) return;
  const found = /^insert\s{1,9}into\s{1,9}[^\s(]{1,120}\s{0,9}\(([^()]{1,2000})\)\s{0,9}values\s{0,9}/i.exec(
    text.slice(start, start + 2400),
  );
  if (found?.[1] === undefined) return;
  const columns = secretColumns(found[1].split(",").map((each) => each.trim().replaceAll(/["'`[\]\\]/g, "")));
  if (columns.length === 0) return;
  let at = start + found[0].length;
  while (text[at] === "(") {
    const tuple = tupleAt(text, at + 1);
    for (const { index, name } of columns) judgeCell(scan, tuple.cells[index], name);
    at = tuple.end;
    while (/[\s,]/.test(text[at] ?? "")) at += 1;
  }
  scan.tableEnd = at;
}

/** `COPY users (email, password) FROM stdin;`, of pg_dump, by where it begins. */
export function copy(scan: Scan, start: number): void {
  const found = /^COPY [^\s(]{1,120} \(([^()]{1,2000})\) FROM stdin;\r?\n/.exec(scan.text.slice(start, start + 2200));
  if (found?.[1] === undefined || start < scan.tableEnd) return;
  const names = found[1].split(",").map((each) => each.trim());
  const columns = secretColumns(names);
  if (columns.length > 0) rows(scan, start + found[0].length, { columns, count: names.length, separator: "\t" });
}

function secretColumns(names: readonly string[]): Column[] {
  return names.flatMap((each, index) => {
    const name = secretName(each);
    return name === undefined ? [] : [{ index, name }];
  });
}

/** Cuts the columns of the lines that have as many cells as the head. */
function rows(
  scan: Scan,
  from: number,
  { columns, count, separator }: { columns: Column[]; count: number; separator: Separator },
): void {
  const { text } = scan;
  let at = from;
  while (at < text.length) {
    const end = lineEnd(text, at);
    if (end - at > MAX_ROW_CHARACTERS) break;
    if (separator === "\t" || !border.test(text.slice(at, end))) {
      const cells = cellsOf(text, { start: at, end }, separator);
      if (cells.length !== count) break;
      for (const { index, name } of columns) judgeCell(scan, cells[index], name);
    }
    at = end + 1;
  }
  scan.tableEnd = Math.max(scan.tableEnd, at);
}

/** What stands in a column of secrets is one, unless it is a word: a heading, a remark or a type. */
function judgeCell(scan: Scan, cell: Cell | undefined, name: SecretName): void {
  if (cell === undefined || cell.end - cell.start < 4) return;
  const value = scan.text.slice(cell.start, Math.min(cell.end, cell.start + 300));
  if (/\s/.test(value) || !(isMixed(value) || /[!@#^&*]/.test(value))) return;
  judgeData(scan, name, cell);
}

/** The cells of a line; a separator in quotation marks separates nothing. Bars also stand around a row. */
function cellsOf(text: string, { start, end }: { start: number; end: number }, separator: string): Cell[] {
  const cells: Cell[] = [];
  let from = start;
  let quote = "";
  for (let at = start; at <= end; at++) {
    const sign = text[at] ?? "";
    if (quote !== "" && at < end) {
      if (sign === quote) quote = "";
    } else if (at === end || sign === separator) {
      cells.push(trimmed(text, from, at));
      from = at + 1;
    } else if ((separator === "," || separator === ";") && sign === '"') quote = sign;
  }
  if (separator !== "|") return cells;
  const isAround = (cell: Cell | undefined) => cell !== undefined && cell.start === cell.end;
  if (isAround(cells[0])) cells.shift();
  if (isAround(cells.at(-1))) cells.pop();
  return cells;
}

/** The values of a row of SQL, from behind its bracket to behind the one that closes it. */
function tupleAt(text: string, from: number): { cells: Cell[]; end: number } {
  const cells: Cell[] = [];
  let begin = from;
  let isString = false;
  let at = from;
  for (; at < text.length; at++) {
    const sign = text[at];
    if (isString) {
      if (sign === "\\") at += 1;
      else if (sign === "'") isString = false;
    } else if (sign === "'") isString = true;
    else if (sign === "," || sign === ")") {
      cells.push(trimmed(text, begin, at));
      begin = at + 1;
      if (sign === ")") break;
    }
  }
  return { cells, end: Math.min(at + 1, text.length) };
}

function trimmed(text: string, from: number, to: number): Cell {
  let [start, end] = [from, to];
  while (start < end && /[ \t\r]/.test(text[start] ?? "")) start += 1;
  while (end > start && /[ \t\r]/.test(text[end - 1] ?? "")) end -= 1;
  const first = text[start] ?? "";
  const isQuoted = end - start >= 2 && /["'`]/.test(first) && text[end - 1] === first;
  return isQuoted ? { start: start + 1, end: end - 1, isQuoted } : { start, end, isQuoted };
}

function lineEnd(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end === -1 ? text.length : end;
}
