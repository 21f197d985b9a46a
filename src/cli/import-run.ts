import type { CapturedRow } from "../capture/captured.ts";
import { FileTally } from "../capture/file-tally.ts";
import { filesAt, reasonOf } from "../capture/files.ts";
import type { Found, FoundFile } from "../capture/files.ts";
import { FollowedFile } from "../capture/follow.ts";
import { ImportMemory } from "../capture/import-memory.ts";
import { Importer } from "../capture/importer.ts";
import { stagesOf } from "../capture/lanes.ts";
import { lookOf, piecesOf, sourcesIn } from "../capture/sources.ts";
import type { SourceEnd } from "../capture/sources.ts";
import { asDeweyError, DeweyError } from "../errors.ts";
import { pause } from "../pause.ts";
import type { Talk } from "./client-command.ts";
import { ImportReport, MAX_TOLD_FAULTS } from "./import-report.ts";
import { ProgressBar } from "./progress.ts";
import { counted } from "./terminal.ts";

/** Extensions by which a folder is described in which nothing is known. */
const MAX_TOLD_EXTENSIONS = 6;
/** The exit code when something was not read, or the server failed to store it: another import may. */
const NOT_STORED = 3;
/** Files that are read at once: the store works on one conversation's messages in their order, and so on one at a time. */
const LANES = 2;
/** Interval at which --watch checks files, and retries a server that is down. */
const WATCH_INTERVAL_MS = 1000;

/** One run of `dewey import`: it reads the files that the store does not have in full, and reports. */
export class ImportRun {
  readonly #talk: Talk;
  readonly #watching: boolean;
  readonly #importer: Importer;
  readonly #memory: ImportMemory;
  readonly #report = new ImportReport();
  readonly #followed = new Map<string, FollowedFile>();
  /** What the files hold that are read, by the names of their sources, until the store remembers them. */
  readonly #tallies = new Map<string, FileTally>();
  #bar = new ProgressBar(0);
  /** Bytes of the files that are read, and how far the others are. */
  #bytesRead = 0;
  readonly #reading = new Map<string, number>();
  #hasFailed = false;

  constructor(talk: Talk, watching: boolean) {
    this.#talk = talk;
    this.#watching = watching;
    const call = (tool: string, args: Record<string, unknown>) => this.#call(tool, args);
    this.#memory = new ImportMemory(call);
    this.#importer = new Importer({
      call,
      onRefused: ({ source, row }, { message: reason }) => {
        this.#tallies.get(source)?.leaveOut();
        this.#report.fault({ source, row, reason });
      },
      onDependent: (source) => this.#tallies.get(source)?.leaveOut(),
      onElsewhere: (source, conversations) => this.#tallies.get(source)?.elsewhere(conversations),
    });
  }

  get exitCode(): number {
    const { refused, failed } = this.#importer;
    if (refused > failed) return 1;
    return failed > 0 || this.#report.isIncomplete ? NOT_STORED : 0;
  }

  /** What was imported, for programs. */
  values(): Record<string, unknown> {
    return this.#report.values(this.#importer);
  }

  /** The same for a person. */
  summary(): string {
    return this.#talk.terminal.prose(this.#report.summary(this.#importer, this.#talk.invocation.typed));
  }

  /** Reads everything once. `named`: the user has named the paths, so that each file named must have a known format. */
  async all(paths: string[], named: boolean): Promise<void> {
    const found = await Promise.all(paths.map(async (path) => ({ path, found: await foundAt(path) })));
    const files = found.flatMap((each) => each.found.files);
    this.#bar = new ProgressBar(files.reduce((sum, file) => sum + file.bytes, 0));
    try {
      if (!this.#watching) await this.#memory.ask(files.map(({ path }) => path));
      for (const { path, reason } of found.flatMap((each) => each.found.unread)) this.#report.notRead(path, reason);
      for (const groups of await stagesOf(files))
        await this.#inLanes(groups, (file) => this.#file(file, named && paths.includes(file.path)));
      for (const each of named && !this.#stopping ? found : [])
        if (!each.found.files.some(({ path }) => this.#report.files.has(path)))
          await this.#describe(each.path, each.found);
      await this.#importer.finish();
      await this.#remember();
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

  /** Has the store remember the files of which everything is stored. */
  async #remember(): Promise<void> {
    const files = [...new Set(this.#tallies.values())].flatMap((tally) => {
      const file = tally.imported((conversation) => this.#importer.isAbsent(conversation));
      return file === undefined ? [] : [file];
    });
    this.#tallies.clear();
    await this.#memory.remember(files);
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
    this.#report.notRead(path, `holds nothing that dewey import knows: ${kinds}${like}`);
  }

  /** Follows what is appended, and new files. */
  async watch(paths: string[]): Promise<void> {
    while (!this.#stopping) {
      for (const { path } of (await this.#filesNow(paths)).filter((file) => file.path.endsWith(".jsonl"))) {
        try {
          await this.#followOn(path, () => {});
        } catch (thrown) {
          this.#unreadableFile(path, thrown);
        }
      }
      await this.#importer.flush();
      await pause(WATCH_INTERVAL_MS, this.#talk.invocation.stopping);
    }
    for (const file of this.#followed.values())
      await this.#counting((tally) => this.#piece(file.path, file.rest(), tally));
    await this.#importer.finish();
    if (!this.#talk.json) await this.#talk.out.write(this.summary());
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
        await this.#followOn(path, (end) => this.#show(path, end));
        this.#report.files.add(path);
      } else await this.#whole(path, bytes, named);
    } catch (thrown) {
      this.#unreadableFile(path, thrown);
    } finally {
      this.#reading.delete(path);
      this.#bytesRead += bytes;
    }
  }

  /** Reads a file from its beginning, unless the store has everything in it. */
  async #whole(path: string, bytes: number, named: boolean): Promise<void> {
    const look = this.#watching ? undefined : await this.#memory.look(path);
    const stored = look && (await this.#memory.recall(look));
    if (stored !== undefined) {
      this.#report.files.add(path);
      this.#report.add(stored.account);
      this.#importer.pass(stored.begun, stored.account.messages);
      return;
    }
    const tally = new FileTally(look, MAX_TOLD_FAULTS);
    let isKnown = false;
    try {
      for await (const source of sourcesIn(path)) {
        const isPlain = source.path !== undefined;
        const progress = (end: number) => this.#show(path, isPlain ? Math.min(end, bytes) : 0);
        this.#tallies.set(source.name, tally);
        const end = await this.#take(source.name, piecesOf(source), tally, progress);
        if (end === false) continue;
        isKnown = true;
        tally.consulted(end.consulted);
        for (const [beside, reason] of end.unread ?? []) this.#report.notRead(beside, reason);
      }
    } catch (thrown) {
      tally.leaveOut();
      throw thrown;
    } finally {
      this.#report.add(tally.account);
      if (isKnown) this.#report.files.add(path);
    }
    if (isKnown) return;
    tally.leaveOut();
    if (named) throw new DeweyError("invalid", await unknownFile(path, bytes));
    this.#report.passOver(path.endsWith(".json") || bytes === 0 ? undefined : await described(path));
  }

  /** One bad file ends nothing and is told once; a server that is away does end it. */
  #unreadableFile(path: string, thrown: unknown): void {
    const error = asDeweyError(thrown);
    if (error.code === "unavailable" || error.code === "unauthorized") throw error;
    this.#report.notRead(path, error.code === "internal" ? reasonOf(thrown) : error.message);
  }

  /** Imports everything in a source; returns what is known of it then. */
  async #take(
    name: string,
    pieces: AsyncGenerator<CapturedRow, SourceEnd | void>,
    tally: FileTally,
    progress: (end: number) => void,
  ): Promise<SourceEnd> {
    try {
      for (;;) {
        const { done, value } = await pieces.next();
        if (done) return value ?? {};
        await this.#piece(name, value, tally);
        progress(value.end);
        if (this.#stopping || this.#hasFailed) return {};
      }
    } finally {
      // A database's copy is removed also when its reading ends early.
      await pieces.return();
    }
  }

  async #piece(source: string, piece: CapturedRow, tally: FileTally): Promise<void> {
    tally.row();
    const place = { source, row: piece.number };
    for (const captured of piece.captured) {
      tally.add(captured, place);
      await this.#importer.take(captured, place);
    }
  }

  #follow(path: string): FollowedFile {
    const known = this.#followed.get(path) ?? new FollowedFile(path);
    this.#followed.set(path, known);
    return known;
  }

  /** Imports what a file has gained. */
  async #followOn(path: string, progress: (end: number) => void): Promise<void> {
    await this.#counting((tally) => this.#take(path, this.#follow(path).more(), tally, progress));
  }

  /** Reports what is read of a file that is followed. */
  async #counting(read: (tally: FileTally) => Promise<unknown>): Promise<void> {
    const tally = new FileTally(undefined, MAX_TOLD_FAULTS);
    try {
      await read(tally);
    } finally {
      this.#report.add(tally.account);
    }
  }

  /** Shows how far the file at a path is read, and those before it. */
  #show(path: string, end: number): void {
    const { stored, known } = this.#importer.counts;
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

/** The files at a path; one that cannot be looked at stops no other. */
async function foundAt(path: string): Promise<Found> {
  try {
    return await filesAt(path);
  } catch (error) {
    return { files: [], unread: [{ path, reason: reasonOf(error) }], others: new Map() };
  }
}

/** A file that no kind knows, with what it looks like where that can be told. */
async function described(path: string): Promise<string> {
  const look = await lookOf(path).catch(() => undefined);
  return look === undefined ? path : `${path}: looks like ${look}`;
}

async function unknownFile(path: string, bytes: number): Promise<string> {
  if (bytes === 0) return "is empty";
  const look = await lookOf(path).catch(() => undefined);
  const like = look === undefined ? "" : ` (it looks like ${look})`;
  return `has a format that dewey import does not know${like}; see: dewey help import`;
}
