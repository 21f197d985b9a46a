import { join } from "node:path";
import type { Json } from "../wire/frame.ts";
import { begin, conversationId, derivedId, isUuid, stated } from "./captured.ts";
import type { Captured } from "./captured.ts";
import type { Home } from "./home.ts";

// The facts that Claude Code's hooks and transcripts share: place, client, and the ids of what both tell of.

export const CLAUDE_CODE = "claude-code";

/** The folders in which Claude Code may keep its transcripts: its variable may name several. */
export function claudeFolders({ home, env, config }: Home): string[] {
  const named = (env["CLAUDE_CONFIG_DIR"] ?? "").split(",").map((folder) => folder.trim());
  return [
    ...named.filter((folder) => folder !== ""),
    join(home, ".claude"),
    ...config.map((each) => join(each, "claude")),
  ];
}

/** The file that Claude Code writes beside an agent's transcript, and the agent's name there. */
export interface AgentFacts {
  agentType?: unknown;
  description?: unknown;
  toolUseId?: unknown;
}

/** A session, or a sub-agent in it. */
export interface Place {
  session: string;
  agent: string | undefined;
}

/** The conversation of a session or a sub-agent. */
export function placeId({ session, agent }: Place): string {
  return agent === undefined ? conversationId(CLAUDE_CODE, session) : derivedId(CLAUDE_CODE, session, "agent", agent);
}

/** Whether an agent is the one that summarises its whole session: its transcript repeats the session's rows. */
export function isCompacting(agent: string): boolean {
  return agent.startsWith("acompact");
}

/** The place and the client, in the words of a row or a hook's event. */
export function sessionFacts(row: Json): Json {
  return stated({
    source: CLAUDE_CODE,
    cwd: row["cwd"],
    branch: row["gitBranch"] === "" ? undefined : row["gitBranch"],
    client_version: row["version"],
  });
}

/** Begins a session's or a sub-agent's conversation. */
export function beginPlace(
  place: Place,
  row: Json,
  time: string | undefined,
  agent: AgentFacts,
  more: Json = {},
): Captured {
  const { session } = place;
  const isAgent = place.agent !== undefined;
  return begin({
    conversation: placeId(place),
    source: CLAUDE_CODE,
    session,
    cwd: row["cwd"],
    branch: row["gitBranch"],
    clientVersion: row["version"],
    parent: isAgent ? conversationId(CLAUDE_CODE, session) : undefined,
    time,
    more: {
      ...(isAgent
        ? stated({
            agent_id: place.agent,
            agent_type: agent.agentType,
            agent_task: agent.description,
            parent_tool_use_id: agent.toolUseId,
          })
        : {}),
      ...more,
    },
  });
}

/** The id of a message, and the one that builds before migration 0015 gave it: they named everything within its place. */
export interface Named {
  id: string;
  former: () => string;
}

/**
 * Names of what a place holds. A row that is copied into another file, by a fork or a resumed session, keeps its ids: names
 * that are unique everywhere are used alone, so that a copy is recognised, and others within their session. What is said in
 * answer has no id of its own, and is named by its prompt and its words, within its agent.
 */
export class Names {
  readonly #session: string;
  readonly #own: string | undefined;
  readonly #former: string;

  constructor(place: Place) {
    this.#session = placeId({ session: place.session, agent: undefined });
    const isOwn = place.agent !== undefined && !isCompacting(place.agent);
    this.#own = isOwn ? placeId(place) : undefined;
    this.#former = placeId(place);
  }

  row(row: string, block: number): Named {
    return {
      id: derivedId(this.#scope(row), "row", row, `${block}`),
      former: () => this.formerRow(row, block),
    };
  }

  formerRow(row: string, block: number): string {
    return derivedId(this.#former, row, `${block}`);
  }

  prompt(promptId: string): Named {
    return this.#named(promptId, "prompt", promptId);
  }

  call(toolUseId: string): Named {
    return this.#named(toolUseId, "call", toolUseId);
  }

  result(toolUseId: string): Named {
    return this.#named(toolUseId, "result", toolUseId);
  }

  answer(promptId: string, text: string, before: number): Named {
    return this.#named(promptId, "answer", promptId, text, `${before}`);
  }

  #named(scope: string, ...names: string[]): Named {
    return {
      id: derivedId(this.#own ?? this.#scope(scope), ...names),
      former: () => derivedId(this.#former, ...names),
    };
  }

  #scope(name: string): string {
    return isUuid(name) || /^toolu_\w{20,}$/.test(name) ? CLAUDE_CODE : this.#session;
  }
}
