import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Captured, CapturedRow, SourcePlace } from "../../capture/captured.ts";
import { filesAt, reasonOf } from "../../capture/files.ts";
import type { Found, FoundFile } from "../../capture/files.ts";
import { FollowedFile } from "../../capture/follow.ts";
import { Importer } from "../../capture/importer.ts";
import { stagesOf } from "../../capture/lanes.ts";
import { sourcePlaces } from "../../capture/places.ts";
import type { Place } from "../../capture/places.ts";
import { lookOf, piecesOf, sourcesIn } from "../../capture/sources.ts";
import { asDeweyError, DeweyError } from "../../errors.ts";
import { pause } from "../../pause.ts";
import { clientCommand, jsonText } from "../client-command.ts";
import type { Talk } from "../client-command.ts";
import { ProgressBar } from "../progress.ts";
import { counted } from "../terminal.ts";

/** Maximum number of faults listed one by one; the others are only counted. */
const MAX_TOLD_FAULTS = 20;
/** Extensions by which a folder is described in which nothing is known. */
const MAX_TOLD_EXTENSIONS = 6;
/** The exit code when everything that was read is stored, and something was not read. */
const NOT_READ = 3;
/** Files that are read at once: the store works on one conversation's messages in their order, and so on one at a time. */
const LANES = 2;
/** Interval at which --watch checks files, and retries a server that is down. */
const WATCH_INTERVAL_MS = 1000;

export const importCommand = clientCommand({
  name: "import",
  summary: "imports transcripts and data exports of other programs",
  usage: ["dewey import [--watch] [--json] [PATH …]"],
  examples: ["dewey import", "dewey import --watch ~/.codex/sessions"],
  about: [
    "Without a PATH, imports every session found on this machine: Claude Code, Codex, Gemini CLI, Qwen Code, OpenCode, Copilot",
    "CLI, VS Code's chats, Cursor, Cline, Roo Code, Kilo Code, Goose, Zed, Pi and Amp, in their default folders or those that",
    "their variables name (CLAUDE_CONFIG_DIR, CODEX_HOME, …). A PATH is a file or a folder of any of these, `stream-json` output",
    "of Claude Code, a session of Claude Code on the web, a data export of Claude or ChatGPT (the zip, or its content), the",
    "output of `dewey export --format jsonl`, or the spool of a proxy; plain, in UTF-16, or compressed with gzip or zstd.",
    "Databases of other programs are opened read-only, also while these run. The format is detected from the content. Importing",
    "again adds only what is new. Broken rows are skipped and reported with their line number; rows of unknown types are kept",
    "and counted. The exit code is 3 when something was not read, such as a broken row or link, and 1 when the server refused a",
    "message.",
  ].join(" "),
  flags: { watch: { summary: "keep importing what is added to the files, until Ctrl-C" } },
  operands: Infinity,
  async work(talk) {
    const { invocation, json, out } = talk;
    const given = [...invocation.operands, ...(invocation.rest ?? [])].map((path) => resolve(path));
    const missing = given.find((path) => !existsSync(path));
    if (missing !== undefined) throw new DeweyError("not_found", `there is no ${missing}`);
    const paths = given.length > 0 ? given : everything(invocation.env);
    const watch = invocation.flags["watch"] === true;
    const run = new ImportRun(talk, watch);
    await run.all(paths, given.length > 0);
    await out.write(json ? jsonText(run.report()) : run.summary());
    if (watch) await run.watch(paths);
    return run.exitCode;
  },
});

/** Every source on this machine. Throws `not_found`, with the places that were looked at, when there is none. */
function everything(env: Record<string, string | undefined>): string[] {
  const places = sourcePlaces(env);
  const paths = places.flatMap(({ found }) => found);
  if (paths.length > 0) return paths;
  const looked = places.map(({ name, looked }: Place) => `  ${name}: ${looked.join(", ")}`);
  throw new DeweyError(
    "not_found",
    `found nothing to import; name a file or folder (dewey import PATH). Looked in:\n${looked.join("\n")}`,
  );
}

interface Fault {
  source: string;
  row?: number;
  reason: string;
}

/** One run of the command: it reads the files, counts and reports. */
class ImportRun {
  readonly #talk: Talk;
  readonly #watching: boolean;
  readonly #importer: Importer;
  readonly #followed = new Map<string, FollowedFile>();
  readonly #unknown = new Map<string, number>();
  readonly #faults: Fault[] = [];
  #bar = new ProgressBar(0);
  /** Bytes of the files that are read, and how far the others are. */
  #bytesRead = 0;
  readonly #reading = new Map<string, number>();
  #hasFailed = false;
  #files = 0;
  #rows = 0;
  #broken = 0;
  #unreadable = 0;
  /** Files in a folder that no kind of source knows: the others may be anything, so they are only counted. */
  readonly #passedOver: string[] = [];
  #others = 0;
  /** Files and folders that were told as not read. */
  readonly #told = new Set<string>();

  constructor(talk: Talk, watching: boolean) {
    this.#talk = talk;
    this.#watching = watching;
    this.#importer = new Importer({
      call: (tool, args) => this.#call(tool, args),
      onRefused: (place, reason) => this.#fault({ source: place.source, row: place.row, reason }),
    });
  }

  get exitCode(): number {
    if (this.#importer.refused > 0) return 1;
    return this.#unreadable + this.#broken > 0 ? NOT_READ : 0;
  }

  /** Reads everything once. `named`: the user has named the paths, so that each file named must have a known format. */
  async all(paths: string[], named: boolean): Promise<void> {
    const found = await Promise.all(paths.map(async (path) => ({ path, found: await filesAt(path) })));
    const bytes = found.flatMap((each) => each.found.files).reduce((sum, file) => sum + file.bytes, 0);
    this.#bar = new ProgressBar(bytes);
    try {
      for (const each of found) {
        const known = this.#files;
        for (const { path, reason } of each.found.unread) this.#notRead(path, reason);
        for (const groups of await stagesOf(each.found.files))
          await this.#inLanes(groups, (file) => this.#file(file, named && paths.includes(file.path)));
        if (this.#files === known && named && !this.#stopping) await this.#describe(each.path, each.found);
      }
      await this.#importer.finish();
    } finally {
      this.#bar.clear();
    }
  }

  /** Reads groups of files in several lanes: while the database stores a batch of one, another is read and prepared. */
  async #inLanes(groups: FoundFile[][], read: (file: FoundFile) => Promise<void>): Promise<void> {
    const left = groups.values();
    const lanes = Array.from({ length: LANES }, async () => {
      for (const group of left)
        for (const file of group) {
          if (this.#stopping || this.#hasFailed) return;
          await read(file).catch((error: unknown) => {
            this.#hasFailed = true;
            throw error;
          });
        }
    });
    const ends = await Promise.allSettled(lanes);
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  /** Says what a folder looks like in which nothing is known. */
  async #describe(path: string, { files, others }: Found): Promise<void> {
    if (files.length === 1 && files[0]?.path === path) return;
    const counts = new Map(others);
    for (const file of files) {
      const extension = /(?:\.\w{1,10}){1,2}$/.exec(file.path)?.[0] ?? "no extension";
      counts.set(extension, (counts.get(extension) ?? 0) + 1);
    }
    const common = [...counts].toSorted(([, a], [, b]) => b - a).slice(0, MAX_TOLD_EXTENSIONS);
    const kinds = common.map(([extension, count]) => `${count} ${extension}`).join(", ") || "no files";
    const first = files[0]?.path;
    const look = first === undefined ? undefined : await lookOf(first).catch(() => undefined);
    const like = look === undefined ? "" : `; ${first} looks like ${look}`;
    this.#notRead(path, `holds nothing that dewey import knows: ${kinds}${like}`);
  }

  /** Follows what is appended, and new files. */
  async watch(paths: string[]): Promise<void> {
    while (!this.#stopping) {
      for (const { path } of (await this.#filesNow(paths)).filter((file) => file.path.endsWith(".jsonl"))) {
        try {
          await this.#take(path, this.#follow(path).more(), () => {});
        } catch (thrown) {
          this.#unreadableFile(path, thrown);
        }
      }
      await this.#importer.flush();
      await pause(WATCH_INTERVAL_MS, this.#talk.invocation.stopping);
    }
    for (const file of this.#followed.values()) await this.#piece(file.path, file.rest());
    await this.#importer.finish();
    if (!this.#talk.json) await this.#talk.out.write(this.summary());
  }

  report(): Record<string, unknown> {
    return {
      files: this.#files,
      rows: this.#rows,
      conversations: this.#importer.conversations,
      messages: this.#importer.stored,
      known: this.#importer.known,
      versions: this.#importer.versions,
      results: this.#importer.results,
      contexts: this.#importer.contexts,
      unknown: Object.fromEntries(this.#unknown),
      broken: this.#broken,
      refused: this.#importer.refused,
      unreadable: this.#unreadable,
      passed_over: this.#passedOver.length + this.#others,
      faults: this.#faults,
    };
  }

  summary(): string {
    const { stored, known, versions, conversations, refused, results, contexts } = this.#importer;
    const others = [
      ...(results > 0 ? [counted(results, "orchestration result")] : []),
      ...(contexts > 0 ? [counted(contexts, "startup context")] : []),
    ];
    const unknown = [...this.#unknown].map(([type, count]) => `${type} (${count})`).join(", ");
    const faults = this.#broken + refused + this.#unreadable;
    return [
      `${counted(stored, "message")} imported, ${known.toLocaleString("en-US")} known already, in ${counted(conversations, "conversation")} from ${counted(this.#files, "file")}.`,
      ...(others.length > 0 ? [`Also imported: ${others.join(" and ")}.`] : []),
      ...(versions > 0
        ? [`${counted(versions, "message")} among them were known with another text: they are kept as second versions.`]
        : []),
      ...this.#passedOverLines(),
      ...(unknown === "" ? [] : [`Kept rows of unknown types: ${unknown}.`]),
      ...(faults > 0 ? [`${counted(faults, "fault")}:`] : []),
      ...this.#faults.map(({ source, row, reason }) => `  ${source}${row === undefined ? "" : `:${row}`}: ${reason}`),
      ...(faults > this.#faults.length ? [`  and ${faults - this.#faults.length} more`] : []),
      "",
    ].join("\n");
  }

  /** Transcripts that no kind knows are named; of other files, such as settings, there is the number. */
  #passedOverLines(): string[] {
    const count = this.#passedOver.length + this.#others;
    if (count === 0 || this.#files === 0) return [];
    const named = this.#passedOver.slice(0, MAX_TOLD_FAULTS);
    const more = this.#passedOver.length - named.length;
    return [
      `${counted(count, "file")} skipped: unknown format.`,
      ...named.map((path) => `  ${path}`),
      ...(more > 0 ? [`  and ${more} more`] : []),
    ];
  }

  async #filesNow(paths: string[]): Promise<FoundFile[]> {
    const found = await Promise.all(paths.map((path) => filesAt(path).catch(() => undefined)));
    return found.flatMap((each) => each?.files ?? []);
  }

  get #stopping(): boolean {
    return this.#talk.invocation.stopping.aborted;
  }

  async #file({ path, bytes }: FoundFile, named: boolean): Promise<void> {
    try {
      if (this.#watching && path.endsWith(".jsonl") && (await this.#follow(path).canFollow())) {
        await this.#take(path, this.#follow(path).more(), (end) => this.#show(path, end));
        this.#files += 1;
        return;
      }
      let known = 0;
      for await (const source of sourcesIn(path)) {
        const isPlain = source.path !== undefined;
        const progress = (end: number) => this.#show(path, isPlain ? Math.min(end, bytes) : 0);
        if (await this.#take(source.name, piecesOf(source), progress)) known += 1;
      }
      this.#files += known > 0 ? 1 : 0;
      if (known === 0 && named) throw new DeweyError("invalid", await unknownFile(path));
      if (known > 0) return;
      if (path.endsWith(".json") || bytes === 0) this.#others += 1;
      else this.#passedOver.push(await described(path));
    } catch (thrown) {
      this.#unreadableFile(path, thrown);
    } finally {
      this.#reading.delete(path);
      this.#bytesRead += bytes;
    }
  }

  /** One bad file ends nothing and is told once; a server that is away does end it. */
  #unreadableFile(path: string, thrown: unknown): void {
    const error = asDeweyError(thrown);
    if (error.code === "unavailable" || error.code === "unauthorized") throw error;
    this.#notRead(path, error.code === "internal" ? reasonOf(thrown) : error.message);
  }

  #notRead(source: string, reason: string): void {
    if (this.#told.has(source)) return;
    this.#told.add(source);
    this.#unreadable += 1;
    this.#fault({ source, reason });
  }

  /** Imports everything in a source; returns whether its format is known. */
  async #take(
    name: string,
    pieces: AsyncGenerator<CapturedRow, boolean | void>,
    progress: (end: number) => void,
  ): Promise<boolean> {
    try {
      for (;;) {
        const { done, value } = await pieces.next();
        if (done) return value !== false;
        await this.#piece(name, value);
        progress(value.end);
        if (this.#stopping || this.#hasFailed) return true;
      }
    } finally {
      // A database's copy is removed also when its reading ends early.
      await pieces.return(true);
    }
  }

  async #piece(source: string, piece: CapturedRow): Promise<void> {
    this.#rows += 1;
    const place = { source, row: piece.number };
    for (const captured of piece.captured) {
      this.#count(captured, place);
      await this.#importer.take(captured, place);
    }
  }

  #count(captured: Captured, place: SourcePlace): void {
    if (captured.kind === "unknown") this.#unknown.set(captured.type, (this.#unknown.get(captured.type) ?? 0) + 1);
    if (captured.kind !== "broken") return;
    this.#broken += 1;
    this.#fault({ ...place, reason: captured.reason });
  }

  #fault(fault: Fault & Partial<SourcePlace>): void {
    if (this.#faults.length < MAX_TOLD_FAULTS) this.#faults.push(fault);
  }

  #follow(path: string): FollowedFile {
    const known = this.#followed.get(path) ?? new FollowedFile(path);
    this.#followed.set(path, known);
    return known;
  }

  /** Shows how far the file at a path is read, and those before it. */
  #show(path: string, end: number): void {
    const { stored, known } = this.#importer;
    this.#reading.set(path, end);
    const bytes = () => [...this.#reading.values()].reduce((sum, each) => sum + each, this.#bytesRead);
    this.#bar.show(bytes, () => `${counted(stored, "message")} new, ${known.toLocaleString("en-US")} known`);
  }

  /**
   * Repeats a call without a reply once, which is safe because the server recognises stored messages: a broken connection or
   * a machine that slept must not end an import of hours. With --watch it waits for a server that is down; without, it fails.
   */
  async #call(tool: string, args: Record<string, unknown>): Promise<Record<string, unknown>> {
    for (let isSecond = false; ; isSecond = true) {
      try {
        return await this.#talk.call(tool, args);
      } catch (thrown) {
        if (asDeweyError(thrown).code !== "unavailable" || this.#stopping || (isSecond && !this.#watching))
          throw thrown;
      }
      if (isSecond) await pause(WATCH_INTERVAL_MS, this.#talk.invocation.stopping);
    }
  }
}

/** A file that no kind knows, with what it looks like where that can be told. */
async function described(path: string): Promise<string> {
  const look = await lookOf(path).catch(() => undefined);
  return look === undefined ? path : `${path}: looks like ${look}`;
}

async function unknownFile(path: string): Promise<string> {
  const look = await lookOf(path).catch(() => undefined);
  const like = look === undefined ? "" : ` (it looks like ${look})`;
  return `has a format that dewey import does not know${like}; see: dewey help import`;
}
