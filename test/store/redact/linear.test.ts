import { expect, test } from "bun:test";
import { createRedactor } from "../../../src/store/redact/redact.ts";
import { secretHeads } from "../../support/growth.ts";

const redactor = createRedactor();
/** A text of ten times the length may take this much longer: it would be a hundred times in quadratic time. */
const MOST_GROWTH = 40;
/** Times below this are noise, in ms of processor time. */
const NOISE_MS = 5;

/** Processor time, because other processes do not count. The best of some runs. */
function cpuMs(text: string, runs: number): number {
  const times = Array.from({ length: runs }, () => {
    const before = process.cpuUsage().user;
    redactor.text(text, {});
    return (process.cpuUsage().user - before) / 1000;
  });
  return Math.max(NOISE_MS, Math.min(...times));
}

const pieces = [
  "_-./@:=,<>|$~{}[]()\\\"'`? \n0aA&;#%!*".split(""),
  ["aA0", "a_", "a-", "a.", "a:", "a=", "a,", "a@", "a/", "a|", "\\n", "\\\\", 'a\\"', "'''", '"""'],
  [
    "password",
    "password=",
    "password: ",
    'password="',
    "password='",
    'password\\":\\"',
    '"password",',
    "the password is ",
  ],
  [
    '"password": [',
    "secrets: {",
    "password=a,",
    "password=a;b",
    "password=a&",
    '["password","',
    "password:\n  ",
    "tokens:\n- ",
  ],
  [
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\\n",
    "-----END PRIVATE KEY-----",
  ],
  ["Private-Lines: 99\n", "a://b:", "a://b", "://", "sk-", "sk-a-", "eyJ-", "eyJa.", "SG.a-", "AKIA", "ghp_", "ghp_a"],
  [
    "echo a | ",
    "echo a|",
    "\nh:1234:a:b:",
    "h:1234:a:b:c1c1c1",
    "-us1",
    `AC${"a1".repeat(16)}:`,
    "<key>token</key>",
    "[1,",
  ],
  [
    '"a1Bcdef" as password',
    "login a1-",
    "set -a ",
    'send "',
    'password\nsend "',
    "storePassword ",
    "token [None]: ",
    "key 1: ",
  ],
  ["user:a b ", "secret 0 a ", "requirepass a", "sqlplus a/", "token: ** ", "secretKey: [1,"],
  [
    "bearer b1",
    "Bearer ",
    "basic a",
    "key_",
    "token  ",
    "login a password ",
    "--password ",
    "-p ",
    "sshpass -p ",
    "curl -b ",
  ],
  [
    '"name": "password", ',
    '"value":"a",',
    " -u a:",
    "<password>",
    "<password ",
    "a-password.",
    "cookie: ",
    "cookie: a=b; ",
  ],
  [
    "Authorization: ",
    "API key: ",
    "a key ",
    "identified by ",
    'variable "password" ',
    "config set password ",
    "1:AA",
    "$6$",
  ],
  [
    "$2b$12$",
    "{SHA}",
    "8Q~",
    "x@y:",
    "| password |",
    "hooks.slack.com/",
    '"d":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",',
    "?key=",
    "?a=b&key=a",
  ],
  [
    "user,password\n",
    "| a | password |\n",
    "password,a,",
    "a;password;",
    "a\tpassword\t",
    "insert into a (password) values (",
    "insert into a (password) values ('a'),",
    "COPY a (password) FROM stdin;\n",
  ],
  [
    "\u001b[1m",
    "\\u001b[0m",
    "\u001b[1;1;1;",
    "kind: Secret\ndata:\n  a: b",
    "kind: Secret ",
    'kind: Secret "data": {',
    "data: ",
    "пароль: ",
    "密码：a1",
  ],
  [
    "login(",
    'login("a", "',
    "setPassword(",
    '.fill("',
    "password ||= ",
    'password: a || "',
    "password (a): ",
    "[secrets]\n",
    "secrets:\n  a: b\n",
    "password:\n",
    "password\n1) ",
    "@tcp(",
    "a:b@tcp(",
    "PSK ",
    "<<< ",
    "<- ",
    "pbkdf2_sha256$1$a$",
    "--name password --value ",
    "-u a -p ",
    '<a name="password">',
    "<td>password</td>",
    'name="password"\n\n',
  ],
].flat();

const signs = [...new Set(pieces.filter((piece) => piece.length <= 3))];

/** Measurements of a chain that seems to grow steeply: the best counts, so that a pause of the collector does not. */
const ATTEMPTS = 5;

/** The chains whose time grows faster than their length. */
function steep(chains: readonly { head: string; piece: string }[], [short, long]: [number, number]): string[] {
  const limit = (MOST_GROWTH * long) / (10 * short);
  return chains.flatMap(({ head, piece }) => {
    const text = (length: number) => head + piece.repeat(Math.ceil(length / piece.length));
    const before = cpuMs(text(short), 2);
    let growth = Infinity;
    for (let attempt = 0; attempt < ATTEMPTS && growth > limit; attempt += 1)
      growth = Math.min(growth, cpuMs(text(long), 1) / before);
    return growth > limit ? [`${JSON.stringify(head + piece)} ×${growth.toFixed(0)}`] : [];
  });
}

test("chains of every sign and word that begins something take time in proportion to their length", () => {
  const chains = pieces.map((piece) => ({ head: "", piece }));
  expect(steep(chains, [20_000, 200_000])).toEqual([]);
});

test("so do chains of every sign behind what begins a secret", () => {
  const chains = secretHeads.flatMap((head) => signs.map((piece) => ({ head, piece })));
  expect(steep(chains, [5000, 50_000])).toEqual([]);
});

test("five megabytes of underscores take a moment", () => {
  expect(cpuMs("_".repeat(5_000_000), 1)).toBeLessThan(2000);
});
