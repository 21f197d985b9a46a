import { statSync, watch } from "node:fs";
import type { FSWatcher, Stats } from "node:fs";
import { basename, dirname, join } from "node:path";
import { Backoff } from "../backoff.ts";
import { asDeweyError } from "../errors.ts";
import type { DeweyError } from "../errors.ts";
import type { Log } from "../log.ts";
import { pause } from "../pause.ts";
import type { Json } from "../wire/frame.ts";
import type { CapturedRow, SourcePlace } from "./captured.ts";
import { filesAt, isCandidate, reasonOf } from "./files.ts";
import { FollowedFile } from "./follow.ts";
import { placesAt } from "./home.ts";
import { Importer } from "./importer.ts";
import { PlaceWatch } from "./place-watch.ts";
import { piecesOf, sourcesIn } from "./sources.ts";
import type { WatchState } from "./watch-state.ts";
import { WatchedDatabase, databaseFacts } from "./watched-database.ts";
import type { DatabaseFacts } from "./watched-database.ts";

/** How long a change waits for more of its kind: clients write row by row. */
const SETTLE_MS = 200;
/** How often all folders are walked, for what the operating system did not tell. */
const SWEEP_INTERVAL_MS = 60_000;
/** How often databases are looked at. */
const DATABASE_INTERVAL_MS = 2000;
/** A file that is read whole is read again only when it has been left alone for this long. */
const WHOLE_FILE_REST_MS = 5000;
/** A file that was left alone for this long has ended: what its reader holds back is stored. It may go on later. */
const ENDED_MS = 600_000;
/** Files whose readers are kept in memory; one of the others is read from its beginning again when it grows. */
const MAX_OPEN_FILES = 100;
/** Longest pause after a file. As long as reading took, so that the server's other callers get half of its time. */
const MAX_PAUSE_MS = 1000;
/** Pauses before a file is read again that the server failed to store, doubled each time: the fault may be gone, or not. */
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 3_600_000;

export interface WatcherOptions {
  /** Folders and files in which clients leave their sessions, `*` standing for any name. They need not exist yet. */
  folders: string[];
  /** Databases in which clients keep their sessions, `*` standing for any name. */
  databases: string[];
  state: WatchState;
  /** Calls a tool, and waits for a server that is away. */
  call: (tool: string, args: Json) => Promise<Json>;
  log: Log;
  /** Called when everything that is known of is stored. */
  onIdle: () => void;
  stopping: AbortSignal;
}

/**
 * Follows the files of all clients: stores what is in them, and what is added. A file is read from where an earlier run
 * stopped, and only when it has changed. The operating system tells of changes; a slow walk finds what it does not tell.
 */
export class Watcher {
  readonly #options: WatcherOptions;
  readonly #importer: Importer;
  readonly #watches = new Map<string, FSWatcher>();
  readonly #places: PlaceWatch;
  #hasNewPlaces = false;
  readonly #changed = new Set<string>();
  /** Files that are read line by line, those used last at the end. */
  readonly #open = new Map<string, FollowedFile>();
  readonly #databases = new Map<string, WatchedDatabase>();
  /** Reasons that were logged, so that each is logged once for a file. */
  readonly #told = new Map<string, string>();
  /** Files that the server failed to store, and those among them that rest before they are read again. */
  readonly #failing = new Map<string, Backoff>();
  readonly #resting = new Set<string>();
  /** The server's fault at a message of the file that is being read. */
  #fault: DeweyError | undefined;
  #isAwake = false;
  #onWake: (() => void) | undefined;
  #stored = 0;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#places = new PlaceWatch(options.folders, () => this.#lookForPlaces());
    this.#importer = new Importer({
      call: options.call,
      onRefused: (place, error) => this.#refused(place, error),
    });
  }

  /** Works until it is asked to stop. Throws when the server refuses the token. */
  async run(): Promise<void> {
    const { stopping, onIdle } = this.#options;
    stopping.addEventListener("abort", () => this.#wake());
    try {
      while (!stopping.aborted) {
        await this.#sweep();
        const nextSweepMs = performance.now() + SWEEP_INTERVAL_MS;
        while (!stopping.aborted && performance.now() < nextSweepMs) {
          if (this.#hasNewPlaces) await this.#findPlaces();
          await this.#readChanged();
          onIdle();
          await this.#untilWoken(Math.min(nextSweepMs - performance.now(), this.#nextLookMs()));
          this.#lookAtDatabases();
          await pause(SETTLE_MS, stopping);
        }
      }
    } finally {
      this.#places.close();
      for (const each of this.#watches.values()) each.close();
    }
  }

  #nextLookMs(): number {
    return this.#databases.size === 0 ? Infinity : DATABASE_INTERVAL_MS;
  }

  /** A database is told to have changed by its file and its log alone, which costs next to nothing. */
  #lookAtDatabases(): void {
    for (const path of this.#databases.keys()) {
      const facts = databaseFacts(path);
      if (facts !== undefined && !this.#isRead(path, facts)) this.#changed.add(path);
    }
  }

  #isRead(path: string, { bytes, modifiedMs, inode }: DatabaseFacts): boolean {
    const known = this.#options.state.get(path);
    return known?.bytes === bytes && known.modifiedMs === modifiedMs && known.inode === inode;
  }

  /** Resolves at the next change, or at one that came since the last time, or after the duration. */
  async #untilWoken(durationMs: number): Promise<void> {
    if (!this.#isAwake && !this.#options.stopping.aborted) {
      const woken = Promise.withResolvers<void>();
      this.#onWake = woken.resolve;
      const timer = setTimeout(woken.resolve, Math.max(0, durationMs));
      await woken.promise;
      clearTimeout(timer);
      this.#onWake = undefined;
    }
    this.#isAwake = false;
  }

  #wake(path?: string): void {
    if (path !== undefined) this.#changed.add(path);
    this.#isAwake = true;
    this.#onWake?.();
  }

  /** Walks all folders. Files that were written last come first: somebody may be at work in them. */
  async #sweep(): Promise<void> {
    const { folders, databases, state, stopping } = this.#options;
    const seen = new Map<string, number>();
    this.#places.update();
    for (const path of placesAt(databases)) {
      const facts = databaseFacts(path);
      if (facts === undefined) continue;
      seen.set(path, facts.modifiedMs);
      if (!this.#databases.has(path)) this.#databases.set(path, new WatchedDatabase());
    }
    for (const path of this.#databases.keys()) if (!seen.has(path)) this.#databases.delete(path);
    for (const folder of placesAt(folders)) {
      if (stopping.aborted) return;
      this.#watch(folder);
      for (const [path, modifiedMs] of await this.#filesAt(folder)) seen.set(path, modifiedMs);
    }
    state.keepOnly(new Set(seen.keys()));
    for (const path of this.#open.keys()) if (!seen.has(path)) this.#open.delete(path);
    for (const path of this.#failing.keys()) if (!seen.has(path)) this.#failing.delete(path);
    for (const [path] of [...seen].toSorted(([, a], [, b]) => b - a)) this.#changed.add(path);
  }

  /** Walks the folders that have appeared since the last walk of all. */
  async #findPlaces(): Promise<void> {
    this.#hasNewPlaces = false;
    this.#places.update();
    for (const place of placesAt(this.#options.folders)) {
      if (this.#options.stopping.aborted || this.#watches.has(place)) continue;
      this.#watch(place);
      for (const path of (await this.#filesAt(place)).keys()) this.#changed.add(path);
    }
  }

  /** The files at a place, and when they were written. */
  async #filesAt(place: string): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    try {
      for (const { path } of (await filesAt(place)).files) {
        const stats = statOf(path);
        if (stats !== undefined) found.set(path, stats.mtimeMs);
      }
    } catch (error) {
      this.#options.log.warn("a folder of sessions cannot be read", { folder: place, reason: reasonOf(error) });
    }
    return found;
  }

  /** Has the operating system tell of changes at a place: in a folder, or of a file, which may be replaced by another. */
  #watch(place: string): void {
    if (this.#watches.has(place)) return;
    const { log } = this.#options;
    const forget = (error: unknown) => {
      log.warn("changes in a folder of sessions are found only once a minute", { folder, reason: reasonOf(error) });
      this.#unwatch(place);
    };
    const isFile = statOf(place)?.isFile() === true;
    const folder = isFile ? dirname(place) : place;
    const isWanted = isFile ? (name: string) => name === basename(place) : isCandidate;
    try {
      const watching = watch(folder, { recursive: !isFile }, (_, name: string | null | undefined) => {
        if (name === null || name === undefined) this.#lose(place);
        else if (isWanted(name)) this.#wake(join(folder, name));
      });
      watching.on("error", forget);
      this.#watches.set(place, watching);
    } catch (error) {
      forget(error);
    }
  }

  /** The folder itself was removed or replaced, which ends a watch without a word. */
  #lose(place: string): void {
    this.#unwatch(place);
    this.#lookForPlaces();
  }

  #lookForPlaces(): void {
    this.#hasNewPlaces = true;
    this.#wake();
  }

  #unwatch(place: string): void {
    this.#watches.get(place)?.close();
    this.#watches.delete(place);
  }

  async #readChanged(): Promise<void> {
    const { stopping, log } = this.#options;
    // A file that goes on meanwhile waits for the next round: else one that never rests would end none.
    const round = [...this.#changed];
    for (const path of round) {
      if (stopping.aborted) return;
      const startedMs = performance.now();
      this.#changed.delete(path);
      try {
        if (this.#resting.has(path) || !(await this.#read(path))) continue;
        this.#failing.delete(path);
      } catch (thrown) {
        const error = asDeweyError(thrown);
        if (stopping.aborted) return;
        if (error.code === "unauthorized" || error.code === "unavailable") throw error;
        this.#tell(path, error.code === "internal" ? reasonOf(thrown) : error.message);
        this.#retry(path);
      }
      await pause(Math.min(performance.now() - startedMs, MAX_PAUSE_MS), stopping);
    }
    await this.#importer.finish();
    if (this.#fault !== undefined) log.error("the server failed at a title", { reason: this.#fault.message });
    this.#fault = undefined;
    const { stored, versions, notes } = this.#importer.counts;
    const all = stored + versions + notes;
    if (all > this.#stored) log.info("stored", { messages: all - this.#stored });
    this.#stored = all;
  }

  /** What the server refuses for good is left out; at its own fault, the file is read again. */
  #refused(place: SourcePlace, error: DeweyError): void {
    if (error.code === "internal") this.#fault ??= error;
    else this.#options.log.error("the store refuses a message", { ...place, reason: error.message });
  }

  /** Has a file read again after a while, from where its rows were last stored: those of this time may not have been. */
  #retry(path: string): void {
    this.#open.delete(path);
    const backoff = this.#failing.get(path) ?? new Backoff({ firstMs: FIRST_RETRY_MS, longestMs: LONGEST_RETRY_MS });
    this.#failing.set(path, backoff);
    this.#resting.add(path);
    const again = () => {
      this.#resting.delete(path);
      this.#wake(path);
    };
    setTimeout(again, backoff.next()).unref();
  }

  /** Stores everything that was read of a file. Throws the server's fault when something is not stored for that. */
  async #flush(): Promise<void> {
    await this.#importer.flush();
    const fault = this.#fault;
    this.#fault = undefined;
    if (fault !== undefined) throw fault;
  }

  /** Reads what is new in a file. Returns whether there was anything to do. */
  async #read(path: string): Promise<boolean> {
    this.#fault = undefined;
    const database = this.#databases.get(path);
    if (database !== undefined) return this.#readDatabase(path, database);
    const stats = statOf(path);
    if (stats?.isFile() !== true) return false;
    const known = this.#options.state.get(path);
    const isSame = known?.bytes === stats.size && known.modifiedMs === stats.mtimeMs && known.inode === stats.ino;
    const hasEnded = Date.now() - stats.mtimeMs > ENDED_MS;
    if (isSame && (known.hasEnded || !hasEnded)) return false;
    const file = await this.#followed(path, stats, known?.inode === stats.ino);
    if (file === undefined) return this.#readWhole(path, stats);
    await this.#take(path, file.more());
    // Its last line has no end, and will have none.
    if (hasEnded && file.reached.end < stats.size) return this.#readWhole(path, stats);
    if (hasEnded) await this.#end(path);
    await this.#flush();
    if (!this.#options.stopping.aborted) this.#options.state.set(path, { ...facts(stats), ...file.reached, hasEnded });
    return true;
  }

  /** The file, if it grows by lines. Another file of the same name is read from its beginning. */
  async #followed(path: string, stats: Stats, isSameFile: boolean): Promise<FollowedFile | undefined> {
    const open = isSameFile ? this.#open.get(path) : undefined;
    const file = open ?? new FollowedFile(path);
    if (open === undefined) {
      const known = isSameFile ? this.#options.state.get(path) : undefined;
      if (known !== undefined && known.end > 0 && known.end <= stats.size) await file.resume(known);
      if (!/\.(?:jsonl|ndjson)$/.test(path) || !(await file.canFollow())) return undefined;
    }
    this.#open.delete(path);
    this.#open.set(path, file);
    const [oldest] = this.#open.keys();
    if (this.#open.size > MAX_OPEN_FILES && oldest !== undefined) this.#open.delete(oldest);
    return file;
  }

  /** Stores what a file's reader has held back. If the file goes on, a new reader begins. */
  async #end(path: string): Promise<void> {
    const rest = this.#open.get(path)?.rest();
    this.#open.delete(path);
    if (rest !== undefined) await this.#piece(path, rest);
    await this.#flush();
  }

  /** Reads a file that does not grow by lines, or one that no kind of source knows, when its writer leaves it alone. */
  async #readWhole(path: string, stats: Stats): Promise<boolean> {
    const { state, stopping } = this.#options;
    const restMs = stats.mtimeMs + WHOLE_FILE_REST_MS - Date.now();
    if (restMs > 0) {
      setTimeout(() => this.#wake(path), restMs).unref();
      return false;
    }
    for await (const source of sourcesIn(path)) await this.#take(source.name, piecesOf(source));
    await this.#flush();
    if (!stopping.aborted) state.set(path, { ...facts(stats), end: 0, number: 0, mark: "", hasEnded: true });
    return true;
  }

  /** Reads the sessions of a database that have changed. */
  async #readDatabase(path: string, database: WatchedDatabase): Promise<boolean> {
    const facts = databaseFacts(path);
    if (facts === undefined || this.#isRead(path, facts) || !database.isReady(facts)) return false;
    const { state, stopping } = this.#options;
    await database.read(async () => {
      for await (const source of sourcesIn(path))
        for await (const piece of piecesOf(source)) {
          if (database.isNew(piece.captured)) await this.#piece(path, piece);
          if (stopping.aborted) return false;
        }
      await this.#flush();
      state.set(path, { ...facts, end: 0, number: 0, mark: "", hasEnded: true });
      return true;
    });
    return true;
  }

  async #take(name: string, pieces: AsyncIterable<CapturedRow>): Promise<void> {
    for await (const piece of pieces) {
      await this.#piece(name, piece);
      if (this.#options.stopping.aborted) return;
    }
  }

  async #piece(source: string, { captured, number }: CapturedRow): Promise<void> {
    for (const each of captured) {
      if (each.kind === "broken") this.#tell(source, `row ${number} is broken: ${each.reason}`);
      await this.#importer.take(each, { source, row: number });
    }
  }

  #tell(source: string, reason: string): void {
    if (this.#told.get(source) === reason) return;
    this.#told.set(source, reason);
    this.#options.log.warn("a file of sessions was not read in full", { source, reason });
  }
}

function facts({ size, mtimeMs, ino }: Stats): { bytes: number; modifiedMs: number; inode: number } {
  return { bytes: size, modifiedMs: mtimeMs, inode: ino };
}

/** Undefined for a file that has vanished meanwhile. */
function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}
