import { describe, expect, test } from "bun:test";
import { within } from "../src/deadline.ts";

const forever = new Promise<never>(() => {});

describe("within a limit", () => {
  test("the promise's value or its error passes, and the timer ends with it", async () => {
    expect(await within(1_000_000, Promise.resolve("done"), () => "late")).toBe("done");
    const later = new Promise<string>((resolve) => void setTimeout(() => resolve("done"), 5));
    expect(await within(1_000_000, later, () => "late")).toBe("done");
    const failed = within(1_000_000, Promise.reject(new Error("it failed")), () => "late");
    expect(await failed.catch(String)).toBe("Error: it failed");
    // A timer left behind would keep this process running for 1,000 s.
    const script = `
      import { within } from ${JSON.stringify(`${import.meta.dir}/../src/deadline.ts`)};
      await within(1_000_000, Promise.resolve(), () => {});
      await within(1_000_000, Promise.reject(new Error()), () => {}).catch(() => {});`;
    const { exitCode } = Bun.spawnSync([process.execPath, "-e", script], { timeout: 60_000 });
    expect(exitCode).toBe(0);
  });

  test("the value that stands in comes when the promise takes longer", async () => {
    expect(await within(1, forever, () => "late")).toBe("late");
    expect(await within(-1, forever, () => "late")).toBe("late");
  });

  test("an error thrown for lateness is the error of the call", async () => {
    const late = within(1, forever, () => {
      throw new Error("too late");
    });
    expect(await late.catch(String)).toBe("Error: too late");
  });

  test("a promise that is rejected after the limit is ignored", async () => {
    const slow = Promise.withResolvers<string>();
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    expect(await within(1, slow.promise, () => "late")).toBe("late");
    slow.reject(new Error("nothing waits for this"));
    await Bun.sleep(1);
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
  });
});
