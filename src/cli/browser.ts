/** How each system opens an address with the person's own browser. */
const OPENERS: Partial<Record<NodeJS.Platform, string[]>> = {
  darwin: ["open"],
  linux: ["xdg-open"],
  // `start` is a word of the shell; its first argument in quotes would be the title of a window.
  win32: ["cmd", "/c", "start", ""],
};
/** An opener that is still running then has handed the address to a browser. */
const OPENER_DEADLINE_MS = 3000;

/** Opens an address in the person's browser. Returns false when there is none. */
export async function openInBrowser(address: string, env: Record<string, string | undefined>): Promise<boolean> {
  const [program = "", ...args] = OPENERS[process.platform] ?? OPENERS.linux ?? [];
  // Without a screen, xdg-open would start a browser for terminals over this one, or wait for nobody.
  if (process.platform === "linux" && !env["DISPLAY"] && !env["WAYLAND_DISPLAY"] && !env["BROWSER"]) return false;
  if (Bun.which(program, { PATH: env["PATH"] ?? "" }) === null) return false;
  const opener = Bun.spawn([program, ...args, address], {
    env,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    // A browser that it starts outlives this command.
    detached: true,
  });
  opener.unref();
  const exitCode = await Promise.race([opener.exited, Bun.sleep(OPENER_DEADLINE_MS)]);
  return exitCode === undefined || exitCode === 0;
}
