/** Invented secrets, assembled at run time so that no scanner takes this file for a leak. */
const join = (...parts: string[]) => parts.join("");
const letters = "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8cF0hJ2kL4nP6rS8tV0xY2";
const some = (length: number) => letters.slice(0, length);
const marker = (edge: string) => join("-----", edge, " RSA PRIVATE ", "KEY-----");
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
]
  .flatMap(([kind = "", secret = ""]) => [
    { kind, secret, text: `the value is ${secret} and goes on` },
    { kind, secret, text: `{"stdout":"${secret}"}` },
  ])
  .concat([
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
];
