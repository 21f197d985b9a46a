import { plugin } from "bun";
import { afterAll } from "bun:test";
import { layEngine } from "../../src/build/engine.ts";
import { layNotices } from "../../src/build/notices.ts";
import { leaveNothing, expectNoneLeft } from "./leftovers.ts";
import { layPage } from "../../src/build/page.ts";
import { TEST_TIMEOUT_MS } from "./patience.ts";

leaveNothing();
await layEngine();
await layNotices();
await layPage();

// Bun ignores `[test] timeout` and resets the default timeout to 5 s for each file, so every file must set it.
const setTimeout = `import { setDefaultTimeout as __setTimeout } from "bun:test"; __setTimeout(${TEST_TIMEOUT_MS}); `;
plugin({
  name: "timeout",
  setup(build) {
    build.onLoad({ filter: /\.test\.ts$/ }, async ({ path }) => ({
      // On the first line, so that line numbers stay the same.
      contents: setTimeout + (await Bun.file(path).text()),
      loader: "ts",
    }));
  },
});

afterAll(async () => {
  // A static import would need the engine's archive, which a fresh clone lacks until `layEngine` has run.
  const { stopSharedClusters } = await import("./postgres.ts");
  await stopSharedClusters();
  await expectNoneLeft();
}, TEST_TIMEOUT_MS);
