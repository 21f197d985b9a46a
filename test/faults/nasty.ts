import { appendFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { signal } from "./processes.ts";
import type { Round } from "./strikes.ts";
import { within } from "./world.ts";
import type { Role, World } from "./world.ts";

// Scenarios that random strikes do not produce: long outages, repeated kills, and files as a failing machine leaves them.

const LONG_OUTAGE_MS = 60_000;
/** How long the server is frozen so that the recorders' files fill up. */
const FILLING_MS = 5000;
/** Writes within this time before a power cut may be lost; nothing is guaranteed about them. */
const POWER_CUT_MS = 3000;
/** Bytes that a power cut removes from a file: a few entries, which were written within the time above. */
const POWER_CUT_BYTES = 400;
const DEATHS = 10;

/** Garbage that a failing machine may leave after the last whole entry of a file. */
const tornTails: Buffer[] = [
  Buffer.from([0, 0]),
  Buffer.concat([Buffer.from([0, 0, 1, 0, 1, 2, 3, 4]), Buffer.from('{"kind":"frame","session":"x')]),
  Buffer.concat([Buffer.from([0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4]), Buffer.from("{")]),
  Buffer.alloc(4096),
];

export const nastyRounds: Round[] = [
  frozen("the server", ["server"]),
  frozen("PostgreSQL", ["postgres", "connection of postgres"]),
  {
    title: `the proxy is killed every second, ${DEATHS} times`,
    async play(world) {
      for (let death = 0; death < DEATHS; death++) {
        send(world, ["proxy"], "SIGKILL");
        await world.restore();
        await Bun.sleep(1000);
      }
      return Array.from({ length: DEATHS }, () => "kill");
    },
  },
  {
    title: "three proxies compete for the leftovers of killed ones, and one of them is killed meanwhile",
    async play(world) {
      await killRecorders(world);
      const heirs = [world.spawnProxy(), world.spawnProxy(), world.spawnProxy()];
      await world.restore();
      heirs[0]?.kill("SIGKILL");
      await Bun.sleep(FILLING_MS);
      for (const heir of heirs) heir.kill("SIGTERM");
      await Promise.all(heirs.map((heir) => heir.exited));
      return ["kill", "kill", "kill"];
    },
  },
  {
    title: "the last writes of killed recorders are torn",
    async play(world) {
      const left = await killRecorders(world);
      for (const [index, name] of left.entries())
        appendFileSync(join(world.spool, name), tornTails[index % tornTails.length] ?? "");
      return ["kill", "tear"];
    },
  },
  {
    title: "the power fails: the last bytes of the recorders' files were never written",
    async play(world, ledger) {
      const left = await killRecorders(world);
      for (const name of left) {
        const file = join(world.spool, name);
        truncateSync(file, Math.max(0, statSync(file).size - POWER_CUT_BYTES));
      }
      ledger.forget(performance.now() - POWER_CUT_MS);
      return ["kill", "truncate"];
    },
  },
];

function frozen(who: string, roles: Role[]): Round {
  return {
    title: `${who} is frozen for a minute`,
    async play(world) {
      send(world, roles, "SIGSTOP");
      await Bun.sleep(LONG_OUTAGE_MS);
      return ["freeze"];
    },
  };
}

/**
 * Kills every recorder while the server is frozen, so that their entries are still in their files, and returns these.
 * The clients are frozen too: they would start new recorders, which would take over the files.
 */
async function killRecorders(world: World): Promise<string[]> {
  send(world, ["server"], "SIGSTOP");
  await Bun.sleep(FILLING_MS);
  send(world, ["client"], "SIGSTOP");
  const recorders = ["proxy", "stdio proxy"] as const;
  send(world, recorders, "SIGKILL");
  await within(FILLING_MS, "the recorders were gone", async () =>
    recorders.every((role) => world.find(role).length === 0),
  );
  return world.leftSegments();
}

function send(world: World, roles: readonly Role[], name: NodeJS.Signals): void {
  for (const role of roles) for (const { pid } of world.find(role)) signal(pid, name);
}
