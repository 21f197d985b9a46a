import type { Log } from "../../log.ts";
import type { Link } from "../../wire/link.ts";
import type { StandIn } from "../../wire/stdio.ts";
import type { CallWatch } from "./call-watch.ts";
import type { ChildOwner, Children } from "./children.ts";
import { runSession } from "./session.ts";
import type { FailedStart } from "./session.ts";
import type { Tap } from "./tap.ts";
import type { UpstreamStates } from "./upstream-states.ts";
import { dialUpstream } from "./upstreams.ts";
import type { Upstream } from "./upstreams.ts";

export interface RelayedSessionOptions {
  link: Link;
  /** The upstream's current configuration. */
  upstream: () => Upstream;
  tap: Tap;
  watch: CallWatch;
  states: UpstreamStates;
  log: Log;
  /** The commands that run for all sessions. */
  children?: Children;
  /** Present when the session stands in for the command that its client wanted to start. */
  standIn?: StandIn;
}

/** A client's session with an upstream whose configuration may change while it runs. */
export class RelayedSession {
  readonly #options: RelayedSessionOptions;
  #connected: { link: Link; upstream: Upstream } | undefined;
  #isResting = false;
  readonly #owner: ChildOwner;

  constructor(options: RelayedSessionOptions) {
    this.#options = options;
    const { watch, upstream } = options;
    this.#owner = {
      upstreamName: upstream().name,
      get usedMs() {
        return watch.usedMs;
      },
      get isBusy() {
        return watch.size > 0;
      },
      rest: () => this.#rest(),
    };
  }

  /** Relays until the client leaves, or the command that the session stands in for does not start. */
  async run(): Promise<FailedStart | undefined> {
    const { link, upstream, tap, watch, states, log, standIn } = this.#options;
    const { name } = upstream();
    log.info("a session begins", { wire: link.wire });
    const failed = await runSession({
      downstream: link,
      upstreamName: name,
      tap,
      watch,
      dial: () => this.#dial(),
      isResting: () => this.#isResting,
      ...(standIn ? { stopped: standIn.hurry, endsUnlessStarted: upstream().wire === "stdio" } : {}),
      onUpstream(reason) {
        states.saw(name, reason);
        if (reason !== undefined) log.warn("a session has no upstream", { reason });
      },
    });
    this.#options.children?.release(this.#owner);
    log.info("a session has ended");
    return failed;
  }

  /** Reconnects to the upstream if its configuration has changed, as soon as no request is in flight. */
  async refresh(): Promise<void> {
    const connected = this.#connected;
    if (!connected || !this.#isChanged(connected.upstream)) return;
    await this.#options.watch.idle();
    if (this.#connected !== connected || !this.#isChanged(connected.upstream)) return;
    this.#options.log.info("the upstream's configuration changed; reconnecting");
    connected.link.close("its configuration has changed");
  }

  #isChanged(upstream: Upstream): boolean {
    return !Bun.deepEquals(upstream, this.#options.upstream());
  }

  /** Ends the command until the client sends the next frame. */
  #rest(): void {
    this.#isResting = true;
    this.#options.log.info("the command ends, because it was idle for longest when there were too many");
    this.#connected?.link.close("it was idle");
  }

  async #dial(): Promise<Link> {
    this.#isResting = false;
    const upstream = this.#options.upstream();
    if (upstream.wire === "stdio") this.#options.children?.admit(this.#owner);
    const { log, standIn, states } = this.#options;
    const sawStream = (reason: string | undefined) => states.sawStream(upstream.name, reason);
    const link = await dialUpstream(upstream, log, { standIn, sawStream });
    this.#connected = { link, upstream };
    return link;
  }
}
