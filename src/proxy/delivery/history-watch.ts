import { DeweyError, asDeweyError } from "../../errors.ts";
import type { ErrorCode } from "../../errors.ts";
import type { ToolClient } from "../../tool-client.ts";

/** The tool with which a server names the history of its database. */
const TOOL = "dewey_identify_database";
/** Names become part of a line in a file. */
const plainName = /^[\w.-]{1,100}$/;
/** Error codes of a server that does not have the tool. */
const refusals: ReadonlySet<ErrorCode> = new Set(["invalid", "not_found", "conflict"]);

export interface HistoryWatchOptions {
  client: Pick<ToolClient, "call">;
  /**
   * Called with the history after each look; undefined where the server cannot tell. `askedMs` is when the look began. Returns
   * whether records were taken back to be delivered again.
   */
  onLook: (history: string | undefined, askedMs: number) => boolean;
}

/**
 * Calls tools, and knows the history of the database in which the calls' writes end: its cluster and timeline, which a failover
 * changes. It looks before the first call and before the first call after a failure, so that what a call writes never belongs
 * to an earlier history than the one that is known.
 */
export class HistoryWatch {
  readonly #options: HistoryWatchOptions;
  #looking: Promise<boolean> | undefined;
  #isDoubted = true;
  /** What the last look has found. */
  history: string | undefined;

  constructor(options: HistoryWatchOptions) {
    this.#options = options;
  }

  /**
   * Calls a tool of the store. Throws `unavailable` without calling it when a look before it had records taken back: the call's
   * own are among them.
   */
  async call(tool: string, args: Record<string, unknown>): Promise<Record<string, unknown>> {
    if (this.#isDoubted && (await this.look()))
      throw new DeweyError("unavailable", "the database has another history; what was delivered last is sent again");
    try {
      return await this.#options.client.call(tool, args);
    } catch (error) {
      if (!refusals.has(asDeweyError(error).code)) this.doubt();
      throw error;
    }
  }

  /** Has the next call look first. */
  doubt(): void {
    this.#isDoubted = true;
  }

  /** Asks the server for the history. Callers share a look under way. Throws when the server gives no answer. */
  look(): Promise<boolean> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  async #look(): Promise<boolean> {
    const askedMs = performance.now();
    this.history = await this.#ask();
    this.#isDoubted = false;
    return this.#options.onLook(this.history, askedMs);
  }

  async #ask(): Promise<string | undefined> {
    try {
      const { history } = await this.#options.client.call(TOOL, {});
      return typeof history === "string" && plainName.test(history) ? history : undefined;
    } catch (thrown) {
      const { code, message } = asDeweyError(thrown);
      if (refusals.has(code)) return undefined;
      // Without its cause: no record was under way, so none is to blame when the server went away.
      throw new DeweyError(code, message);
    }
  }
}
