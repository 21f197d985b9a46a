import { expect, test } from "bun:test";
import { installationOf } from "../../src/cli/installation.ts";

const releases = "https://example.org/dewey/releases";
const nothing = () => false;

test.each([
  [
    "/home/ana/.npm/_npx/0a1b/node_modules/dewey-mcp-linux-x64/bin/dewey",
    { kind: "npx", upgrade: "npx dewey-mcp@latest" },
  ],
  [
    "/usr/lib/node_modules/dewey-mcp/node_modules/dewey-mcp-linux-x64/bin/dewey",
    { kind: "npm", upgrade: "npm install --global dewey-mcp@latest" },
  ],
  ["/opt/homebrew/Cellar/dewey/0.2.0/bin/dewey", { kind: "homebrew", upgrade: "brew upgrade dewey" }],
  ["/usr/bin/dewey", { kind: "archive", upgrade: `replace /usr/bin/dewey by the newer one from ${releases}` }],
] as const)("%s is recognised, with the command that upgrades it", (program, expected) => {
  expect(installationOf(program, releases, nothing)).toEqual(expected);
});

test("/usr/bin/dewey is Debian's where dpkg lists it", () => {
  const isListed = (path: string) => path === "/var/lib/dpkg/info/dewey.list";
  expect(installationOf("/usr/bin/dewey", releases, isListed).kind).toBe("debian");
  expect(installationOf("/usr/local/bin/dewey", releases, isListed).kind).toBe("archive");
});

test("a program that no release made is built again", () => {
  expect(installationOf("/home/ana/dewey/out/dewey", undefined, nothing).upgrade).toBe("git pull && bun run build");
});
