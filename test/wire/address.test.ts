import { expect, test } from "bun:test";
import { withoutSecrets } from "../../src/wire/address.ts";

test("user, password, query and fragment are left out of an address", () => {
  expect(withoutSecrets("wss://clio:secret@example.org:81/mcp?key=secret#secret")).toBe("wss://example.org:81/mcp");
  expect(withoutSecrets("http://localhost/")).toBe("http://localhost/");
});

test("nothing of a text that is no address is shown", () => {
  expect(withoutSecrets("secret")).toBe("the address");
});
