import { describe, expect, test } from "bun:test";
import { withHooks, withoutHooks } from "../../src/clients/hooks.ts";

const command = "'/opt/my tools/dewey' hook";
const theirs = { matcher: "Bash", hooks: [{ type: "command", command: "notify hook" }] };
const settings = { model: "opus", hooks: { PreToolUse: [theirs], Notification: [theirs] } };

describe("the hooks in Claude Code's settings", () => {
  test("are added once, beside existing ones", () => {
    const once = withHooks(settings, command, "claude-code");
    expect(once).toMatchObject({ model: "opus", hooks: { Notification: [theirs] } });
    const { PreToolUse } = once["hooks"] as Record<string, unknown[]>;
    expect(PreToolUse).toEqual([theirs, { matcher: "mcp__.*", hooks: [{ type: "command", command, timeout: 10 }] }]);
    expect(Object.keys(once["hooks"] as object)).toEqual(
      expect.arrayContaining([
        "SessionStart",
        "UserPromptSubmit",
        "PostToolUse",
        "PostToolUseFailure",
        "Stop",
        "SubagentStop",
        "SessionEnd",
      ]),
    );
    expect(withHooks(once, command, "claude-code")).toEqual(once);
  });

  test("keep their place among others when they are added again", () => {
    const once = withHooks({}, command, "claude-code")["hooks"] as Record<string, unknown[]>;
    const among = { hooks: { ...once, Stop: [...(once["Stop"] ?? []), theirs] } };
    expect(withHooks(among, command, "claude-code")).toEqual(among);
  });

  test("are replaced when they run a Dewey at another path", () => {
    const moved = JSON.stringify(
      withHooks(withHooks(settings, command, "claude-code"), "/usr/bin/dewey hook --url ws://x", "claude-code"),
    );
    expect(moved).not.toContain("my tools");
    expect(moved).toContain("/usr/bin/dewey hook --url ws://x");
  });

  test("are recognised whatever a version or a platform adds to the program's name", () => {
    for (const name of ["dewey-0.2.0", "dewey-linux-x64", "dewey2"])
      expect(withoutHooks(withHooks(settings, `/opt/${name} hook`, "claude-code"))).toEqual(settings);
    const foreign = withHooks(settings, "/opt/undewey hook", "claude-code");
    expect(withoutHooks(foreign)).toEqual(foreign);
  });

  test("are removed without a trace, and others keep their place", () => {
    expect(withoutHooks(withHooks(settings, command, "claude-code"))).toEqual(settings);
    expect(withoutHooks(withHooks({}, command, "claude-code"))).toEqual({});
    const shared = {
      hooks: {
        Stop: [
          {
            hooks: [
              { type: "command", command },
              { type: "command", command: "bell" },
            ],
          },
        ],
        Empty: [],
      },
    };
    expect(withoutHooks(shared)).toEqual({
      hooks: { Stop: [{ hooks: [{ type: "command", command: "bell" }] }], Empty: [] },
    });
  });
});
