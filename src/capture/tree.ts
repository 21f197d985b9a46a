import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";
import type { Captured, Said } from "./captured.ts";

// Conversations whose messages are a tree: a node names its parent, and one leaf is where the conversation went on.

/** Parents before their children, children in their order; a node whose parent is missing begins a tree of its own. */
export function inTreeOrder(nodes: Record<string, unknown>): Json[] {
  const all = Object.values(nodes).filter(isObject);
  const waiting = all.filter((node) => !isObject(nodes[String(node["parent"])])).toReversed();
  const ordered = new Set<Json>();
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    if (ordered.has(node)) continue;
    ordered.add(node);
    const children = Array.isArray(node["children"]) ? node["children"] : [];
    waiting.push(
      ...children
        .map((id: unknown) => nodes[String(id)])
        .filter(isObject)
        .toReversed(),
    );
  }
  return [...ordered, ...all.filter((node) => !ordered.has(node))];
}

/** A node and everything above it. */
export function ancestorsOf(nodes: Record<string, unknown>, from: unknown): Set<unknown> {
  const path = new Set<unknown>();
  for (let id = from; typeof id === "string" && !path.has(id);) {
    path.add(id);
    const node = nodes[id];
    id = isObject(node) ? node["parent"] : undefined;
  }
  return path;
}

/** Marks the branches of messages that an earlier import may have stored otherwise; nothing where there are none. */
export function branchFacts(conversation: string, messages: Said[]): Captured[] {
  const abandoned = messages.filter((each) => each.abandoned).map((each) => each.id);
  if (abandoned.length === 0) return [];
  const current = messages.filter((each) => !each.abandoned).map((each) => each.id);
  return [{ kind: "facts", facts: { conversation_id: conversation, abandoned, current } }];
}
