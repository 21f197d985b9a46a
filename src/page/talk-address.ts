import type { AskedTalk } from "./client/talk.ts";
import { keptPlace, route } from "./route.ts";

/** The conversation that the address names, where it is opened. */
export function talkAt(): AskedTalk | undefined {
  const { segments, query } = route.value;
  const [view, id] = segments;
  if (view !== "conversation" || id === undefined) return undefined;
  return { id, everything: query.has("all"), turn: keptPlace("turn") ?? turnIn(query) };
}

/** The turn that an address names. */
export function turnIn(query: URLSearchParams): number | undefined {
  const text = query.get("turn");
  return text !== null && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
