import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { callError } from "./connection.ts";
import type { CallError } from "./connection.ts";
import { call } from "./dewey.ts";
import type { ToolName, Tools } from "./tools.ts";

/**
 * A reply on its way to a view. While it is awaited, one that was given to the same question before stays, as `isOld`; when
 * asking again fails, it stays beside the error.
 */
export interface Awaited<Value> {
  value: Value | undefined;
  /** Why the latest try failed. */
  error: CallError | undefined;
  isOld: boolean;
  /** Asks again. */
  again(): void;
}

/** Replies kept, so that going back shows at once what was seen; it is asked again all the same. */
const KEPT_REPLIES = 30;
const kept = new Map<string, unknown>();

/** What a tool replied lately, the latest first. */
export function keptReplies(tool: ToolName): unknown[] {
  return [...kept]
    .filter(([key]) => key.startsWith(`${tool} `))
    .map(([, value]) => value)
    .toReversed();
}

function keep(key: string, value: unknown): void {
  kept.delete(key);
  kept.set(key, value);
  for (const oldest of kept.keys()) {
    if (kept.size <= KEPT_REPLIES) break;
    kept.delete(oldest);
  }
}

/** How a question is asked that changes while it is shown, such as with each letter that a person types. */
export interface Changing {
  /** Waits before asking. */
  delayMs: number;
  /** Waits only when it has asked less than that before. */
  isEager?: true;
}

/** Calls a reading tool with these arguments, and again whenever they change. An outdated call is cancelled. */
export function useReply<Name extends ToolName>(
  tool: Name,
  args: Tools[Name]["takes"] | undefined,
  /** With this, the reply to the earlier question stays until the next. */
  changing?: Changing,
): Awaited<Tools[Name]["gives"]> {
  type Value = Tools[Name]["gives"];
  const key = args === undefined ? "" : `${tool} ${JSON.stringify(args)}`;
  const [got, setGot] = useState<{ key: string; value?: Value | undefined; error?: CallError }>({ key: "" });
  const [round, setRound] = useState(0);
  const askedMs = useRef(-Infinity);
  // Not once the frame is drawn, which takes longer than many an answer.
  useLayoutEffect(() => {
    if (args === undefined) return;
    const left = new AbortController();
    const ask = async () => {
      askedMs.current = performance.now();
      try {
        const value = await call(tool, args, { signal: left.signal });
        keep(key, value);
        setGot({ key, value });
      } catch (error) {
        if (left.signal.aborted) return;
        setGot({ key, value: kept.get(key) as Value | undefined, error: callError(error) });
      }
    };
    const { delayMs = 0, isEager = changing === undefined } = changing ?? {};
    const hasRested = performance.now() - askedMs.current > delayMs;
    const timer = isEager && hasRested ? undefined : setTimeout(() => void ask(), delayMs);
    if (timer === undefined) void ask();
    return () => {
      clearTimeout(timer);
      left.abort();
    };
  }, [key, round]);
  const again = () => {
    // A view that shows nothing but the error shows that it is being tried.
    setGot((last) => (last.value === undefined ? { key: last.key } : last));
    setRound((last) => last + 1);
  };
  if (got.key === key && key !== "") {
    const isOld = got.value === undefined && got.error === undefined;
    return { value: got.value, error: got.error, isOld, again };
  }
  const known = kept.get(key) as Value | undefined;
  return {
    value: known ?? (key === "" || changing === undefined ? undefined : got.value),
    error: undefined,
    isOld: true,
    again,
  };
}
