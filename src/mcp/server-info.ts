/** Returns what a server is and can do, without a session (2026-07-28). */
export const DISCOVER = "server/discover";
/** Opens a stream of notifications, without a session (2026-07-28). */
export const LISTEN = "subscriptions/listen";

/** How Dewey names itself. */
export function serverInfo(version: string) {
  return { name: "dewey", title: "Dewey", version };
}
