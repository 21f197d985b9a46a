import { createHash, timingSafeEqual } from "node:crypto";

/** A secret's hash, for keeping and comparing: hashes have the same length, so comparing does not reveal the secret's. */
export function digest(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

/** Whether a text is the secret of that hash, in the same time whatever the text is. */
export function isSecret(text: string, hash: Buffer): boolean {
  return timingSafeEqual(digest(text), hash);
}
