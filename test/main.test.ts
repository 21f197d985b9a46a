import { test } from "bun:test";
import { binary } from "./support/binary.ts";
import { plainEnvironment, temporaryHome } from "./support/home.ts";
import { openTerminal, tmux } from "./support/tmux.ts";

test.skipIf(tmux === null)(
  "a command that cannot stop at once at Ctrl-C says what ends it, and that does",
  async () => {
    using home = temporaryHome();
    using mute = Bun.listen({ port: 0, hostname: "127.0.0.1", socket: { data: () => {} } });
    const env = { ...plainEnvironment(home.path), DEWEY_URL: `ws://localhost:${mute.port}` };
    const asked = Promise.withResolvers<void>();
    mute.reload({ socket: { open: () => asked.resolve(), data: () => {} } });
    using screen = openTerminal([binary, "list"], env);
    await asked.promise;
    screen.type("C-c");
    await screen.until(/Stopping after what is under way; Ctrl-C again ends it at once\./);
    screen.type("C-c");
    await screen.until(/\[ended 130\]/);
  },
);
