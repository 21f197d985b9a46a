import type { EventBody } from "./event-body.ts";
import type { FrameView } from "./frame.ts";
import { wantedToken } from "./frame-relations.ts";
import { sseEvent } from "./sse.ts";

/**
 * An answer of this length is not sent as an event if nothing else was: Python's SDK refuses events of more than 1,048,576
 * bytes. A shorter one stays below that in any script.
 */
const LONG_ANSWER_CHARACTERS = 300_000;
/** How a POST is answered: with events, or, when its first frame answers it completely, with that frame. */
export type AnswerForm = "events" | { frame: FrameView };

/** The events that respond to one POST, or those of the GET stream. A stream outlives its connection. */
export class SessionStream {
  readonly name: string;
  /** Whether its request belongs to no session: then it ends with its connection. */
  readonly standsAlone: boolean;
  /** Keys of the requests it has not answered. */
  readonly unanswered = new Set<string>();
  /** Their progress tokens: strings and numbers. Anything else matches no token. */
  readonly progressTokens = new Set<unknown>();
  /** The number of the latest event that was written to a connection. */
  givenNumber = 0;
  body: EventBody | undefined;
  /** Set while the head of the response waits for the first frame. */
  #held: { untilMs: number; begin(form: AnswerForm): void } | undefined;

  constructor(name: string, standsAlone = false) {
    this.name = name;
    this.standsAlone = standsAlone;
  }

  /** Notes the requests of a frame, which it is to answer. */
  note(view: FrameView): void {
    if (view.kind === "batch") for (const each of view.messages) this.note(each);
    if (view.kind !== "request") return;
    this.unanswered.add(view.key);
    const token = wantedToken(view.message);
    if (token !== undefined) this.progressTokens.add(token);
  }

  /** Lets the head of the response wait for its first frame. */
  hold(begin: (form: AnswerForm) => void, patienceMs: number): void {
    this.#held = { untilMs: performance.now() + patienceMs, begin };
  }

  /** How long the head of the response still waits; without end when it has begun. */
  get patienceLeftMs(): number {
    return this.#held ? this.#held.untilMs - performance.now() : Infinity;
  }

  /** Lets the response begin, if its head waits. */
  begin(form: AnswerForm): void {
    this.#held?.begin(form);
    this.#held = undefined;
  }

  /** Begins the response with a frame. Returns whether the frame is all of it, and needs no event. */
  beginWith(view: FrameView, frame: string): boolean {
    const isLong = this.standsAlone || frame.length >= LONG_ANSWER_CHARACTERS;
    const isWhole = this.#held !== undefined && isLong && this.#isAnsweredBy(view);
    this.begin(isWhole ? { frame: view } : "events");
    if (isWhole) this.body?.replace(frame);
    return isWhole;
  }

  /** Writes an event of the session, if there is a connection. */
  give(number: number, frame: string): void {
    if (!this.body) return;
    this.body.write(sseEvent(`${this.name}/${number}`, frame));
    this.givenNumber = number;
  }

  /** Whether a frame answers everything that it still has to answer. */
  #isAnsweredBy(view: FrameView): boolean {
    const answers = view.kind === "batch" ? view.messages : [view];
    const keys = new Set(answers.flatMap((each) => (each.kind === "response" ? [each.key] : [])));
    return [...this.unanswered].every((key) => keys.has(key));
  }
}
