import { describe, expect, test } from "bun:test";
import { secretName } from "../../../src/store/redact/names.ts";

describe("the name of a field", () => {
  test("says that a password is behind it, and how people write it", () => {
    for (const name of [
      "password",
      "DB_PASS",
      "dbPassword",
      "PGPASSWORD",
      "admin-pw",
      "mysql.root.passwd",
      "PASSPHRASE_2",
      "password_confirmation",
      "wifi_psk",
      "PasswordProd",
    ])
      expect(secretName(name)?.kind, name).toBe("password");
  });

  test("says that a key is behind it", () => {
    for (const name of [
      "apiKey",
      "API_KEY_PROD",
      "X-Api-Key",
      "aws_secret_access_key",
      "OPENAI_KEY",
      "PresharedKey",
      "access_token",
      "githubToken",
      "PRIVATE-TOKEN",
      "_authToken",
      "identitytoken",
      "jwt",
    ])
      expect(secretName(name)?.kind, name).toBe("key");
  });

  test("says nothing when it only speaks of one", () => {
    for (const name of [
      "passwordPolicy",
      "password_file",
      "secretName",
      "token_type",
      "tokenCount",
      "max_tokens",
      "nextPageToken",
      "primary_key",
      "public_key",
      "cacheKey",
      "keyboard",
      "passed",
      "compass",
      "author",
      "api_key_id",
      "API_KEY_HEADER",
      "sshKeyPath",
    ])
      expect(secretName(name), name).toBeUndefined();
  });

  test("is weak when other things bear it too", () => {
    for (const name of ["session_id", "PHPSESSID", "fooKey", "tokens"])
      expect(secretName(name)?.kind, name).toBe("weak");
    expect(secretName("token")?.kind).toBe("token");
  });
});
