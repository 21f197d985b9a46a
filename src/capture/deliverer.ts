import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Backoff } from "../backoff.ts";
import { asDeweyError } from "../errors.ts";
import type { Log } from "../log.ts";
import { pause } from "../pause.ts";
import type { Json } from "../wire/frame.ts";
import type { Captured, CapturedMessage } from "./captured.ts";
import { Faults } from "./faults.ts";
import { FollowedFile } from "./follow.ts";
import type { EventPlace } from "./hook-messages.ts";
import type { HookEvent, HookQueue } from "./hook-queue.ts";
import { hookSource } from "./hook-source.ts";
import type { HookSource } from "./hook-source.ts";
import { Importer } from "./importer.ts";

/**
 * How long a transcript is waited for to hold what a hook has told: the client writes it a moment later, on a busy machine
 * seconds later, and what stands in for it is out of its order. No caller waits for this.
 */
const CATCH_UP_MS = 10_000;
/** How often the queue, and meanwhile the transcripts, are looked at. */
const POLL_INTERVAL_MS = 100;
/** A first line that tells what a transcript is is no longer than this. */
const MAX_FIRST_LINE_BYTES = 64 * 1024;
/** Pauses while the server is away: doubled each time. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 15_000;

export interface DelivererOptions {
  queue: HookQueue;
  call(tool: string, args: Json): Promise<Json>;
  log: Log;
  /** Ends the work after so long without an event … */
  idleMs: number;
  /** … and after so long without a server; what is left waits for the next. */
  patienceMs: number;
  stopping: AbortSignal;
}

/** A session's or a sub-agent's transcript, and what of it has been taken. */
interface Followed {
  file: FollowedFile;
  taken: Set<string>;
  /** The same file, to be read from its beginning. */
  reopened(): FollowedFile;
}

/**
 * Brings what hooks have put into the queue to Dewey. The transcript is the record, since it has everything in order;
 * events say when to read it, add what it lacks (how long tools took), and stand in for it where it is missing.
 */
export class Deliverer {
  readonly #options: DelivererOptions;
  readonly #importer: Importer;
  readonly #transcripts = new Map<string, Followed>();
  readonly #durationsMs = new Map<string, number>();
  /** What the server failed to store for a fault of its own: it rests, and is told again. */
  readonly #faults: Faults;
  #awaySinceMs: number | undefined;

  constructor(options: DelivererOptions) {
    this.#options = options;
    this.#faults = new Faults(options.log);
    this.#importer = new Importer({
      call: (tool, args) => this.#call(tool, args),
      onRefused: (place, error) => {
        if (error.code === "internal") this.#faults.note(place, error);
        else options.log.error("the store refuses a message", { ...place, reason: error.message });
      },
    });
  }

  /**
   * Works until nothing has come for a while, and nothing rests that the server failed to store. Throws `unavailable` when the
   * server is away too long; what it fails to store for as long is left to the next deliverer.
   */
  async run(): Promise<void> {
    const { queue, stopping, idleMs, patienceMs } = this.#options;
    let idleSinceMs = performance.now();
    while (!stopping.aborted && performance.now() - idleSinceMs < idleMs) {
      const waiting = queue.waiting();
      let isBusy = false;
      // A transcript may hold the end of a tool use whose event comes later in the queue.
      for (const name of waiting) this.#noteDuration(queue.read(name));
      for (const name of waiting) {
        if (stopping.aborted) return;
        isBusy = (await this.#deliver(name)) || isBusy;
      }
      if (!isBusy) await this.#followAll();
      if (isBusy || this.#faults.areYoung(patienceMs)) idleSinceMs = performance.now();
      await pause(POLL_INTERVAL_MS, stopping);
    }
  }

  /** Returns false for an event that rests. */
  async #deliver(name: string): Promise<boolean> {
    const { queue, log } = this.#options;
    try {
      const event = queue.read(name);
      if (event === undefined) throw new Error("it is no event");
      const source = hookSource(event.client);
      const place = source.place(event.event);
      if (place === undefined) throw new Error("it names no session");
      const key = place.transcript ?? place.conversation;
      if (this.#faults.isResting(key)) return false;
      const isTaken = await this.#take(event, place, source);
      await this.#importer.flush();
      if (!this.#settle(key) && isTaken) queue.remove(name);
    } catch (error) {
      if (asDeweyError(error).code === "unavailable") throw error;
      log.error("an event of a hook could not be delivered; it is put aside", { name, error });
      queue.setAside(name);
    }
    return true;
  }

  /** Has what the server failed to store since the last time told again, from its beginning. Returns whether there was such. */
  #settle(key: string): boolean {
    const sources = this.#faults.settle(key);
    for (const path of sources) {
      const followed = this.#transcripts.get(path);
      if (followed !== undefined) followed.file = followed.reopened();
    }
    return sources.length > 0;
  }

  /** Returns false when it was stopped while it waited for the transcript: the event is left to the next deliverer. */
  async #take(event: HookEvent, place: EventPlace, source: HookSource): Promise<boolean> {
    const { stopping } = this.#options;
    const followed = this.#transcript(place, source);
    const expected = await this.#expected(event, place, source, followed);
    const missing = () => expected.filter((message) => !followed?.taken.has(message.message_id));
    for (const deadlineMs = catchUpDeadlineMs(event); ; await pause(POLL_INTERVAL_MS, stopping)) {
      if (followed) await this.#follow(followed);
      if (missing().length === 0 || performance.now() > deadlineMs || followed === undefined) break;
      if (source.reader === undefined || stopping.aborted) break;
    }
    if (stopping.aborted && missing().length > 0) return false;
    await this.#standIn(event, place, missing(), followed);
    const name = event.event["hook_event_name"];
    if (name === "Stop" || name === "SessionEnd") await this.#followAgents(place, source);
    // What waited for more rows, such as a prompt in the client's queue, gets none.
    if (name === "SessionEnd" && followed) await this.#import(followed, followed.file.rest().captured);
    return true;
  }

  /**
   * What must be stored when the event is. Where the transcript gives its messages other ids, it alone is the record; the
   * client may be about to write it.
   */
  async #expected(
    event: HookEvent,
    place: EventPlace,
    source: HookSource,
    followed: Followed | undefined,
  ): Promise<CapturedMessage[]> {
    if (source.sharesIds(event.event) || followed === undefined) return source.messages(event, place);
    const deadlineMs = catchUpDeadlineMs(event);
    const { path } = followed.file;
    while (!(await followed.file.canFollow()) && !(await hasLine(path)) && performance.now() < deadlineMs) {
      if (this.#options.stopping.aborted) break;
      await pause(POLL_INTERVAL_MS, this.#options.stopping);
    }
    return (await followed.file.canFollow()) ? [] : source.messages(event, place);
  }

  #noteDuration(event: HookEvent | undefined): void {
    const { tool_use_id: toolUseId, duration_ms: durationMs } = event?.event ?? {};
    if (typeof toolUseId === "string" && typeof durationMs === "number") this.#durationsMs.set(toolUseId, durationMs);
  }

  /** Stores from the event what the transcript does not have. */
  async #standIn(event: HookEvent, place: EventPlace, missing: CapturedMessage[], followed: Followed | undefined) {
    const where = { source: "hook", row: 0 };
    if (missing.length === 0) return;
    if (followed) await this.#import(followed, followed.file.rest().captured);
    const { conversation } = place;
    await this.#importer.take(hookSource(event.client).begin(event, place), where);
    for (const message of missing) {
      followed?.taken.add(message.message_id);
      await this.#importer.take({ kind: "message", conversation, message }, where);
    }
  }

  #transcript(place: EventPlace, source: HookSource): Followed | undefined {
    const { transcript } = place;
    if (transcript === undefined) return undefined;
    const known = this.#transcripts.get(transcript);
    if (known) return known;
    const hooks = { durationMs: (toolUseId: string) => this.#durationsMs.get(toolUseId) };
    const makeReader = source.reader && (() => Promise.resolve(source.reader?.(place, hooks)));
    const reopened = () => new FollowedFile(transcript, makeReader);
    const followed = { file: reopened(), taken: new Set<string>(), reopened };
    this.#transcripts.set(transcript, followed);
    return followed;
  }

  async #follow(followed: Followed): Promise<void> {
    for await (const piece of followed.file.more()) await this.#import(followed, piece.captured, piece.number);
    await this.#importer.flush();
  }

  async #import(followed: Followed, captured: Captured[], row = 0): Promise<void> {
    const place = { source: followed.file.path, row };
    for (const each of captured) {
      if (each.kind === "message") followed.taken.add(each.message.message_id);
      if (each.kind === "broken")
        this.#options.log.warn("a row of a transcript is broken", { ...place, reason: each.reason });
      await this.#importer.take(each, place);
    }
  }

  /** Sub-agents write beside their session's transcript, those of workflows in folders of their own. */
  async #followAgents({ transcript, session }: EventPlace, source: HookSource): Promise<void> {
    if (transcript === undefined) return;
    const folder = join(transcript.replace(/\.jsonl$/, ""), "subagents");
    for (const name of await filesIn(folder)) {
      if (!name.endsWith(".jsonl")) continue;
      const place = { session, agent: undefined, conversation: "", transcript: join(folder, name) };
      const followed = this.#transcript(place, source);
      if (followed) await this.#follow(followed);
    }
  }

  /** What the client writes between hooks, and behind the last. */
  async #followAll(): Promise<void> {
    for (const [path, followed] of this.#transcripts) {
      if (this.#faults.isResting(path)) continue;
      await this.#follow(followed);
      this.#settle(path);
    }
  }

  async #call(tool: string, args: Json): Promise<Json> {
    const backoff = new Backoff({ firstMs: FIRST_PAUSE_MS, longestMs: LONGEST_PAUSE_MS });
    for (;;) {
      try {
        const reply = await this.#options.call(tool, args);
        this.#awaySinceMs = undefined;
        return reply;
      } catch (error) {
        if (asDeweyError(error).code !== "unavailable") throw error;
        // Logged once: it may be away for long, or be another user's.
        if (this.#awaySinceMs === undefined) this.#options.log.warn("no server takes the events; they wait", { error });
        this.#awaySinceMs ??= performance.now();
        const { stopping, patienceMs } = this.#options;
        if (stopping.aborted || performance.now() - this.#awaySinceMs > patienceMs) throw error;
      }
      await pause(backoff.next(), this.#options.stopping);
    }
  }
}

/**
 * Until when a transcript is waited for. Time that the event has waited in the queue counts, so that a session without
 * a transcript, of which many events wait, keeps the others waiting only once.
 */
function catchUpDeadlineMs({ time }: HookEvent): number {
  const waitedMs = Math.max(0, Date.now() - Date.parse(time));
  return performance.now() + Math.max(0, CATCH_UP_MS - waitedMs);
}

async function filesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder, { recursive: true })).toSorted();
  } catch {
    return [];
  }
}

/** Whether the first line of a file is whole, so that it can be told what the file is. */
async function hasLine(path: string): Promise<boolean> {
  try {
    return (await Bun.file(path).slice(0, MAX_FIRST_LINE_BYTES).text()).includes("\n");
  } catch {
    return false;
  }
}
