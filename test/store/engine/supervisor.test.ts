import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Supervisor } from "../../../src/store/engine/supervisor.ts";
import { temporaryHome } from "../../support/home.ts";
import { quiet } from "../../support/quiet.ts";

/** Takes connections at once, and a request to stop only after a while, as a PostgreSQL does that is just being started. */
const hardOfHearing = (heard: string) => `
  console.error("database system is ready to accept connections");
  setTimeout(() => process.on("SIGINT", () => { require("fs").writeFileSync(${JSON.stringify(heard)}, ""); process.exit(); }), 1500);
  setInterval(() => {}, 1000);`;

test("a PostgreSQL that is too young to hear that it should stop is asked again, and not left running or killed", async () => {
  using home = temporaryHome();
  const heard = join(home.path, "heard");
  const supervisor = new Supervisor({
    command: [process.execPath, "-e", hardOfHearing(heard)],
    identity: { prefix: [] },
    log: quiet,
    clear: () => Promise.resolve(),
  });
  await supervisor.start();
  await supervisor.stop();
  expect(existsSync(heard)).toBe(true);
}, 60_000);
