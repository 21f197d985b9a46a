import { expect, test } from "bun:test";
import { withoutSecrets } from "../../src/wire/address.ts";

test("user, password, query and fragment are removed from an address", () => {
  expect(withoutSecrets("wss://clio:secret@example.org:81/mcp?key=secret#secret")).toBe("wss://example.org:81/mcp");
  expect(withoutSecrets("http://localhost/")).toBe("http://localhost/");
});

test("a text that is not an address is not shown", () => {
  expect(withoutSecrets("secret")).toBe("the address");
});
