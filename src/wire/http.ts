import { StreamableHTTPClientTransport, StreamableHTTPError } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { JSONRPCMessageSchema } from "@modelcontextprotocol/sdk/types.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { Log } from "../log.ts";
import { INVALID_REQUEST, PARSE_ERROR, errorFrame, isObject, viewFrame } from "./frame.ts";
import type { FrameView } from "./frame.ts";
import { Inbox } from "./inbox.ts";
import type { Link, LinkHandlers } from "./link.ts";
import { withoutSecrets } from "./websocket.ts";

/** JSON-RPC code of a request that the server behind HTTP could not be asked. */
const UPSTREAM_FAILED = -32_023;
const NOT_FOUND = 404;

/** A server behind Streamable HTTP, through the SDK's transport. Nothing is sent before the first frame. */
export function dialHttp(options: { url: string; headers: Record<string, string>; log: Log }): Link {
  const transport = new StreamableHTTPClientTransport(new URL(options.url), {
    requestInit: { headers: options.headers },
  });
  return new HttpClientLink(transport, withoutSecrets(options.url), options.log);
}

class HttpClientLink implements Link {
  readonly wire = "http";
  readonly #transport: StreamableHTTPClientTransport;
  readonly #address: string;
  readonly #log: Log;
  #handlers: LinkHandlers | undefined;
  #initializeId: unknown;
  #closed = false;

  constructor(transport: StreamableHTTPClientTransport, address: string, log: Log) {
    this.#transport = transport;
    this.#address = address;
    this.#log = log;
  }

  open(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    this.#transport.onmessage = (message) => this.#received(message);
    this.#transport.onerror = (error) => this.#log.debug("HTTP upstream", { address: this.#address, error });
    this.#transport.onclose = () => this.#ended("the HTTP session has ended");
    void this.#transport.start();
  }

  send(frame: string): boolean {
    const view = viewFrame(frame);
    const message = sendable(frame, view);
    if (message === undefined) {
      this.#handlers?.frame(
        errorFrame(null, view.kind === "invalid" ? PARSE_ERROR : INVALID_REQUEST, "the frame is not JSON-RPC"),
      );
      return true;
    }
    if (view.kind === "request" && view.method === "initialize") this.#initializeId = view.id;
    this.#transport.send(message).catch((error: unknown) => this.#failed(view, error));
    return true;
  }

  // An HTTP response is read as it comes; the SDK's transport cannot be slowed down.
  pause(): void {}
  resume(): void {}

  close(): void {
    if (this.#closed) return;
    void this.#transport
      .terminateSession()
      .catch((error: unknown) =>
        this.#log.debug("the HTTP session could not be ended", { address: this.#address, error }),
      )
      .finally(() => void this.#transport.close());
    this.#ended("closed by Dewey");
  }

  #received(message: JSONRPCMessage): void {
    if ("id" in message && message.id === this.#initializeId && "result" in message) {
      const { protocolVersion } = message.result;
      // From now on every request must name the revision in a header.
      if (typeof protocolVersion === "string") this.#transport.setProtocolVersion(protocolVersion);
    }
    this.#handlers?.frame(JSON.stringify(message));
  }

  /** A request that failed is answered, since nobody else will; a session that is gone ends the link. */
  #failed(view: FrameView, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#log.warn("the HTTP upstream did not take a frame", { address: this.#address, reason });
    if (view.kind === "request") {
      this.#handlers?.frame(
        errorFrame(view.id, UPSTREAM_FAILED, `${this.#address} did not take the request: ${reason}`),
      );
    }
    if (error instanceof StreamableHTTPError && error.code === NOT_FOUND && this.#transport.sessionId !== undefined) {
      this.#ended("the HTTP session is gone");
    }
  }

  #ended(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handlers?.closed(reason);
  }
}

function sendable(frame: string, view: FrameView): JSONRPCMessage | JSONRPCMessage[] | undefined {
  if (view.kind === "invalid") return undefined;
  const value: unknown = view.kind === "batch" ? JSON.parse(frame) : view.message;
  const messages = Array.isArray(value) ? value : [value];
  const parsed = messages.map((each) => JSONRPCMessageSchema.safeParse(each));
  if (parsed.some((each) => !each.success)) return undefined;
  // What was sent goes on, not what a schema made of it: unknown fields must pass.
  return value as JSONRPCMessage;
}

/**
 * A session of an HTTP client as a link: the reverse of `linkTransport`. Streamable HTTP sends what belongs to a request
 * on that request's stream, so progress goes where its token came from, and what a server asks or tells while exactly
 * one request is open goes to that one; everything else goes to the stream that the client holds open.
 */
export function transportLink(transport: Transport): Link {
  const openRequests = new Map<string | number, unknown>();
  const inbox = new Inbox();
  transport.onmessage = (message) => {
    if ("id" in message && "method" in message) openRequests.set(message.id, message.params?._meta?.progressToken);
    inbox.frame(JSON.stringify(message));
  };
  transport.onclose = () => inbox.closed("the HTTP session has ended");
  void transport.start();
  return {
    wire: "http",
    open: (handlers) => inbox.open(handlers),
    send(frame) {
      const view = viewFrame(frame);
      for (const each of view.kind === "batch" ? view.messages : [view]) forward(each, transport, openRequests);
      return true;
    },
    // What the client has not fetched yet waits in its replay store, which is bounded.
    pause() {},
    resume() {},
    close: () => void transport.close(),
  };
}

function forward(view: FrameView, transport: Transport, openRequests: Map<string | number, unknown>): void {
  if (view.kind === "invalid" || view.kind === "batch") return;
  const message = view.message as unknown as JSONRPCMessage;
  const related = view.kind === "response" ? undefined : relatedRequest(view, openRequests);
  transport.send(message, related === undefined ? {} : { relatedRequestId: related }).catch(() => {
    // The client's stream is gone; the transport tells the end of the session by itself.
  });
  if (view.kind === "response" && (typeof view.id === "string" || typeof view.id === "number"))
    openRequests.delete(view.id);
}

function relatedRequest(
  view: FrameView & { kind: "request" | "notification" },
  openRequests: Map<string | number, unknown>,
) {
  const { params } = view.message;
  const token = view.method === "notifications/progress" && isObject(params) ? params["progressToken"] : undefined;
  for (const [id, known] of openRequests) if (token !== undefined && known === token) return id;
  return openRequests.size === 1 ? openRequests.keys().next().value : undefined;
}
