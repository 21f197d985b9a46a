import { boundedText } from "./bounded-text.ts";
import { isObject, viewFrame } from "./frame.ts";
import type { Json } from "./frame.ts";
import { SseReader } from "./sse.ts";

/** A list of tools has few pages; a server that never ends it is asked no further. */
const MAX_PAGES = 100;
/** Id of the requests; each is a POST of its own, so nothing else can have the same on its response. */
const ID = "dewey-tools";

/**
 * Asks a server of 2026-07-28 for its tools, page by page, as the client of `meta`. `post` sends a frame. Ends early when
 * the server does not answer with a list.
 */
export async function* toolPages(meta: Json, post: (frame: string) => Promise<Response>): AsyncGenerator<Json> {
  let cursor: unknown;
  for (let page = 0; page < MAX_PAGES; page++) {
    const params = { _meta: meta, ...(cursor === undefined ? {} : { cursor }) };
    const frame = JSON.stringify({ jsonrpc: "2.0", id: ID, method: "tools/list", params });
    const result = await resultIn(await post(frame));
    if (!result) return;
    yield result;
    cursor = result["nextCursor"];
    if (typeof cursor !== "string") return;
  }
}

/** The result in a response, which is one body or a stream of events. */
async function resultIn(response: Response): Promise<Json | undefined> {
  const text = await boundedText(response);
  const isStream = (response.headers.get("content-type") ?? "").startsWith("text/event-stream");
  const frames = isStream ? new SseReader().push(new TextEncoder().encode(text)).map(({ data }) => data) : [text];
  for (const frame of frames) {
    const view = viewFrame(frame);
    if (view.kind === "response" && view.id === ID && isObject(view.message["result"])) return view.message["result"];
  }
  return undefined;
}
