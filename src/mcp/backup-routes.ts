import type { Server as BunServer } from "bun";
import { asDeweyError, DeweyError, httpStatus } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Recovered } from "../store/backup/backup.ts";
import type { Store } from "../store/store.ts";

/** A recovery that receives no data for this long is rolled back. */
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
 * `GET /backup` returns the store as an archive. `POST /recover` begins a recovery and returns its id; the archive is then
 * uploaded in parts (`PUT /recover?id=ID&offset=N`), and `POST /recover?id=ID` commits it and returns what was recovered;
 * `DELETE /recover?id=ID` rolls it back. One request for the whole archive would need a listener without a limit on bodies.
 */
export class BackupRoutes {
  readonly #store: Store;
  readonly #log: Log;
  readonly #idleLimitMs: number;
  #recovery: Recovery | undefined;
  #backups = 0;

  constructor(store: Store, log: Log, idleLimitMs = IDLE_LIMIT_MS) {
    this.#store = store;
    this.#log = log;
    this.#idleLimitMs = idleLimitMs;
  }

  /** Backups and recoveries in progress. */
  get size(): number {
    return this.#backups + (this.#recovery ? 1 : 0);
  }

  /** Rolls back a recovery in progress. */
  async stop(): Promise<void> {
    await this.#abort("the server is stopping");
  }

  async handle(request: Request, server: BunServer<unknown>): Promise<Response> {
    // The database or the client's disk may be slow.
    server.timeout(request, 0);
    try {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === "/backup" && request.method === "GET") return await this.#backup();
      const id = searchParams.get("id");
      if (pathname === "/recover" && request.method === "POST" && id === null) {
        return this.#begin(searchParams.get("force") === "true");
      }
      if (pathname === "/recover" && request.method === "PUT") return await this.#part(id, searchParams, request);
      if (pathname === "/recover" && request.method === "POST") return await this.#finish(id);
      if (pathname === "/recover" && request.method === "DELETE") return await this.#undo(id);
      throw new DeweyError("invalid", "use GET /backup, or POST, PUT or DELETE /recover");
    } catch (thrown) {
      const error = asDeweyError(thrown);
      if (error.code === "internal") this.#log.error("a backup or a recovery failed", { error });
      return Response.json({ error: error.message, code: error.code }, { status: httpStatus(error.code) });
    }
  }

  async #backup(): Promise<Response> {
    const archive = (await this.#store.backup()).getReader();
    this.#backups += 1;
    let isOver = false;
    // A client may leave while the next chunk is being read, which then fails too.
    const over = () => {
      if (!isOver) this.#backups -= 1;
      isOver = true;
    };
    const log = this.#log;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          const { value } = await archive.read();
          if (value !== undefined) return controller.enqueue(value);
          controller.close();
        } catch (error) {
          if (!isOver) log.error("a backup was interrupted", { error });
          controller.error(error);
        }
        over();
      },
      async cancel() {
        over();
        await archive.cancel();
      },
    });
    return new Response(body, { headers: { "content-type": "application/zstd" } });
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

  async #part(id: string | null, search: URLSearchParams, request: Request): Promise<Response> {
    const recovery = this.#known(id);
    if (search.get("offset") !== `${recovery.received}`) {
      throw new DeweyError("conflict", `the next part should start at offset ${recovery.received}`);
    }
    const bytes = await request.bytes();
    if (bytes.length > MAX_PART_BYTES)
      throw new DeweyError("invalid", `a part should have at most ${MAX_PART_BYTES} bytes`);
    recovery.received += bytes.length;
    clearTimeout(recovery.idle);
    await this.#unlessFailed(recovery, recovery.writer.write(bytes));
    this.#touch(recovery);
    return Response.json({ received: recovery.received });
  }

  async #finish(id: string | null): Promise<Response> {
    const recovery = this.#known(id);
    clearTimeout(recovery.idle);
    await this.#unlessFailed(recovery, recovery.writer.close());
    const recovered = await this.#unlessFailed(recovery, recovery.done);
    this.#recovery = undefined;
    this.#log.info("recovered from a backup", { madeAt: recovered.made_at });
    return Response.json(recovered);
  }

  async #undo(id: string | null): Promise<Response> {
    this.#known(id);
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
