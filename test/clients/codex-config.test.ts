import { describe, expect, test } from "bun:test";
import { codexServers, withCodexServers } from "../../src/clients/codex-config.ts";

const text = `# mine
model = "gpt-5"

[mcp_servers.files]   # the files
command = "npx"
# how
args = [
  "-y", # [yes
  "server]",
]
startup_timeout_sec = 20
env = { "A" = "1" }

[mcp_servers."with space"]
url = "https://example.org/mcp"

[profiles.fast]
model = "mini"
`;

describe("a configuration of Codex", () => {
  test("is changed only in the affected lines, and keeps the others with their comments", () => {
    const files = {
      command: "/opt/dewey",
      args: ["proxy", "--", "npx", "C:\\x", 'a "b"'],
      env: { A: "1" },
      startup_timeout_sec: 20,
    };
    const after = withCodexServers(text, "f", { files, dewey: { command: "dewey", args: ["serve", "--stdio"] } });
    expect(codexServers(after, "f")).toMatchObject({
      files,
      dewey: { command: "dewey" },
      "with space": { url: "https://example.org/mcp" },
    });
    for (const kept of ["# mine", "# the files", "# how", '[profiles.fast]\nmodel = "mini"'])
      expect(after).toContain(kept);
  });

  test("is byte for byte the same after a server was added and removed", () => {
    for (const before of [text, "", 'model = "x"\n']) {
      const after = withCodexServers(before, "f", { dewey: { command: "dewey", args: ["serve"] } });
      expect(codexServers(after, "f")["dewey"]).toEqual({ command: "dewey", args: ["serve"] });
      expect(withCodexServers(after, "f", { dewey: undefined })).toBe(before);
    }
  });

  test("is refused and not changed when its form is unforeseen", () => {
    const inline = 'mcp_servers = { files = { command = "npx" } }\n';
    expect(() => withCodexServers(inline, "the file", { files: { command: "x" } })).toThrow("the file");
    expect(() => codexServers("= no", "the file")).toThrow("the file is not valid TOML");
  });
});
