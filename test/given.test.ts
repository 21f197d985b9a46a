import { describe, expect, test } from "bun:test";
import { reading } from "../src/given.ts";

describe("a configuration", () => {
  test("is not built from wrong values", () => {
    let isReached = false;
    const read = () =>
      reading({ env: { DEWEY_MCP_PORT: "x" }, flags: {} }, (reader) => {
        reader.read(["port"]);
        isReached = true;
        return {};
      });
    expect(read).toThrow("The configuration is wrong:\n  DEWEY_MCP_PORT should be a port number");
    expect(isReached).toBe(false);
  });

  test("whose code fails throws that error, not a mistake of the user's", () => {
    const sources = { env: { DEWEY_MCP_PORT: "1" }, flags: {} };
    const failing = () =>
      reading(sources, () => {
        throw new TypeError("a bug");
      });
    expect(failing).toThrow(TypeError);
  });

  test("has no value for a setting that is neither given nor has a default", () => {
    const config = reading({ env: {}, flags: {} }, (reader) => ({ ...reader.read(["token", "port"]) }));
    expect(config).toEqual({ port: 9020 } as typeof config);
  });
});
