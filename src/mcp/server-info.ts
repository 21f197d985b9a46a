/** Returns what a server is and can do, without a session (2026-07-28). */
export const DISCOVER = "server/discover";
/** Opens a stream of notifications, without a session (2026-07-28). */
export const LISTEN = "subscriptions/listen";

/** A book: as PNG, which every client that shows icons can read, and as SVG for any size. */
const icons = [
  {
    src: "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAADAAAAAwAgMAAAAqbBEUAAAACVBMVEX///8vXYr////KcmWJAAAAA3RSTlMA//9EUNYhAAAAIUlEQVR42mNgoByELg0FA9pzolatWrUUK2eEGj0AHMoAAIvUeMkENqVCAAAAAElFTkSuQmCC",
    mimeType: "image/png",
    sizes: ["48x48"],
  },
  {
    src: "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCA0OCA0OCI+PHBhdGggZmlsbD0iIzJmNWQ4YSIgZD0iTTggNWgzMnYzOEg4eiIvPjxwYXRoIHN0cm9rZT0iI2ZmZiIgc3Ryb2tlLXdpZHRoPSIyIiBkPSJNMTMgNXYzOE0xOCAxNGgxNk0xOCAyMWgxNk0xOCAyOGgxNiIvPjwvc3ZnPg==",
    mimeType: "image/svg+xml",
    sizes: ["any"],
  },
];

/** How Dewey names itself in each result (2026-07-28). */
export function serverName(version: string) {
  return { name: "dewey", title: "Dewey", version };
}

/** How Dewey introduces itself once, for clients that show it to people. */
export function serverInfo(version: string) {
  return {
    ...serverName(version),
    description: "Keeps conversations and recorded tool calls, and finds them again",
    icons,
  };
}
