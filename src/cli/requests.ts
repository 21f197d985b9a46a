import { DeweyError } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";
import { requireOwnServer } from "../wire/owner.ts";
import { askHealth, httpAddress, whyUnreachable } from "./health.ts";
import type { Address } from "./health.ts";

interface Refusal {
  error?: string;
  code?: ErrorCode;
  field?: string;
}

/**
 * Posts to an HTTP route of the server at a WebSocket address, for content that is too large for a tool's reply. There is
 * no time limit. Throws the server's own error, or one that explains why there is no reply.
 */
export async function requestServer(
  address: Address,
  path: string,
  body?: Uint8Array<ArrayBuffer> | string,
  contentHeaders: Record<string, string> = {},
): Promise<Response> {
  const authorization = address.token === undefined ? {} : { authorization: `Bearer ${address.token}` };
  const headers = { ...contentHeaders, ...authorization };
  const [pathname = "", search = ""] = path.split("?");
  const url = httpAddress(address.url, pathname);
  url.search = search;
  if (await askHealth(address.url)) requireOwnServer(address);
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
  const { error, code, field } = (await response.json().catch(() => ({}))) as Refusal;
  if (error === undefined) {
    const why = await whyUnreachable(address);
    if (why !== undefined) throw why;
  }
  const message = error ?? `the server answered with ${response.status}`;
  throw new DeweyError(code ?? "unavailable", message, field === undefined ? {} : { field });
}
