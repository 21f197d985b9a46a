import { z } from "zod";
import { asDeweyError, DeweyError, httpStatus } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Store } from "../store/store.ts";
import { callTool, tools } from "../tools/tools.ts";
import { logFailedCall } from "./failed-call.ts";

const bodySchema = z.object({
  tool: z.string(),
  arguments: z.record(z.string(), z.unknown()),
  client: z.object({ name: z.string(), version: z.string() }),
});

/**
 * `POST /contexts` changes startup contexts for a person's commands: with DEWEY_CONTEXT_WRITES=off no call over MCP may, and
 * a model has MCP only. The body names one of the tools that change contexts, with its arguments; the reply is the tool's.
 */
export async function handleContextWrite(
  request: Request,
  { store, log }: { store: Store; log: Log },
  address?: string,
): Promise<Response> {
  try {
    if (request.method !== "POST") throw new DeweyError("invalid", "use POST /contexts");
    const body = bodySchema.safeParse(await jsonBody(request));
    const tool = tools.get(body.data?.tool ?? "");
    if (!body.success || tool?.writesContexts === undefined) {
      const shape = '{"tool": "dewey_set_startup_context", "arguments": {…}, "client": {"name": …, "version": …}}';
      throw new DeweyError("invalid", `the body should be JSON such as ${shape}`);
    }
    const { name, version } = body.data.client;
    const actor = { session: Bun.randomUUIDv7(), client_name: name, client_version: version, address: address ?? null };
    const args = body.data.arguments;
    return Response.json(
      await callTool(tool, store, args, actor, request.signal).catch((thrown: unknown) => {
        logFailedCall(log, store, { tool, args, caller: { actor, requestId: null }, thrown });
        throw thrown;
      }),
    );
  } catch (thrown) {
    const { code, message, field } = asDeweyError(thrown);
    return Response.json({ error: message, code, field }, { status: httpStatus(code) });
  }
}

/** Only what is said to be JSON: a web page can send any other body without asking first. */
async function jsonBody(request: Request): Promise<unknown> {
  if (!/^application\/json\b/i.test(request.headers.get("content-type") ?? "")) return undefined;
  return request.json().catch(() => undefined);
}
