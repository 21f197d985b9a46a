import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../../package.json" with { type: "json" };
import { hostTarget } from "../../../src/build/engine.ts";
import { plainEnvironment, temporaryHome } from "../../support/home.ts";
import { startNpmRegistry } from "../../support/npm-registry.ts";

// What `bun run release` lays for this platform, and that it installs and runs from there.

const root = join(import.meta.dir, "../../..");
const { version } = packageJson;
const folder = join(root, "dist/release", version);
const repository = "https://example.org/ana/dewey";
const isDebian = existsSync("/usr/bin/dpkg-deb");
const packages = ["dewey-mcp", `dewey-mcp-${hostTarget}`].map((name) => join(folder, `${name}-${version}.tgz`));

function ran(command: string[], cwd = folder, env: Record<string, string> = plainEnvironment("/nonexistent")) {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd, env, stdout: "pipe", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stdout.toString()}${stderr.toString()}`);
  return stdout.toString();
}

describe.skipIf(hostTarget?.startsWith("linux") !== true || !isDebian)("bun run release", () => {
  beforeAll(() => {
    const command = [
      process.execPath,
      "src/build/release/release.ts",
      "--repository",
      repository,
      "--target",
      `${hostTarget}`,
    ];
    expect(ran(command, root, process.env as Record<string, string>)).toContain(`git tag --sign v${version}`);
  });

  test("lays every file with its sum", () => {
    expect(ran(["sha256sum", "--check", "--quiet", "SHA256SUMS"])).toBe("");
    const listed = readFileSync(join(folder, "SHA256SUMS"), "utf8").split("\n").filter(Boolean);
    expect(listed.map((line) => line.split("  ")[1])).toEqual(
      readdirSync(folder)
        .filter((name) => name !== "SHA256SUMS")
        .toSorted(),
    );
    expect(listed).toHaveLength(isDebian ? 6 : 5);
  });

  test("lays an archive with a program that knows where it is released", () => {
    using home = temporaryHome();
    const name = `dewey-${version}-${hostTarget}`;
    ran(["tar", "-xzf", join(folder, `${name}.tar.gz`)], home.path);
    expect(readdirSync(join(home.path, name)).toSorted()).toEqual(["LICENSE", "NOTICES.txt", "dewey"]);
    const program = join(home.path, name, "dewey");
    expect(ran([program, "--version"], home.path)).toBe(`dewey ${version}\n`);
    expect(readFileSync(program).includes(repository)).toBe(true);
  });

  test("lays packages that npm installs, in an empty home with Node only", async () => {
    using home = temporaryHome();
    const bin = join(home.path, "bin");
    mkdirSync(bin);
    for (const name of ["node", "npm", "sh", "env"]) symlinkSync(Bun.which(name) ?? "", join(bin, name));
    await using registry = await startNpmRegistry(packages);
    const env = {
      ...plainEnvironment(home.path),
      PATH: bin,
      npm_config_registry: registry.url,
      npm_config_prefix: join(home.path, "npm"),
    };
    const install = Bun.spawn([join(bin, "npm"), "install", "--global", "dewey-mcp"], { env, cwd: home.path });
    expect(await install.exited).toBe(0);
    expect(ran([join(home.path, "npm/bin/dewey"), "--version"], home.path, env)).toBe(`dewey ${version}\n`);
  });

  test("lays packages that npx runs, which is told when a client's files name the program", async () => {
    using home = temporaryHome();
    await using registry = await startNpmRegistry(packages);
    const env = { ...plainEnvironment(home.path), npm_config_registry: registry.url };
    const npx = ["npx", "--yes", "dewey-mcp", "connect", "claude-code", "--url", "ws://127.0.0.1:1"];
    const child = Bun.spawn(npx, { env, cwd: home.path, stdout: "pipe", stderr: "pipe" });
    const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    expect({ code: await child.exited, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toContain("For good: npm install --global dewey-mcp, and connect again.");
    expect(readFileSync(join(home.path, ".claude.json"), "utf8")).toContain("/_npx/");
  });

  test("lays a Debian package with the program, its units and completions", () => {
    const file = `dewey_${version}_${process.arch === "x64" ? "amd64" : "arm64"}.deb`;
    const listed = ran(["dpkg-deb", "--contents", file]);
    for (const [mode, path] of [
      ["-rwxr-xr-x", "usr/bin/dewey"],
      ["-rw-r--r--", "usr/lib/systemd/system/dewey.service"],
      ["-rw-r--r--", "usr/lib/systemd/user/dewey-proxy.service"],
      ["-rw-r--r--", "usr/share/bash-completion/completions/dewey"],
    ] as const)
      expect(listed).toMatch(new RegExp(`^${mode} root/root .* \\./${path}$`, "m"));
    expect(ran(["dpkg-deb", "--field", file, "Version"])).toBe(`${version}\n`);
    const unit = ran(["sh", "-c", `dpkg-deb --fsys-tarfile ${file} | tar -xO ./usr/lib/systemd/system/dewey.service`]);
    expect(unit).toContain("\nExecStart=/usr/bin/dewey serve\n");
  });
});
