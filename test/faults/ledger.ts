import type { Report, Tool } from "./report.ts";

/** A call as its client saw it. */
export interface Call {
  token: string;
  session: string;
  id: number;
  tool: Tool;
  characters: number;
  /** `broken`: no response will arrive, though one may be stored. `open`: in flight. */
  state: "open" | "success" | "error" | "broken";
  /** Position of its response among its session's. */
  answeredPlace: number | undefined;
  /** Time of its last report. */
  heardMs: number;
}

/** The reports of all clients. */
export class Ledger {
  readonly calls = new Map<string, Call>();
  /** Wrong or misdirected responses that clients received. */
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

  /** Marks the open calls of a dead client as broken. */
  ended(client: string): void {
    for (const call of this.calls.values()) {
      if (call.state === "open" && call.session.startsWith(`${client}x`)) call.state = "broken";
    }
  }

  /** Calls since then may or may not be stored, whatever the clients saw. */
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
