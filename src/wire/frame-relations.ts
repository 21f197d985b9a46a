import { isObject } from "./frame.ts";
import type { FrameView, Json } from "./frame.ts";

/** In `_meta` of a notification, the id of the request for them (2026-07-28). */
const SUBSCRIPTION_KEY = "io.modelcontextprotocol/subscriptionId";

/** The token by which a request asks for its progress. */
export function wantedToken(request: Json): unknown {
  return paramsOf(paramsOf(request, "params"), "_meta")["progressToken"];
}

/** The token of a progress notification. */
export function progressToken(view: FrameView): unknown {
  const isProgress = view.kind === "notification" && view.method === "notifications/progress";
  return isProgress ? paramsOf(view.message, "params")["progressToken"] : undefined;
}

/** The key of the request that a notification is for. */
export function subscriptionKey(view: FrameView): string | undefined {
  if (view.kind !== "notification") return undefined;
  const id = paramsOf(paramsOf(view.message, "params"), "_meta")[SUBSCRIPTION_KEY];
  return typeof id === "string" || typeof id === "number" ? JSON.stringify(id) : undefined;
}

function paramsOf(message: Json, name: string): Json {
  const value = message[name];
  return isObject(value) ? value : {};
}
