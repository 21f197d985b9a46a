import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { isPortLocked, lockPort } from "../../src/wire/listening.ts";
import { foreignServer, portOwner } from "../../src/wire/owner.ts";
import { temporaryHome } from "../support/home.ts";

/** A system without tables of sockets, where servers lock a file. */
const without = (folder: string) => ({
  tables: [],
  haveLocks: true,
  isLocked: (port: number) => isPortLocked(port, folder),
});

const holder = `
  const { lockPort } = await import(${JSON.stringify(join(import.meta.dir, "../../src/wire/listening.ts"))});
  globalThis.lock = await lockPort(9020, process.argv[1]);
  console.log("locked");
  setInterval(() => {}, 1000);
`;

describe("where the system does not tell whose a port is", () => {
  test("a server of this user proves itself by its lock, and only on its port", async () => {
    using home = temporaryHome();
    const folder = join(home.path, "listening");
    expect(portOwner(9020, 1, without(folder))).toEqual({ kind: "unproven" });
    const lock = await lockPort(9020, folder);
    expect(portOwner(9020, 1, without(folder))).toEqual({ kind: "own" });
    expect(portOwner(9021, 1, without(folder))).toEqual({ kind: "unproven" });
    lock?.release();
    expect(portOwner(9020, 1, without(folder))).toEqual({ kind: "unproven" });
  });

  test("the proof ends with its process, killed or not, and looking does not keep a server from locking", async () => {
    using home = temporaryHome();
    const child = Bun.spawn([process.execPath, "-e", holder, home.path], { stdin: "ignore", stdout: "pipe" });
    await child.stdout.getReader().read();
    for (let look = 0; look < 20; look += 1) expect(isPortLocked(9020, home.path)).toBe(true);
    child.kill("SIGKILL");
    await child.exited;
    expect(isPortLocked(9020, home.path)).toBe(false);
    expect(await lockPort(9020, home.path)).toBeDefined();
  });

  test("a folder that others can write, or a link to one, proves nothing", async () => {
    using home = temporaryHome();
    const folder = join(home.path, "listening");
    mkdirSync(folder);
    await using stack = new AsyncDisposableStack();
    const lock = await lockPort(9020, folder);
    stack.defer(() => lock?.release());
    chmodSync(folder, 0o777);
    expect(isPortLocked(9020, folder)).toBe(false);
    chmodSync(folder, 0o700);
    expect(isPortLocked(9020, folder)).toBe(true);
    renameSync(folder, join(home.path, "elsewhere"));
    symlinkSync(join(home.path, "elsewhere"), folder);
    expect(isPortLocked(9020, folder)).toBe(false);
  });

  test("a server without proof is refused with the remedy, unless there is a token", () => {
    const unproven = () => ({ kind: "unproven" }) as const;
    const url = "ws://localhost:9020";
    expect(foreignServer({ url, token: undefined }, unproven)).toEqual({
      complaint: "the server at ws://localhost:9020/ is not known as this user's, who has started none there",
      remedy: expect.stringContaining("DEWEY_TOKEN"),
    });
    expect(foreignServer({ url, token: "t" }, unproven)).toBeUndefined();
  });
});
