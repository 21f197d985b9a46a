import type { Log } from "../log.ts";
import type { Store } from "../store/store.ts";
import { receive } from "../wire/body.ts";
import { viewFrame } from "../wire/frame.ts";
import { refusal } from "../wire/guard.ts";
import { SESSION_HEADER } from "../wire/headers.ts";
import type { HttpSessions } from "../wire/http-sessions.ts";
import type { Link } from "../wire/link.ts";
import { upgrade } from "../wire/port.ts";
import type { PortOptions, Visit } from "../wire/port.ts";
import type { BackupRoutes } from "./backup-routes.ts";
import { handleContextWrite } from "./context-route.ts";
import { stoppingAnswer } from "./health.ts";
import type { PageSessions } from "./page-sessions.ts";
import type { Page } from "./page.ts";
import { handleReindex } from "./reindex-route.ts";
import type { Serving } from "./serving.ts";
import { SHARE_PATH, handleShare } from "./share-route.ts";
import type { Sharing } from "./share-route.ts";
import type { StatelessHttp } from "./stateless-http.ts";

/** What answers the requests of a port. */
interface Routes {
  store: Store;
  log: Log;
  /** Without it, no conversation is written for others. */
  sharing: Sharing | undefined;
  http: HttpSessions;
  serving: Serving;
  backups: BackupRoutes;
  page: Page;
  sessions: PageSessions;
  /** Resolves when the link has closed. */
  opened: (link: Link, address: string | undefined) => Promise<void>;
  isDraining: () => boolean;
  /** Counts a refused attempt to sign in. */
  refused: (response: Response, visit: Visit) => void;
}

/** Routes each request that the guard has let pass, by its path. */
export function router(routes: Routes): PortOptions["route"] {
  const { store, log, sharing, http, serving, backups, sessions, opened, isDraining } = routes;
  return (visit) => {
    const { request, server } = visit;
    const { pathname } = visit.url;
    const address = server.requestIP(request)?.address;
    if (isDraining() && !request.headers.has(SESSION_HEADER)) return stoppingAnswer();
    if (visit.isWebSocket && (pathname === "/" || pathname === "/mcp")) {
      const follow = sessions.follower(request);
      return upgrade(visit, (link) => follow(link, opened(link, address)));
    }
    if (pathname === "/mcp") return handleMcp(visit, serving.http, http);
    if (pathname === "/contexts") return handleContextWrite(request, { store, log }, address);
    if (pathname === SHARE_PATH && sharing) {
      // The client's disk may be slow, and a file that ends early looks complete.
      server.timeout(request, 0);
      return handleShare(request, store, log, sharing);
    }
    const [, owner = ""] = pathname.split("/");
    if (["backup", "recover", "reindex"].includes(owner)) {
      // They change or export everything: a link or an image of a web page must not do that.
      if (request.method !== "POST") return refusal(405, `use POST ${pathname}`, { allow: "POST" });
      return owner === "reindex" ? handleReindex(request, store, log) : backups.handle(request, server);
    }
    return pageOrRefusal(routes, visit);
  };
}

async function pageOrRefusal(
  { page, sessions, refused }: Pick<Routes, "page" | "sessions" | "refused">,
  visit: Visit,
): Promise<Response> {
  const { request, url, server } = visit;
  const ways = "WebSocket on / and /mcp, Streamable HTTP on /mcp, GET /healthz, GET /metrics, or open / in a browser";
  const answer = await sessions.handle(request, server);
  if (answer) refused(answer, visit);
  return answer ?? (await page.respond(request, url.pathname)) ?? refusal(404, `use ${ways}`);
}

/** Each request says by itself to which era it belongs. */
async function handleMcp(
  { request, server }: Visit,
  stateless: StatelessHttp,
  sessions: HttpSessions,
): Promise<Response> {
  if (request.method !== "POST") return stateless.refuseMethod(request) ?? sessions.handle(request, server);
  const text = await receive(request, server, (arriving) => arriving.text());
  if (text instanceof Response) return text;
  const frame = { text, view: viewFrame(text) };
  return (await stateless.handle(request, server, frame)) ?? sessions.handle(request, server, frame);
}
