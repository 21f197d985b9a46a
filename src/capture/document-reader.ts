import type { Json } from "../wire/frame.ts";
import type { Captured } from "./captured.ts";
import { RowReader } from "./row-reader.ts";
import { withMessages } from "./talk.ts";

/** Reads sources of which each row stands for itself, such as a whole session in one JSON text. */
export class DocumentReader extends RowReader {
  readonly #read: (document: Json) => Captured[];

  constructor(read: (document: Json) => Captured[]) {
    super();
    this.#read = read;
  }

  protected override readRow(document: Json): Captured[] {
    return withMessages(this.#read(document));
  }
}
