import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTo, createServer } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { one } from "../../../src/store/database/one.ts";
import { Database } from "../../../src/store/database/database.ts";
import { wantsCleartextPassword } from "../../../src/store/database/cleartext.ts";
import type { Connection, Tls } from "../../../src/store/database/connection.ts";
import { failure } from "../../support/failure.ts";
import {
  connect,
  debian,
  giveToPostgres,
  runProgram,
  serveDebian,
  storeOptions,
  temporaryFolder,
} from "../../support/postgres.ts";
import type { Cluster } from "../../support/postgres.ts";
import { freePort } from "../../support/ports.ts";
import { until } from "../../support/rpc.ts";

/** An address of this machine that is not of loopback. */
const own = Object.values(networkInterfaces())
  .flat()
  .find((each) => each && !each.internal && each.family === "IPv4")?.address;
const canRun = debian !== undefined && Bun.which("openssl") !== null;

/** Certificates by openssl: two authorities, and a server's and a client's by the first. */
function certificates(folder: string): void {
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const openssl = (...args: string[]) => {
    const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: folder, stderr: "pipe" });
    if (exitCode !== 0) throw new Error(stderr.toString());
  };
  for (const name of ["ca", "other"])
    openssl("req", "-x509", ...curve, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.crt`);
  writeFileSync(join(folder, "server.ext"), "subjectAltName=DNS:localhost");
  for (const [name, subject] of [
    ["server", "/CN=localhost"],
    ["client", "/CN=certified"],
  ] as const) {
    openssl("req", ...curve, "-subj", subject, "-keyout", `${name}.key`, "-out", `${name}.csr`);
    const signing = ["-req", "-in", `${name}.csr`, "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"];
    openssl("x509", ...signing, "-out", `${name}.crt`, ...(name === "server" ? ["-extfile", "server.ext"] : []));
  }
}

/** How each role of the test must log in. */
const HBA = `local all all trust
hostssl all certified all cert
hostssl all safe all scram-sha-256
hostnossl all plain all scram-sha-256
host all clear all password
host all either all scram-sha-256
host all changing all scram-sha-256
`;

describe.skipIf(!canRun)("TLS to the database", () => {
  const folder = canRun ? temporaryFolder() : mkdtempSync(join(tmpdir(), "dewey-tls-"));
  const file = (name: string) => join(folder, name);
  const port = freePort();
  let cluster: Cluster;

  beforeAll(async () => {
    certificates(folder);
    giveToPostgres(folder);
    if (process.getuid?.() === 0) chownSync(file("server.key"), 65_534, 65_534);
    chmodSync(file("server.key"), 0o600);
    runProgram(
      "initdb",
      "-D",
      file("data"),
      "-U",
      "dewey",
      "-A",
      "trust",
      "-E",
      "UTF8",
      "--locale=C.UTF-8",
      "--no-sync",
    );
    writeFileSync(file("data/pg_hba.conf"), HBA);
    const tls = [
      `ssl_cert_file=${file("server.crt")}`,
      `ssl_key_file=${file("server.key")}`,
      `ssl_ca_file=${file("ca.crt")}`,
    ];
    cluster = await serveDebian(folder, ["listen_addresses=*", `port=${port}`, ...tls]);
    cluster.connection.port = port;
    await using sql = connect(cluster.connection);
    for (const role of ["certified", "safe", "plain", "clear", "either"])
      await sql.unsafe(`create role ${role} login password 'right'`);
    await switchTls(true);
  });
  afterAll(async () => {
    await cluster?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const at = (host: string, user: string, tls?: Tls): Connection => ({
    host,
    port,
    database: "postgres",
    user,
    password: "right",
    ...(tls ? { tls } : {}),
  });

  /** Whether the connection is encrypted. */
  async function encrypts(connection: Connection): Promise<boolean> {
    const database = new Database(storeOptions(connection));
    try {
      const { ssl } = await database.retried((sql) =>
        one<{ ssl: boolean }>(sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`),
      );
      return ssl;
    } finally {
      await database.close();
    }
  }

  /** A new backend may still see the old setting for a moment. */
  async function switchTls(isOn: boolean): Promise<void> {
    await using sql = connect(cluster.connection);
    await sql.unsafe(`alter system set ssl = ${isOn ? "on" : "off"}`);
    await sql`select pg_reload_conf()`;
    await until(
      "TLS is switched",
      async () => (await encrypts(at("127.0.0.1", "either", { mode: "prefer" }))) === isOn,
    );
  }

  const refused = async (connection: Connection): Promise<string> => {
    const error = await failure(encrypts(connection));
    expect(error).toMatchObject({ code: "unavailable" });
    return error.message;
  };

  test.each([
    ["disable", "either", false],
    ["allow", "either", false],
    ["allow", "safe", true],
    ["prefer", "either", true],
    ["prefer", "plain", false],
    ["require", "either", true],
  ] as const)("with sslmode=%s for a role like %s is used: %p", async (mode, user, isUsed) => {
    expect(await encrypts(at("127.0.0.1", user, { mode }))).toBe(isUsed);
  });

  test("that is found at the second try keeps its connection", async () => {
    const database = new Database(storeOptions(at("127.0.0.1", "safe", { mode: "allow" })));
    const backend = () => database.retried((sql) => one<{ pid: number }>(sql`select pg_backend_pid() as pid`));
    const first = await backend();
    for (let count = 0; count < 3; count += 1) expect(await backend()).toEqual(first);
    await database.close();
  });

  test("with verify-ca needs the right authority, and with verify-full the right name too", async () => {
    const [right, wrong] = [file("ca.crt"), file("other.crt")];
    expect(await encrypts(at("localhost", "either", { mode: "verify-full", rootCert: right }))).toBe(true);
    expect(await encrypts(at("127.0.0.1", "either", { mode: "verify-ca", rootCert: right }))).toBe(true);
    expect(await refused(at("127.0.0.1", "either", { mode: "verify-full", rootCert: right }))).toContain(
      "TLS: the server's certificate is for another name; use the name that is in it, or sslmode=verify-ca",
    );
    for (const tls of [
      { mode: "verify-full", rootCert: wrong },
      { mode: "verify-full", rootCert: "system" },
      { mode: "verify-full" },
      { mode: "verify-ca", rootCert: wrong },
      // As in libpq, a named authority is verified.
      { mode: "require", rootCert: wrong },
    ] as const)
      expect(await refused(at("localhost", "either", tls))).toMatch(/TLS: .*not accepted.*sslrootcert=FILE/);
  });

  test("shows a client's certificate, where a password is not asked for", async () => {
    const tls = { mode: "verify-full", rootCert: file("ca.crt") } as const;
    const own = { cert: file("client.crt"), key: file("client.key") };
    expect(await encrypts({ ...at("localhost", "certified", { ...tls, ...own }), password: "" })).toBe(true);
    expect(await refused(at("localhost", "certified", tls))).toContain("pg_hba.conf");
    const gone = at("localhost", "certified", { ...tls, ...own, key: file("gone.key") });
    expect(await refused(gone)).toContain(`the file of sslkey, ${file("gone.key")}, cannot be read (ENOENT)`);
  });

  test("that a server demands, or does not have, is named in the error", async () => {
    expect(await refused(at("127.0.0.1", "safe", { mode: "disable" }))).toContain("TLS");
    await switchTls(false);
    const without = await refused(at("127.0.0.1", "either", { mode: "require" }));
    expect(without).toContain("the server has no TLS");
    // With DEWEY_DB_HOST there is no address to write it into.
    expect(without).toContain("sslmode=disable in the address, or DEWEY_DB_SSLMODE=disable");
    await switchTls(true);
  });

  test("a password never crosses the network in cleartext without it", async () => {
    expect(await wantsCleartextPassword({ host: "127.0.0.1", port }, at("127.0.0.1", "clear"))).toBe(true);
    expect(await wantsCleartextPassword({ host: "127.0.0.1", port }, at("127.0.0.1", "either"))).toBe(false);
    expect(await wantsCleartextPassword({ host: "127.0.0.1", port: 1 }, at("127.0.0.1", "either"))).toBeUndefined();
    if (own === undefined) return;
    expect(await refused(at(own, "clear", { mode: "disable" }))).toContain("wants the password in cleartext");
    expect(await refused(at(own, "clear"))).toContain("wants the password in cleartext");
    expect(await encrypts(at(own, "clear", { mode: "require" }))).toBe(true);
    expect(await encrypts(at(own, "either", { mode: "disable" }))).toBe(false);
  });

  test.skipIf(own === undefined)("nor does it where the server was down when it was first asked", async () => {
    const away = freePort();
    const database = new Database(
      storeOptions({ ...at(own ?? "", "clear", { mode: "disable" }), port: away, password: "s3cret" }),
    );
    const call = () => failure(database.retried((sql) => sql`select`));
    expect(await call()).toMatchObject({ message: expect.stringContaining("nothing listens there") });
    let sent = "";
    const relay = createServer((client) => {
      const server = connectTo(port, "127.0.0.1");
      client.on("data", (bytes) => void (sent += bytes.toString("latin1"))).pipe(server);
      server.pipe(client);
      for (const [end, other] of [
        [client, server],
        [server, client],
      ] as const)
        end.on("error", () => other.destroy()).on("close", () => other.destroy());
    });
    await new Promise<void>((resolve) => void relay.listen(away, own, resolve));
    try {
      expect(await call()).toMatchObject({ message: expect.stringContaining("wants the password in cleartext") });
      expect(sent).toContain("clear");
      expect(sent).not.toContain("s3cret");
    } finally {
      await database.close();
      await new Promise((resolve) => relay.close(resolve));
    }
  });

  test("a password that is changed serves new connections, without a failed call", async () => {
    await using admin = connect(cluster.connection);
    await admin.unsafe("create role changing login password 'first'");
    let password = "first";
    const connection = { ...at("127.0.0.1", "changing"), password: () => password };
    const database = new Database(storeOptions(connection));
    const backend = () => database.retried((sql) => one<{ pid: number }>(sql`select pg_backend_pid() as pid`));
    const before = await backend();
    await admin.unsafe("alter role changing password 'second'");
    expect(await backend()).toEqual(before);
    password = "second";
    const calls = Array.from({ length: 30 }, backend);
    database.renew();
    expect(await Promise.all(calls)).toHaveLength(30);
    expect(await backend()).not.toEqual(before);
    password = "third";
    database.renew();
    expect(await failure(backend())).toMatchObject({
      message: expect.stringContaining("refuses Dewey's user or password"),
    });
    await database.close();
  });

  test("says where and why nothing answers", async () => {
    const away = freePort();
    expect(await refused({ ...at("127.0.0.1", "either"), port: away })).toContain(
      `cannot be reached (127.0.0.1:${away}: nothing listens there)`,
    );
    expect(await refused(at("name.invalid", "either"))).toContain(`name.invalid:${port}: this name is not known`);
    expect(await refused(at("/nowhere", "either"))).toContain("there is no such socket");
  });
});
