import { signal } from "@preact/signals";
import { CallError } from "./connection.ts";

// Signing in, where the server wants a token: it is exchanged for a cookie that no script reads, and kept nowhere.

const PATH = "/session";
/** `dewey open` leaves its code here; a fragment is sent to no server and stands in no log. */
const CODE_PREFIX = "#code=";

/** Whether the code of `dewey open` is being exchanged. */
export const isEntering = signal(false);

/** Whether there is a session that can be ended; without a token there is none. */
export const isSignedIn = signal(false);

/** Whether the server wants to be signed in to. Rejects when it is away. */
export async function isSignedOut(): Promise<boolean> {
  const response = await fetch(PATH, { cache: "no-store" });
  if (response.ok) isSignedIn.value = ((await response.json()) as { signed_in: boolean }).signed_in;
  return response.status === 401;
}

/** Exchanges the token, or a code, for a session. Throws a `CallError` that says what is wrong. */
export async function signIn(given: { token: string } | { code: string }): Promise<void> {
  const response = await fetch(PATH, { method: "POST", body: JSON.stringify(given) }).catch(() => undefined);
  if (response === undefined) throw new CallError("unavailable", "the server is away; try again once it is back");
  if (response.ok) return;
  const { error } = (await response.json().catch(() => ({}))) as { error?: string };
  throw new CallError("unauthorized", error ?? `the server answered with ${response.status}`);
}

/** Ends the session; the server closes the connection. Throws a `CallError` when it is away. */
export async function signOut(): Promise<void> {
  const response = await fetch(PATH, { method: "DELETE" }).catch(() => undefined);
  if (response === undefined) throw new CallError("unavailable", "the server is away; you are still signed in");
  isSignedIn.value = false;
}

/** Takes the code out of the address before anything else could keep it, and exchanges it. `entered` is called on success. */
export async function enterByCode(entered: () => void): Promise<void> {
  if (!location.hash.startsWith(CODE_PREFIX)) return;
  const code = location.hash.slice(CODE_PREFIX.length);
  history.replaceState(history.state, "", location.pathname + location.search);
  isEntering.value = true;
  try {
    await signIn({ code });
    entered();
  } catch {
    // The form asks for the token then.
  } finally {
    isEntering.value = false;
  }
}
