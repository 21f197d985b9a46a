/**
 * Secrets in the forms in which programs print them, with values drawn from a seed: only the form is known. They are
 * assembled at run time so that no scanner takes this file for a leak.
 */
export interface SecretText {
  /** The class of the form. */
  kind: string;
  text: string;
  /** None of these may be left. */
  secrets: string[];
}

const UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER = "abcdefghijklmnopqrstuvwxyz";
const DIGITS = "0123456789";
const ALNUM = UPPER + LOWER + DIGITS;

/** Draws values; the same seed gives the same ones. */
export class Draw {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }

  of<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }

  from(characters: string, length: number): string {
    return Array.from({ length }, () => characters[this.below(characters.length)]).join("");
  }

  hex = (length: number) => this.from(`${DIGITS}abcdef`, length);
  alnum = (length: number) => this.from(ALNUM, length);
  word = (length: number) => this.from(`${ALNUM}_-`, length - 2) + this.alnum(2);
  capital = (length: number) => this.from(UPPER + DIGITS, length);
  digits = (length: number) => this.from("123456789", 1) + this.from(DIGITS, length - 1);
  base64 = (length: number) => this.from(`${ALNUM}+/`, length);
  uuid = () => [8, 4, 4, 4, 12].map((length) => this.hex(length)).join("-");
  /** As people choose them: a word with a number or a sign. */
  chosen = () =>
    `${this.of(["Summer", "hunter", "dragon", "Berlin", "monkey", "Coffee", "tulip"])}${this.of(["!", "", "#", "-"])}${this.digits(2 + this.below(3))}`;
  /** A plain word. */
  plain = () => this.of(["swordfish", "butterfly", "rosebud", "opensesame", "sunshine", "trustnoone", "winterfell"]);
  lines = (count: number) => Array.from({ length: count }, () => this.base64(64));
}

const join = (...parts: string[]) => parts.join("");
const dashes = "-----";
const begin = (name: string) => join(dashes, "BEGIN ", name, dashes);
const end = (name: string) => join(dashes, "END ", name, dashes);

type Shape = (draw: Draw) => { text: string; secrets: string[] };
const one =
  (make: (draw: Draw) => string, around: (secret: string) => string): Shape =>
  (draw) => {
    const secret = make(draw);
    return { text: around(secret), secrets: [secret] };
  };

/** A key in PEM, and its lines decorated. */
const pem =
  (name: string, around: (lines: string[]) => string): Shape =>
  (draw) => {
    const body = [...draw.lines(5), draw.base64(32)];
    return { text: around([begin(name), ...body, end(name)]), secrets: body.slice(1, -1) };
  };

const privateKeys: Shape[] = [
  pem(join("RSA PRIVATE ", "KEY"), (lines) => lines.join("\n")),
  pem(join("PRIVATE ", "KEY"), (lines) => lines.join("\r\n")),
  pem(join("EC PRIVATE ", "KEY"), (lines) => lines.map((line, at) => `${`${at + 1}`.padStart(6)}→${line}`).join("\n")),
  pem(join("OPENSSH PRIVATE ", "KEY"), (lines) =>
    lines.map((line, at) => `${`${at + 1}`.padStart(6)}\t${line}`).join("\n"),
  ),
  pem(join("OPENSSH PRIVATE ", "KEY"), (lines) => lines.map((line, at) => `${at + 10}: ${line}`).join("\n")),
  pem(join("PRIVATE ", "KEY"), (lines) => lines.map((line, at) => `${at + 1} | ${line}`).join("\n")),
  pem(join("PRIVATE ", "KEY"), (lines) => lines.map((line) => `+${line}`).join("\n")),
  pem(join("PRIVATE ", "KEY"), (lines) => lines.map((line) => `-${line}`).join("\n")),
  pem(join("PRIVATE ", "KEY"), (lines) => lines.map((line) => `> ${line}`).join("\n")),
  pem(join("PRIVATE ", "KEY"), (lines) => lines.map((line) => `> > ${line}`).join("\n")),
  pem(
    join("PRIVATE ", "KEY"),
    (lines) => `tls:\n  key: |\n${lines.map((line) => `    ${line}`).join("\n")}\n  port: 443`,
  ),
  pem(join("PRIVATE ", "KEY"), (lines) =>
    JSON.stringify({ type: "service_account", private_key: `${lines.join("\n")}\n` }),
  ),
  pem(join("PRIVATE ", "KEY"), (lines) => JSON.stringify({ text: JSON.stringify({ private_key: lines.join("\n") }) })),
  pem(join("PRIVATE ", "KEY"), (lines) => lines.map((line) => `  "${line}\\n" +`).join("\n")),
  pem(join("PRIVATE ", "KEY"), (lines) => lines.map((line) => `'${line}',`).join("\n")),
  pem(join("PRIVATE ", "KEY"), (lines) => lines.map((line) => `// ${line}`).join("\n")),
  pem(join("PRIVATE ", "KEY"), (lines) => lines.map((line) => `# ${line}`).join("\n")),
  pem(join("PRIVATE ", "KEY"), (lines) => `KEY="${lines.join(" ")}"`),
  pem(join("PRIVATE ", "KEY"), (lines) => lines.join("\n").slice(0, 250)),
  pem(join("PGP PRIVATE ", "KEY BLOCK"), (lines) =>
    [lines[0], "", ...lines.slice(1, -1), "=aB3d", lines.at(-1)].join("\n"),
  ),
  pem(join("RSA PRIVATE ", "KEY"), (lines) =>
    [lines[0], "Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,12AB", "", ...lines.slice(1)].join("\n"),
  ),
  (draw) => {
    const body = draw.lines(4);
    const name = join("SSH2 ENCRYPTED PRIVATE ", "KEY");
    return { text: `the key:\n---- BEGIN ${name} ----\n${body.join("\n")}\n---- END ${name} ----`, secrets: body };
  },
  (draw) => {
    const body = draw.lines(4);
    return {
      text: `PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: me\nPublic-Lines: 1\n${draw.base64(64)}\nPrivate-Lines: 4\n${body.join("\n")}\nPrivate-MAC: ${draw.hex(64)}`,
      secrets: body,
    };
  },
  one(
    (draw) => `${draw.base64(43)}=`,
    (s) => `[Interface]\nPrivateKey = ${s}\nAddress = 10.0.0.2/32`,
  ),
  one(
    (draw) => `${draw.base64(43)}=`,
    (s) => `[Peer]\nPublicKey = x\nPresharedKey = ${s}`,
  ),
  one(
    (draw) => btoa(`${begin(join("RSA PRIVATE ", "KEY"))}\n${draw.lines(4).join("\n")}`),
    (s) => `users:\n- name: me\n  user:\n    client-key-data: ${s}`,
  ),
  one(
    (draw) => btoa(`${begin(join("PRIVATE ", "KEY"))}\n${draw.lines(4).join("\n")}`),
    (s) => `data:\n  tls.crt: TElO\n  tls.key: ${s}`,
  ),
  one(
    (draw) => join("AGE-SECRET-", "KEY-1", draw.capital(58)),
    (s) => `# public key: age1x\n${s}`,
  ),
  one(
    (draw) => draw.word(86),
    (s) => `{"kty":"EC","crv":"P-256","d":"${s}","x":"abc"}`,
  ),
];

const hashes: Shape[] = [
  one(
    (draw) => `$6$${draw.alnum(8)}$${draw.from(`${ALNUM}./`, 86)}`,
    (s) => `root:${s}:19700:0:99999:7:::`,
  ),
  one(
    (draw) => `$y$j9T$${draw.alnum(22)}$${draw.from(`${ALNUM}./`, 43)}`,
    (s) => `ann:${s}:19700:0:99999:7:::`,
  ),
  one(
    (draw) => `$apr1$${draw.alnum(8)}$${draw.from(`${ALNUM}./`, 22)}`,
    (s) => `ann:${s}`,
  ),
  one(
    (draw) => `$2y$10$${draw.from(`${ALNUM}./`, 53)}`,
    (s) => `ann:${s}`,
  ),
  one(
    (draw) => `$2b$12$${draw.from(`${ALNUM}./`, 53)}`,
    (s) => `INSERT INTO users VALUES (1, 'ann', '${s}');`,
  ),
  one(
    (draw) => `{SHA}${draw.base64(27)}=`,
    (s) => `ann:${s}`,
  ),
  one(
    (draw) => `$argon2id$v=19$m=65536,t=3,p=4$${draw.base64(22)}$${draw.base64(43)}`,
    (s) => `"hash": "${s}"`,
  ),
];

const chosenNames = [
  "password",
  "DB_PASS",
  "MYSQL_ROOT_PASSWORD",
  "db_password",
  "smtpPassword",
  "PGPASSWORD",
  "passwd",
  "admin.password",
  "spring.datasource.password",
  "redis-password",
  "LDAP_BIND_PW",
  "KEYSTORE_PASSPHRASE",
  "user_pwd",
];
const keyNames = [
  "api_key",
  "OPENAI_KEY",
  "STRIPE_SECRET",
  "clientSecret",
  "ACCESS_TOKEN",
  "githubToken",
  "X-Api-Key",
  "aws_secret_access_key",
  "jwt_secret",
  "ENCRYPTION_KEY",
  "sessionSecret",
  "SLACK_SIGNING_SECRET",
  "DATADOG_API_KEY",
  "authToken",
  "SECRET_KEY_BASE",
];
const named = (draw: Draw): [string, string] =>
  draw.below(2) === 0 ? [draw.of(chosenNames), draw.chosen()] : [draw.of(keyNames), draw.alnum(24 + draw.below(20))];
const setting =
  (around: (name: string, value: string, draw: Draw) => string): Shape =>
  (draw) => {
    const [name, value] = named(draw);
    return { text: around(name, value, draw), secrets: [value] };
  };
const settings: Shape[] = [
  setting((n, v) => `${n}=${v}`),
  setting((n, v) => `export ${n}="${v}"`),
  setting((n, v) => `NODE_ENV=production\n${n}='${v}'\nPORT=80`),
  setting((n, v) => `${n}: ${v}`),
  setting((n, v) => `  ${n}: "${v}"\n  port: 5432`),
  setting((n, v) => `${n} = "${v}"`),
  setting((n, v) => JSON.stringify({ [n]: v, port: 1 })),
  setting((n, v) => JSON.stringify({ [n]: v, port: 1 }, null, 2)),
  setting((n, v) => JSON.stringify({ text: JSON.stringify({ [n]: v }) })),
  setting((n, v) => JSON.stringify({ text: JSON.stringify({ text: JSON.stringify({ [n]: v }) }) })),
  setting((n, v) => `{'${n}': '${v}', 'x': None}`),
  setting((n, v) => `'${n}' => '${v}',`),
  setting((n, v) => `process.env.${n.replaceAll(/[^A-Za-z_]/g, "_")} = "${v}";`),
  setting((n, v) => `os.environ["${n}"] = "${v}"`),
  setting((n, v) => `const ${n.replaceAll(/[^A-Za-z_]/g, "_")}: string = "${v}";`),
  setting((n, v) => `String ${n.replaceAll(/[^A-Za-z_]/g, "_")} = "${v}";`),
  setting((n, v) => `${n.replaceAll(/[^A-Za-z_]/g, "_")} := "${v}"`),
  setting((n, v) => `[database]\nhost = db\n${n} = ${v}\n`),
  setting((n, v) => `- name: ${n}\n  value: ${v}`),
  setting((n, v) => `{"name":"${n}","value":"${v}"}`),
  setting((n, v) => `{"value":"${v}","name":"${n}"}`),
  setting((n, v) => `{"key": "${n}", "value": "${v}", "type": "text"}`),
  setting((n, v) => `<add key="${n}" value="${v}" />`),
  setting((n, v) => `<${n.replaceAll(/[^A-Za-z_]/g, "_")}>${v}</${n.replaceAll(/[^A-Za-z_]/g, "_")}>`),
  setting((n, v) => `<property name="${n}" value="${v}"/>`),
  setting((n, v) => `ENV ${n}=${v}`),
  setting((n, v) => `docker run -e ${n}=${v} postgres`),
  setting((n, v) => `+${n}=${v}`),
  setting((n, v) => `   12→${n}=${v}`),
  setting((n, v) => `> ${n}: ${v}`),
  setting((n, v) => `("${n}", "${v}")`),
  setting((n, v) => `["${n}","${v}"]`),
  setting((n, v) => `variable "${n}" {\n  type    = string\n  default = "${v}"\n}`),
  setting((n, v) => `setx ${n} ${v}`),
  setting((n, v) => `$env:${n} = "${v}"`),
  setting((n, v) => `heroku config:set ${n}=${v} --app x`),
  setting((n, v) => `${n}=${v}&user=ann`),
  setting((n, v) => `{"content":[{"type":"text","text":"${n}=${v}\\nPORT=80"}]}`),
  setting((n, v) => `${n}: >-\n  ${v}\n`),
  one(
    (draw) => draw.plain(),
    (s) => `MYSQL_ROOT_PASSWORD=${s}`,
  ),
  one(
    (draw) => draw.plain(),
    (s) => `POSTGRES_PASSWORD: ${s}\n`,
  ),
  one(
    (draw) => draw.plain(),
    (s) => `DB_PASS=${s}`,
  ),
  one(
    (draw) => draw.plain(),
    (s) => `mysql -u root -p${s} app`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `mysqldump -h db -u root -p${s} app > x.sql`,
  ),
  one(
    (draw) => draw.plain(),
    (s) => `sshpass -p ${s} ssh root@host`,
  ),
  one(
    (draw) => draw.plain(),
    (s) => `$ backup --user ann --password ${s} --all`,
  ),
  one(
    (draw) => draw.plain(),
    (s) => `["tool", "--password", "${s}"]`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `{"command":"tool","args":["--db-password","${s}","-v"]}`,
  ),
  one(
    (draw) => draw.alnum(30),
    (s) => `args:\n  - --api-key\n  - ${s}\n`,
  ),
  one(
    (draw) => draw.alnum(30),
    (s) => `tool --token ${s} run`,
  ),
  one(
    (draw) => draw.alnum(30),
    (s) => `tool --token=${s} run`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `docker login -u ann -p ${s} registry.example.org`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `redis-cli -h cache -a ${s} ping`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `curl -u ann:${s} https://example.org`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `curl --user "ann:${s}" https://example.org`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `["curl","-u","ann:${s}","https://example.org"]`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `wget --http-password=${s} https://example.org/x`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `CREATE USER ann WITH PASSWORD '${s}';`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `ALTER USER 'ann'@'%' IDENTIFIED BY '${s}';`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `machine example.org\n  login ann\n  password ${s}\n`,
  ),
  one(
    (draw) => draw.plain(),
    (s) => `machine example.org login ann password ${s}`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `the password is ${s}`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `Your password is: ${s}`,
  ),
  one(
    (draw) => btoa(`ann:${draw.alnum(20)}`),
    (s) => `//registry.npmjs.org/:_auth=${s}`,
  ),
  one(
    (draw) => draw.uuid(),
    (s) => `//registry.npmjs.org/:_authToken=${s}`,
  ),
  one(
    (draw) => btoa(draw.chosen()),
    (s) => `//npm.example.org/:_password="${s}"`,
  ),
  one(
    (draw) => btoa(`ann:${draw.plain()}`),
    (s) => `{"auths":{"https://index.docker.io/v1/":{"auth":"${s}"}}}`,
  ),
  one(
    (draw) => draw.word(60),
    (s) => `{"auths":{"x.azurecr.io":{"identitytoken":"${s}"}}}`,
  ),
  one(
    (draw) => draw.uuid(),
    (s) => `HEROKU_API_KEY=${s}`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `Server=db;Database=app;User Id=sa;Password=${s};Encrypt=true`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `host=db port=5432 user=app password=${s} dbname=app`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `jdbc:mysql://db:3306/app?user=root&password=${s}`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `| DB_PASSWORD | ${s} |`,
  ),
  one(
    (draw) => `${draw.base64(86)}==`,
    (s) => `DefaultEndpointsProtocol=https;AccountName=x;AccountKey=${s};EndpointSuffix=core`,
  ),
  one(
    (draw) => `${draw.base64(43)}=`,
    (s) => `Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=${s}`,
  ),
  one(
    (draw) => draw.digits(8),
    (s) => `{"password": ${s}}`,
  ),
  one(
    (draw) => draw.digits(6),
    (s) => `password: ${s}`,
  ),
  one(
    (draw) => draw.digits(6),
    (s) => `{"pin": "${s}"}`,
  ),
  one(
    (draw) => draw.alnum(30),
    (s) => `{"tokens": ["${s}"]}`,
  ),
  one(
    (draw) => draw.alnum(30),
    (s) => `api_keys:\n  [${s}]`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `{"password": {"db": "${s}"}}`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `{"secrets": [{"db": "${s}"}]}`,
  ),
  one(
    (draw) => draw.alnum(32),
    (s) => `API key: ${s}`,
  ),
  one(
    (draw) => draw.alnum(40),
    (s) => `Secret Access Key: ${s}`,
  ),
  one(
    (draw) => draw.alnum(32),
    (s) => `{"session_id": "${s}"}`,
  ),
];

const generated = (draw: Draw) => draw.alnum(32 + draw.below(10));
const headers: Shape[] = [
  one(generated, (s) => `Authorization: Bearer ${s}`),
  one(generated, (s) => `curl -H "Authorization: Bearer ${s}" https://example.org`),
  one(generated, (s) => `["authorization","Bearer ${s}"]`),
  one(generated, (s) => `[["accept","*/*"],["x-api-key","${s}"]]`),
  one(generated, (s) => `["Host","example.org","X-Auth-Token","${s}"]`),
  one(generated, (s) => `{"name":"Authorization","value":"Bearer ${s}"}`),
  one(generated, (s) => `{"headers":{"PRIVATE-TOKEN":"${s}"}}`),
  one(generated, (s) => `> x-api-key: ${s}`),
  one(generated, (s) => `Authorization: Token token="${s}"`),
  one(generated, (s) => `authorization: ${s}`),
  one(
    (draw) => btoa(`ann:${draw.plain()}`),
    (s) => `Authorization: Basic ${s}`,
  ),
  one(
    (draw) => btoa(`ann:${draw.plain()}`),
    (s) => `["Authorization","Basic ${s}"]`,
  ),
  one(
    (draw) => btoa(`root:${draw.plain()}`),
    (s) => `{"Authorization": "Basic ${s}"}`,
  ),
  one(
    (draw) => btoa(`:${draw.alnum(30)}`),
    (s) => `git -c http.extraheader="AUTHORIZATION: basic ${s}" fetch`,
  ),
  one(
    (draw) => draw.hex(64),
    (s) =>
      `Authorization: AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=${s}`,
  ),
  one(generated, (s) => `Cookie: theme=dark; session=${s}`),
  one(generated, (s) => `Cookie: lang=de; theme=dark; sid=${s}; x=1`),
  one(generated, (s) => `{"Cookie": "a=b; auth=${s}"}`),
  one(generated, (s) => `["cookie","theme=dark; connect.sid=${s}"]`),
  one(generated, (s) => `Set-Cookie: token=${s}; Path=/; HttpOnly; Secure`),
  one(generated, (s) => `curl -b 'session=${s}' https://example.org`),
  one(generated, (s) => `curl --cookie "theme=x; sessionid=${s}" https://example.org`),
  one(generated, (s) => `set-cookie: PHPSESSID=${s}; path=/`),
  (draw) => {
    const [a, b] = [draw.alnum(32), draw.hex(40)];
    return { text: `Cookie: sid=${a}; csrftoken=${b}`, secrets: [a, b] };
  },
];

const addresses: Shape[] = [
  one(
    (draw) => draw.chosen(),
    (s) => `postgres://app:${s}@db:5432/app`,
  ),
  one(
    (draw) => draw.plain(),
    (s) => `mongodb+srv://app:${s}@cluster0.example.net/app`,
  ),
  one(
    (draw) => draw.chosen(),
    (s) => `redis://:${s}@cache:6379/0`,
  ),
  one(
    (draw) => `${draw.chosen()}/x`,
    (s) => `postgres://app:${s}@db:5432/app`,
  ),
  one(
    (draw) => draw.alnum(24),
    (s) => `https://${s}@git.example.org/x.git`,
  ),
  one(
    (draw) => draw.hex(64),
    (s) => `https://b.s3.amazonaws.com/k?X-Amz-Date=1&X-Amz-Signature=${s}`,
  ),
  one(
    (draw) => `${draw.alnum(42)}%3D`,
    (s) => `https://x.blob.core.windows.net/o?sv=1&sig=${s}&se=2`,
  ),
  one(
    (draw) => draw.alnum(40),
    (s) => `https://example.org/cb?code=${s}&state=1`,
  ),
  one(
    (draw) => draw.alnum(40),
    (s) => `GET /v1/items?access_token=${s} HTTP/1.1`,
  ),
  one(
    (draw) => draw.alnum(32),
    (s) => `wss://example.org/ws?api_key=${s}`,
  ),
  one(
    (draw) => draw.alnum(40),
    (s) => `https://example.org/reset?token=${s}`,
  ),
  one(
    (draw) => `T${draw.capital(9)}/B${draw.capital(9)}/${draw.alnum(24)}`,
    (s) => `https://hooks.slack.com/services/${s}`,
  ),
  one(
    (draw) => `T${draw.capital(9)}/${draw.digits(12)}/${draw.hex(32)}`,
    (s) => `https://hooks.slack.com/triggers/${s}`,
  ),
  one(
    (draw) => draw.word(68),
    (s) => `https://discord.com/api/webhooks/123456789012345678/${s}`,
  ),
  one(
    (draw) => `${draw.digits(10)}:AA${draw.word(33)}`,
    (s) => `https://api.telegram.org/bot${s}/sendMessage`,
  ),
  one(
    (draw) => `${draw.digits(9)}:AA${draw.word(33)}`,
    (s) => `TELEGRAM=${s}`,
  ),
  one(
    (draw) => join("M", draw.alnum(23), ".", draw.alnum(6), ".", draw.word(38)),
    (s) => `client.login("${s}")`,
  ),
];

const makerShapes: [string, (draw: Draw) => string][] = [
  ["openai", (d) => join("sk-", "proj-", d.word(74), "T3BlbkFJ", d.word(40))],
  ["anthropic", (d) => join("sk-", "ant-api03-", d.word(93), "AA")],
  ["openrouter", (d) => join("sk-", "or-v1-", d.hex(64))],
  ["stripe", (d) => join("sk_", "live_", d.alnum(24))],
  ["stripe webhook", (d) => join("whs", "ec_", d.alnum(32))],
  ["github", (d) => join("gh", "p_", d.alnum(36))],
  ["github fine", (d) => join("github", "_pat_", d.alnum(22), "_", d.alnum(59))],
  ["gitlab", (d) => join("gl", "pat-", d.word(20))],
  ["gitlab routable", (d) => join("gl", "pat-", d.word(27), ".01.", d.alnum(9).toLowerCase())],
  ["gitlab ci", (d) => join("gl", "cbt-64_", d.word(20))],
  ["gitlab trigger", (d) => join("gl", "ptt-", d.hex(40))],
  ["gitlab feed", (d) => join("gl", "ft-", d.word(20))],
  ["gitlab runner", (d) => join("gl", "rt-", d.word(20))],
  ["vault service", (d) => join("hv", "s.", d.word(90))],
  ["vault batch", (d) => join("hv", "b.", d.word(140))],
  ["terraform", (d) => join(d.alnum(14), ".atlas", "v1.", d.word(64))],
  ["grafana", (d) => join("gl", "sa_", d.alnum(32), "_", d.hex(8))],
  ["grafana cloud", (d) => join("gl", "c_", d.base64(80))],
  ["new relic", (d) => join("NR", "AK-", d.capital(27))],
  ["planetscale", (d) => join("pscale", "_tkn_", d.word(43))],
  ["planetscale password", (d) => join("pscale", "_pw_", d.word(43))],
  ["supabase", (d) => join("sb_", "secret_", d.word(31))],
  ["supabase old", (d) => join("sb", "p_", d.hex(40))],
  ["rubygems", (d) => join("ruby", "gems_", d.hex(48))],
  ["langsmith", (d) => join("lsv2", "_pt_", d.hex(32), "_", d.hex(10))],
  ["pinecone", (d) => join("pc", "sk_", d.alnum(6), "_", d.alnum(63))],
  ["doppler", (d) => join("dp", ".pt.", d.alnum(43))],
  ["bitbucket", (d) => join("AT", "BB", d.alnum(32))],
  ["atlassian", (d) => join("AT", "ATT3", d.word(186))],
  ["mapbox", (d) => join("sk.", "eyJ", d.alnum(60), ".", d.alnum(22))],
  ["azure", (d) => join(d.alnum(3), "8Q", "~", d.word(34))],
  ["npm", (d) => join("np", "m_", d.alnum(36))],
  ["pypi", (d) => join("py", "pi-AgEIcHlwaS5vcmc", d.word(120))],
  ["huggingface", (d) => join("h", "f_", d.from(LOWER + UPPER, 34))],
  ["google", (d) => join("AI", "za", d.word(35))],
  ["google secret", (d) => join("GOC", "SPX-", d.word(28))],
  ["google access", (d) => join("ya", "29.", d.word(120))],
  ["aws", (d) => join("AK", "IA", d.from(`${UPPER}234567`, 16))],
  ["slack", (d) => join("xo", "xb-", d.digits(12), "-", d.digits(12), "-", d.alnum(24))],
  ["slack app", (d) => join("xa", "pp-1-", d.capital(11), "-", d.digits(13), "-", d.hex(64))],
  ["sendgrid", (d) => join("S", "G.", d.word(22), ".", d.word(43))],
  ["mailgun", (d) => join("ke", "y-", d.hex(32))],
  ["twilio", (d) => join("S", "K", d.hex(32))],
  ["digitalocean", (d) => join("do", "p_v1_", d.hex(64))],
  ["shopify", (d) => join("sh", "pat_", d.hex(32))],
  ["databricks", (d) => join("da", "pi", d.hex(32))],
  ["notion", (d) => join("nt", "n_", d.digits(11), d.alnum(35))],
  ["linear", (d) => join("lin", "_api_", d.alnum(40))],
  ["figma", (d) => join("fi", "gd_", d.word(40))],
  ["docker", (d) => join("dckr", "_pat_", d.word(27))],
  ["tailscale", (d) => join("ts", "key-auth-", d.alnum(16), "-", d.alnum(32))],
  ["postman", (d) => join("PM", "AK-", d.hex(24), "-", d.hex(34))],
  ["sentry", (d) => join("sntr", "yu_", d.hex(64))],
  ["heroku", (d) => join("HR", "KU-AA", d.word(58))],
  ["pulumi", (d) => join("pu", "l-", d.hex(40))],
  ["dynatrace", (d) => join("dt0", "c01.", d.capital(24), ".", d.capital(64))],
  ["brevo", (d) => join("xkey", "sib-", d.hex(64), "-", d.alnum(16))],
  ["posthog", (d) => join("ph", "x_", d.alnum(43))],
  ["nvidia", (d) => join("nv", "api-", d.word(64))],
  ["fly", (d) => join("fm", "2_", d.base64(120))],
  ["airtable", (d) => join("pa", "t", d.alnum(14), ".", d.hex(64))],
  ["hubspot", (d) => join("pa", "t-na1-", d.uuid())],
  ["adobe", (d) => join("p8", "e-", d.alnum(32))],
  ["jwt", (d) => join("ey", "J", d.word(33), ".ey", "J", d.word(80), ".", d.word(43))],
  ["square", (d) => join("sq0", "csp-", d.word(43))],
  ["resend", (d) => join("r", "e_", d.alnum(8), "_", d.alnum(24))],
  ["tavily", (d) => join("tv", "ly-dev-", d.alnum(32))],
  ["groq", (d) => join("gs", "k_", d.alnum(52))],
  ["xai", (d) => join("x", "ai-", d.alnum(80))],
  ["perplexity", (d) => join("pp", "lx-", d.alnum(48))],
  ["contentful", (d) => join("CF", "PAT-", d.word(43))],
  ["sonar", (d) => join("sq", "p_", d.hex(40))],
  ["1password", (d) => join("ops", "_eyJ", d.base64(300))],
  ["cloudflare", (d) => join("v1.", "0-", d.hex(24), "-", d.hex(146))],
];
/** Texts around a secret that say nothing of it. */
const around: ((secret: string) => string)[] = [
  (s) => s,
  (s) => `got ${s}, thanks`,
  (s) => `{"stdout":"${s}\\n"}`,
  (s) => `first\\n${s}\\nlast`,
  (s) => `Client("${s}")`,
  (s) => `see https://example.org/?x=${s}`,
  (s) => `(${s})`,
  (s) => `value is ${s}.`,
];

const classes: Record<string, Shape[]> = {
  "private key": privateKeys,
  "password hash": hashes,
  setting: settings,
  header: headers,
  address: addresses,
  maker: makerShapes.map(([, make]) => (draw) => {
    const secret = make(draw);
    return { text: draw.of(around)(secret), secrets: [secret] };
  }),
};

/** Every shape, `rounds` times, each time with other values. */
export function secretTexts(seed: number, rounds: number): SecretText[] {
  const draw = new Draw(seed);
  return Array.from({ length: rounds }, () =>
    Object.entries(classes).flatMap(([kind, shapes]) => shapes.map((shape) => ({ kind, ...shape(draw) }))),
  ).flat();
}
