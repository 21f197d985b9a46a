import packageJson from "../package.json" with { type: "json" };
import { within } from "./deadline.ts";
import { DeweyError, asDeweyError, errorCodeOf } from "./errors.ts";
import type { ErrorCode } from "./errors.ts";
import { withoutSecrets } from "./wire/address.ts";
import { isObject, viewFrame } from "./wire/frame.ts";
import type { Json } from "./wire/frame.ts";
import type { Link } from "./wire/link.ts";
import { requireOwnServer } from "./wire/owner.ts";
import { dialWebSocket } from "./wire/websocket.ts";

/**
 * The newest protocol revision of the SDK, repeated here because loading the SDK takes longer than the rest of a hook. A
 * test compares it with the SDK.
 */
export const PROTOCOL_VERSION = "2025-11-25";

/** Cause of the error of a call that had reached a server, which then closed the connection or did not answer in time. */
export const WENT_AWAY = Symbol("the server went away during the call");

/** Time limit of a call: longer than the server's own, so that the server's error explains what is wrong. */
const CALL_DEADLINE_MS = 30_000;
/** Added for each character of a call: slightly more than the server allows itself for storing it. */
const EXTRA_MS_PER_CHARACTER = 0.0015;

export interface ToolClientOptions {
  /** The WebSocket address of a Dewey server. */
  url: string;
  token?: string | undefined;
  deadlineMs?: number;
}

/**
 * Calls Dewey's tools over MCP. Connects at the first call, and again at the first call after a connection was lost. Calls
 * may overlap. The SDK's client would validate every reply against its output schema, which costs the shipper more than
 * the call itself.
 */
export class ToolClient {
  readonly #options: ToolClientOptions;
  #session: Promise<ServerConnection> | undefined;

  constructor(options: ToolClientOptions) {
    this.#options = options;
  }

  /** Returns the tool's structured reply. Throws the server's error, or `unavailable` when there is no reply. */
  async call(tool: string, args: Json): Promise<Json> {
    const session = await this.#connected();
    const result = await session.request("tools/call", { name: tool, arguments: args });
    if (result["isError"] === true) throw toolError(result);
    const structured = result["structuredContent"];
    if (!isObject(structured))
      throw new DeweyError("internal", `the server's reply to ${tool} holds no structured content`);
    return structured;
  }

  async close(): Promise<void> {
    const session = await this.#session?.catch(() => undefined);
    session?.close();
  }

  #connected(): Promise<ServerConnection> {
    this.#session ??= this.#connect();
    return this.#session;
  }

  async #connect(): Promise<ServerConnection> {
    const { url, token, deadlineMs } = this.#options;
    try {
      const link = await dialWebSocket({
        url,
        ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
      });
      requireOwnServer({ url, token }, link);
      const session = new ServerConnection(link, deadlineMs ?? CALL_DEADLINE_MS, () => (this.#session = undefined));
      const { serverInfo } = await session.request("initialize", {
        protocolVersion: PROTOCOL_VERSION,
        capabilities: {},
        clientInfo: { name: "dewey", version: packageJson.version },
      });
      // Another MCP server would refuse every call, so that all recorded messages would be set aside.
      if (!isObject(serverInfo) || serverInfo["name"] !== "dewey") {
        session.close();
        throw new DeweyError("unavailable", `the server at ${withoutSecrets(url)} is not a Dewey server`);
      }
      session.notify("notifications/initialized");
      return session;
    } catch (error) {
      this.#session = undefined;
      const { code, message, cause } = asDeweyError(error);
      // No call was under way yet.
      throw cause === WENT_AWAY ? new DeweyError(code, message) : error;
    }
  }
}

/** One connection and its calls in flight. */
class ServerConnection {
  readonly #link: Link;
  readonly #deadlineMs: number;
  readonly #waiting = new Map<number, PromiseWithResolvers<Json>>();
  #next = 1;
  readonly #onClosed: () => void;
  #closed = false;

  constructor(link: Link, deadlineMs: number, onClosed: () => void) {
    this.#link = link;
    this.#deadlineMs = deadlineMs;
    this.#onClosed = onClosed;
    link.open({
      frame: (text) => this.#received(text),
      drained: () => {},
      closed: (reason) => this.#ended(reason),
    });
  }

  async request(method: string, params: Json): Promise<Json> {
    if (this.#closed) throw new DeweyError("unavailable", "the Dewey server is away: the connection was closed");
    const id = this.#next;
    this.#next += 1;
    const call = Promise.withResolvers<Json>();
    this.#waiting.set(id, call);
    const frame = JSON.stringify({ jsonrpc: "2.0", id, method, params });
    const limitMs = this.#deadlineMs + Math.ceil(frame.length * EXTRA_MS_PER_CHARACTER);
    this.#link.send(frame);
    try {
      return await within(limitMs, call.promise, () => this.#late(limitMs));
    } finally {
      this.#waiting.delete(id);
    }
  }

  notify(method: string): void {
    this.#link.send(JSON.stringify({ jsonrpc: "2.0", method }));
  }

  close(): void {
    this.#link.close();
  }

  /** A connection with an overdue reply may have died silently, so the next call gets a new one. */
  #late(limitMs: number): never {
    const reason = `did not answer within ${limitMs / 1000} s`;
    // At once: a dead connection would not answer the close handshake either.
    this.#ended(`it ${reason}`);
    this.#link.close();
    throw new DeweyError("unavailable", `the Dewey server ${reason}`, { cause: WENT_AWAY });
  }

  #ended(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClosed();
    for (const call of this.#waiting.values())
      call.reject(new DeweyError("unavailable", `the Dewey server is away: ${reason}`, { cause: WENT_AWAY }));
    this.#waiting.clear();
  }

  #received(text: string): void {
    const view = viewFrame(text);
    if (view.kind !== "response" || typeof view.id !== "number") return;
    const call = this.#waiting.get(view.id);
    const { result, error } = view.message;
    if (isObject(result)) call?.resolve(result);
    else call?.reject(rpcError(error));
  }
}

function toolError(result: Json): DeweyError {
  const content: unknown = result["content"];
  const block: unknown = Array.isArray(content) ? content[0] : undefined;
  const text = isObject(block) ? String(block["text"]) : "";
  try {
    const { error } = JSON.parse(text) as { error: { code: ErrorCode; field?: string; message: string } };
    return new DeweyError(error.code, error.message, error.field === undefined ? {} : { field: error.field });
  } catch {
    return new DeweyError("internal", "the server's error could not be read");
  }
}

function rpcError(error: unknown): DeweyError {
  const { code, message } = isObject(error) ? error : {};
  return new DeweyError(errorCodeOf(code), typeof message === "string" ? message : "the server answered with an error");
}
