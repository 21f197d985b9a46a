import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRedactor, redactMessage } from "../../src/store/redact/redact.ts";
import { ToolClient } from "../../src/tool-client.ts";
import { asDeweyError } from "../../src/errors.ts";
import { Random } from "../faults/random.ts";
import { run as runBinary, start, startServe } from "../support/binary.ts";
import { echoCommand } from "../support/echo-server.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { Rpc, until } from "../support/rpc.ts";
import { Texts } from "./texts.ts";
import { Watch } from "./watch.ts";

type Json = Record<string, unknown>;

export interface FuzzOptions {
  seed: number;
  seconds: number;
  say: (line: string) => void;
}

/** What was done, and everything that was not as promised. */
export interface FuzzResult {
  totals: Record<string, number>;
  violations: string[];
  /** The watchdog's lines about turns that took a second of the processor's time, which no load of others explains. */
  heldTurns: string[];
}

/** The longest turn of the event loop, in milliseconds of processor time. */
const MOST_TURN_MS = 1000;
/** Messages of a conversation before the next one begins. */
const TURNS = 50;
/** Violations that are worth reading; with more the run ends. */
const MOST_VIOLATIONS = 20;

/** One run against a server and a proxy of the compiled binary. */
class Fuzz {
  readonly violations: string[] = [];
  readonly totals: Record<string, number> = {};
  readonly #texts: Texts;
  readonly #random: Random;
  readonly #client: ToolClient;
  readonly #rpc: Rpc;
  readonly #relayed: Rpc;
  readonly #command: (args: string[]) => Promise<{ code: number; stderr: string }>;
  readonly #home: string;
  readonly #redactor = createRedactor();
  #conversation = "";
  #turns = TURNS;

  constructor(
    random: Random,
    parts: {
      client: ToolClient;
      rpc: Rpc;
      relayed: Rpc;
      home: string;
      command: (args: string[]) => Promise<{ code: number; stderr: string }>;
    },
  ) {
    this.#random = random;
    this.#texts = new Texts(random);
    this.#client = parts.client;
    this.#rpc = parts.rpc;
    this.#relayed = parts.relayed;
    this.#home = parts.home;
    this.#command = parts.command;
  }

  /** One act, chosen at random. */
  async act(): Promise<void> {
    const acts: [number, string, () => Promise<void>][] = [
      [8, "store", () => this.#store()],
      [6, "search", () => this.#search()],
      [6, "relay", () => this.#relay()],
      [4, "frame", () => this.#frame()],
      [3, "place", () => this.#place()],
      [1, "show", () => this.#show()],
      [1, "import", () => this.#import()],
    ];
    let at = this.#random.integer(
      1,
      acts.reduce((sum, [weight]) => sum + weight, 0),
    );
    for (const [weight, name, act] of acts) {
      at -= weight;
      if (at > 0) continue;
      const startedMs = performance.now();
      await act();
      this.#count(name);
      const key = `slowest ${name} in ms`;
      this.totals[key] = Math.max(this.totals[key] ?? 0, Math.round(performance.now() - startedMs));
      return;
    }
  }

  /** Stores a message, reads it, and holds it against what should have been stored. */
  async #store(): Promise<void> {
    if (this.#turns >= TURNS) await this.#begin();
    const message = { role: "user", content: this.#texts.text(), metadata: this.#texts.metadata() };
    const stored = await this.#call("dewey_store_message", { conversation_id: this.#conversation, ...message });
    if (stored === undefined) return;
    this.#turns += 1;
    this.#count("characters stored", message.content.length);
    const expected = redactMessage(this.#redactor, message);
    const place = { conversation_id: this.#conversation, turn: stored["turn_number"] };
    const page = await this.#call("dewey_get_conversation", { ...place, full: true });
    const [found] = (page?.["messages"] ?? []) as Json[];
    if (found?.["content"] !== expected.content || !Bun.deepEquals(found["metadata"], expected.metadata))
      this.#violate("what was stored comes back changed", JSON.stringify(message.content.slice(0, 200)));
  }

  async #begin(): Promise<void> {
    const begun = await this.#call("dewey_begin_conversation", { session_id: "fuzz" });
    this.#conversation = String(begun?.["conversation_id"]);
    this.#turns = 0;
  }

  async #search(): Promise<void> {
    const query = this.#texts.text(30_000);
    const narrowing = [{}, { session_id: this.#texts.text(30) }, { metadata: this.#texts.metadata() }, { context: 2 }];
    const [more] = this.#random.shuffled(narrowing);
    await this.#call("dewey_search", { query, ...more });
  }

  /** Calls a tool through the proxy. What comes back was relayed unchanged, and is recorded. */
  async #relay(): Promise<void> {
    const text = this.#texts.text().toWellFormed();
    try {
      const reply = await this.#relayed.tool("echo", { text });
      if (reply["text"] !== text) this.#violate("the relay changed a text", JSON.stringify(text.slice(0, 200)));
    } catch (error) {
      this.#violate("a relayed call failed", String(error));
    }
  }

  /** Sends what is no message, or hardly one, and asks something ordinary behind it. */
  async #frame(): Promise<void> {
    const frame = this.#texts.frame();
    const rpc = this.#random.chance(0.5) ? this.#rpc : this.#relayed;
    rpc.socket.send(frame);
    try {
      await rpc.call("ping", {}, `"ping-${this.#random.integer(0, 2 ** 31)}"`);
    } catch (error) {
      this.#violate(`a connection ended at a frame: ${String(error)}`, JSON.stringify(frame.slice(0, 200)));
    }
  }

  /** Ids, cursors and snapshots that no reply has held. */
  async #place(): Promise<void> {
    const digits = () => `${this.#random.integer(0, 9)}`.repeat(this.#random.integer(1, 19));
    const snapshot = `${digits()}:${digits()}:${this.#random.chance(0.5) ? "" : `${digits()},${digits()}`}`;
    const text = this.#texts.text(20_000);
    await this.#call("dewey_new_messages", { cursor: this.#random.chance(0.5) ? text : `1|${snapshot}||0` });
    await this.#call("dewey_search", { query: "a", cursor: text });
    await this.#call("dewey_list_conversations", { cursor: text });
    await this.#call("dewey_get_conversation", { conversation_id: text });
    await this.#call("dewey_get_startup_context", { name: text });
  }

  async #show(): Promise<void> {
    if (this.#turns >= TURNS) return;
    const { code, stderr } = await this.#command(["show", this.#conversation, "--unfold"]);
    if (code !== 0) this.#violate("dewey show failed", stderr);
    const query = this.#texts.text(1000).replaceAll("\0", " ").toWellFormed();
    const search = () => this.#command(["search", "--", query]);
    let found = await search();
    if (found.stderr.includes("did not answer within")) found = await search();
    if (found.code !== 0 && found.code !== 2 && !found.stderr.includes("took longer"))
      this.#violate("dewey search failed", found.stderr);
  }

  /** Imports a transcript with a text, and reads what has become of it. */
  async #import(): Promise<void> {
    const sessionId = crypto.randomUUID();
    const content = `fuzz ${this.#texts.text().toWellFormed()} end`;
    const file = join(this.#home, `${sessionId}.jsonl`);
    const row = { type: "user", uuid: crypto.randomUUID(), timestamp: "2026-01-01T00:00:00.000Z", sessionId };
    writeFileSync(file, `${JSON.stringify({ ...row, message: { role: "user", content } })}\n`);
    const { code, stderr } = await this.#command(["import", file]);
    if (code !== 0) this.#violate("dewey import failed", stderr);
    const list = await this.#call("dewey_list_conversations", { session_id: sessionId });
    const [conversation] = (list?.["conversations"] ?? []) as Json[];
    const id = conversation?.["conversation_id"] ?? conversation?.["id"];
    const page = await this.#call("dewey_get_conversation", { conversation_id: id, full: true });
    const contents = ((page?.["messages"] ?? []) as Json[]).map((message) => message["content"]);
    const expected = redactMessage(this.#redactor, { content }).content;
    if (!contents.includes(expected))
      this.#violate("what was imported is not there", JSON.stringify(content.slice(0, 200)));
  }

  /**
   * The reply; undefined for input that the server refuses, which is fine. Everything else is a violation. A busy machine
   * makes any call late now and then, but hardly the same one twice in a row.
   */
  async #call(tool: string, args: Json, attempts = 2): Promise<Json | undefined> {
    try {
      return await this.#client.call(tool, args);
    } catch (thrown) {
      const { code, message } = asDeweyError(thrown);
      const isLate = code === "unavailable" && /the search took longer|did not answer within/.test(message);
      if (isLate) this.#count("calls that were ended at their deadline");
      if (isLate && attempts > 1) return this.#call(tool, args, attempts - 1);
      if (isLate && message.includes("the search took longer")) return undefined;
      if (code === "internal" || code === "unavailable") {
        const shown = JSON.stringify(args, (_, value: unknown) =>
          typeof value === "string" ? value.slice(0, 200) : value,
        );
        this.#violate(`${tool}: ${code}: ${message}`, shown.slice(0, 1000));
      } else this.#count(`refused as ${code}`);
      return undefined;
    }
  }

  #violate(what: string, about: string): void {
    this.violations.push(`${what} (${about})`);
  }

  #count(name: string, by = 1): void {
    this.totals[name] = (this.totals[name] ?? 0) + by;
  }
}

/** Feeds generated texts to a real server and proxy for a while, and holds their promises. */
export async function run({ seed, seconds, say }: FuzzOptions): Promise<FuzzResult> {
  using home = temporaryHome();
  const environment = plainEnvironment(home.path);
  await using stack = new AsyncDisposableStack();
  const { running: server, url } = await startServe(home.path);
  stack.use(server);
  const config = join(home.path, "mcp.json");
  writeFileSync(config, JSON.stringify({ mcpServers: { echo: echoCommand } }));
  const spool = join(home.path, "spool");
  const proxy = stack.use(
    start(["proxy", "--port", "0", "--config", config, "--url", url, "--spool-dir", spool], environment),
  );
  const [, proxyUrl = ""] = await proxy.until("stderr", /"event":"relaying","url":"([^"]+)"/);
  const [serverHttp, proxyHttp] = [url.replace("ws:", "http:"), proxyUrl.replace("ws:", "http:")];
  const client = new ToolClient({ url });
  stack.defer(() => client.close());
  const [rpc, relayed] = [await Rpc.open(url), await Rpc.open(proxyUrl)];
  stack.defer(() => (rpc.close(), relayed.close()));
  await Promise.all([rpc.initialize(), relayed.initialize()]);
  const watch = await Watch.start(
    new Map([
      ["server", serverHttp],
      ["proxy", proxyHttp],
    ]),
  );
  const fuzz = new Fuzz(new Random(seed), {
    client,
    rpc,
    relayed,
    home: home.path,
    command: ([name = "", ...args]) => runBinary([name, "--url", url, ...args], environment),
  });
  const violations = () => [...fuzz.violations, ...watch.violations];
  const endMs = performance.now() + seconds * 1000;
  try {
    for (let told = 0; performance.now() < endMs && violations().length < MOST_VIOLATIONS;) {
      await fuzz.act();
      for (; told < violations().length; told += 1) say(violations()[told] ?? "");
    }
    await until("the recorder", async () => {
      const { recorder } = (await (await fetch(new URL("/healthz", proxyHttp))).json()) as { recorder: Json };
      if (recorder["set_aside"] !== 0) fuzz.violations.push("records were set aside");
      return recorder["queued_records"] === 0 || recorder["set_aside"] !== 0;
    });
  } finally {
    await watch.stop();
  }
  for (const [name, { slowestMs, count }] of watch.answers) {
    fuzz.totals[`/healthz of ${name}`] = count;
    fuzz.totals[`slowest /healthz of ${name} in ms`] = Math.round(slowestMs);
  }
  const turns = [server.stderr(), proxy.stderr()].flatMap((log) =>
    log.split("\n").filter((line) => line.includes("a turn of")),
  );
  for (const line of turns) say(line);
  const heldTurns = turns.filter((line) => (JSON.parse(line) as { processor_ms: number }).processor_ms > MOST_TURN_MS);
  return { totals: fuzz.totals, violations: violations(), heldTurns };
}
