import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DeweyError } from "../../../src/errors.ts";
import {
  ENGINE_VERSION,
  earlierPlaces,
  finish,
  placesIn,
  removeEarlier,
  removeLeftovers,
} from "../../../src/store/engine/engine.ts";
import { temporaryFolder } from "../../support/postgres.ts";

const major = Number(ENGINE_VERSION.split(".")[0]);
const ours = { engine: `engine-${ENGINE_VERSION}`, data: `data-${major}` };

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Makes folders with a file in each. */
function make(...names: string[]): void {
  for (const name of names) {
    mkdirSync(join(folder, name, "within"), { recursive: true });
    writeFileSync(join(folder, name, "within", "file"), name);
  }
}

const left = () => readdirSync(folder).toSorted();

describe("in a folder of earlier Deweys", () => {
  test("only unfinished folders and engines that no cluster needs are removed", () => {
    const old = `engine-${major - 1}.3`;
    make(
      ours.engine,
      ours.data,
      `engine-${major}.0-old`,
      old,
      `data-${major - 1}`,
      "engine-9.6",
      "unfinished-x",
      "mine",
    );
    removeLeftovers(folder, placesIn(folder));
    expect(left()).toEqual([ours.engine, ours.data, old, `data-${major - 1}`, "mine"].toSorted());
  });

  test("engines are removed after the last cluster that needed them", () => {
    make(ours.engine, `engine-${major - 1}.3`);
    removeLeftovers(folder, placesIn(folder));
    expect(left()).toEqual([ours.engine]);
  });

  test("earlier clusters are renamed once there is one of ours", () => {
    make(ours.data, `data-${major - 1}`, `data-${major - 2}`, "data-x", "my-data-1");
    removeEarlier(folder, placesIn(folder));
    expect(left()).toEqual(
      [ours.data, `unfinished-data-${major - 1}`, `unfinished-data-${major - 2}`, "data-x", "my-data-1"].toSorted(),
    );
  });

  test("the latest cluster is carried over with its programs", () => {
    make(
      `data-${major - 2}`,
      `engine-${major - 2}.1`,
      `data-${major - 1}`,
      `engine-${major - 1}.1`,
      "data-9",
      "engine-9.6",
    );
    expect(earlierPlaces(folder, placesIn(folder))).toEqual({
      programs: join(folder, `engine-${major - 1}.1`),
      cluster: join(folder, `data-${major - 1}`),
    });
  });

  test("nothing is carried over if there is a cluster of ours, or none at all", () => {
    expect(earlierPlaces(folder, placesIn(folder))).toBeUndefined();
    make(ours.data, `data-${major - 1}`, `engine-${major - 1}.1`);
    expect(earlierPlaces(folder, placesIn(folder))).toBeUndefined();
  });

  test.each([
    ["without its programs", [`data-${major - 1}`, `engine-${major}.1`]],
    ["of a newer engine", [`data-${major + 1}`, `engine-${major + 1}.1`]],
  ])("a cluster %s is refused and left unchanged", (_, names) => {
    make(...names);
    expect(() => earlierPlaces(folder, placesIn(folder))).toThrow(DeweyError);
    expect(left()).toEqual(names.toSorted());
  });
});

test("a finished folder has its final name and all its files", async () => {
  make("unfinished-a");
  await finish(join(folder, "unfinished-a"), join(folder, "place"));
  expect(existsSync(join(folder, "unfinished-a"))).toBe(false);
  expect(readFileSync(join(folder, "place", "within", "file"), "utf8")).toBe("unfinished-a");
});
