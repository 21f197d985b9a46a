import bundlePath from "../../dist/page/bundle.page" with { type: "file" };
import { refusal } from "../wire/guard.ts";

/** A file of the page as the build leaves it; the contents are in base64. */
interface PageFile {
  type: string;
  gzip: string;
  brotli: string;
}

/** What a browser may keep: a hashed name's contents never change, and the page that names them always may. */
const CACHE_HASHED = "public, max-age=31536000, immutable";
const CACHE_INDEX = "no-cache";
/** Where the build puts the hashed files. */
const FOLDER = "/page/";

/**
 * Nothing but the page's own files runs or loads, nothing is inline, and its texts reach the document only through the
 * sanitizer. The page talks to its own origin and stands in no frame.
 */
const SECURITY_HEADERS = {
  "content-security-policy": [
    "default-src 'none'",
    ...["script-src", "style-src", "img-src", "connect-src", "form-action"].map((each) => `${each} 'self'`),
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types dompurify",
  ].join("; "),
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** The web page's files, as the build left them in the binary. */
export class Page {
  #files: Promise<Map<string, PageFile>> | undefined;

  /** Whether a request may be answered with the page or a file of it. It may also be for another route of its address. */
  isFor(request: Request, { pathname }: URL): boolean {
    return (pathname.startsWith(FOLDER) && isRead(request)) || isOpened(request);
  }

  /**
   * The response to a request for the page: a hashed file, or the page itself for every address that a person opens, since
   * the page shows views by their address. Undefined for any other request.
   */
  async respond(request: Request, pathname: string): Promise<Response | undefined> {
    const isFile = pathname.startsWith(FOLDER);
    if (!isFile && !isOpened(request)) return undefined;
    if (request.method !== "GET" && request.method !== "HEAD")
      return refusal(405, `use GET ${pathname}`, { allow: "GET, HEAD" });
    this.#files ??= readFiles();
    const file = (await this.#files).get(isFile ? pathname : "index.html");
    if (file === undefined)
      return refusal(404, "the page has no such file; reload it, for the server may be a newer one");
    return response(file, request, isFile ? CACHE_HASHED : CACHE_INDEX);
  }
}

/** Whether a person opens the address in a browser; programs ask for JSON, anything, or a WebSocket. */
function isOpened(request: Request): boolean {
  return (
    isRead(request) && !request.headers.has("upgrade") && (request.headers.get("accept") ?? "").includes("text/html")
  );
}

function isRead({ method }: Request): boolean {
  return method === "GET" || method === "HEAD";
}

async function readFiles(): Promise<Map<string, PageFile>> {
  return new Map(Object.entries((await Bun.file(bundlePath).json()) as Record<string, PageFile>));
}

function response({ type, gzip, brotli }: PageFile, { headers }: Request, cache: string): Response {
  const etag = `"${Bun.hash(gzip).toString(36)}"`;
  const shared = { ...SECURITY_HEADERS, "cache-control": cache, vary: "Accept-Encoding", etag };
  if (headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers: shared });
  const accepted = acceptedEncodings(headers.get("accept-encoding") ?? "");
  if (accepted.has("br")) return encoded(brotli, { ...shared, "content-type": type, "content-encoding": "br" });
  if (accepted.has("gzip")) return encoded(gzip, { ...shared, "content-type": type, "content-encoding": "gzip" });
  const plain = Bun.gunzipSync(Buffer.from(gzip, "base64"));
  return new Response(plain, { headers: { ...shared, "content-type": type } });
}

function encoded(base64: string, headers: Record<string, string>): Response {
  return new Response(Buffer.from(base64, "base64"), { headers });
}

/** The encodings that a client takes; one with `q=0` it does not. */
function acceptedEncodings(header: string): Set<string> {
  const named = header.split(",").map((each) => each.trim().toLowerCase().split(/ *; */));
  return new Set(
    named.flatMap(([name = "", weight]) => (weight !== undefined && /^q=0(\.0*)?$/.test(weight) ? [] : [name])),
  );
}
