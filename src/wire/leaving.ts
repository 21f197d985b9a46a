/**
 * Calls `leave` once the client of a request has left, at once if it has already: the signal tells that only once. Returns a
 * function to call when it no longer matters.
 */
export function onLeave(signal: AbortSignal, leave: () => void): () => void {
  if (signal.aborted) leave();
  else signal.addEventListener("abort", leave, { once: true });
  return () => signal.removeEventListener("abort", leave);
}
