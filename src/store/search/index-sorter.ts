import type { Log } from "../../log.ts";
import type { Database } from "../database/database.ts";

/**
 * Of messages, after which the list is sorted. In talk that is about 4 MB of list: every search reads it, 5 ms for
 * so much, and to sort more often costs more in all, since each time the places of all common words are written anew.
 */
const SORTED_CHARACTERS = 2_000_000;
/** What sorting may take beyond the deadline. It took a quarter of a second; a list at its limit on a slow disk takes many. */
const EXTRA_MS = 60_000;

/**
 * Sorts the words of new messages into the index of search while others store. PostgreSQL puts them into a list first, and
 * has whoever makes it too long sort it; so that no caller has to, the server does it before, on another connection.
 */
export class IndexSorter {
  readonly #database: Database;
  readonly #log: Log;
  #characters = 0;
  #isSorting = false;

  constructor(database: Database, log: Log) {
    this.#database = database;
    this.#log = log;
  }

  /** Takes note of new words, and begins to sort when they are many. Nobody waits for that, and it fails nobody. */
  stored(characters: number): void {
    this.#characters += characters;
    if (this.#characters < SORTED_CHARACTERS || this.#isSorting) return;
    this.#characters = 0;
    this.#isSorting = true;
    void this.#sort().finally(() => (this.#isSorting = false));
  }

  async #sort(): Promise<void> {
    try {
      await this.#database.repeatable((sql) => sql`select gin_clean_pending_list('messages_search')`, EXTRA_MS);
    } catch (error) {
      this.#log.warn("new words could not be sorted into the index of search; who stores next may have to", { error });
    }
  }
}
