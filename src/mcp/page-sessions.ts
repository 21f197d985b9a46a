import { randomBytes } from "node:crypto";
import type { Server } from "bun";
import { isObject } from "../wire/frame.ts";
import { receive } from "../wire/body.ts";
import { refusal } from "../wire/guard.ts";
import type { Link } from "../wire/link.ts";
import { SHARE_PATH } from "./share-route.ts";
import { digest, isSecret } from "../wire/secret.ts";

// A browser's page cannot send the token with its WebSocket, and must not keep it. So it sends the token once, or a code that
// `dewey open` got with it, and receives a cookie that no script reads.

/** Long enough for a day's work; the person signs in again the next day. */
export const SESSION_SECONDS = 24 * 3600;
/** How long a browser may take to start. */
export const CODE_SECONDS = 60;
/** Far more than one person's browsers; the oldest ends first. */
const MOST_SESSIONS = 100;
const MOST_CODES = 100;
/** A body holds a token or a code. */
const MOST_BODY_BYTES = 16 * 1024;
const SECRET_BYTES = 32;
/** Told to a connection whose session ended. */
const ENDED = "the session ended";
const PATH = "/session";
const CODE_PATH = "/session/code";
/** What the page only reads. */
const READ_PATHS = new Set([PATH, SHARE_PATH, "/healthz"]);

export interface PageSessionsOptions {
  /** The token that a session stands for; without one nobody needs a session. */
  token: string | undefined;
  isTls: boolean;
  /** Told of everyone who has signed in, by the browser's network address. */
  signedIn?: (address: string | null) => void;
  /** Milliseconds; for tests. */
  now?: () => number;
}

interface PageSession {
  endsMs: number;
  hasEnded: boolean;
  links: Set<Link>;
  timer: ReturnType<typeof setTimeout>;
}

/** The sessions of browsers that are signed in. Only hashes of their secrets are kept, in memory. */
export class PageSessions {
  #token: Buffer | undefined;
  readonly #isTls: boolean;
  readonly #signedIn: NonNullable<PageSessionsOptions["signedIn"]>;
  readonly #now: () => number;
  readonly #sessions = new Map<string, PageSession>();
  /** When each code ends, by its hash. */
  readonly #codes = new Map<string, number>();

  constructor({ token, isTls, signedIn = () => {}, now = () => performance.now() }: PageSessionsOptions) {
    this.#token = token === undefined ? undefined : digest(token);
    this.#isTls = isTls;
    this.#signedIn = signedIn;
    this.#now = now;
  }

  /** Another token holds from now on. A session of the earlier one ends. */
  rotate(token: string | undefined): void {
    const next = token === undefined ? undefined : digest(token);
    if (next?.toString("hex") === this.#token?.toString("hex")) return;
    this.#token = next;
    this.#codes.clear();
    this.stop();
  }

  /** Whether anyone may ask this without a token: signing in and out. */
  isOpen({ method }: Request, { pathname }: URL): boolean {
    return pathname === PATH && (method === "POST" || method === "DELETE");
  }

  /** Whether the request's cookie stands for the token: only for the page's connection, and for what the page reads beside it. */
  admits(request: Request): boolean {
    const { pathname } = new URL(request.url);
    const isSocket = request.headers.get("upgrade")?.toLowerCase() === "websocket";
    const isRead = request.method === "GET" && READ_PATHS.has(pathname);
    const isOurs = isSocket ? pathname === "/mcp" : isRead;
    return isOurs && this.#sessionOf(request) !== undefined;
  }

  /**
   * A function that takes a link of this request and the promise of its end: it is closed when the request's session ends, or
   * has ended while the link was opening.
   */
  follower(request: Request): (link: Link, ended: Promise<void>) => void {
    const session = this.#sessionOf(request);
    return (link, ended) => {
      if (session === undefined) return;
      if (session.hasEnded) return link.close(ENDED);
      session.links.add(link);
      void ended.finally(() => session.links.delete(link));
    };
  }

  /** The answer to a request for a session, or undefined for other paths. */
  async handle(request: Request, server: Server<unknown>): Promise<Response | undefined> {
    const { pathname } = new URL(request.url);
    if (pathname === CODE_PATH) return this.#giveCode(request);
    if (pathname !== PATH) return undefined;
    // The guard has admitted a reader: there is a session, or none is needed.
    if (request.method === "GET")
      return Response.json({ signed_in: this.#sessionOf(request) !== undefined }, { headers: NOT_KEPT });
    if (request.method === "DELETE") return this.#signOut(request);
    if (request.method !== "POST") return refusal(405, `use POST ${PATH}`, { allow: "GET, POST, DELETE" });
    return this.#signIn(request, server);
  }

  stop(): void {
    for (const hash of this.#sessions.keys()) this.#end(hash);
  }

  async #signIn(request: Request, server: Server<unknown>): Promise<Response> {
    if (!(Number(request.headers.get("content-length") ?? Infinity) <= MOST_BODY_BYTES))
      return refusal(413, "the body should be a small JSON object with token or code, and give its length");
    const text = await receive(request, server, (arriving) => arriving.text());
    if (text instanceof Response) return text;
    if (this.#token === undefined) return new Response(null, { status: 204 });
    const given = credentials(text);
    const isKnown = given.code === undefined ? isSecret(given.token ?? "", this.#token) : this.#takeCode(given.code);
    if (!isKnown) {
      const remedy =
        given.code === undefined
          ? "this is not the server's token; it is the value of DEWEY_TOKEN"
          : "this code was used before or is too old; call dewey open again";
      return refusal(401, remedy);
    }
    this.#signedIn(server.requestIP(request)?.address ?? null);
    const headers = { ...NOT_KEPT, "set-cookie": this.#cookie(request, this.#begin(), SESSION_SECONDS) };
    return new Response(null, { status: 204, headers });
  }

  #signOut(request: Request): Response {
    for (const secret of secretsOf(request)) this.#end(keyOf(secret));
    return new Response(null, { status: 204, headers: { "set-cookie": this.#cookie(request, "", 0) } });
  }

  /** The guard has seen the token. */
  #giveCode({ method }: Request): Response {
    if (method !== "POST") return refusal(405, `use POST ${CODE_PATH}`, { allow: "POST" });
    if (this.#token === undefined) return Response.json({ code: null }, { headers: NOT_KEPT });
    const code = newSecret();
    this.#codes.set(keyOf(code), this.#now() + CODE_SECONDS * 1000);
    for (const oldest of this.#codes.keys()) if (this.#codes.size > MOST_CODES) this.#codes.delete(oldest);
    return Response.json({ code }, { headers: NOT_KEPT });
  }

  #takeCode(code: string): boolean {
    const key = keyOf(code);
    const endsMs = this.#codes.get(key);
    this.#codes.delete(key);
    return endsMs !== undefined && this.#now() < endsMs;
  }

  #begin(): string {
    const secret = newSecret();
    const key = keyOf(secret);
    const timer = setTimeout(() => this.#end(key), SESSION_SECONDS * 1000);
    timer.unref();
    this.#sessions.set(key, { endsMs: this.#now() + SESSION_SECONDS * 1000, hasEnded: false, links: new Set(), timer });
    for (const oldest of this.#sessions.keys()) if (this.#sessions.size > MOST_SESSIONS) this.#end(oldest);
    return secret;
  }

  #end(key: string): void {
    const session = this.#sessions.get(key);
    if (session === undefined) return;
    this.#sessions.delete(key);
    session.hasEnded = true;
    clearTimeout(session.timer);
    for (const link of session.links) link.close(ENDED);
  }

  #sessionOf(request: Request): PageSession | undefined {
    for (const secret of secretsOf(request)) {
      const session = this.#sessions.get(keyOf(secret));
      if (session !== undefined && this.#now() < session.endsMs) return session;
    }
    return undefined;
  }

  /** Cookies are not divided by ports, so the name holds it: a second server must not sign out of the first. */
  #cookie(request: Request, value: string, seconds: number): string {
    // Behind a balancer that ends TLS, the page's own Origin tells.
    const isSecure = this.#isTls || request.headers.get("origin")?.startsWith("https:") === true;
    const name = `${isSecure ? SECURE_PREFIX : ""}${cookieName(request)}`;
    return `${name}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${isSecure ? "; Secure" : ""}`;
  }
}

const NOT_KEPT = { "cache-control": "no-store" };
/** Browsers accept it only over TLS, for this host alone. */
const SECURE_PREFIX = "__Host-";

function cookieName(request: Request): string {
  return `dewey-${new URL(request.url).port || "page"}`;
}

/** The values of this port's cookies; a forged one beside the real one must not shut out the person. */
function secretsOf(request: Request): string[] {
  const name = cookieName(request);
  const names = new Set([name, SECURE_PREFIX + name]);
  return (request.headers.get("cookie") ?? "")
    .split(";")
    .map((each) => each.trim().split("="))
    .flatMap(([key = "", value = ""]) => (names.has(key) && value !== "" ? [value] : []));
}

function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString("base64url");
}

function keyOf(secret: string): string {
  return digest(secret).toString("base64");
}

function credentials(text: string): { token?: string; code?: string } {
  try {
    const body: unknown = JSON.parse(text);
    if (!isObject(body)) return {};
    const { token, code } = body;
    return { ...(typeof token === "string" ? { token } : {}), ...(typeof code === "string" ? { code } : {}) };
  } catch {
    return {};
  }
}
