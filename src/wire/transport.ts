import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  isJSONRPCErrorResponse,
  isJSONRPCNotification,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
} from "@modelcontextprotocol/sdk/types.js";
import type { RequestId } from "@modelcontextprotocol/sdk/types.js";
import { doing } from "../watchdog.ts";
import { INVALID_REQUEST, PARSE_ERROR, errorFrame, viewFrame } from "./frame.ts";
import type { FrameView } from "./frame.ts";
import type { Link } from "./link.ts";

/**
 * The SDK's transport over a link. Invalid frames are answered with the errors of JSON-RPC, and the link stays open. `take`
 * is offered every message first, from now on, and returns whether it has dealt with it; the rest waits for `start`.
 */
export function linkTransport(link: Link, take: (view: FrameView) => boolean = () => false): Transport {
  /** Ids of the requests sent over the link that are still unanswered. */
  const asked = new Set<RequestId>();
  const early: FrameView[] = [];
  let state: "early" | "started" | "closed" = "early";
  const transport: Transport = {
    start() {
      // The SDK listens for the close only now.
      if (state === "closed") queueMicrotask(() => transport.onclose?.());
      else state = "started";
      for (const view of early.splice(0)) deliver(view, receiver);
      link.resume();
      return Promise.resolve();
    },
    send(message) {
      if (isJSONRPCRequest(message)) asked.add(message.id);
      link.send(doing("writing a reply", () => JSON.stringify(message)));
      return Promise.resolve();
    },
    close() {
      link.close();
      return Promise.resolve();
    },
  };
  const receiver = { transport, link, asked, take };
  link.open({
    frame(text) {
      const view = viewFrame(text);
      if (state !== "early") deliver(view, receiver);
      else if (view.kind === "batch" || !take(view)) {
        early.push(view);
        // So that no more than one waits, but for what was on its way.
        link.pause();
      }
    },
    // The SDK has no backpressure: its frames are queued by the link, up to the link's own limit.
    drained: () => {},
    closed() {
      state = "closed";
      transport.onclose?.();
    },
  });
  return transport;
}

interface Receiver {
  transport: Transport;
  link: Link;
  asked: Set<RequestId>;
  take(view: FrameView): boolean;
}

function deliver(view: FrameView, receiver: Receiver): void {
  const { transport, link, asked } = receiver;
  if (view.kind !== "batch" && receiver.take(view)) return;
  switch (view.kind) {
    case "invalid":
      link.send(
        view.reason === "not JSON"
          ? errorFrame(null, PARSE_ERROR, "the frame is not JSON")
          : errorFrame(null, INVALID_REQUEST, "the frame is not a JSON-RPC message"),
      );
      return;
    case "batch":
      for (const message of view.messages) deliver(message, receiver);
      return;
    case "request":
      // The SDK silently drops frames that do not match its schema, and the caller would wait forever.
      if (!isJSONRPCRequest(view.message)) {
        link.send(errorFrame(echoable(view.id), INVALID_REQUEST, "the frame is not a JSON-RPC 2.0 request"));
        return;
      }
      break;
    case "response":
      // For an answer to nothing, and for what it does not know, the SDK writes out all of it: seconds when it is deep.
      if (!asked.delete(view.id as RequestId)) return;
      if (!isJSONRPCResultResponse(view.message) && !isJSONRPCErrorResponse(view.message)) return;
      break;
    case "notification":
      if (!isJSONRPCNotification(view.message)) return;
      break;
  }
  // The SDK validates the rest against the method's schema when it handles the message.
  transport.onmessage?.(view.message);
}

/** The id for an error; null, as JSON-RPC says, when it is no valid id. */
function echoable(id: unknown): unknown {
  return typeof id === "string" || typeof id === "number" ? id : null;
}
