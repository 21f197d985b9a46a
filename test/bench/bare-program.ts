import archive from "../../dist/engine/postgres.tar.zst" with { type: "file" };

// The least that a program made with Bun can do where Dewey starts: what `dewey --version`, `dewey hook` and an idle
// `dewey proxy` cannot go below. It carries the same archive, so that it is as large, and is built as Dewey is.

const [task] = process.argv.slice(2);
if (task === "listen") {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  process.stderr.write(`listening on ${server.port}\n`);
} else {
  // Named, or the bundler would leave it out.
  process.stdout.write(
    task === "archive" ? archive : `bare ${(task === "read" ? await Bun.stdin.text() : "").length}\n`,
  );
  process.exit(0);
}
