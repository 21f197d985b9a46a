import type { Server } from "bun";
import { within } from "../deadline.ts";
import { refusal } from "./guard.ts";
import { BODY_DEADLINE_MS, BODY_IDLE_SECONDS } from "./limits.ts";

/**
 * Reads the body of a request. Returns a refusal when it does not arrive in time or its client leaves. Afterwards the
 * response may take any time: Bun would close a connection that is idle for long.
 */
export async function receive<Body>(
  request: Request,
  server: Server<unknown>,
  read: (request: Request) => Promise<Body>,
  deadlineMs = BODY_DEADLINE_MS,
): Promise<Body | Response> {
  const arriving = read(request);
  try {
    // Most bodies have arrived with their headers: a timer for each would cost more than reading it.
    if (Bun.peek.status(arriving) === "fulfilled") return await arriving;
    server.timeout(request, BODY_IDLE_SECONDS);
    return await within(deadlineMs, arriving, late);
  } catch {
    // Nobody reads this: the connection is closed.
    return late();
  } finally {
    server.timeout(request, 0);
  }
}

function late(): Response {
  return refusal(408, "the body did not arrive in time", { connection: "close" });
}
