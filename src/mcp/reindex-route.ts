import { asDeweyError, DeweyError, httpStatus } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Store } from "../store/store.ts";

/**
 * `POST /reindex` starts to rebuild the search index, with `?language=NAME` in another language; `GET /reindex` returns the
 * progress. Both answer at once: the rebuild runs in the background.
 */
export async function handleReindex(request: Request, store: Store, log: Log): Promise<Response> {
  try {
    const language = new URL(request.url).searchParams.get("language") ?? undefined;
    if (request.method === "GET") return Response.json(await store.reindexer.state());
    if (request.method === "POST") return Response.json(await store.reindexer.begin(language));
    throw new DeweyError("invalid", "use GET or POST /reindex");
  } catch (thrown) {
    const { code, message, field } = asDeweyError(thrown);
    if (code === "internal") log.error("reindexing failed", { error: thrown });
    return Response.json({ error: message, code, field }, { status: httpStatus(code) });
  }
}
