import type { Json } from "../wire/frame.ts";
import { parseRow } from "./captured.ts";
import type { Captured, SourceReader } from "./captured.ts";

/** Reads sources of which each row is a JSON object; any other row is told as broken. */
export abstract class RowReader implements SourceReader {
  take(text: string): Captured[] {
    const parsed = parseRow(text);
    return "broken" in parsed ? parsed.broken : this.readRow(parsed.row, text);
  }

  end(): Captured[] {
    return [];
  }

  /** What a row becomes. `text` is the row as it stands in the source. */
  protected abstract readRow(row: Json, text: string): Captured[];
}
