import { describe, expect, test } from "bun:test";
import { ansiRuns } from "../../src/page/parts/ansi.ts";

const texts = (text: string) =>
  ansiRuns(text)
    .map((run) => run.text)
    .join("");

describe("a terminal's output", () => {
  test("is runs of text with their styles", () => {
    expect(ansiRuns("a\u001b[1;31mb\u001b[22;42mc\u001b[0md")).toEqual([
      { text: "a", classes: [] },
      { text: "b", classes: ["ansi-bold", "ansi-red"] },
      { text: "c", classes: ["ansi-red", "ansi-on-green"] },
      { text: "d", classes: [] },
    ]);
    expect(ansiRuns("\u001b[48;5;231mlight")).toEqual([
      { text: "light", classes: [], color: "black", background: "rgb(255 255 255)" },
    ]);
    expect(ansiRuns("\u001b[38;5;208ma\u001b[48;2;1;2;300mb")).toEqual([
      { text: "a", classes: [], color: "rgb(255 135 0)" },
      { text: "b", classes: [], color: "rgb(255 135 0)", background: "rgb(1 2 44)" },
    ]);
  });

  test("obeys nothing else: cursors, titles, links", () => {
    expect(texts("a\u001b[2Jb\u001b]0;title\u0007c\u001b]8;;http://x\u001b\\d\u001b(Be\u001b[?25lf")).toBe("abcdef");
    expect(texts("\u001bX\u0007")).toBe("␛X␇");
  });

  test("has of a line that was written again its last form", () => {
    expect(texts("10%\r50%\r100%\ndone\r\n")).toBe("100%\ndone\n");
  });
});
