import { isObject } from "../wire/frame.ts";
import type { Json } from "../wire/frame.ts";

/** A client whose hooks Dewey uses. */
export type HookClient = "claude-code" | "codex" | "gemini";

/** The client kills a hook after this time. A hook takes milliseconds, or seconds if it starts a server. */
const TIMEOUT_SECONDS = 10;
/** Codex allows no more at the end of a session. */
const SESSION_END_TIMEOUT_SECONDS = 3;

/** How a client's hooks are written: its names of the events that Dewey takes, and one handler. */
interface HookForm {
  events: Record<string, { matcher?: string; timeoutSeconds?: number }>;
  handler: (command: string, timeoutSeconds: number) => Json;
}

// Only calls that a proxy may also record are claimed before they are made.
const claims = { matcher: "mcp__.*" };
const inSeconds = (command: string, timeout: number): Json => ({ type: "command", command, timeout });

const forms: Record<HookClient, HookForm> = {
  "claude-code": {
    events: {
      SessionStart: {},
      UserPromptSubmit: {},
      PreToolUse: claims,
      PostToolUse: {},
      PostToolUseFailure: {},
      Stop: {},
      SubagentStop: {},
      SessionEnd: {},
    },
    handler: inSeconds,
  },
  codex: {
    events: {
      SessionStart: {},
      UserPromptSubmit: {},
      PreToolUse: claims,
      PostToolUse: {},
      Stop: {},
      SubagentStop: {},
      SessionEnd: { timeoutSeconds: SESSION_END_TIMEOUT_SECONDS },
    },
    handler: inSeconds,
  },
  // Gemini sends no id with a call, so that none can be claimed. It shows a hook by its name, and counts in milliseconds.
  gemini: {
    events: { SessionStart: {}, BeforeAgent: {}, AfterTool: {}, AfterAgent: {}, SessionEnd: {} },
    handler: (command, timeoutSeconds) => ({ type: "command", name: "dewey", command, timeout: timeoutSeconds * 1000 }),
  },
};

/** A client's settings with Dewey's hooks added once, beside any others. */
export function withHooks(settings: Json, command: string, client: HookClient): Json {
  const { events, handler } = forms[client];
  const hooks = isObject(settings["hooks"]) ? settings["hooks"] : {};
  const merged = Object.entries(events).map(
    ([event, { matcher, timeoutSeconds = TIMEOUT_SECONDS }]): [string, unknown] => {
      const groups = groupsOf(hooks[event]);
      const ours = handler(command, timeoutSeconds);
      const wanted = { ...(matcher === undefined ? {} : { matcher }), hooks: [ours] };
      // Leave it in its place if it is already there.
      if (groups.some((group) => Bun.deepEquals(group, wanted))) return [event, groups];
      return [event, [...groups.flatMap(withoutOurs), wanted]];
    },
  );
  return { ...settings, hooks: { ...hooks, ...Object.fromEntries(merged) } };
}

/** The settings without Dewey's hooks, and without the groups and events that this leaves empty. */
export function withoutHooks(settings: Json): Json {
  if (!isObject(settings["hooks"])) return settings;
  const kept = Object.entries(settings["hooks"]).flatMap(([event, value]): [string, unknown][] => {
    if (!groupsOf(value).some((group) => withoutOurs(group)[0] !== group)) return [[event, value]];
    const groups = groupsOf(value).flatMap(withoutOurs);
    return groups.length > 0 ? [[event, groups]] : [];
  });
  const { hooks: _, ...rest } = settings;
  return kept.length > 0 ? { ...settings, hooks: Object.fromEntries(kept) } : rest;
}

function withoutOurs(group: unknown): unknown[] {
  const hooks = isObject(group) && Array.isArray(group["hooks"]) ? group["hooks"] : [];
  const others = hooks.filter((each: unknown) => !isOurs(each));
  if (others.length === hooks.length) return [group];
  return others.length === 0 || !isObject(group) ? [] : [{ ...group, hooks: others }];
}

/** Recognises the form of the command, so that hooks of a Dewey at another path, or named `dewey-0.2.0`, are found, too. */
function isOurs(hook: unknown): boolean {
  return (
    isObject(hook) &&
    typeof hook["command"] === "string" &&
    /(^|[/'" ])(dewey[\w.-]*|main\.ts)['"]? hook\b/.test(hook["command"])
  );
}

function groupsOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
