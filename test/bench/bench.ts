import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// `bun run bench [--only NAME] [--json]` runs the benches of run.ts so that nothing is left however they end: in their own
// process group, which a shell kills as a whole when the pipe from this process breaks, and with all files in one folder.

const GUARD = `
exec 3<&0 </dev/null
"$@" 3<&- & child=$!
{ trap '' TERM; read -r _ <&3; kill -TERM -$$; sleep 1; rm -rf "$TMPDIR"; kill -KILL -$$; } >/dev/null 2>&1 &
exec 3<&-
wait "$child"`;

const folder = mkdtempSync(join(tmpdir(), "dewey-bench-"));
// PostgreSQL does not run as root and must be able to traverse it.
chmodSync(folder, 0o711);
const command = [process.execPath, join(import.meta.dir, "run.ts"), ...process.argv.slice(2)];
const guarded = Bun.spawn(["/bin/sh", "-c", GUARD, "sh", ...command], {
  env: { ...process.env, TMPDIR: folder },
  stdio: ["pipe", "inherit", "inherit"],
  detached: true,
});
// A signal ends this process, which breaks the pipe.
const code = await guarded.exited;
try {
  process.kill(-guarded.pid, "SIGKILL");
} catch {
  // The group is gone.
}
rmSync(folder, { recursive: true, force: true });
process.exit(code);
