import { parseRow } from "./captured.ts";
import type { Captured, SourceReader } from "./captured.ts";
import { withMessages } from "./talk.ts";
import type { Json } from "../wire/frame.ts";

/** Reads sources of which each row stands for itself, such as a whole session in one JSON text. */
export class DocumentReader implements SourceReader {
  readonly #read: (document: Json) => Captured[];

  constructor(read: (document: Json) => Captured[]) {
    this.#read = read;
  }

  take(text: string): Captured[] {
    const parsed = parseRow(text);
    return "broken" in parsed ? parsed.broken : withMessages(this.#read(parsed.row));
  }

  end(): Captured[] {
    return [];
  }
}
