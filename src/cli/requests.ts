import { DeweyError } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";
import { whyUnreachable } from "./client-command.ts";
import { httpAddress } from "./health.ts";

/**
 * Posts to an HTTP route of the server at a WebSocket address, for content that is too large for a tool's reply. There is
 * no time limit. Throws the server's own error, or one that explains why there is no reply.
 */
export async function requestServer(
  address: { url: string; token: string | undefined },
  path: string,
  body?: Uint8Array<ArrayBuffer>,
): Promise<Response> {
  const headers = address.token === undefined ? {} : { authorization: `Bearer ${address.token}` };
  const [pathname = "", search = ""] = path.split("?");
  const url = httpAddress(address.url, pathname);
  url.search = search;
  let response: Response;
  try {
    response = await fetch(url, { method: "POST", ...(body ? { body } : {}), headers, timeout: false });
  } catch (cause) {
    throw (
      (await whyUnreachable(address)) ??
      new DeweyError("unavailable", "the connection to the Dewey server was lost", { cause })
    );
  }
  if (response.ok) return response;
  if (response.status === 401)
    throw (await whyUnreachable(address)) ?? new DeweyError("unauthorized", "the Dewey server rejects the token");
  const { error, code } = (await response.json().catch(() => ({}))) as { error?: string; code?: ErrorCode };
  throw new DeweyError(code ?? "unavailable", error ?? `the server answered with ${response.status}`);
}
