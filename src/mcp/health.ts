import { asDeweyError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import type { Health } from "../wire/port.ts";

const STOPPING = { status: "stopping", reason: "Dewey is stopping; connect again in a moment" };
const STOP_RETRY_SECONDS = 1;
/** What is told while the server stops. */
export const stopping: Health = { isWell: false, brief: STOPPING, retryAfterSeconds: STOP_RETRY_SECONDS };

/** Answers a request for a new session while the server stops. */
export function stoppingAnswer(): Response {
  return Response.json(STOPPING, { status: 503, headers: { "retry-after": `${STOP_RETRY_SECONDS}` } });
}

/** Whether clients should be sent here: the database takes writes. */
export async function readiness(store: Store): Promise<Health> {
  try {
    await store.primary.check();
    return { isWell: true, brief: { status: "ready" } };
  } catch (thrown) {
    return { isWell: false, brief: { status: "unavailable" }, rest: { reason: asDeweyError(thrown).message } };
  }
}

/** Whether the database is well. The answer also says that this is a server. */
export async function health(store: Store, version: string): Promise<Health> {
  try {
    const { database, version: postgres, timeline, ...rest } = await store.health();
    const known = { version: postgres, writable: true, ...(timeline === undefined ? {} : { timeline }) };
    return {
      isWell: true,
      brief: { status: "ok", database: { status: database } },
      rest: { version, database: { status: database, ...known }, ...rest },
    };
  } catch (thrown) {
    const database = { status: "unavailable" };
    const reason = asDeweyError(thrown).message;
    return {
      isWell: false,
      brief: { status: "unavailable", database },
      rest: { version, database: { ...database, reason } },
    };
  }
}
