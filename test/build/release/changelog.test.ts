import { expect, test } from "bun:test";
import { section } from "../../../src/build/release/changelog.ts";

const changelog = `# Changelog

## [Unreleased]

### Added

- Not yet.

## [0.2.0] - 2026-11-29

### Added

- A page.

## [0.1.0] - 2026-01-02

### Added

- Everything.
`;

test("a version's section is its day and its text, up to the next one", () => {
  expect(section(changelog, "0.2.0")).toEqual({ date: "2026-11-29", text: "### Added\n\n- A page.\n" });
  expect(section(changelog, "0.1.0")).toEqual({ date: "2026-01-02", text: "### Added\n\n- Everything.\n" });
});

test("a version without a section, or without a day, is refused with what to write", () => {
  for (const version of ["0.3.0", "Unreleased"])
    expect(() => section(changelog, version)).toThrow(`CHANGELOG.md has no section "## [${version}] - YYYY-MM-DD"`);
});
