import { useEffect, useRef } from "preact/hooks";
import { visible } from "../../visible.ts";

/** How far below the window the end of a list may be when the next page is read. */
const AHEAD = "600px";

interface MoreRowsProps {
  /** Reads the next page; undefined when there is none, and while one is read. */
  more: (() => void) | undefined;
  /** Why the next page could not be read. It is not asked for again until a person wants that. */
  error: Error | undefined;
}

/** The end of a list: reads the next page when a person comes near it. */
export function MoreRows({ more, error }: MoreRowsProps) {
  const place = useRef<HTMLDivElement>(null);
  const latest = useRef(more);
  latest.current = more;
  const isWaiting = more !== undefined && error === undefined;
  useEffect(() => {
    if (!isWaiting || place.current === null) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && latest.current?.(), {
      rootMargin: AHEAD,
    });
    observer.observe(place.current);
    return () => observer.disconnect();
  }, [isWaiting]);
  return (
    <div class="more-rows" ref={place}>
      {error !== undefined && (
        <p class="more-failed" role="alert" dir="auto">
          The rest could not be read: {visible(error.message)}
        </p>
      )}
      {more !== undefined && (
        <button type="button" class="button" onClick={more}>
          {error === undefined ? "Show more" : "Try again"}
        </button>
      )}
    </div>
  );
}
