import { createHash } from "node:crypto";

/** Identifies a request's sender as far as it can be known, without keeping its secrets. `more` tells senders apart, too. */
export function peerOf({ headers }: Request, address: string | undefined, more: readonly unknown[] = []): string {
  const facts = [address, headers.get("user-agent"), headers.get("authorization"), ...more];
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex");
}
