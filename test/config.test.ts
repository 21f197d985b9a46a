import { afterAll, describe, expect, spyOn, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import {
  clientConfig,
  connectConfig,
  foreignEnvironment,
  hookConfig,
  proxyConfig,
  reindexConfig,
  serveConfig,
  terminalConfig,
  unknownVariables,
} from "../src/config.ts";
import type { PostgresConfig } from "../src/database-config.ts";

const folder = mkdtempSync(join(tmpdir(), "dewey-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

const serve = (env: Record<string, string>, flags: Record<string, string | boolean> = {}) =>
  serveConfig({ env, flags });

function mistakes(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("the configuration was taken");
}

function secretFile(name: string, content: string): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

/** The password for each host. */
function passwords({ password, host, port, others = [], database, user }: PostgresConfig): (string | undefined)[] {
  return [{ host, port }, ...others].map((each) =>
    typeof password === "function" ? password({ ...each, database, user }) : password,
  );
}

describe("the server's configuration", () => {
  test("defaults to the embedded PostgreSQL on loopback", () => {
    expect(serve({})).toMatchObject({
      host: "127.0.0.1",
      port: 9020,
      database: { kind: "embedded" },
      minConnections: 1,
      maxConnections: 10,
      deadlineMs: 10_000,
      searchDeadlineMs: 5000,
      embeddings: undefined,
      trashDays: 30,
      logLevel: "info",
      token: undefined,
      allowedOrigins: [],
      allowedHosts: [],
      tls: undefined,
      redact: true,
      redactPatterns: {},
      contextWrites: "on",
      tools: "all",
      watch: true,
      searchLanguage: undefined,
    });
  });

  test("has every setting of its own", () => {
    const [tlsCert, tlsKey] = [secretFile("cert.pem", ""), secretFile("key.pem", "")];
    const patterns = secretFile("patterns.json", '{"ticket number":"T-\\\\d{6}"}');
    expect(
      serve({
        DEWEY_MCP_HOST: "::1",
        DEWEY_TLS_CERT: tlsCert,
        DEWEY_TLS_KEY: tlsKey,
        DEWEY_ALLOWED_ORIGINS: "https://a.example, https://b.example:8443,",
        DEWEY_DB_MIN_CONNECTIONS: "3",
        DEWEY_DB_MAX_CONNECTIONS: "3",
        DEWEY_DB_DEADLINE_SECONDS: "20",
        DEWEY_SEARCH_DEADLINE_SECONDS: "7",
        DEWEY_SEARCH_LANGUAGE: "german",
        DEWEY_TRASH_DAYS: "0",
        DEWEY_REDACT: "off",
        DEWEY_REDACT_PATTERNS: patterns,
        DEWEY_CONTEXT_WRITES: "off",
        DEWEY_TOOLS: "dewey_search, dewey_stats",
        DEWEY_WATCH: "off",
        DEWEY_DATA_DIR: "data",
        DEWEY_LOG_LEVEL: "debug",
      }),
    ).toEqual({
      host: "::1",
      port: 9020,
      token: undefined,
      allowedOrigins: ["https://a.example", "https://b.example:8443"],
      allowedHosts: [],
      tls: { certFile: tlsCert, keyFile: tlsKey },
      database: { kind: "embedded" },
      readReplica: undefined,
      minConnections: 3,
      maxConnections: 3,
      deadlineMs: 20_000,
      searchDeadlineMs: 7000,
      searchLanguage: "german",
      embeddings: undefined,
      trashDays: 0,
      redact: false,
      redactPatterns: { "ticket number": /T-\d{6}/ },
      contextWrites: "off",
      tools: ["dewey_search", "dewey_stats"],
      watch: false,
      dataDir: resolve("data"),
      logLevel: "debug",
    });
  });

  test("names a file of patterns that is not valid, with the reason", () => {
    for (const [text, reason] of [
      ["[]", "should be a JSON file of names and regular expressions"],
      ['{"a":1}', "should be a JSON file of names and regular expressions"],
      ['{"a":"("}', "regular expressions: a: Invalid regular expression"],
      ['{"a":"(?=x)"}', "a: it has a look-ahead or look-behind"],
      ['{"a":"x{501}"}', "a: it is too large"],
      ["{", "regular expressions: JSON"],
    ] as const)
      expect(mistakes(() => serve({ DEWEY_REDACT_PATTERNS: secretFile("wrong.json", text) }))).toContain(reason);
  });

  test("takes the names of hosts in any case, addresses too, and refuses what is no name", () => {
    const hosts = (value: string) => serve({ DEWEY_ALLOWED_HOSTS: value }).allowedHosts;
    expect(hosts(" Dewey.example , fd00::1,10.0.0.7,")).toEqual(["Dewey.example", "fd00::1", "10.0.0.7"]);
    for (const value of ["dewey.example:9020", "https://dewey.example", "a b", "*", "me@dewey"])
      expect([value, mistakes(() => hosts(value))]).toEqual([
        value,
        expect.stringContaining("DEWEY_ALLOWED_HOSTS should be names of hosts such as dewey.example.org"),
      ]);
  });

  test("prefers a flag to its variable", () => {
    expect(serve({ DEWEY_MCP_PORT: "1" }, { port: "2" }).port).toBe(2);
  });

  test("treats an empty variable as not set", () => {
    expect(serve({ DEWEY_DB_HOST: "", DEWEY_DB_PASSWORD: "", DEWEY_MCP_PORT: "" })).toMatchObject({
      port: 9020,
      database: { kind: "embedded" },
    });
  });

  test("names all mistakes at once, with each variable and its valid values", () => {
    const message = mistakes(() =>
      serve({ DEWEY_MCP_PORT: "many", DEWEY_LOG_LEVEL: "loud", DEWEY_TRASH_DAYS: "-1", DEWEY_ALLOWED_ORIGINS: "x" }),
    );
    expect(message).toContain('DEWEY_MCP_PORT should be a port number from 0 (any free port) to 65535, not "many"');
    expect(message).toContain("DEWEY_LOG_LEVEL should be one of debug, info, warn, error");
    expect(message).toContain("DEWEY_TRASH_DAYS should be a number of days");
    expect(message).toContain("DEWEY_ALLOWED_ORIGINS should be origins");
  });

  test("names the flag when the flag is wrong", () => {
    expect(mistakes(() => serve({}, { port: "70000" }))).toContain("--port should be a port number");
  });

  test("never prints a secret", () => {
    const message = mistakes(() => serve({ DEWEY_TOKEN: "s3cr et", DEWEY_DATABASE_URL: "mysql://u:s3cret@h/d" }));
    expect(message).toContain("DEWEY_TOKEN should be");
    expect(message).toContain("DEWEY_DATABASE_URL should be an address such as");
    expect(message).not.toContain("s3cr");
  });

  test("reads a secret from its file, without the line end", () => {
    expect(serve({ DEWEY_TOKEN_FILE: secretFile("token", "from-a-file\n") }).token).toBe("from-a-file");
  });

  test("treats an empty secret file as no secret", () => {
    expect(
      serve({ DEWEY_TOKEN_FILE: secretFile("none", ""), DEWEY_DB_PASSWORD_FILE: secretFile("none2", "\n") }),
    ).toMatchObject({ token: undefined, database: { kind: "embedded" } });
  });

  test("refuses a secret given twice, and a missing file", () => {
    const token = secretFile("twice", "a");
    expect(mistakes(() => serve({ DEWEY_TOKEN: "a", DEWEY_TOKEN_FILE: token }))).toContain("give one");
    // The unit names a file for each secret, and supplies an empty one where there is none.
    const empty = secretFile("empty", "\n");
    expect(serve({ DEWEY_TOKEN: "a", DEWEY_TOKEN_FILE: empty }).token).toBe("a");
    const address = { DEWEY_DATABASE_URL: "postgres://me@127.0.0.1/lib", DEWEY_DATABASE_URL_FILE: empty };
    expect(serve(address).database).toMatchObject({ kind: "server", host: "127.0.0.1" });
    expect(mistakes(() => serve({ DEWEY_TOKEN_FILE: join(folder, "missing") }))).toContain(
      "DEWEY_TOKEN_FILE should be a readable file",
    );
  });

  test("refuses to listen beyond loopback without a token, unless --no-auth is given", () => {
    expect(mistakes(() => serve({ DEWEY_MCP_HOST: "0.0.0.0" }))).toContain(
      "DEWEY_TOKEN is required to listen on 0.0.0.0",
    );
    expect(serve({ DEWEY_MCP_HOST: "0.0.0.0", DEWEY_TOKEN: "t" }).host).toBe("0.0.0.0");
    expect(serve({ DEWEY_MCP_HOST: "0.0.0.0" }, { "no-auth": true }).token).toBeUndefined();
  });

  test("refuses a certificate without its key", () => {
    const cert = secretFile("cert.pem", "x");
    expect(mistakes(() => serve({ DEWEY_TLS_CERT: cert }))).toContain(
      "DEWEY_TLS_CERT and DEWEY_TLS_KEY belong together",
    );
  });

  test("is frozen", () => {
    const config = serve({});
    expect(() => {
      (config as { port: number }).port = 1;
    }).toThrow();
  });
});

describe("the database's configuration", () => {
  test("a host needs no password, because a certificate or the system's user may be enough", () => {
    expect(serve({ DEWEY_DB_HOST: "/run/postgresql" }).database).toEqual({
      kind: "server",
      host: "/run/postgresql",
      port: 5432,
      database: "winni",
      user: "dewey",
    });
  });

  test("a password alone selects the prototype's host", () => {
    expect(serve({ DEWEY_DB_PASSWORD: "p" }).database).toEqual({
      kind: "server",
      host: "irina",
      port: 5432,
      database: "winni",
      user: "dewey",
      password: "p",
      tls: { mode: "verify-full" },
    });
  });

  test("an address is parsed, and its missing parts have defaults", () => {
    expect(serve({ DEWEY_DATABASE_URL: "postgres://me:p%40ss@db:5433/lib?sslmode=require" }).database).toEqual({
      kind: "server",
      host: "db",
      port: 5433,
      database: "lib",
      user: "me",
      password: "p@ss",
      tls: { mode: "require" },
    });
    expect(serve({ DEWEY_DATABASE_URL: "postgresql://db", DEWEY_DB_PASSWORD: "p" }).database).toMatchObject({
      port: 5432,
      database: "dewey",
      user: "dewey",
      password: "p",
      tls: { mode: "verify-full" },
    });
  });

  test("an address with an unknown parameter, an unknown mode or beside a host is refused", () => {
    expect(mistakes(() => serve({ DEWEY_DATABASE_URL: "postgres://u:p@db/l?pool=3" }))).toContain("the parameter pool");
    expect(mistakes(() => serve({ DEWEY_DATABASE_URL: "postgres://u:p@db/l?sslmode=on" }))).toContain(
      "DEWEY_DATABASE_URL has an unknown sslmode; give one of disable, allow, prefer, require, verify-ca, verify-full",
    );
    expect(mistakes(() => serve({ DEWEY_DATABASE_URL: "postgres://u:p%zz@db/l" }))).toContain(
      "should be an address such as",
    );
    expect(mistakes(() => serve({ DEWEY_DATABASE_URL: "postgres://u:p@db/l", DEWEY_DB_HOST: "other" }))).toContain(
      "give one",
    );
  });

  test("missing parts of a replica's address come from the primary", () => {
    const primary = { DEWEY_DATABASE_URL: "postgres://me:p@db:5433/lib?sslmode=require" };
    expect(serve({ ...primary, DEWEY_DB_READ_URL: "postgres://replica" }).readReplica).toEqual({
      host: "replica",
      port: 5432,
      database: "lib",
      user: "me",
      password: "p",
      tls: { mode: "require" },
    });
    const whole = "postgres://you:q@replica:5434/other?sslmode=disable";
    expect(serve({ ...primary, DEWEY_DB_READ_URL: whole }).readReplica).toMatchObject({
      port: 5434,
      database: "other",
      user: "you",
      password: "q",
      tls: { mode: "disable" },
    });
    expect(serve(primary).readReplica).toBeUndefined();
  });

  test("a replica without a primary, or with an invalid address, is refused and its address not printed", () => {
    const alone = mistakes(() => serve({ DEWEY_DB_READ_URL: "postgres://me:s3cret@replica" }));
    expect(alone).toContain("DEWEY_DB_READ_URL needs DEWEY_DATABASE_URL or DEWEY_DB_HOST");
    const wrong = mistakes(() => serve({ DEWEY_DB_PASSWORD: "p", DEWEY_DB_READ_URL: "http://me:s3cret@replica" }));
    expect(wrong).toContain("DEWEY_DB_READ_URL should be an address such as postgres://");
    expect(alone + wrong).not.toContain("s3cret");
  });

  test("a password with signs that are not escaped is no host, and is not printed", () => {
    for (const password of ["s3cret/rest", "s3cret?rest", "s3cret/re:st", "s3cret?a=b"]) {
      const told = mistakes(() => serve({ DEWEY_DATABASE_URL: `postgres://me:${password}@db/l` }));
      expect(told).toContain("DEWEY_DATABASE_URL should be an address such as postgres://");
      expect(told).toContain("as %2F");
      expect(told).not.toMatch(/s3cret|rest/);
    }
  });

  test("TLS is verified beyond this machine, and used on it where the server demands it, unless a mode is given", () => {
    const tls = (url: string, env: Record<string, string> = {}) =>
      serve({ DEWEY_DATABASE_URL: url, ...env }).database as { tls?: object };
    expect(tls("postgres://db/l").tls).toEqual({ mode: "verify-full" });
    expect(tls("postgres://localhost,127.0.0.1/l").tls).toEqual({ mode: "allow" });
    expect(tls("postgres://localhost,db/l").tls).toEqual({ mode: "verify-full" });
    expect(tls("postgres:///l?host=/run/postgresql").tls).toBeUndefined();
    const [root, cert, key] = ["root", "cert", "key"].map((name) => secretFile(`${name}.pem`, "x"));
    expect(tls(`postgres://db/l?sslmode=verify-ca&sslrootcert=${root}&sslcert=${cert}&sslkey=${key}`).tls).toEqual({
      mode: "verify-ca",
      rootCert: root,
      cert,
      key,
    });
    const own = { DEWEY_DB_SSLMODE: "require", DEWEY_DB_SSLROOTCERT: "system", PGSSLMODE: "disable" };
    expect(tls("postgres://db/l", own).tls).toEqual({ mode: "require", rootCert: "system" });
    expect(tls("postgres://db/l", { PGSSLMODE: "disable" }).tls).toEqual({ mode: "disable" });
    expect(mistakes(() => tls(`postgres://db/l?sslcert=${cert}`))).toContain("needs sslcert and sslkey together");
    expect(mistakes(() => tls("postgres://db/l?sslrootcert=/nowhere.pem"))).toContain(
      "/nowhere.pem, which does not exist",
    );
    expect(mistakes(() => serve({ DEWEY_DB_HOST: "db", DEWEY_DB_SSLMODE: "on" }))).toContain(
      "DEWEY_DB_SSLMODE should be one of",
    );
  });

  test("of several hosts, the one that takes writes is meant unless the address says otherwise", () => {
    expect(
      serve({ DEWEY_DATABASE_URL: "postgres://me@a,b:5433,[::1]:5434/l?target_session_attrs=primary" }).database,
    ).toMatchObject({
      host: "a",
      port: 5432,
      others: [
        { host: "b", port: 5433 },
        { host: "::1", port: 5434 },
      ],
      target: "primary",
    });
    expect(serve({ DEWEY_DB_HOST: "a,b:5433", DEWEY_DB_PORT: "6000" }).database).toMatchObject({
      host: "a",
      port: 6000,
      others: [{ host: "b", port: 5433 }],
      target: "read-write",
    });
    const wrong = (url: string) => mistakes(() => serve({ DEWEY_DATABASE_URL: url }));
    expect(wrong("postgres://a,b/l?target_session_attrs=standby")).toContain("but Dewey writes; give read-write");
    expect(wrong("postgres://a,b/l?target_session_attrs=leader")).toContain("give one of any, read-write");
    expect(wrong("postgres://a:0,b/l")).toContain("has the port 0; give one from 1 to 65535");
    const replicas = {
      DEWEY_DATABASE_URL: "postgres://a/l",
      DEWEY_DB_READ_URL: "postgres://b,c?target_session_attrs=standby",
    };
    expect(serve(replicas).readReplica).toMatchObject({
      host: "b",
      others: [{ host: "c", port: 5432 }],
      target: "standby",
    });
  });

  test("what an address leaves out comes from Dewey's settings, then from libpq's variables and file of passwords", () => {
    const libpq = {
      PGHOST: "/sockets",
      PGPORT: "6432",
      PGUSER: "ann",
      PGDATABASE: "books",
      PGPASSWORD: "q",
      PGAPPNAME: "lib",
    };
    expect(serve(libpq).database).toEqual({ kind: "embedded" });
    expect(serve({ ...libpq, DEWEY_DATABASE_URL: "postgres://" }).database).toEqual({
      kind: "server",
      host: "/sockets",
      port: 6432,
      user: "ann",
      database: "books",
      password: "q",
      applicationName: "lib",
    });
    const own = { DEWEY_DB_PORT: "1", DEWEY_DB_USER: "bo", DEWEY_DB_NAME: "maps", DEWEY_DB_PASSWORD: "r" };
    expect(
      serve({ ...libpq, ...own, DEWEY_DATABASE_URL: "postgres:///?host=/other&application_name=x" }).database,
    ).toMatchObject({
      host: "/other",
      port: 1,
      user: "bo",
      database: "maps",
      password: "r",
      applicationName: "x",
    });
    const file = secretFile("pgpass", "# of a team\nother:5432:*:*:no\ndb:*:lib:me:pa\\:ss\n*:*:*:*:any\n");
    chmodSync(file, 0o600);
    const passwordAt = (url: string) =>
      passwords(serve({ PGPASSFILE: file, DEWEY_DATABASE_URL: url }).database as PostgresConfig)[0];
    expect(passwordAt("postgres://me@db/lib")).toBe("pa:ss");
    expect(passwordAt("postgres://me@db/else")).toBe("any");
    expect(passwordAt("postgres://me:own@db/lib")).toBe("own");
    chmodSync(file, 0o644);
    expect(passwordAt("postgres://me@db/lib")).toBeUndefined();
  });

  test("each of several hosts has its own password in libpq's file, and so has the replica", () => {
    const file = secretFile("pgpass-of-hosts", "a:5432:lib:me:of a\nb:5433:lib:me:of b\nlocalhost:*:*:*:of here\n");
    chmodSync(file, 0o600);
    const urls = { PGPASSFILE: file, DEWEY_DATABASE_URL: "postgres://me@x,a,b:5433/lib?host=/run" };
    expect(passwords(serve(urls).database as PostgresConfig)).toEqual([undefined, "of a", "of b", "of here"]);
    const withReplica = (url: string) =>
      serve({ ...urls, DEWEY_DATABASE_URL: "postgres://me@a/lib", DEWEY_DB_READ_URL: url });
    expect(passwords(withReplica("postgres://b:5433").readReplica as PostgresConfig)).toEqual(["of b"]);
    expect(passwords(withReplica("postgres://else").readReplica as PostgresConfig)).toEqual(["of a"]);
    writeFileSync(file, "a:5432:lib:me:changed\n");
    const { database } = serve({ PGPASSFILE: file, DEWEY_DATABASE_URL: "postgres://me@a/lib" });
    rmSync(file);
    expect(passwords(database as PostgresConfig)).toEqual(["changed"]);
  });

  test("a setting's file that is a pipe is refused at once, since reading it may never end", () => {
    const pipe = join(folder, "pipe");
    Bun.spawnSync(["mkfifo", pipe]);
    for (const name of ["DEWEY_TOKEN_FILE", "DEWEY_DB_PASSWORD_FILE", "DEWEY_DATABASE_URL_FILE"])
      expect(mistakes(() => serve({ [name]: pipe }))).toContain(`${name} should be a regular file`);
    expect(mistakes(() => serve({ DEWEY_REDACT_PATTERNS: pipe }))).toContain("should be a JSON file");
    const asked = serve({ PGPASSFILE: pipe, DEWEY_DATABASE_URL: "postgres://me@db/lib" }).database as PostgresConfig;
    expect(asked.password).toBeUndefined();
  });

  test("a password in a file is that of the file as it is now", () => {
    for (const [name, content] of [
      ["DEWEY_DB_PASSWORD_FILE", (password: string) => `${password}\n`],
      ["DEWEY_DATABASE_URL_FILE", (password: string) => `postgres://me:${password}@db/lib`],
    ] as const) {
      const file = secretFile("rotated", content("before"));
      const config = serve({ [name]: file }).database as PostgresConfig;
      const now = () => passwords(config)[0];
      expect(now()).toBe("before");
      writeFileSync(file, content("after"));
      expect(now()).toBe("after");
      rmSync(file);
      expect(now()).toBe("after");
    }
  });

  test("an endpoint's key in a file is that of the file as it is now, when it is one", () => {
    const file = secretFile("key", "before\n");
    const url = { DEWEY_EMBEDDINGS_URL: "http://localhost:1/v1", DEWEY_EMBEDDINGS_MODEL: "m" };
    const { embeddings } = serve({ ...url, DEWEY_EMBEDDINGS_KEY_FILE: file });
    const now = () => (typeof embeddings?.key === "function" ? embeddings.key() : undefined);
    expect(now()).toBe("before");
    writeFileSync(file, "after\n");
    expect(now()).toBe("after");
    writeFileSync(file, "two words\n");
    expect(now()).toBe("after");
    rmSync(file);
    expect(now()).toBe("after");
    expect(serve({ ...url, DEWEY_EMBEDDINGS_KEY: "given" }).embeddings?.key).toBe("given");
  });

  test("a minimum of connections above the maximum is refused", () => {
    expect(mistakes(() => serve({ DEWEY_DB_MIN_CONNECTIONS: "9", DEWEY_DB_MAX_CONNECTIONS: "3" }))).toContain(
      "DEWEY_DB_MIN_CONNECTIONS should not be more",
    );
  });
});

describe("the proxy's configuration", () => {
  test("defaults to the prototype's ports and a spool in the data folder", () => {
    expect(proxyConfig({ env: { DEWEY_DATA_DIR: "/data" }, flags: {} })).toMatchObject({
      host: "127.0.0.1",
      port: 9000,
      url: "ws://localhost:9020",
      spool: { folder: "/data/spool", limits: { bytes: 20e9, ageMs: 60 * 86_400_000 }, sync: false },
      configFile: undefined,
    });
  });

  test("requires a WebSocket address for the server", () => {
    expect(mistakes(() => clientConfig({ env: { DEWEY_URL: "http://localhost:9020" }, flags: {} }))).toContain(
      "DEWEY_URL should be",
    );
  });
});

test("other programs get the environment without Dewey's settings", () => {
  expect(foreignEnvironment({ PATH: "/bin", DEWEY_TOKEN: "t", DEWEY_ANYTHING: "x", GONE: undefined })).toEqual({
    PATH: "/bin",
  });
});

test("a misspelt variable is noticed", () => {
  expect(unknownVariables({ DEWEY_DB_HSOT: "x", DEWEY_TOKEN_FILE: "y", DEWEY_URL: "z", HOME: "/" })).toEqual([
    "DEWEY_DB_HSOT",
  ]);
});

describe("a command's configuration", () => {
  const env = { DEWEY_DATA_DIR: "/data", DEWEY_TOKEN: "t", DEWEY_LOG_LEVEL: "warn" };
  const url = "ws://localhost:9020";

  test("of a client is the server's address, the token, the data folder and the log level", () => {
    expect(clientConfig({ env, flags: {} })).toEqual({ url, token: "t", dataDir: "/data", logLevel: "warn" });
    expect(reindexConfig({ env, flags: { "search-language": "german" } })).toEqual({
      url,
      token: "t",
      dataDir: "/data",
      logLevel: "warn",
      language: "german",
    });
  });

  test("of hooks has a spool in the data folder, or elsewhere", () => {
    expect(hookConfig({ env, flags: {} })).toEqual({
      url,
      token: "t",
      logLevel: "warn",
      dataDir: "/data",
      spoolDir: "/data/spool",
      digest: true,
    });
    expect(hookConfig({ env: { ...env, DEWEY_DIGEST: "off" }, flags: {} }).digest).toBe(false);
    expect(hookConfig({ env: { ...env, DEWEY_SPOOL_DIR: "/spool" }, flags: {} }).spoolDir).toBe("/spool");
  });

  test("of connect has only what is no default", () => {
    const none = { url: undefined, spoolDir: undefined };
    const server = { url: "ws://localhost:9020", token: undefined };
    const { backupDir, ...rest } = connectConfig({ env: {}, flags: {} });
    expect(rest).toEqual({ ...none, dataDir: undefined, server });
    expect(backupDir).toEndWith("/dewey/before-dewey");
    const given = { DEWEY_TOKEN: "t", DEWEY_DATA_DIR: "/data" };
    expect(connectConfig({ env: given, flags: { url: "ws://other" } })).toEqual({
      dataDir: "/data",
      backupDir: "/data/before-dewey",
      ...none,
      url: "ws://other",
      server: { url: "ws://other", token: "t" },
    });
  });
});

test("the data folder is root's state folder, or follows XDG for another user", () => {
  const dataDir = (env: Record<string, string>) => hookConfig({ env, flags: {} }).dataDir;
  const getuid = spyOn(process, "getuid");
  try {
    getuid.mockReturnValue(0);
    expect(dataDir({ HOME: "/home/clio" })).toBe("/var/lib/dewey");
    getuid.mockReturnValue(1000);
    expect(dataDir({ HOME: "/home/clio" })).toBe("/home/clio/.local/share/dewey");
    expect(dataDir({ HOME: "/home/clio", XDG_DATA_HOME: "/xdg" })).toBe("/xdg/dewey");
  } finally {
    getuid.mockRestore();
  }
});

test("the terminal's conventions come from the variables that all programs share", () => {
  expect(terminalConfig({})).toEqual({ colour: true, pager: undefined, editor: "vi" });
  expect(terminalConfig({ NO_COLOR: "", PAGER: "less", EDITOR: "nano" })).toEqual({
    colour: true,
    pager: "less",
    editor: "nano",
  });
  expect(terminalConfig({ NO_COLOR: "1", VISUAL: "code", EDITOR: "nano" })).toMatchObject({
    colour: false,
    editor: "code",
  });
  expect(terminalConfig({ TERM: "dumb" }).colour).toBe(false);
});
