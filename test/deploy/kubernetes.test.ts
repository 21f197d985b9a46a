import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { Secret } from "kubernetes-models/v1/Secret";
import { Service } from "kubernetes-models/v1/Service";
import { parseCommandLine } from "../../src/cli/command.ts";
import { commandNamed } from "../../src/cli/commands.ts";
import { serveConfig } from "../../src/config.ts";
import { temporaryHome } from "../support/home.ts";
import { mkdirSync, writeFileSync } from "node:fs";

const text = readFileSync(join(import.meta.dir, "../../deploy/kubernetes/dewey.yaml"), "utf8");
type Json = Record<string, unknown>;
const documents = Bun.YAML.parse(text) as (Json & { kind: string })[];
// Each checks itself against the schema of Kubernetes' API.
const kinds = { Deployment, NetworkPolicy, PodDisruptionBudget, Secret, Service };

function checked(document: Json & { kind: string }): { validate(): void } {
  const Kind = kinds[document.kind as keyof typeof kinds] as unknown as new (data: Json) => { validate(): void };
  return new Kind(document);
}

const deployment = documents.find(({ kind }) => kind === "Deployment") as unknown as {
  spec: { template: { metadata: { labels: Json }; spec: PodSpec }; selector: { matchLabels: Json } };
};
interface Probe {
  httpGet: { path: string; port: string };
}
interface PodSpec {
  containers: {
    args: string[];
    ports: { name: string; containerPort: number }[];
    env: { name: string; value: string }[];
    livenessProbe: Probe;
    readinessProbe: Probe;
    startupProbe: Probe;
    securityContext: Json;
    volumeMounts: { name: string; mountPath: string }[];
  }[];
  volumes: { name: string; secret?: { secretName: string } }[];
  securityContext: Json;
}
const pod = deployment.spec.template.spec;
const [container] = pod.containers;
if (!container) throw new Error("there is no container");
const stringData = documents.find(({ kind }) => kind === "Secret")?.["stringData"] as Record<string, string>;

describe("Kubernetes' manifests", () => {
  test("fit the schema of its API, which finds planted faults", () => {
    expect(documents.map(({ kind }) => kind)).toEqual([
      "Secret",
      "Service",
      "Deployment",
      "PodDisruptionBudget",
      "NetworkPolicy",
    ]);
    for (const document of documents) expect(() => checked(document).validate()).not.toThrow();
    const faulty = structuredClone(documents.find(({ kind }) => kind === "Deployment")!);
    (faulty["spec"] as Json)["replicas"] = "two";
    expect(() => checked(faulty).validate()).toThrow();
  });

  test("belong together: labels, ports, secrets and volumes", () => {
    const labels = deployment.spec.template.metadata.labels;
    const named = (kind: string) => documents.find((each) => each.kind === kind)?.["spec"] as Record<string, Json>;
    const selectors = [
      deployment.spec.selector.matchLabels,
      named("Service")["selector"],
      named("PodDisruptionBudget")["selector"]?.["matchLabels"],
      named("NetworkPolicy")["podSelector"]?.["matchLabels"],
    ];
    for (const selector of selectors) expect(labels).toMatchObject(selector as Json);
    expect(container.ports).toEqual([{ name: "mcp", containerPort: 9020 }]);
    for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe])
      expect(probe.httpGet.port).toBe("mcp");
    expect(container.livenessProbe.httpGet.path).toBe("/livez");
    expect(container.readinessProbe.httpGet.path).toBe("/readyz");
    const volumes = pod.volumes.map(({ name }) => name);
    for (const { name } of container.volumeMounts) expect(volumes).toContain(name);
    expect(pod.volumes.find(({ secret }) => secret)?.secret?.secretName).toBe("dewey");
  });

  test("run without root, and give nothing to write but empty folders", () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 9020 });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
  });

  test("start the server with settings that it takes: the database of the secret, and its token", async () => {
    const [name = "", ...args] = container.args;
    const command = await commandNamed(name);
    if (!command) throw new Error(`there is no command ${name}`);
    const { flags } = parseCommandLine(command, args);
    using home = temporaryHome();
    const secrets = join(home.path, "secrets");
    mkdirSync(secrets);
    for (const [key, value] of Object.entries(stringData)) writeFileSync(join(secrets, key), value);
    const given = container.env.map(({ name: variable, value }) => [
      variable,
      value.replace("/run/secrets/dewey", secrets),
    ]);
    // Those of the image.
    const image = { DEWEY_DATA_DIR: join(home.path, "data"), DEWEY_MCP_HOST: "0.0.0.0" };
    const config = serveConfig({ flags, env: { HOME: home.path, ...image, ...Object.fromEntries(given) } });
    expect(config).toMatchObject({
      token: stringData["token"],
      host: "0.0.0.0",
      database: { kind: "server", host: "postgres.example", user: "dewey", tls: { mode: "verify-full" } },
    });
  });
});
