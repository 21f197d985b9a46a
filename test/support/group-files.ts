import { groupOf, groups, testFiles } from "./groups.ts";

// `bun test/support/group-files.ts GROUP` prints the files of a group as arguments for `bun test`.

const group = groups.find((each) => each === process.argv[2]);
if (group === undefined) {
  console.error(`group-files: choose a group: ${groups.join(", ")}`);
  process.exit(2);
}
// Without the leading dot, `bun test` treats a path as a pattern.
console.log(
  testFiles()
    .filter((file) => groupOf(file) === group)
    .map((file) => `./${file}`)
    .join(" "),
);
