import type { Database } from "bun:sqlite";
import type { Json } from "../wire/frame.ts";
import type { Beside } from "./beside.ts";
import type { Captured, SourceReader } from "./captured.ts";
import type { Home } from "./home.ts";

/**
 * How the pieces of a source lie in its file: a JSON object a line, or objects at a depth of brackets in one JSON text (0 is
 * the text itself, 1 the elements of an array, 2 those of an array in an object). Lines may be `changes` of a text, so that
 * their reader knows nothing before it has read them all. A file `beside` is part of a source in another file, whose reader
 * reads it as well.
 */
export type Form = "lines" | "changes" | "beside" | { depth: 0 | 1 | 2 };

/** The beginning of a file, by which its kind is told. */
export interface Head {
  /** The file's name without its folder, and without extensions. */
  name: string;
  stem: string;
  /** Undefined in a zip. */
  path: string | undefined;
  /** The decoded beginning. */
  text: string;
  /** The lines of it that are JSON objects, the first ones. */
  rows: Json[];
  /** The last line, when the beginning ends within it: its first keys tell. */
  cut: string;
}

/** Where a source is, for what lies beside it and for what its name says. */
export interface SourceFile {
  name: string;
  stem: string;
  /** Undefined in a zip. */
  path: string | undefined;
  /** When the file was last written, for rows without any time. ISO 8601. */
  time: string | undefined;
  /** What lies beside it. */
  beside: Beside;
}

/** A kind of source: how it is recognised, and what reads it. Each stands in a file of its own, and in `source-kinds.ts`. */
export interface SourceKind {
  /** As people know it. */
  name: string;
  /** Where its files are: paths in which `*` stands for any name. None for what people keep where they like. */
  where?(home: Home): string[];
  /** The form of a file that is of this kind, by the marks of its content; undefined for any other. */
  form(head: Head): Form | undefined;
  reader(file: SourceFile): SourceReader;
}

/** A kind of source that is an SQLite database, recognised by its tables. Each of its rows is one session. */
export interface DatabaseKind {
  name: string;
  where(home: Home): string[];
  /** The tables by which it is recognised, with columns that they have. */
  tables: Record<string, string[]>;
  /** The rows to read, one at a time. */
  rows(database: Database): Iterable<unknown>;
  /** Everything in one row; what it throws is told as that row's fault. */
  read(row: unknown, database: Database, file: SourceFile): Captured[];
}
