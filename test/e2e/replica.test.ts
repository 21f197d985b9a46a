import { describe, expect, test } from "bun:test";
import { databaseAddress, run, startServe } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { freePort } from "../support/ports.ts";
import { debian, privateCluster } from "../support/postgres.ts";
import type { Engine } from "../support/postgres.ts";
import { startStandby } from "../support/replica.ts";
import { Rpc } from "../support/rpc.ts";

if (!debian)
  console.warn("DEWEY_DB_READ_URL is not tested: Debian's PostgreSQL 15, which can make a replica, is not here");

describe.skipIf(!debian)("dewey serve with DEWEY_DB_READ_URL", () => {
  test("reads from the replica, reports its state in /healthz and dewey doctor, and works without it", async () => {
    await using primary = await privateCluster(debian as Engine);
    await using standby = await startStandby(primary);
    using home = temporaryHome();
    const env = {
      DEWEY_DATABASE_URL: databaseAddress(primary.connection, "hunter1"),
      DEWEY_DB_READ_URL: databaseAddress(standby.connection, "hunter2"),
      DEWEY_PROXY_PORT: `${freePort()}`,
    };
    const { running, url } = await startServe(home.path, env);
    await using _ = running;
    const doctor = async (changed: Record<string, string> = {}) => {
      const asking = { ...plainEnvironment(home.path), ...env, DEWEY_URL: url, ...changed };
      const { stdout, stderr } = await run(["doctor"], asking);
      expect(stderr).toBe("");
      return /^\S+ replica\b.*$/m.exec(stdout)?.[0];
    };
    const rpc = await Rpc.open(url);
    await rpc.initialize();
    const { conversation_id } = await rpc.tool("dewey_begin_conversation");
    await rpc.tool("dewey_store_message", { conversation_id, role: "user", content: "a bittern in the reeds" });
    for (let found = false; !found;) {
      expect(await rpc.tool("dewey_search", { query: "bittern" })).toMatchObject({ total: 1 });
      found = standby.statements().some((text) => text.includes("ts_rank"));
    }
    expect(await doctor()).toContain("✓ replica");

    await standby.kill();
    expect(await rpc.tool("dewey_search", { query: "bittern" })).toMatchObject({ total: 1 });
    expect(await doctor()).toMatch(
      /✗ replica +not used, reads go to the primary: .*start it, or correct DEWEY_DB_READ_URL/,
    );
    await running.until("stderr", /"event":"the read replica does not serve; reads go to the primary"/);
    await standby.restart();
    await running.until("stderr", /"event":"the read replica serves again"/);
    rpc.close();
    expect(await running.stop()).toBe(0);
    expect(running.stderr()).not.toMatch(/hunter/);

    // Without a server, doctor asks the replica itself.
    expect(await doctor()).toContain("✓ replica");
    expect(await doctor({ DEWEY_DB_READ_URL: env.DEWEY_DATABASE_URL })).toContain("it is no standby");

    // The primary is not a replica.
    const wrong = await run(["serve", "--port", "0"], {
      ...plainEnvironment(home.path),
      ...env,
      DEWEY_DB_READ_URL: env.DEWEY_DATABASE_URL,
    });
    expect(wrong.code).not.toBe(0);
    expect(wrong.stderr).toContain("DEWEY_DB_READ_URL cannot be read from: it is no standby");
    expect(wrong.stderr).not.toMatch(/hunter/);
  });
});
