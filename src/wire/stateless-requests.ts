import { boundedText } from "./bounded-text.ts";
import { cancelledKey, isObject, viewFrame } from "./frame.ts";
import type { FrameView } from "./frame.ts";
import { VERSION_HEADER } from "./headers.ts";
import { MirroredHeaders, statelessVersion } from "./mirrored-headers.ts";
import { toolPages } from "./tool-list.ts";

const BAD_REQUEST = 400;
/** MCP's code for headers that do not repeat the body. */
const HEADER_MISMATCH = -32_020;

/** The requests of 2026-07-28 in flight over HTTP, where headers repeat parts of the body and closing a stream cancels. */
export class StatelessRequests {
  readonly #mirrored = new MirroredHeaders();
  /** Cancels each request in flight, by its key. */
  readonly #cancels = new Map<string, () => void>();
  /** Keys of the requests in flight for a list of tools. */
  readonly #listing = new Set<string>();

  /**
   * Notes a frame that is about to be posted. Returns the signal that aborts when its request is cancelled, or `closed`
   * aborts; `cancelled` is called before it does. Frames of other revisions are cancelled only by `closed`.
   */
  begin(view: FrameView, closed: AbortSignal, cancelled: () => void): AbortSignal {
    if (view.kind !== "request" || statelessVersion(view) === undefined) return closed;
    const abort = new AbortController();
    this.#cancels.set(view.key, () => {
      cancelled();
      abort.abort();
    });
    if (view.method === "tools/list") this.#listing.add(view.key);
    return AbortSignal.any([abort.signal, closed]);
  }

  /** Forgets a frame's request, which is over. */
  end(view: FrameView): void {
    if (view.kind !== "request") return;
    this.#cancels.delete(view.key);
    this.#listing.delete(view.key);
  }

  /**
   * Cancels a request as HTTP does, by closing its stream, when this is the notification by which other wires do; returns
   * false for anything else.
   */
  cancel(view: FrameView): boolean {
    const cancel = this.#cancels.get(cancelledKey(view) ?? "");
    cancel?.();
    return cancel !== undefined;
  }

  /** Notes a response. A list of tools says which headers their calls need. */
  answered(view: FrameView & { kind: "response" }): void {
    if (this.#listing.delete(view.key)) this.#mirrored.learn(view.message["result"]);
  }

  /**
   * Posts a frame with its headers. A call that is refused for its headers did not run: the server's tools are listed, and
   * when they ask for other headers, the call is posted once more.
   */
  async post(
    frame: string,
    view: FrameView,
    postWith: (text: string, headers: Record<string, string>) => Promise<Response>,
  ): Promise<Response> {
    const headers = this.#mirrored.of(view);
    const response = await postWith(frame, headers);
    const isCall = view.kind === "request" && view.method === "tools/call" && VERSION_HEADER in headers;
    if (response.status !== BAD_REQUEST || !isCall) return response;
    const body = await boundedText(response);
    if (isHeaderMismatch(body)) {
      const list = (text: string) => postWith(text, this.#mirrored.of(viewFrame(text)));
      for await (const page of toolPages(this.#mirrored.metaOf(view), list)) this.#mirrored.learn(page);
      const others = this.#mirrored.of(view);
      if (!Bun.deepEquals(headers, others)) return postWith(frame, others);
    }
    return new Response(body, response);
  }
}

function isHeaderMismatch(body: string): boolean {
  const view = viewFrame(body);
  const error = view.kind === "response" ? view.message["error"] : undefined;
  return isObject(error) && error["code"] === HEADER_MISMATCH;
}
