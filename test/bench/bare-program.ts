import archive from "../../dist/engine/postgres.tar.zst" with { type: "file" };

// The minimum a program built with Bun needs: the lower bound for `dewey --version`, `dewey hook` and an idle
// `dewey proxy`. It carries the same archive, so that it is as large, and has the same build options.

const [task] = process.argv.slice(2);
if (task === "listen") {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  process.stderr.write(`listening on ${server.port}\n`);
} else {
  // Referenced, or the bundler would drop it.
  process.stdout.write(
    task === "archive" ? archive : `bare ${(task === "read" ? await Bun.stdin.text() : "").length}\n`,
  );
  process.exit(0);
}
