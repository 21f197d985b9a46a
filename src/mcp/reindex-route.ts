import { asDeweyError, DeweyError, httpStatus } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Store } from "../store/store.ts";

/**
 * `POST /reindex` starts to rebuild the search index, with `?language=NAME` in another language; `POST /reindex/progress`
 * returns the progress. Both answer at once: the rebuild runs in the background.
 */
export async function handleReindex(request: Request, store: Store, log: Log): Promise<Response> {
  try {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/reindex/progress") return Response.json(await store.reindexer.state());
    if (pathname === "/reindex")
      return Response.json(await store.reindexer.begin(searchParams.get("language") ?? undefined));
    throw new DeweyError("not_found", "use /reindex or /reindex/progress");
  } catch (thrown) {
    const { code, message, field } = asDeweyError(thrown);
    if (code === "internal") log.error("reindexing failed", { error: thrown });
    return Response.json({ error: message, code, field }, { status: httpStatus(code) });
  }
}
