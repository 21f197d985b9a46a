import { expect, test } from "bun:test";
import { holdsSecret, withoutSecrets } from "../../src/wire/address.ts";

test("user, password, query and fragment are removed from an address", () => {
  expect(withoutSecrets("wss://clio:secret@example.org:81/mcp?key=secret#secret")).toBe("wss://example.org:81/mcp");
  expect(withoutSecrets("http://localhost/")).toBe("http://localhost/");
});

test("a text that is not an address is not shown", () => {
  expect(withoutSecrets("secret")).toBe("the address");
});

test("an address with a user, a password, a query or a fragment may hold a secret", () => {
  for (const part of ["me@h/", "me:p@h/", "h/?api_key=x", "h/?upstream=a&token=x", "h/#x"])
    expect([part, holdsSecret(`ws://${part}`)]).toEqual([part, true]);
  for (const part of ["h", "h:9020/mcp", "h/?upstream=a&session=b"]) expect(holdsSecret(`wss://${part}`)).toBe(false);
});
