import { useEffect, useRef } from "preact/hooks";

/** How far below the window the end of a list may be when the next page is read. */
const AHEAD = "600px";

/** The end of a list: reads the next page when a person comes near it. */
export function MoreRows({ more }: { more: (() => void) | undefined }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (more === undefined || place.current === null) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && more(), { rootMargin: AHEAD });
    observer.observe(place.current);
    return () => observer.disconnect();
  }, [more]);
  return (
    <div class="more-rows" ref={place}>
      {more !== undefined && (
        <button type="button" class="button" onClick={more}>
          Show more
        </button>
      )}
    </div>
  );
}
