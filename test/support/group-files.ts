import { groupOf, groups, testFiles } from "./groups.ts";

// `bun test/support/group-files.ts GROUP` prints the files of one group, for `bun test`.

const group = groups.find((each) => each === process.argv[2]);
if (group === undefined) {
  console.error(`group-files: choose a group: ${groups.join(", ")}`);
  process.exit(2);
}
// Without the dot, `bun test` takes a path for a pattern.
console.log(
  testFiles()
    .filter((file) => groupOf(file) === group)
    .map((file) => `./${file}`)
    .join(" "),
);
