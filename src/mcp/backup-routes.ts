import type { Server as BunServer } from "bun";
import { asDeweyError, DeweyError, httpStatus } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Recovered } from "../store/backup/backup.ts";
import { doing } from "../watchdog.ts";
import { unknownActor } from "../store/audit.ts";
import type { AuditAction } from "../store/audit.ts";
import type { Store } from "../store/store.ts";
import { receive } from "../wire/body.ts";
import { BackupDownload } from "./backup-download.ts";

/** A recovery that receives no data for this long is rolled back, and a backup of which nothing is taken is ended. */
const IDLE_LIMIT_MS = 60_000;
/** The largest part of an archive in one request. */
const MAX_PART_BYTES = 8 * 1024 * 1024;

interface Recovery {
  id: string;
  received: number;
  writer: WritableStreamDefaultWriter<Uint8Array>;
  done: Promise<Recovered>;
  idle: ReturnType<typeof setTimeout>;
}

/**
 * `POST /backup` returns the store as an archive, one at a time. `POST /recover` begins a recovery and returns its id; the
 * archive is then uploaded in parts (`/recover/part?id=ID&offset=N`), and `/recover/finish?id=ID` commits it and returns what
 * was recovered; `/recover/undo?id=ID` rolls it back. One request for the whole archive would need a listener without a limit
 * on bodies.
 */
export class BackupRoutes {
  readonly #store: Store;
  readonly #log: Log;
  readonly #idleLimitMs: number;
  #recovery: Recovery | undefined;
  #isBackingUp = false;

  constructor(store: Store, log: Log, idleLimitMs = IDLE_LIMIT_MS) {
    this.#store = store;
    this.#log = log;
    this.#idleLimitMs = idleLimitMs;
  }

  /** Backups and recoveries in progress. */
  get size(): number {
    return (this.#isBackingUp ? 1 : 0) + (this.#recovery ? 1 : 0);
  }

  /** Rolls back a recovery in progress. */
  async stop(): Promise<void> {
    await this.#abort("the server is stopping");
  }

  handle(request: Request, server: BunServer<unknown>): Promise<Response> {
    return doing("a backup or a recovery", () => this.#answer(request, server));
  }

  async #answer(request: Request, server: BunServer<unknown>): Promise<Response> {
    // The database or the client's disk may be slow.
    server.timeout(request, 0);
    try {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === "/backup")
        return await this.#during("store.backup", request, server, () => this.#backup(request));
      if (pathname === "/recover") return this.#begin(searchParams.get("force") === "true");
      const recovery = this.#known(searchParams.get("id"));
      if (pathname === "/recover/part") return await this.#part(recovery, searchParams, request, server);
      if (pathname === "/recover/finish")
        return await this.#during("store.recover", request, server, () => this.#finish(recovery));
      if (pathname === "/recover/undo") return await this.#undo();
      throw new DeweyError("not_found", "use /backup, /recover, /recover/part, /recover/finish or /recover/undo");
    } catch (thrown) {
      const error = asDeweyError(thrown);
      if (error.code === "internal") this.#log.error("a backup or a recovery failed", { error });
      return Response.json({ error: error.message, code: error.code }, { status: httpStatus(error.code) });
    }
  }

  /** Acts that change no row, or replace the table of the audit itself: their rows cannot be in a transaction of theirs. */
  #during<Result>(action: AuditAction, request: Request, server: BunServer<unknown>, work: () => Promise<Result>) {
    const actor = { ...unknownActor, address: server.requestIP(request)?.address ?? null };
    const noted = (outcome: "ok" | ErrorCode) => this.#store.audit.note({ action, actor }, outcome);
    return work().then(
      (result) => {
        noted("ok");
        return result;
      },
      (error: unknown) => {
        noted(asDeweyError(error).code);
        throw error;
      },
    );
  }

  async #backup(request: Request): Promise<Response> {
    if (this.#isBackingUp)
      throw new DeweyError("conflict", "another backup is in progress; try again when it has ended");
    this.#isBackingUp = true;
    const over = () => void (this.#isBackingUp = false);
    const archive = await this.#store.backup().catch((error: unknown) => {
      over();
      throw error;
    });
    const download = new BackupDownload({ archive, stallLimitMs: this.#idleLimitMs, log: this.#log, over });
    // Nobody would read, or cancel, the body of a response to a client that has left.
    if (request.signal.aborted) await download.cancel();
    return new Response(download.stream, { headers: { "content-type": "application/zstd" } });
  }

  #begin(force: boolean): Response {
    if (this.#recovery)
      throw new DeweyError("conflict", "another recovery is in progress; try again when it has ended");
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const id = Bun.randomUUIDv7();
    const done = this.#store.recover(readable, { force });
    this.#recovery = { id, received: 0, writer: writable.getWriter(), done, idle: setTimeout(() => {}, 0) };
    // The next request reports a failure; until then it must not count as unhandled.
    done.catch(() => {});
    this.#touch(this.#recovery);
    return Response.json({ id });
  }

  async #part(
    recovery: Recovery,
    search: URLSearchParams,
    request: Request,
    server: BunServer<unknown>,
  ): Promise<Response> {
    // The body has a time limit of its own.
    clearTimeout(recovery.idle);
    const bytes = await receive(request, server, (arriving) => arriving.bytes()).finally(() => this.#touch(recovery));
    if (bytes instanceof Response) return bytes;
    if (search.get("offset") !== `${recovery.received}`)
      throw new DeweyError("conflict", `the next part should start at offset ${recovery.received}`);
    if (bytes.length > MAX_PART_BYTES)
      throw new DeweyError("invalid", `a part should have at most ${MAX_PART_BYTES} bytes`);
    recovery.received += bytes.length;
    clearTimeout(recovery.idle);
    await this.#unlessFailed(recovery, recovery.writer.write(bytes));
    this.#touch(recovery);
    return Response.json({ received: recovery.received });
  }

  async #finish(recovery: Recovery): Promise<Response> {
    clearTimeout(recovery.idle);
    await this.#unlessFailed(recovery, recovery.writer.close());
    const recovered = await this.#unlessFailed(recovery, recovery.done);
    this.#recovery = undefined;
    this.#log.info("recovered from a backup", { madeAt: recovered.made_at });
    for (const warning of recovered.warnings) this.#log.warn(warning);
    return Response.json(recovered);
  }

  async #undo(): Promise<Response> {
    await this.#abort("its client cancelled it");
    return Response.json({ undone: true });
  }

  #known(id: string | null): Recovery {
    if (this.#recovery === undefined || this.#recovery.id !== id) {
      throw new DeweyError(
        "not_found",
        "there is no such recovery; recoveries that receive no data for a minute are rolled back",
      );
    }
    return this.#recovery;
  }

  /** Fails as soon as the recovery does: its reader has stopped then, and a write would wait forever. */
  async #unlessFailed<Value>(recovery: Recovery, step: Promise<Value>): Promise<Value> {
    const failed = recovery.done.then(() => new Promise<never>(() => {}));
    step.catch(() => {});
    try {
      return await Promise.race([step, failed]);
    } catch (error) {
      await this.#abort("it failed");
      // The recovery's own error explains more than that its stream is no longer read.
      await recovery.done;
      throw error;
    }
  }

  #touch(recovery: Recovery): void {
    clearTimeout(recovery.idle);
    if (this.#recovery !== recovery) return;
    recovery.idle = setTimeout(() => void this.#abort("its client stopped sending"), this.#idleLimitMs);
  }

  async #abort(reason: string): Promise<void> {
    const recovery = this.#recovery;
    this.#recovery = undefined;
    if (!recovery) return;
    clearTimeout(recovery.idle);
    this.#log.warn("a recovery was rolled back", { reason });
    await recovery.writer
      .abort(new DeweyError("unavailable", `the recovery was rolled back: ${reason}`))
      .catch(() => {});
    await recovery.done.catch(() => {});
  }
}
