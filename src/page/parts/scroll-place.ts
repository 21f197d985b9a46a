import type { RefObject } from "preact";
import { useLayoutEffect } from "preact/hooks";
import { keepPlace, keptPlace } from "../route.ts";

/** Returns to where a list was scrolled to, once it has rows, and keeps where it is. Other `rows` begin at their own place. */
export function useScrollPlace(list: RefObject<HTMLElement | null>, rows: string | undefined): void {
  useLayoutEffect(() => {
    const element = list.current;
    if (element === null || rows === undefined) return;
    element.scrollTop = keptPlace("scroll") ?? 0;
    const keep = () => keepPlace("scroll", element.scrollTop);
    element.addEventListener("scroll", keep, { passive: true });
    return () => element.removeEventListener("scroll", keep);
  }, [rows]);
}
