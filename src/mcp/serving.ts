import { isObject } from "../wire/frame.ts";
import type { FrameView } from "../wire/frame.ts";
import type { Link } from "../wire/link.ts";
import { linkTransport } from "../wire/transport.ts";
import { createMcpServer } from "./server.ts";
import type { McpServerOptions, Session } from "./server.ts";
import { StatelessHttp } from "./stateless-http.ts";
import { StatelessLink } from "./stateless-link.ts";
import { Stateless } from "./stateless.ts";
import { Subscriptions } from "./subscriptions.ts";

const FIRST_VERSION_WITH_LINKS = "2025-06-18";

/** Both eras of MCP on the same addresses: sessions of the SDK, and requests that stand alone (2026-07-28). */
export class Serving {
  readonly http: StatelessHttp;
  readonly #options: McpServerOptions;
  readonly #stateless: Stateless;
  readonly #subscriptions: Subscriptions;

  constructor(options: McpServerOptions) {
    this.#options = options;
    this.#stateless = new Stateless(options);
    this.#subscriptions = new Subscriptions(this.#stateless, options.changes);
    this.http = new StatelessHttp(this.#stateless, this.#subscriptions);
  }

  /** Number of clients without a session: one when any has asked recently, and each that has subscribed. */
  get size(): number {
    return this.#subscriptions.size + (this.http.isInUse ? 1 : 0);
  }

  stop(): void {
    this.#subscriptions.stop();
  }

  /** Serves the requests of a link from a network address. Resolves when it has closed. */
  async link(link: Link, from: string | undefined): Promise<void> {
    const left = new AbortController();
    const address = from ?? null;
    const stateless = new StatelessLink(link, this.#stateless, this.#subscriptions, address);
    const session: Session = { left: left.signal, takesLinks: false, address };
    // Before the server of its session is there: a request that stands alone need not wait for that.
    const transport = linkTransport(link, (view) => {
      session.takesLinks ||= asksForLinks(view);
      return stateless.take(view);
    });
    try {
      const server = await createMcpServer(this.#options, session);
      const closed = Promise.withResolvers<void>();
      server.onclose = () => closed.resolve();
      await server.connect(transport);
      await closed.promise;
    } catch (error) {
      this.#options.log.warn("a session could not be served", { error });
      link.close("Dewey could not serve this session");
    } finally {
      left.abort();
      stateless.close();
    }
  }
}

/** Whether this is an `initialize` by a revision that knows links to resources; the SDK answers with the same or a later one. */
function asksForLinks(view: FrameView): boolean {
  if (view.kind !== "request" || view.method !== "initialize") return false;
  const { params } = view.message;
  const version = isObject(params) ? params["protocolVersion"] : undefined;
  return typeof version === "string" && version >= FIRST_VERSION_WITH_LINKS;
}
