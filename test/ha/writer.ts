import { ToolClient } from "../../src/tool-client.ts";
import { Rpc } from "../support/rpc.ts";

/** Pause between two calls of one writer: an agent that is quick. */
const PAUSE_MS = 50;
/** Pause before a failed call is made again. */
const RETRY_MS = 100;
/** A call that is not answered in this time is made again. */
const DEADLINE_MS = 15_000;

/** A store that was acknowledged. Times are from `performance.now`. */
export interface Acknowledged {
  id: string;
  content: string;
  /** From the first attempt. */
  askedMs: number;
  answeredMs: number;
}

/** A client that stores one message after another, each until it is acknowledged, with an id of its own. */
export class Writer {
  readonly acknowledged: Acknowledged[] = [];
  /** Attempts that failed. */
  failed = 0;
  readonly conversation = Bun.randomUUIDv7();
  readonly #name: string;
  readonly #client: ToolClient;
  #isStopped = false;
  #isAbandoned = false;
  readonly #done: Promise<void>;

  constructor(name: string, server: { url: string; token: string }) {
    this.#name = name;
    this.#client = new ToolClient({ ...server, deadlineMs: DEADLINE_MS });
    this.#done = this.#write();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
    await this.#client.close();
  }

  /** Gives up, whatever is under way. */
  abandon(): void {
    this.#isStopped = this.#isAbandoned = true;
  }

  async #write(): Promise<void> {
    const { conversation: conversation_id } = this;
    await this.#insist("dewey_begin_conversation", { conversation_id });
    for (let number = 1; !this.#isStopped; number += 1) {
      const [id, content] = [Bun.randomUUIDv7(), `${this.#name}, message ${number}`];
      const askedMs = performance.now();
      await this.#insist("dewey_store_message", { conversation_id, message_id: id, role: "user", content });
      if (this.#isAbandoned) return;
      this.acknowledged.push({ id, content, askedMs, answeredMs: performance.now() });
      await Bun.sleep(PAUSE_MS);
    }
  }

  async #insist(tool: string, args: Record<string, unknown>): Promise<void> {
    while (!this.#isAbandoned) {
      try {
        await this.#client.call(tool, args);
        return;
      } catch {
        this.failed += 1;
        await Bun.sleep(RETRY_MS);
      }
    }
  }
}

/** A client that calls a tool through the proxy, which records the calls. */
export class Caller {
  /** The texts of answered calls, each another one. */
  readonly answered: string[] = [];
  readonly #rpc: Rpc;
  #isStopped = false;
  readonly #done: Promise<void>;

  private constructor(rpc: Rpc) {
    this.#rpc = rpc;
    this.#done = this.#call();
  }

  static async open(url: string, token: string): Promise<Caller> {
    const rpc = await Rpc.open(`${url}?upstream=echo`, { headers: { authorization: `Bearer ${token}` } });
    await rpc.initialize();
    return new Caller(rpc);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
    this.#rpc.close();
  }

  abandon(): void {
    this.#isStopped = true;
    this.#rpc.close();
  }

  async #call(): Promise<void> {
    for (; !this.#isStopped; await Bun.sleep(PAUSE_MS)) {
      const text = Bun.randomUUIDv7();
      try {
        await this.#rpc.tool("echo", { text });
      } catch (error) {
        if (this.#isStopped) return;
        throw error;
      }
      this.answered.push(text);
    }
  }
}
