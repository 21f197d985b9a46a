import { DeweyError } from "../errors.ts";

/** GitHub answers in less than a second; nobody waits longer for the answer to a question asked in passing. */
const DEADLINE_MS = 10_000;
/** One leads to the newest release; a repository that was renamed or moved adds one each time. */
const MAX_REDIRECTS = 5;

/** A request for an address, as `fetch` does it. */
export type Ask = (url: string, init: RequestInit) => Promise<Response>;

/**
 * The version of a repository's newest release, such as `0.2.0`. GitHub answers `releases/latest` with a redirect whose address
 * ends in the release's tag: no content is read, and no address without TLS is asked.
 * Throws `unavailable` when nothing answers, and `not_found` when the answer names no release.
 */
export async function newestRelease(repository: string, ask: Ask = fetch): Promise<string> {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  let url = `${repository}/releases/latest`;
  for (let redirects = 0; redirects < MAX_REDIRECTS; redirects += 1) {
    const response = await asked(ask, url, signal);
    const next = URL.parse(response.headers.get("location") ?? "", url);
    if (response.status < 300 || response.status > 399 || next === null) break;
    const version = /\/releases\/tag\/v(\d{1,9}\.\d{1,9}\.\d{1,9}(?:-[\w.]{1,50})?)$/.exec(next.pathname)?.[1];
    if (version !== undefined) return version;
    if (next.protocol !== "https:")
      throw new DeweyError("unavailable", `${url} leads to an address without TLS, which is not asked`);
    url = next.href;
  }
  throw new DeweyError("not_found", `${repository}/releases names no newest release`);
}

async function asked(ask: Ask, url: string, signal: AbortSignal): Promise<Response> {
  try {
    return await ask(url, { method: "HEAD", redirect: "manual", signal });
  } catch (cause) {
    const why = signal.aborted ? `did not answer within ${DEADLINE_MS / 1000} seconds` : "cannot be reached";
    throw new DeweyError("unavailable", `${new URL(url).host} ${why}; try again later`, { cause });
  }
}
