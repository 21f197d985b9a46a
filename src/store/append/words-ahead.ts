import type { SQL } from "bun";
import { within } from "../../deadline.ts";
import type { Database } from "../database/database.ts";
import { appendRows, extraMs } from "./append.ts";
import type { Append, AppendOutcome } from "./append.ts";
import { textArray } from "./texts.ts";

/** The cursor in which words wait; a transaction has one. */
const CURSOR = "dewey_words_ahead";
/**
 * How long words may wait for their turn. A part takes a fraction of this; one that takes longer waits for something, possibly
 * for the lock that this transaction has on the table.
 */
const MAX_WAIT_MS = 2000;

/**
 * A transaction that makes the words of a part of an import, which takes most of the time of storing it, while another connection
 * stores the part before it. It stores nothing before its turn.
 */
export class WordsAhead {
  readonly #turn = Promise.withResolvers<"store" | "leave">();
  readonly #outcomes: Promise<AppendOutcome[] | undefined>;

  constructor(database: Database, { rows, characters, call }: Append) {
    this.#outcomes = database
      .transaction(
        async (sql) => {
          await makeWords(sql, rows);
          const turn = await within(MAX_WAIT_MS, this.#turn.promise, () => "leave");
          return turn === "store" ? appendRows(sql, [rows], CURSOR) : undefined;
        },
        extraMs(call?.characters ?? characters),
      )
      // What is wrong with the rows is found again when they are stored without this.
      .catch(() => undefined);
  }

  /** Stores the rows. Returns undefined when they are not stored, or may not be: then they should be stored as usual. */
  store(): Promise<AppendOutcome[] | undefined> {
    this.#turn.resolve("store");
    return this.#outcomes;
  }

  /** Ends the transaction without storing. */
  leave(): void {
    this.#turn.resolve("leave");
  }
}

async function makeWords(sql: SQL, rows: Append["rows"]): Promise<void> {
  const contents = rows.map(({ content }) => content);
  const searchables = rows.map(({ searchable }) => searchable);
  await sql`select dewey_make_words(${CURSOR}, ${textArray(sql, contents)}, ${textArray(sql, searchables)})`;
}
