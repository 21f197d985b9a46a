import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseCommandLine } from "../../src/cli/command.ts";
import { commandNamed } from "../../src/cli/commands.ts";
import { unknownVariables } from "../../src/config.ts";
import { settings } from "../../src/settings.ts";
import { binary, run, start, startServe } from "../support/binary.ts";
import { plainEnvironment, temporaryHome } from "../support/home.ts";
import { hasPython, notifySocket } from "../support/notify-socket.ts";
import { until } from "../support/rpc.ts";

const root = join(import.meta.dir, "../..");
const read = (name: string) => readFileSync(join(root, name), "utf8");

async function unit(kind: string): Promise<string> {
  using home = temporaryHome();
  const { stdout, code } = await run(["unit", kind], plainEnvironment(home.path));
  expect(code).toBe(0);
  return stdout;
}

const serveUnit = await unit("serve");
const proxyUnit = await unit("proxy");
const watchUnit = await unit("watch");

interface Service {
  image: string;
  environment: Record<string, string>;
  command: string[];
}

describe("the units, the Dockerfile and the compose file", () => {
  const texts = {
    "unit serve": serveUnit,
    "unit proxy": proxyUnit,
    "unit watch": watchUnit,
    Dockerfile: read("Dockerfile"),
    "compose.yaml": read("compose.yaml"),
    "README.md": read("README.md"),
  };

  for (const [name, text] of Object.entries(texts)) {
    test(`name only settings as variables: ${name}`, () => {
      const named = text.match(/\bDEWEY_[A-Z_]*[A-Z]\b/g) ?? [];
      expect(unknownVariables(Object.fromEntries(named.map((each) => [each, "x"])))).toEqual([]);
    });
  }

  test("contain only command lines that the binary accepts", async () => {
    const lines = [
      ...execStarts(serveUnit),
      ...execStarts(proxyUnit),
      ...execStarts(watchUnit),
      ...[...texts.Dockerfile.matchAll(/^\s*(?:CMD|ENTRYPOINT|HEALTHCHECK .*CMD) (\[.*\])$/gm)].map(([, list]) =>
        JSON.parse(list ?? ""),
      ),
      ...[...texts["compose.yaml"].matchAll(/^\s*(?:command|test): (\[.*\])$/gm)].map(([, list]) =>
        JSON.parse(list ?? ""),
      ),
    ].map((words: string[]) => words.filter((word) => word !== "CMD"));
    const ours = lines
      .map((words) => (/(^|\/)dewey$/.test(words[0] ?? "") ? words.slice(1) : words))
      .filter((words) => words.length > 0 && words[0] !== "CMD-SHELL" && words[0] !== "pg_isready");
    expect(ours.length).toBeGreaterThan(3);
    for (const [name, ...args] of ours) {
      const command = await commandNamed(name ?? "");
      if (!command) throw new Error(`there is no command ${name}`);
      parseCommandLine(command, args);
    }
  });

  test("run no server or proxy that takes clients without a token", () => {
    const compose = texts["compose.yaml"];
    const services = Object.values((Bun.YAML.parse(compose) as { services: Record<string, Service> }).services);
    const ours = services.filter(({ image }) => image === "dewey-slim");
    expect(ours).toHaveLength(2);
    for (const { environment, command } of ours) {
      expect(environment["DEWEY_TOKEN"]).toStartWith("${DEWEY_TOKEN:?");
      expect(command).not.toContain("--no-auth");
    }
    expect(texts.Dockerfile).not.toContain('"--no-auth"');
  });

  test("build the image that compose uses without an engine, and by default with one", () => {
    const compose = Bun.YAML.parse(texts["compose.yaml"]) as {
      services: Record<string, { build?: { target: string } }>;
    };
    for (const name of ["dewey", "proxy"]) expect(compose.services[name]?.build?.target).toBe("slim");
    const stages = texts.Dockerfile.split(/^FROM /m).slice(1);
    const slim = stages.find((stage) => / AS slim$/m.test(stage));
    expect(slim).toContain("COPY --from=build-slim /dewey/dist/dewey-slim /usr/local/bin/dewey");
    expect(stages.at(-1)).toContain("COPY --from=build /dewey/dist/dewey /usr/local/bin/dewey");
  });

  test("end after a wrong setting instead of starting again", async () => {
    using home = temporaryHome();
    for (const args of [["serve"], ["proxy"], ["watch"]]) {
      const { code } = await run(args, { ...plainEnvironment(home.path), DEWEY_LOG_LEVEL: "nonsense" });
      expect({ args, code }).toEqual({ args, code: 2 });
    }
    for (const text of [serveUnit, proxyUnit, watchUnit]) expect(text).toContain("\nRestartPreventExitStatus=2\n");
  });

  test("pass to the server only secrets that it reads from files", () => {
    const files = [...serveUnit.matchAll(/^Environment=(DEWEY_[A-Z_]+)_FILE=%d\/(\S+)$/gm)];
    expect(files.length).toBeGreaterThan(0);
    for (const [, variable, credential] of files) {
      expect(Object.values(settings).some((row) => row.env === variable && "secret" in row)).toBe(true);
      expect(serveUnit).toContain(`\nLoadCredential=${credential}:`);
      expect(serveUnit).toContain(`\nSetCredential=${credential}:`);
    }
  });
});

describe("Docker's files", () => {
  const lint = (program: string, ...args: string[]) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync([join(root, "node_modules/.bin", program), ...args], {
      cwd: root,
      stdout: "pipe",
      stderr: "pipe",
    });
    return { exitCode, said: stdout.toString() + stderr.toString() };
  };

  test("pass their linters, which find planted faults", () => {
    expect(lint("dockerfile-utils", "lint", "Dockerfile")).toMatchObject({ exitCode: 0 });
    expect(lint("dclint", "compose.yaml", "--quiet")).toMatchObject({ exitCode: 0 });
    using home = temporaryHome();
    writeFileSync(join(home.path, "Dockerfile"), "FROM debian:12-slim\nRUNN true\n");
    expect(lint("dockerfile-utils", "lint", join(home.path, "Dockerfile")).exitCode).not.toBe(0);
    writeFileSync(join(home.path, "compose.yaml"), "services:\n  a:\n    imagge: x\n");
    expect(lint("dclint", join(home.path, "compose.yaml"), "--quiet").exitCode).not.toBe(0);
  });
});

describe("the server's unit", () => {
  test.skipIf(!hasPython)("hears when the server serves, that it lives, and when it stops", async () => {
    using home = temporaryHome();
    await using socket = await notifySocket(home.path);
    const watched = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: "100000" };
    const { running } = await startServe(home.path, watched);
    await until("signs of life", () => socket.received().includes("WATCHDOG=1"));
    expect(socket.received()[0]).toBe("READY=1");
    expect(await running.stop()).toBe(0);
    await until("the end", () => socket.received().at(-1) === "STOPPING=1");
  });

  test("starts as systemd would start it on a machine without any secret", async () => {
    using home = temporaryHome();
    const folders = { S: join(home.path, "state"), d: join(home.path, "credentials") };
    mkdirSync(join(folders.S, "dewey"), { recursive: true });
    mkdirSync(folders.d);
    // SetCredential supplies the files that LoadCredential does not find.
    for (const [, name, value] of serveUnit.matchAll(/^SetCredential=([^:]+):(.*)$/gm)) {
      writeFileSync(join(folders.d, name ?? ""), (value ?? "").replaceAll("\\n", "\n"));
    }
    const environment = [...serveUnit.matchAll(/^Environment=([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [
      name,
      value?.replace(/%([Sd])/g, (_, letter: "S" | "d") => folders[letter]),
    ]);
    const [words = []] = execStarts(serveUnit);
    expect(words[0]).toBe(binary);
    await using running = start(words.slice(1), {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
      ...Object.fromEntries(environment),
      DEWEY_MCP_PORT: "0",
    });
    const [, url = ""] = await running.until("stderr", /"event":"serving","url":"([^"]+)"/);
    const health = await fetch(new URL("/healthz", url.replace("ws:", "http:")));
    expect(health.status).toBe(200);
    expect(await running.stop()).toBe(0);
  });
});

const analyze = "/usr/bin/systemd-analyze";

describe.skipIf(!existsSync(analyze))("systemd-analyze verify", () => {
  for (const [kind, text, scope] of [
    ["serve", serveUnit, "--system"],
    ["proxy", proxyUnit, "--user"],
    ["watch", watchUnit, "--user"],
  ] as const) {
    test(`accepts the unit of dewey ${kind}`, async () => {
      using home = temporaryHome();
      const file = join(home.path, `dewey-${kind}.service`);
      writeFileSync(file, text);
      const child = Bun.spawn([analyze, "verify", "--man=no", scope, file], {
        env: { ...plainEnvironment(home.path), XDG_RUNTIME_DIR: home.path },
        stdout: "pipe",
        stderr: "pipe",
      });
      expect(await new Response(child.stderr).text()).toBe("");
      expect(await child.exited).toBe(0);
    });
  }
});

function execStarts(text: string): string[][] {
  return [...text.matchAll(/^ExecStart=(.*)$/gm)].map(([, line]) => line?.split(" ") ?? []);
}
