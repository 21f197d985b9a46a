import type { Invocation } from "../command.ts";
import { askHealth, proxyAt } from "../health.ts";
import type { Address } from "../health.ts";
import { proxyConfig } from "../../config.ts";
import { isObject } from "../../wire/frame.ts";
import type { Json } from "../../wire/frame.ts";

/** The result of a check. A note is neither good nor bad: something is not used. */
export interface Finding {
  state: "ok" | "note" | "fault";
  text: string;
  /** How to fix a fault. */
  remedy?: string;
  /** Lines to copy, such as settings. */
  lines?: string[];
}

/** A check that throws reports a fault; the error's message includes the remedy. */
export type Check = (invocation: Invocation) => Promise<Finding>;

export const ok = (text: string): Finding => ({ state: "ok", text });
export const note = (text: string): Finding => ({ state: "note", text });
export const fault = (text: string, remedy: string): Finding => ({ state: "fault", text, remedy });

/** The body of `/healthz`, healthy or not, which is brief without the token; undefined when nothing answers. */
export async function healthAt({ url, token }: Address): Promise<Json | undefined> {
  const said: unknown = await (await askHealth(url, { token }))?.json().catch(() => undefined);
  return isObject(said) ? said : undefined;
}

export async function proxyHealth(invocation: Invocation): Promise<Json | undefined> {
  const { port, token } = proxyConfig(invocation);
  return (await proxyAt(port, token))?.health;
}
