import { plugin } from "bun";
import { afterAll } from "bun:test";
import { layEngine } from "../../src/build/engine.ts";
import { endProcessesWithThisOne, expectNoneLeft } from "./leftovers.ts";
import { TEST_TIMEOUT_MS } from "./patience.ts";

endProcessesWithThisOne();
await layEngine();

// Bun resets the default timeout for each file to 5 s, so every file must set it; `[test] timeout` is ignored.
const setTimeout = `import { setDefaultTimeout as __setTimeout } from "bun:test"; __setTimeout(${TEST_TIMEOUT_MS}); `;
plugin({
  name: "timeout",
  setup(build) {
    build.onLoad({ filter: /\.test\.ts$/ }, async ({ path }) => ({
      // On the first line, so that all line numbers stay.
      contents: setTimeout + (await Bun.file(path).text()),
      loader: "ts",
    }));
  },
});

afterAll(async () => {
  // Importing it needs the engine's archive, which a fresh clone lacks until it is laid above.
  const { stopSharedClusters } = await import("./postgres.ts");
  await stopSharedClusters();
  await expectNoneLeft();
}, TEST_TIMEOUT_MS);
