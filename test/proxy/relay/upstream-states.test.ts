import { expect, setSystemTime, test } from "bun:test";
import { UpstreamStates } from "../../../src/proxy/relay/upstream-states.ts";

test("an upstream is unused at first, then up or down since the last change, with its last error", () => {
  const at = (time: string) => setSystemTime(new Date(time));
  const states = new UpstreamStates();
  try {
    expect(states.of("tools")).toEqual({ state: "unused", since: null, last_error: null });
    at("2026-01-01T00:00:00Z");
    states.saw("tools", undefined);
    at("2026-01-01T00:00:10Z");
    states.saw("tools", undefined);
    expect(states.of("tools")).toEqual({ state: "up", since: "2026-01-01T00:00:00.000Z", last_error: null });
    states.saw("tools", "it crashed");
    at("2026-01-01T00:00:20Z");
    states.saw("tools", "it cannot be reached");
    expect(states.of("tools")).toEqual({
      state: "down",
      since: "2026-01-01T00:00:10.000Z",
      last_error: "it cannot be reached",
    });
    states.saw("tools", undefined);
    expect(states.of("tools")).toMatchObject({ state: "up", last_error: "it cannot be reached" });
    expect(states.of("other").state).toBe("unused");
    states.sawStream("tools", "HTTP 503");
    expect(states.of("tools")).toMatchObject({ state: "up", stream_error: "HTTP 503" });
    states.sawStream("tools", undefined);
    expect(states.of("tools")).not.toHaveProperty("stream_error");
  } finally {
    setSystemTime();
  }
});
