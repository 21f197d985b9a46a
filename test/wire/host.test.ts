import { expect, test } from "bun:test";
import { isLoopback } from "../../src/loopback.ts";
import { asHostName, hostName } from "../../src/wire/host.ts";

test("loopback is recognised by name and by number", () => {
  expect(["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"].every(isLoopback)).toBe(true);
  expect(["0.0.0.0", "::", "192.168.0.1", "127.example.org", "example.org"].some(isLoopback)).toBe(false);
});

test("a name is read from a Host header with or without a port, and nothing from what is no host", () => {
  expect(["LocalHost", "localhost:9020", "[::1]:1", "a_b-c.example", "10.0.0.1:80"].map(hostName)).toEqual([
    "localhost",
    "localhost",
    "[::1]",
    "a_b-c.example",
    "10.0.0.1",
  ]);
  for (const header of ["", "a b", "user@host", "host/path", "host:port", "host:123456", "::1", "[::1", "a,b", "é"])
    expect([header, hostName(header)]).toEqual([header, undefined]);
});

test("an address has the form of a Host header", () => {
  expect(["::1", "[::1]", "Dewey", "127.0.0.2"].map(asHostName)).toEqual(["[::1]", "[::1]", "dewey", "127.0.0.2"]);
});
