// Most scenarios of MCP's conformance suite call tools, prompts and resources of an example server by their names, and check
// what these answer. `dewey serve` has others, so exactly these checks fail.

const example = "the example's tool, prompt or resource does not exist";
const undeclared = "a capability that Dewey does not declare, since nothing in it would use it";

/** Why each check that `dewey serve` fails in the suite for revisions with sessions does. */
export const explainedInSessions: Record<string, string> = {
  ...all(example, [
    "elicitation-sep1034-defaults: elicitation-sep1034-general",
    "elicitation-sep1330-enums: elicitation-sep1330-general",
    "json-schema-2020-12: json-schema-2020-12-tool-found",
    "prompts-get-embedded-resource",
    "prompts-get-simple",
    "prompts-get-with-args",
    "prompts-get-with-image",
    "resources-read-binary",
    "resources-read-text",
    "resources-templates-read",
    "tools-call-audio",
    "tools-call-elicitation",
    "tools-call-embedded-resource",
    "tools-call-error",
    "tools-call-image",
    "tools-call-mixed-content",
    "tools-call-sampling",
    "tools-call-simple-text",
    "tools-call-with-logging",
    "tools-call-with-progress",
  ]),
  ...all(undeclared, ["logging-set-level", "resources-subscribe", "resources-unsubscribe"]),
};

/** The same for the revision without sessions. */
export const explainedWithoutSessions: Record<string, string> = {
  ...all(example, [
    "http-custom-header-server-validation: sep-2243-server-decode-base64",
    "http-custom-header-server-validation: sep-2243-server-no-xmcp-tool",
    "http-custom-header-server-validation: sep-2243-server-reject-invalid-param-chars",
    "http-custom-header-server-validation: sep-2243-server-reject-param-mismatch",
    "http-custom-header-server-validation: sep-2243-server-validate-param-match",
    "input-required-result-basic-elicitation: sep-2322-elicitation-incomplete",
    "input-required-result-basic-list-roots: sep-2322-list-roots-incomplete",
    "input-required-result-basic-sampling: sep-2322-sampling-incomplete",
    "input-required-result-capability-check: sep-2322-respect-client-capabilities",
    "input-required-result-multi-round: sep-2322-multi-round-r1",
    "input-required-result-multiple-input-requests: sep-2322-multiple-inputs-incomplete",
    "input-required-result-non-tool-request: sep-2322-non-tool-incomplete",
    "input-required-result-request-state: sep-2322-request-state-incomplete",
    "input-required-result-result-type: sep-2322-result-type-included",
    "input-required-result-tampered-state: sep-2322-reject-tampered-state",
    "json-schema-2020-12: json-schema-2020-12-tool-found",
    "prompts-get-embedded-resource",
    "prompts-get-simple",
    "prompts-get-with-args",
    "prompts-get-with-image",
    "resources-read-binary",
    "resources-read-text",
    "resources-templates-read",
    "server-stateless: sep-2575-http-server-no-independent-requests-on-stream",
    "server-stateless: sep-2575-missing-capability-http-400",
    "server-stateless: sep-2575-server-no-log-without-loglevel",
    "server-stateless: sep-2575-server-rejects-undeclared-capability",
    "tools-call-audio",
    "tools-call-embedded-resource",
    "tools-call-error",
    "tools-call-image",
    "tools-call-mixed-content",
    "tools-call-simple-text",
    "tools-call-with-progress",
  ]),
};

/** The checks that fail without an explanation, and the explained ones that pass. */
export function unexplained(checks: string[], explained: Record<string, string>): string[] {
  const failed = new Set(checks.filter((check) => check.endsWith(": FAILURE")).map((check) => check.slice(0, -9)));
  const known = new Set(Object.keys(explained));
  return [
    ...[...failed.difference(known)].map((check) => `${check} fails`),
    ...[...known.difference(failed)].map((check) => `${check} no longer fails`),
  ];
}

/** A check of the same name as its scenario is written once. */
function all(reason: string, checks: string[]): Record<string, string> {
  return Object.fromEntries(checks.map((check) => [check.includes(": ") ? check : `${check}: ${check}`, reason]));
}
