/** Invented secrets, assembled at run time so that no scanner takes this file for a leak. */
const join = (...parts: string[]) => parts.join("");
const letters = "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8cF0hJ2kL4nP6rS8tV0xY2";
const some = (length: number) => letters.repeat(2).slice(0, length);
const hex = (length: number) => "0123456789abcdef".repeat(4).slice(0, length);
const capitals = (length: number) => "Q2W3E4R5T6Y7".repeat(5).slice(0, length);
const marker = (edge: string) => join("-----", edge, " RSA PRIVATE ", "KEY-----");
/** The shortest key of each provider that is known by how it begins. */
const apiKeys = [
  join("sk-", "a1", some(18)),
  join("sk_test_", some(16)),
  join("rk_live_", some(16)),
  join("whsec_", some(20)),
  join("hf_", some(30)),
  join("npm_", some(36)),
  join("pypi-", some(50)),
  join("dop_v1_", hex(64)),
  join("SG.", some(16), ".", some(16)),
  join("AIza", some(35)),
  join("GOCSPX-", some(20)),
  join("ya29.", some(20)),
  join("glpat-", some(20)),
  join("gldt-", some(20)),
  join("glrt-", some(20)),
  join("xai-", some(40)),
  join("gsk_", some(40)),
  join("lin_api_", some(32)),
  join("shpat_", hex(32)),
  join("shpss_", hex(32)),
  join("r8_", some(30)),
  join("hvs.", some(24)),
  join("dapi", hex(32)),
  join("ntn_", some(40)),
  join("pplx-", some(40)),
  join("sbp_", hex(40)),
  join("figd_", some(40)),
  join("dckr_pat_", some(20)),
  join("tskey-auth-", some(16)),
  join("SK", hex(32)),
  join("key-", hex(32)),
  join("PMAK-", hex(24), "-", hex(34)),
  join("sntrys_", some(40)),
  join("1//0", some(30)),
  join("ATATT3", some(60)),
];

/** Fields in the forms in which people write them, with the secret in the middle. */
const fields: [string, string, string][] = [
  ["password: ", "ab12", ""],
  ["password: ", "pass!word", ""],
  ["api_key = ", "a1b2c3d4e5f6", ""],
  ["token=", "a1b2c3d4e5f6g7h8i9j0", ""],
  ['client_secret = "', "xK3f.aB9d.Qz7w", '"'],
  ['DB_PASSWORD="', "letmein-nows", '"'],
  ["run --client-secret ", some(20), " now"],
  ["<password>", "hunter2", "</password>"],
  ["curl -u me:", "hunter2", " https://example.org"],
  ['{"name": "password", "value": "', "hunter2", '"}'],
  ["create user me with password '", "hunter2", "'"],
  ["alter user me identified by '", "hunter2", "'"],
  ["so the password is ", "hunter2", " for now"],
  ["sshpass -p ", "hunter2", " ssh me@example.org"],
  ["machine example.org login me password ", "hunter2", "\n"],
];

const pem = [marker("BEGIN"), some(48), some(48), some(20), marker("END")].join("\n");

/** A text that contains one secret, and its kind. */
export const trueCases: { kind: string; text: string; secret: string }[] = [
  ["GitHub token", join("ghp_", some(36))],
  ["GitHub token", join("github_pat_", some(40))],
  ["API key", join("sk-proj-", some(40))],
  ["API key", join("sk-ant-api03-", some(44))],
  ["API key", join("sk_live_", some(24))],
  ["API key", join("hf_", some(34))],
  ["API key", join("npm_", some(36))],
  ["API key", join("AIza", some(35))],
  ["API key", join("glpat-", some(20))],
  ["API key", join("GOCSPX-", some(28))],
  ["AWS key", join("AKIA", "IOSFODNN7EXAMPLQ")],
  ["Slack token", join("xoxb-", "123456789012-", some(24))],
  ["JSON Web Token", join("eyJ", some(20), ".eyJ", some(30), ".", some(43))],
  ["bot token", join("123456789:AA", some(33))],
  ["private key", pem],
  ["private key", join("AGE-SECRET-KEY-1", capitals(58))],
  ["AWS key", join("ASIA", "IOSFODNN7EXAMPLQ")],
  ["Slack token", join("xoxp-", some(24))],
  ["Slack token", join("xapp-", some(24))],
  ...["ghp_", "gho_", "ghu_", "ghs_", "ghr_"].map((start) => ["GitHub token", join(start, some(30))]),
  ...apiKeys.map((key) => ["API key", key]),
]
  .flatMap(([kind = "", secret = ""]) => [
    { kind, secret, text: `the value is ${secret} and goes on` },
    { kind, secret, text: `{"stdout":"${secret}"}` },
  ])
  .concat(
    fields.map(([before, secret, after]) => ({ kind: "secret field", secret, text: `${before}${secret}${after}` })),
  )
  .concat([
    {
      kind: "Slack token",
      secret: `T0${capitals(8)}/B0${capitals(8)}/${some(24)}`,
      text: `curl https://hooks.slack.com/services/T0${capitals(8)}/B0${capitals(8)}/${some(24)} -d x`,
    },
    {
      kind: "signed address",
      secret: hex(64),
      text: `https://b.s3.amazonaws.com/o?X-Amz-Date=1&X-Amz-Signature=${hex(64)}&x=1`,
    },
    { kind: "signed address", secret: some(43), text: `https://x.blob.core.windows.net/o?se=1&sig=${some(43)}` },
    { kind: "cookie", secret: some(24), text: `Cookie: session=${some(24)}; theme=dark` },
    { kind: "bearer token", secret: some(16), text: `Authorization: token ${some(16)}` },
    { kind: "bearer token", secret: some(40), text: `curl -H "Authorization: Bearer ${some(40)}" https://example.org` },
    { kind: "bearer token", secret: `${some(22)}==`, text: `authorization: basic ${some(22)}== sent` },
    { kind: "password in URL", secret: "hunter2", text: "postgres://dewey:hunter2@db:5432/winni" },
    { kind: "password in URL", secret: "p%40ss", text: "clone https://me:p%40ss@git.example.org/x.git now" },
    {
      kind: "Azure key",
      secret: `${some(44)}${some(42)}==`,
      text: `AccountName=x;AccountKey=${some(44)}${some(42)}==;EndpointSuffix=y`,
    },
    { kind: "secret field", secret: "hunter2", text: "password: hunter2" },
    { kind: "secret field", secret: "correct-horse-battery", text: 'DB_PASSWORD="correct-horse-battery"' },
    { kind: "secret field", secret: some(20), text: `export API_KEY=${some(20)}` },
    { kind: "secret field", secret: some(20), text: `{"client_secret": "${some(20)}", "x": 1}` },
    { kind: "secret field", secret: some(20), text: `{\\"access_token\\":\\"${some(20)}\\"}` },
    {
      kind: "secret field",
      secret: "wJalrXUtnFEMI/K7MDENG/bPxRfi",
      text: "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfi",
    },
  ]);

/** Texts about secrets, and texts that look similar to one. */
export const falseCases: string[] = [
  "The password must be at least eight characters long.",
  "password: required",
  "password: string",
  "const token = await getToken(request);",
  "token: process.env.GITHUB_TOKEN",
  "API_KEY=${API_KEY}",
  "api_key: <your key here>",
  "Set Authorization: Bearer TOKEN in the header.",
  "Bearer authentication is described in RFC 6750.",
  "max_tokens: 4096, total_tokens: 123456789012",
  "progressToken: 18, nextPageToken: abc123def456",
  "sk-learn is spelled scikit-learn",
  "see https://example.org:8080/path@2 for more",
  "mail me at me@example.org or ssh://git@github.com/x/y.git",
  "commit 3f786850e387550fdab836ed7e6dc881de23001b",
  "id 01a20e0c-05cb-7f75-bda7-5648de3be24e",
  "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
  "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
  "The secret of happiness is simple: friends.",
  "the key: value pairs of a token bucket",
  "eyJ is how base64 of a JSON object begins",
  "primary_key: id, foreign_key: conversation_id",
  "git checkout ghp_branch",
  "password=***",
  // Too short, or too plain, to be one.
  "password: a1b",
  "password: correct-horse-battery",
  'password = "letmein-now"',
  'password = "correct horse battery"',
  "api_key = a1b2c3d4e5f",
  "token=a1b2c3d4e5f6g7h8i9j",
  "token=12345678901234567890",
  "page_token: a1b2c3d4e5f6g7h8i9j0",
  "apiKey: this.options.apiKey2",
  "client_secret: ~/keys/client-secret-2.json",
  "Authorization: Bearer authenticationrequired",
  "postgres://user:password@db:5432/x",
  "amqp://guest:${PASSWORD}@queue",
  "Cookie: theme=darkdarkdarkdarkdarkdark",
];
