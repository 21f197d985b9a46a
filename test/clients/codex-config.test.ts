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

  test("loses nothing that stands behind a removed server, whatever its table is named", () => {
    const others = '\n# where I work\n[projects."/home/me/my [x] app"]\ntrust_level = "trusted"\n';
    const server = '\n[mcp_servers.dewey]\ncommand = "dewey"\nargs = [\n  "[x]"\n]\n';
    expect(withCodexServers(`model = "x"\n${server}${others}`, "f", { dewey: undefined })).toBe(
      `model = "x"\n${others}`,
    );
    const hooks = '\n[[hooks."a/b"]]\ncommand = "mine"\n';
    expect(withCodexServers(`${server}${hooks}`, "f", { dewey: { command: "new" } })).toEndWith(hooks);
  });

  test("may hold a server's fields in tables of their own, as Codex writes them", () => {
    const before =
      '[mcp_servers.a]\ncommand = "c"\n\n[mcp_servers.a.env]\nK = "v"\n\n[mcp_servers.a.tools.x]\nenabled = false\n\n[tui]\n';
    const kept = { tools: { x: { enabled: false } } };
    const a = { command: "d", env: { K: "w" } };
    const after = withCodexServers(before, "f", { a: { ...a, ...kept } });
    expect(codexServers(after, "f")["a"]).toEqual({ ...a, ...kept });
    expect(withCodexServers(after, "f", { a: undefined })).toBe("\n[tui]\n");
    expect(withCodexServers(before, "f", { a: undefined })).toBe("\n[tui]\n");
  });

  test("keeps its line ends and its texts, also those that look like tables", () => {
    const before =
      'notes = """\r\n[mcp_servers.a]\r\n- [ todo\r\n"""\r\n\r\n[mcp_servers.a] # mine\r\nurl = "x"\r\n[tui]\r\n';
    const after = withCodexServers(before, "f", { a: { command: "d" }, b: { command: "e" } });
    expect(codexServers(after, "f")).toEqual({ a: { command: "d" }, b: { command: "e" } });
    expect(after.replaceAll("\r\n", "")).not.toContain("\n");
    expect(withCodexServers(after, "f", { b: undefined })).toBe(before.replace('url = "x"', 'command = "d"'));
  });

  test("is refused and not changed when its form is unforeseen", () => {
    const inline = 'mcp_servers = { files = { command = "npx" } }\n';
    expect(() => withCodexServers(inline, "the file", { files: { command: "x" } })).toThrow("the file");
    expect(() => codexServers("= no", "the file")).toThrow("the file is not valid TOML");
  });
});
