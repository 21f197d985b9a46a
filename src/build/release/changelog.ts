/** A version's section of the changelog: the day of its release, and its text without the heading. */
export interface Section {
  /** As in `2026-11-29`. */
  date: string;
  text: string;
}

/** Throws when the changelog has no section of that version with a day. */
export function section(changelog: string, version: string): Section {
  const heading = `## [${version}] - `;
  const from = changelog.indexOf(heading);
  const date = changelog.slice(from + heading.length, from + heading.length + "2026-11-29".length);
  if (from === -1 || !/^\d{4}-\d\d-\d\d$/.test(date))
    throw new Error(
      `CHANGELOG.md has no section "${heading}YYYY-MM-DD"; give the entries under Unreleased that heading`,
    );
  const begin = changelog.indexOf("\n", from) + 1;
  const end = changelog.indexOf("\n## [", begin);
  return { date, text: `${changelog.slice(begin, end === -1 ? undefined : end).trim()}\n` };
}
