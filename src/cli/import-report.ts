import type { Invocation } from "./command.ts";
import type { FileAccount } from "../capture/import-memory.ts";
import type { Importer } from "../capture/importer.ts";
import { visible } from "../visible.ts";
import { counted } from "./terminal.ts";

/** Maximum number of faults listed one by one; the others are only counted. */
export const MAX_TOLD_FAULTS = 20;

/** What was wrong with a source, or with one row of it. */
export interface ImportFault {
  source: string;
  row?: number;
  reason: string;
}

/** Counts what an import has read, and tells it. */
export class ImportReport {
  readonly #unknown = new Map<string, number>();
  readonly #faults: ImportFault[] = [];
  /** Files in a folder that no kind of source knows: the others may be anything, so they are only counted. */
  readonly #passedOver: string[] = [];
  #others = 0;
  /** Files and folders that were told as not read. */
  readonly #told = new Set<string>();
  #rows = 0;
  #broken = 0;
  #unreadable = 0;
  /** Files of which a kind of source knows something. */
  readonly files = new Set<string>();

  /** Whether something was not read. */
  get isIncomplete(): boolean {
    return this.#unreadable + this.#broken > 0;
  }

  /** Adds what one file has held. */
  add({ rows, broken, unknown, faults }: FileAccount): void {
    this.#rows += rows;
    this.#broken += broken;
    for (const [type, count] of Object.entries(unknown))
      this.#unknown.set(type, (this.#unknown.get(type) ?? 0) + count);
    for (const fault of faults) this.fault(fault);
  }

  fault(fault: ImportFault): void {
    if (this.#faults.length < MAX_TOLD_FAULTS) this.#faults.push(fault);
  }

  /** A file or folder that could not be read is told once. */
  notRead(source: string, reason: string): void {
    if (this.#told.has(source)) return;
    this.#told.add(source);
    this.#unreadable += 1;
    this.fault({ source, reason });
  }

  /** A file that no kind of source knows; without `look` it is only counted. */
  passOver(look: string | undefined): void {
    if (look === undefined) this.#others += 1;
    else this.#passedOver.push(look);
  }

  /** For programs. */
  values(importer: Importer): Record<string, unknown> {
    return {
      files: this.files.size,
      rows: this.#rows,
      conversations: importer.conversations,
      messages: importer.counts.stored,
      known: importer.counts.known,
      versions: importer.counts.versions,
      notes: importer.counts.notes,
      results: importer.results,
      contexts: importer.contexts,
      unknown: Object.fromEntries(this.#unknown),
      broken: this.#broken,
      refused: importer.refused,
      unreadable: this.#unreadable,
      passed_over: this.#passedOver.length + this.#others,
      faults: this.#faults,
    };
  }

  /** For a person. */
  summary({ counts, conversations, refused, results, contexts }: Importer, typed: Invocation["typed"]): string {
    const { stored, known, versions } = counts;
    const others = [
      ...(results > 0 ? [counted(results, "orchestration result")] : []),
      ...(contexts > 0 ? [counted(contexts, "startup context")] : []),
    ];
    const unknown = [...this.#unknown].map(([type, count]) => `${type} (${count})`).join(", ");
    const faults = this.#broken + refused + this.#unreadable;
    return [
      `${counted(stored, "message")} imported, ${known.toLocaleString("en-US")} known already, in ${counted(conversations, "conversation")} from ${counted(this.files.size, "file")}.`,
      ...(others.length > 0 ? [`Also imported: ${others.join(" and ")}.`] : []),
      ...(versions > 0
        ? [`${counted(versions, "message")} came again with another text, which is kept as a second version.`]
        : []),
      ...this.#passedOverLines(),
      ...(unknown === "" ? [] : [`Kept rows of unknown types: ${unknown}.`]),
      ...(faults > 0 ? [`${counted(faults, "fault")}:`] : []),
      ...this.#faults.map(
        ({ source, row, reason }) =>
          `  ${lineOf(source)}${row === undefined ? "" : `:${row}`}: ${lineOf(typed(reason))}`,
      ),
      ...(faults > this.#faults.length ? [`  and ${faults - this.#faults.length} more`] : []),
      "",
    ].join("\n");
  }

  /** Transcripts that no kind knows are named; of other files, such as settings, there is the number. */
  #passedOverLines(): string[] {
    const count = this.#passedOver.length + this.#others;
    if (count === 0 || this.files.size === 0) return [];
    const named = this.#passedOver.slice(0, MAX_TOLD_FAULTS);
    const more = this.#passedOver.length - named.length;
    return [
      `${counted(count, "file")} skipped: unknown format.`,
      ...named.map((path) => `  ${lineOf(path)}`),
      ...(more > 0 ? [`  and ${more} more`] : []),
      ...(named.length > 0 && this.#others > 0 ? [`  and ${this.#others} more, empty or JSON such as settings`] : []),
    ];
  }
}

/** A name from outside, in one line. */
function lineOf(text: string): string {
  return visible(text).replaceAll("\n", "␊");
}
