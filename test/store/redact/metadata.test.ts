import { expect, test } from "bun:test";
import { createRedactor, redactBesideLinks, redactKey } from "../../../src/store/redact/redact.ts";
import { Draw } from "../../support/secret-shapes.ts";

const redactor = createRedactor();
const draw = new Draw(11);
const token = ["gh", "p_", draw.alnum(36)].join("");
const CUT = "[redacted: secret field]";

test("arguments of a command and pairs of a list are read together", () => {
  const given = {
    args: ["--user", "ann", "--password", "swordfish"],
    command: ["mysql", "-u", "root", "-phunter2", "app"],
    headers: [
      ["accept", "*/*"],
      ["x-api-key", "a1b2c3d4e5f6g7h8"],
    ],
    names: ["username", "password", "email"],
  };
  expect(redactor.metadata(given, {})).toEqual({
    args: ["--user", "ann", "--password", CUT],
    command: ["mysql", "-u", "root", `-p${CUT}`, "app"],
    headers: [
      ["accept", "*/*"],
      ["x-api-key", CUT],
    ],
    names: ["username", "password", "email"],
  });
});

test("a secret as a key is cut, and two of them stay two", () => {
  const other = ["gh", "p_", draw.alnum(36)].join("");
  const stored = redactor.metadata({ [token]: 1, [other]: 2, ["__proto__"]: 3 }, {});
  expect(Object.entries(stored)).toEqual([
    ["[redacted: GitHub token]", 1],
    ["[redacted: GitHub token] 2", 2],
    ["__proto__", 3],
  ]);
});

test("cookies are cut one by one, and an id of a session only when it is no UUID", () => {
  const session = draw.alnum(32);
  const id = draw.uuid();
  expect(redactor.metadata({ Cookie: `theme=dark; sid=${session}`, session_id: id, sessionId: session }, {})).toEqual({
    Cookie: "theme=dark; sid=[redacted: cookie]",
    session_id: id,
    sessionId: CUT,
  });
});

test("a key by which rows are found stays the same for the same secret, and differs for another", () => {
  expect(redactKey(redactor, "my session")).toBe("my session");
  const stored = redactKey(redactor, token);
  expect(stored).not.toContain(token);
  expect(redactKey(redactor, token)).toBe(stored);
  expect(redactKey(redactor, ["gh", "p_", draw.alnum(36)].join(""))).not.toBe(stored);
  expect(redactKey(redactor, undefined)).toBeUndefined();
});

test("beside links, which a person must follow, secrets are cut", () => {
  const link = `https://id.example.org/login?token=${draw.alnum(40)}`;
  expect(redactor.text(`open ${link}`, {})).not.toContain(link);
  expect(redactBesideLinks(redactor, `open ${link}, then use ${token}`)).toBe(
    `open ${link}, then use [redacted: GitHub token]`,
  );
  expect(redactBesideLinks(redactor, "see https://ann:hunter22@example.org/")).not.toContain("hunter22");
});
