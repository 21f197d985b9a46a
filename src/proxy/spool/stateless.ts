import { isObject } from "../../wire/frame.ts";
import type { FrameView, Json, ViewedFrame } from "../../wire/frame.ts";
import { IDLE_CHECK_MS, IDLE_LIMIT_MS, MAX_SESSIONS } from "../../wire/limits.ts";
import { outlineFrame } from "../../wire/outline.ts";
import type { Direction, RequestTap, Tap } from "../relay/tap.ts";
import type { Claims } from "./claims.ts";
import { idKey } from "./open-calls.ts";
import type { Spool } from "./spool.ts";
import { recordingGroup, recordingTap } from "./tap.ts";
import type { RecordingGroup, SessionFacts } from "./tap.ts";

/** Limit on a handshake that is kept until it is known whether it began a session. */
const MAX_HANDSHAKE_CHARACTERS = 256 * 1024;
const CLIENT_KEY = "io.modelcontextprotocol/clientInfo";

export interface StatelessOptions {
  spool: Spool;
  claims: Claims;
  /** After this long without a request, the next one begins another conversation. */
  gapMs?: number;
}

interface Group {
  recording: RecordingGroup;
  /** Requests in flight. */
  open: number;
  usedMs: number;
}

/**
 * Records requests that belong to no session. Those of one client to one upstream form a conversation, until a time without
 * any. A handshake is first recorded as its own session, because only its answer tells whether it began one.
 */
export class StatelessSessions {
  readonly #options: StatelessOptions;
  readonly #gapMs: number;
  readonly #groups = new Map<string, Group>();
  /** The name with which a peer has last introduced itself. */
  readonly #names = new Map<string, string>();
  readonly #check: ReturnType<typeof setInterval>;

  constructor(options: StatelessOptions) {
    this.#options = options;
    this.#gapMs = options.gapMs ?? IDLE_LIMIT_MS;
    this.#check = setInterval(() => this.#endIdle(), Math.min(IDLE_CHECK_MS, this.#gapMs));
    this.#check.unref();
  }

  /** The tap of one request. `peer` identifies the connection's other end as far as it can be known. */
  tap(facts: SessionFacts, peer: string): RequestTap {
    return new RequestRecording({
      own: () => recordingTap(this.#options.spool, this.#options.claims, { ...facts, session: Bun.randomUUIDv7() }),
      join: (view) => this.#join(facts, peer, view),
      adopt: (view, frames) => this.#adopt(facts, { peer, view, frames }),
    });
  }

  stop(): void {
    clearInterval(this.#check);
    for (const key of this.#groups.keys()) this.#end(key, "the proxy is stopping");
  }

  #join(facts: SessionFacts, peer: string, view: FrameView): Tap {
    const origin = originOf(facts, peer);
    const name = clientNamed(view);
    if (name !== undefined) this.#name(origin, name);
    const key = `${origin}\n${this.#names.get(origin) ?? ""}`;
    const group = this.#groups.get(key) ?? this.#begin(key, facts);
    group.open += 1;
    const tap = group.recording.request();
    return {
      frame: (direction, frame, pass) => {
        group.usedMs = performance.now();
        tap.frame(direction, frame, pass);
      },
      closed: () => void (group.open -= 1),
    };
  }

  /** Takes a handshake that began no session. It introduces the conversation, unless the client has one already. */
  #adopt(facts: SessionFacts, { peer, view, frames }: { peer: string; view: FrameView; frames: Frame[] }): void {
    const origin = originOf(facts, peer);
    this.#name(origin, clientNamed(view) ?? "");
    if (this.#groups.has(`${origin}\n${this.#names.get(origin)}`)) return;
    const tap = this.#join(facts, peer, view);
    for (const { direction, text } of frames) tap.frame(direction, { text, view: outlineFrame(text) }, () => {});
    tap.closed("");
  }

  #begin(key: string, facts: SessionFacts): Group {
    const { spool, claims } = this.#options;
    const recording = recordingGroup(spool, claims, { ...facts, session: Bun.randomUUIDv7() });
    const group = { recording, open: 0, usedMs: performance.now() };
    this.#groups.set(key, group);
    const [oldest] = this.#groups.keys();
    if (this.#groups.size > MAX_SESSIONS && oldest !== undefined) this.#end(oldest, "there are too many sessions");
    return group;
  }

  #name(origin: string, name: string): void {
    this.#names.delete(origin);
    this.#names.set(origin, name);
    const [oldest] = this.#names.keys();
    if (this.#names.size > MAX_SESSIONS && oldest !== undefined) this.#names.delete(oldest);
  }

  #endIdle(): void {
    const now = performance.now();
    for (const [key, { open, usedMs }] of this.#groups) {
      if (open === 0 && now - usedMs > this.#gapMs) this.#end(key, "the client sent no more requests");
    }
  }

  #end(key: string, reason: string): void {
    this.#groups.get(key)?.recording.closed(reason);
    this.#groups.delete(key);
  }
}

interface Frame {
  direction: Direction;
  text: string;
}

interface Recordings {
  /** Records a session of its own. */
  own(): Tap;
  /** Records into the conversation of the client. */
  join(view: FrameView): Tap;
  /** Hands over a handshake that began no session. */
  adopt(view: FrameView, frames: Frame[]): void;
}

/** Records one request, and the session that it may begin. */
class RequestRecording implements RequestTap {
  readonly #recordings: Recordings;
  #tap: Tap | undefined;
  /** The handshake that this is, with its frames. */
  #handshake: { view: FrameView; frames: Frame[] } | undefined;
  #keptCharacters = 0;

  constructor(recordings: Recordings) {
    this.#recordings = recordings;
  }

  frame(direction: Direction, frame: ViewedFrame, pass: () => void): void {
    const tap = (this.#tap ??= this.#begin(frame.view));
    this.#keep(direction, frame.text);
    tap.frame(direction, frame, pass);
  }

  closed(reason: string): void {
    this.#tap?.closed(reason);
  }

  answered(): void {
    const handshake = this.#handshake;
    this.closed("it is continued without a session");
    if (handshake) this.#recordings.adopt(handshake.view, handshake.frames);
  }

  #begin(view: FrameView): Tap {
    if (!messagesOf(view).some(isHandshake)) return this.#recordings.join(view);
    this.#handshake = { view, frames: [] };
    return this.#recordings.own();
  }

  /** Keeps the frames of a handshake; those of a session that has begun are too many. */
  #keep(direction: Direction, text: string): void {
    if (!this.#handshake) return;
    this.#keptCharacters += text.length;
    if (this.#keptCharacters <= MAX_HANDSHAKE_CHARACTERS) this.#handshake.frames.push({ direction, text });
  }
}

function originOf({ upstream, sessionKey }: SessionFacts, peer: string): string {
  return JSON.stringify([upstream.name, sessionKey ?? null, peer]);
}

function messagesOf(view: FrameView): FrameView[] {
  return view.kind === "batch" ? view.messages : [view];
}

function isHandshake(view: FrameView): boolean {
  return view.kind === "request" && view.method === "initialize";
}

/** The name that a frame's client gives itself, with its version, as a key of bounded length. */
function clientNamed(view: FrameView): string | undefined {
  for (const each of messagesOf(view)) {
    if (!("message" in each)) continue;
    const params = objectAt(each.message, "params");
    const info = isHandshake(each) ? params["clientInfo"] : objectAt(params, "_meta")[CLIENT_KEY];
    if (!isObject(info)) continue;
    const texts = [info["name"], info["version"]].map((each) => (typeof each === "string" ? each : null));
    return idKey(JSON.stringify(texts));
  }
  return undefined;
}

function objectAt(message: Json, name: string): Json {
  const value = message[name];
  return isObject(value) ? value : {};
}
