import { signal } from "@preact/signals";

// The address holds everything that is seen: the view, the query, the filters, the turn.

export interface Route {
  /** Without the leading slash, such as `["conversation", "3f2a…"]`. */
  segments: string[];
  query: URLSearchParams;
}

function current(): Route {
  const segments = location.pathname.split("/").filter((each) => each !== "");
  return { segments: segments.map(decoded), query: new URLSearchParams(location.search) };
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** The address that is shown. */
export const route = signal<Route>(current());

/** What an address's query may hold: absent values leave no trace. */
export type Query = Record<string, string | number | boolean | undefined>;

/** An address of the page: `address("search", { q: "words" })`. */
export function address(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "" && value !== false);
  const text = new URLSearchParams(given.map(([name, value]) => [name, value === true ? "1" : String(value)]));
  return `/${path}${text.size > 0 ? `?${text.toString()}` : ""}`;
}

/** Goes to an address; with `replace`, back does not return to the one before. */
export function go(to: string, { replace = false } = {}): void {
  if (to === location.pathname + location.search) return;
  keepNow();
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  route.value = current();
}

/** The address that is shown with some of its query replaced. */
export function withQuery(changes: Query): string {
  const query: Query = { ...Object.fromEntries(route.value.query), ...changes };
  return address(location.pathname.slice(1), query);
}

/** Browsers take an address's place only so often; a scroll that goes on is kept when it rests. */
const KEEP_AFTER_MS = 250;
let keeping: { at: string; state: object; timer: ReturnType<typeof setTimeout> } | undefined;

/** A place in a long view: the turn at the top of a conversation, or how far a list is scrolled. */
type PlaceName = "turn" | "scroll";

/** Keeps where in a long view the person is, so that reload, back and forward return there. */
export function keepPlace(name: PlaceName, value: number): void {
  clearTimeout(keeping?.timer);
  keeping = { at: location.href, state: { [name]: value }, timer: setTimeout(keepNow, KEEP_AFTER_MS) };
}

/** Keeps at once what is to be kept: the person leaves. */
function keepNow(): void {
  if (keeping === undefined) return;
  clearTimeout(keeping.timer);
  if (location.href === keeping.at) history.replaceState(keeping.state, "");
  keeping = undefined;
}

/** The place that was kept for this entry of the history. */
export function keptPlace(name: PlaceName): number | undefined {
  const state = history.state as Partial<Record<PlaceName, number>> | null;
  return state?.[name];
}

/** Follows back, forward, and links within the page. */
export function followAddress(): void {
  addEventListener("pagehide", keepNow);
  addEventListener("popstate", () => (route.value = current()));
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (link === null || event.defaultPrevented || event.button !== 0) return;
    // The person wants a new tab or a download.
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || link.target !== "") return;
    if (link.origin !== location.origin || link.hasAttribute("download")) return;
    event.preventDefault();
    if (link.hash !== "") return;
    go(link.pathname + link.search);
  });
}
