import { useLayoutEffect, useRef } from "preact/hooks";

/**
 * Runs what needs something that is not there yet: at once, or as soon as it is there, when nothing else was wanted meanwhile.
 * `undefined` takes the last wish back.
 */
export function useOnce(isThere: boolean): (run: (() => void) | undefined) => void {
  const wish = useRef<() => void>(undefined);
  // Before a person can want something else.
  useLayoutEffect(() => {
    if (!isThere) return;
    const run = wish.current;
    wish.current = undefined;
    run?.();
  }, [isThere]);
  return (run) => {
    wish.current = isThere ? undefined : run;
    if (isThere) run?.();
  };
}
