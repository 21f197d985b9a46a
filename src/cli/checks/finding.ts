import type { Invocation } from "../command.ts";
import { askHealth } from "../health.ts";
import { proxyConfig } from "../../config.ts";
import { isObject } from "../../wire/frame.ts";
import type { Json } from "../../wire/frame.ts";

/** What a check has found. A note is neither well nor at fault: something that is not used. */
export interface Finding {
  state: "ok" | "note" | "fault";
  text: string;
  /** What to do about it. */
  remedy?: string;
}

/** A check that throws is a fault, too, and the error's message says what and the remedy. */
export type Check = (invocation: Invocation) => Promise<Finding>;

export const ok = (text: string): Finding => ({ state: "ok", text });
export const note = (text: string): Finding => ({ state: "note", text });
export const fault = (text: string, remedy: string): Finding => ({ state: "fault", text, remedy });

/** What `/healthz` says, also when it says that something is wrong. */
export async function healthAt(url: string): Promise<Json | undefined> {
  const said: unknown = await (await askHealth(url))?.json().catch(() => undefined);
  return isObject(said) ? said : undefined;
}

export async function proxyHealth(invocation: Invocation): Promise<Json | undefined> {
  const { port, tls } = proxyConfig(invocation);
  return healthAt(`${tls ? "wss" : "ws"}://localhost:${port}`);
}
