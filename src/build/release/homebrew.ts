import packageJson from "../../../package.json" with { type: "json" };
import type { Target } from "../engine.ts";
import type { Release } from "./parts.ts";

/** A formula for a tap: `brew install OWNER/TAP/dewey`. `sums` holds the SHA-256 of each platform's archive. */
export function formula({ version, repository }: Release, sums: ReadonlyMap<Target, string>): string {
  const source = (target: Target) => [
    `      url "${repository}/releases/download/v${version}/dewey-${version}-${target}.tar.gz"`,
    `      sha256 "${sums.get(target)}"`,
  ];
  const platform = (name: string, intel: Target, arm: Target) => [
    `  on_${name} do`,
    "    on_intel do",
    ...source(intel),
    "    end",
    "    on_arm do",
    ...source(arm),
    "    end",
    "  end",
  ];
  return `${[
    "class Dewey < Formula",
    '  desc "Keeps what people and AI agents say and do, and finds it again"',
    `  homepage "${repository}"`,
    `  version "${version}"`,
    `  license "${packageJson.license}"`,
    "",
    ...platform("macos", "darwin-x64", "darwin-arm64"),
    ...platform("linux", "linux-x64", "linux-arm64"),
    "",
    "  def install",
    '    bin.install "dewey"',
    '    generate_completions_from_executable(bin/"dewey", "completions")',
    "  end",
    "",
    "  service do",
    '    run [opt_bin/"dewey", "up"]',
    "    keep_alive true",
    "  end",
    "",
    "  test do",
    '    assert_match version.to_s, shell_output("#{bin}/dewey --version")',
    "  end",
    "end",
  ].join("\n")}\n`;
}
