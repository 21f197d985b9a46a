import { useEffect, useState } from "preact/hooks";
import { CallError } from "./connection.ts";
import { call } from "./dewey.ts";
import type { ToolName, Tools } from "./dewey.ts";

/** A reply on its way to a view. While it is awaited, one that was given to the same question before stays, as `isOld`. */
export interface Awaited<Value> {
  value: Value | undefined;
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

/** How a question is asked that a person is still typing. */
export interface Typing {
  /** Waits before asking. */
  delayMs: number;
}

/** Calls a reading tool with these arguments, and anew whenever they change. An outdated call is cancelled. */
export function useReply<Name extends ToolName>(
  tool: Name,
  args: Tools[Name]["takes"] | undefined,
  /** While a person types, the reply to the earlier letters stays until the next. */
  typing?: Typing,
): Awaited<Tools[Name]["gives"]> {
  type Value = Tools[Name]["gives"];
  const key = args === undefined ? "" : `${tool} ${JSON.stringify(args)}`;
  const [got, setGot] = useState<{ key: string; value?: Value; error?: CallError }>({ key: "" });
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (args === undefined) return;
    const left = new AbortController();
    const ask = async () => {
      try {
        const value = await call(tool, args, { signal: left.signal });
        keep(key, value);
        setGot({ key, value });
      } catch (error) {
        if (left.signal.aborted) return;
        setGot({ key, error: error instanceof CallError ? error : new CallError("internal", String(error)) });
      }
    };
    const timer = setTimeout(() => void ask(), typing?.delayMs ?? 0);
    return () => {
      clearTimeout(timer);
      left.abort();
    };
  }, [key, round]);
  const again = () => setRound((last) => last + 1);
  if (got.key === key && key !== "") return { value: got.value, error: got.error, isOld: false, again };
  const known = kept.get(key) as Value | undefined;
  return {
    value: known ?? (key === "" || typing === undefined ? undefined : got.value),
    error: undefined,
    isOld: true,
    again,
  };
}
