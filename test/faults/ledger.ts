import type { Report, Tool } from "./report.ts";

/** A call as its client saw it. */
export interface Call {
  token: string;
  session: string;
  id: number;
  tool: Tool;
  characters: number;
  /** `broken`: there will be no answer, and none must be stored; but there may be one. `open`: it is under way. */
  state: "open" | "success" | "error" | "broken";
  /** Where its answer stands among its session's. */
  answeredPlace: number | undefined;
  /** When it was last heard of. */
  heardMs: number;
}

/** What all clients have told. */
export class Ledger {
  readonly calls = new Map<string, Call>();
  /** What a client received that was not for it, or not right. */
  readonly wrong: string[] = [];
  #answers = 0;

  take(report: Report): void {
    const heardMs = performance.now();
    if (report.kind === "wrong") this.wrong.push(`${report.session} received ${report.frame}`);
    if (report.kind === "sent") {
      const { token, session, id, tool, characters } = report;
      const call = { token, session, id, tool, characters, state: "open", answeredPlace: undefined, heardMs } as const;
      this.calls.set(token, call);
    }
    const call = "token" in report ? this.calls.get(report.token) : undefined;
    if (!call) return;
    call.heardMs = heardMs;
    if (report.kind === "broken") call.state = "broken";
    if (report.kind === "answered") {
      call.state = report.outcome;
      call.answeredPlace = this.#answers;
      this.#answers += 1;
    }
  }

  /** A client that is no more tells nothing of what it had open. */
  ended(client: string): void {
    for (const call of this.calls.values()) {
      if (call.state === "open" && call.session.startsWith(`${client}x`)) call.state = "broken";
    }
  }

  /** What was said since then may be stored or not, whatever the clients saw. */
  forget(sinceMs: number): void {
    for (const call of this.calls.values()) {
      if (call.heardMs < sinceMs || call.state === "open") continue;
      call.state = "broken";
      call.answeredPlace = undefined;
    }
  }

  count(...states: Call["state"][]): number {
    return [...this.calls.values()].filter((call) => states.includes(call.state)).length;
  }
}

export function isAnswered(call: Call): boolean {
  return call.answeredPlace !== undefined;
}
