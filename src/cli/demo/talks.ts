import type { DemoTalk, Step } from "./talk.ts";

const BAKERY = "/home/ada/bakery";
const HARBOUR = "/home/ada/harbour";
const ATLAS = "/home/ada/atlas";

/** The talks that the demonstration shows in full. */
export const talks: readonly DemoTalk[] = [
  {
    title: "The order form loses its date on reload",
    client: "claude-code",
    folder: BAKERY,
    branch: "fix/pickup-date",
    daysAgo: 0,
    starred: true,
    steps: [
      { say: "When I reload the order form, the pickup date is gone. The other fields stay. Can you find out why?" },
      {
        think:
          "The other fields are kept, so the draft is stored somewhere. The date may be stored in a form that does not come back, such as a Date in JSON.",
      },
      {
        call: "Grep",
        with: { pattern: "pickupDate", path: "src" },
        gives:
          "src/order/draft.ts:14:  pickupDate: Date;\nsrc/order/draft.ts:31:  const draft = JSON.parse(text) as Draft;\nsrc/order/form.tsx:52:  value={formatDay(draft.pickupDate)}",
        ms: 41,
      },
      {
        call: "Read",
        with: { file_path: `${BAKERY}/src/order/draft.ts`, offset: 24, limit: 16 },
        gives:
          "24  export function saveDraft(draft: Draft): void {\n25    sessionStorage.setItem(KEY, JSON.stringify(draft));\n26  }\n27\n28  export function loadDraft(): Draft | undefined {\n29    const text = sessionStorage.getItem(KEY);\n30    if (text === null) return undefined;\n31    const draft = JSON.parse(text) as Draft;\n32    return draft;\n33  }",
        ms: 18,
      },
      {
        answer:
          "Found it. `loadDraft` says that it returns a `Draft`, but **JSON has no dates**: after a reload `pickupDate` is a string, and `formatDay` gives an empty text for a string.\n\nTwo ways to mend it:\n\n1. keep the day as text (`2026-11-29`) everywhere, which is what the server takes anyway\n2. turn it back into a `Date` when the draft is read\n\nI would take the first: a pickup day has no time, and a `Date` brings a time zone with it. Shall I?",
      },
      { say: "Yes, the first. And a test please." },
      {
        call: "Edit",
        with: {
          file_path: `${BAKERY}/src/order/draft.ts`,
          old_string: "export interface Draft {\n  items: Item[];\n  pickupDate: Date;\n  note: string;\n}",
          new_string:
            "export interface Draft {\n  items: Item[];\n  /** The day as in ISO 8601, without a time: a pickup has no time zone. */\n  pickupDay: string;\n  note: string;\n}",
        },
        gives: "The file was updated.",
        ms: 22,
      },
      {
        call: "Write",
        with: {
          file_path: `${BAKERY}/test/draft.test.ts`,
          content:
            'import { expect, test } from "bun:test";\nimport { loadDraft, saveDraft } from "../src/order/draft.ts";\n\ntest("a draft keeps its pickup day across a reload", () => {\n  saveDraft({ items: [], pickupDay: "2026-12-24", note: "" });\n  expect(loadDraft()?.pickupDay).toBe("2026-12-24");\n});\n',
        },
        gives: "The file was created.",
        ms: 15,
      },
      {
        call: "Bash",
        with: { command: "bun test test/draft.test.ts", description: "Run the new test" },
        gives:
          "\u001b[1mbun test\u001b[0m v1.4.5\n\ntest/draft.test.ts:\n\u001b[31m✗\u001b[0m a draft keeps its pickup day across a reload\n  \u001b[31merror\u001b[0m: ReferenceError: sessionStorage is not defined\n\n\u001b[31m1 fail\u001b[0m",
        ms: 1340,
        failed: true,
      },
      { think: "There is no session storage outside of a browser. The module should be given its storage." },
      {
        call: "Edit",
        with: {
          file_path: `${BAKERY}/src/order/draft.ts`,
          old_string: "export function loadDraft(): Draft | undefined {\n  const text = sessionStorage.getItem(KEY);",
          new_string:
            "export function loadDraft(storage: Storage = sessionStorage): Draft | undefined {\n  const text = storage.getItem(KEY);",
        },
        gives: "The file was updated.",
        ms: 19,
      },
      {
        call: "Bash",
        with: { command: "bun test", description: "Run all tests" },
        gives:
          "\u001b[1mbun test\u001b[0m v1.4.5\n\n\u001b[32m✓\u001b[0m a draft keeps its pickup day across a reload \u001b[2m[0.8ms]\u001b[0m\n\u001b[32m✓\u001b[0m an order without a day is refused \u001b[2m[1.2ms]\u001b[0m\n\n\u001b[32m38 pass\u001b[0m\n0 fail\nRan 38 tests across 7 files. [2.41s]",
        ms: 2980,
      },
      {
        answer:
          'Done; all 38 tests pass.\n\n| file | what changed |\n|---|---|\n| `src/order/draft.ts` | `pickupDay` is a text, and the storage can be given |\n| `src/order/form.tsx` | uses the text as it is |\n| `test/draft.test.ts` | the day survives a reload |\n\n```ts\nconst draft = loadDraft();\nif (draft !== undefined) show(draft.pickupDay); // "2026-12-24"\n```\n\nOld drafts hold the other field and are dropped at the first load, since a session lasts no longer than its tab.',
      },
      { say: "Perfect. Commit it." },
      {
        call: "Bash",
        with: { command: "git commit -am 'fix: keep the pickup day across a reload'" },
        gives:
          "[fix/pickup-date 4be1c07] fix: keep the pickup day across a reload\n 3 files changed, 19 insertions(+), 8 deletions(-)",
        ms: 210,
      },
      { answer: "Committed as `4be1c07` on `fix/pickup-date`." },
    ],
  },
  {
    title: "Which oven is the bottleneck on Saturdays?",
    client: "codex",
    folder: BAKERY,
    daysAgo: 1,
    steps: [
      { say: "Look at last Saturday's log in data/ovens.csv. Which oven do the others wait for?" },
      {
        call: "shell",
        with: {
          command:
            "duckdb -json -c \"select oven, count(*) loads, round(avg(wait_min),1) wait from 'data/ovens.csv' group by 1 order by 3 desc\"",
        },
        gives:
          '[{"oven":"deck 2","loads":31,"wait":11.4},{"oven":"deck 1","loads":34,"wait":4.2},{"oven":"rack","loads":18,"wait":1.1}]',
        ms: 480,
      },
      {
        answer:
          "**Deck 2**: loads wait 11.4 minutes for it, almost three times as long as for deck 1.\n\n> The rack oven is idle for a third of the morning.\n\nMoving the rolls of 6:30 to the rack oven would take about 7 loads off deck 2.",
      },
      { say: "¿Y los domingos?" },
      { answer: "Los domingos no hay cuello de botella: la espera media es de **2,3 minutos** en los tres hornos." },
    ],
  },
  {
    title: "Tide tables: the second high water is missing",
    client: "gemini",
    folder: HARBOUR,
    branch: "main",
    daysAgo: 2,
    steps: [
      {
        say: "On days with three high waters the table shows only two. The third one is after midnight in UTC but not in our zone.",
      },
      { think: "The day is probably cut in UTC." },
      {
        call: "read_file",
        with: { path: "harbour/tides.py" },
        gives:
          "def high_waters(day):\n    start = datetime(day.year, day.month, day.day, tzinfo=UTC)\n    return [t for t in TIDES if start <= t.time < start + timedelta(days=1)]",
        ms: 30,
      },
      {
        call: "replace",
        with: { file_path: "harbour/tides.py", old_string: "tzinfo=UTC", new_string: "tzinfo=HARBOUR_ZONE" },
        gives: "1 occurrence was replaced.",
        ms: 26,
      },
      {
        answer:
          "The day was cut at midnight UTC. It is now cut in the harbour's own zone, so that the high water of 23:41 local time belongs to its day.",
      },
      { say: "שלום, אפשר גם להוסיף את השפל?" },
      { answer: "כן. הוספתי את `low_waters` באותו אופן, עם אותו אזור זמן." },
    ],
  },
  {
    title: "Map tiles for the ferry lines",
    client: "claude-code",
    folder: ATLAS,
    branch: "ferries",
    daysAgo: 4,
    starred: true,
    steps: [
      { say: "Draw the ferry lines as their own layer, dashed, and only from zoom 7 on." },
      {
        call: "Task",
        with: {
          description: "Find how layers are styled",
          prompt: "Find where the styles of the map's layers are defined, and which properties they have.",
        },
        gives: "Styles are in style/layers.json, one object a layer: id, source, minzoom, paint.",
        ms: 48_200,
      },
      {
        call: "Read",
        with: { file_path: `${ATLAS}/style/layers.json` },
        gives:
          '{"layers":[{"id":"water","source":"base","minzoom":0,"paint":{"fill-color":"#cfe3ee"}},{"id":"roads","source":"base","minzoom":5,"paint":{"line-color":"#b9a58a","line-width":1.2}}]}',
        ms: 14,
      },
      {
        call: "Edit",
        with: {
          file_path: `${ATLAS}/style/layers.json`,
          old_string: '{"id":"roads"',
          new_string:
            '{"id":"ferries","source":"lines","minzoom":7,"paint":{"line-color":"#3f7fa6","line-dasharray":[3,2]}},{"id":"roads"',
        },
        gives: "The file was updated.",
        ms: 17,
      },
      { answer: "The layer `ferries` is drawn dashed from zoom 7 on, below the roads." },
    ],
  },
  {
    title: "Find how layers are styled",
    client: "claude-code",
    folder: ATLAS,
    daysAgo: 4,
    parent: "Map tiles for the ferry lines",
    steps: [
      { say: "Find where the styles of the map's layers are defined, and which properties they have." },
      { call: "Glob", with: { pattern: "**/*layer*" }, gives: "style/layers.json\nsrc/layer.ts", ms: 12 },
      { answer: "Styles are in style/layers.json, one object a layer: id, source, minzoom, paint." },
    ],
  },
];

/** Sessions that the recorder kept between clients and servers. */
export const sessions: readonly DemoTalk[] = [
  {
    title: "",
    client: "inspector",
    folder: BAKERY,
    daysAgo: 0,
    upstream: "orders",
    steps: [
      {
        call: "list_orders",
        with: { day: "2026-11-29" },
        gives: '{"orders":[{"id":481,"name":"Lovelace","items":3},{"id":482,"name":"Hopper","items":1}]}',
        ms: 84,
      },
      {
        call: "get_order",
        with: { id: 481 },
        gives:
          '{"id":481,"name":"Lovelace","items":[{"what":"rye loaf","count":2},{"what":"stollen","count":1}],"total":31.4}',
        ms: 37,
      },
      { call: "get_order", with: { id: 999 }, gives: "there is no order 999", ms: 21, failed: true },
      {
        call: "search_orders",
        with: { text: "stollen", from: "2026-11-01" },
        gives: '{"hits":[481,433,402],"took_ms":910}',
        ms: 934,
      },
      {
        call: "print_label",
        with: { order: 481, printer: "counter" },
        gives: "the printer does not answer (timeout after 5 s)",
        ms: 5020,
        failed: true,
      },
      { call: "print_label", with: { order: 481, printer: "office" }, gives: '{"printed":true,"pages":1}', ms: 1480 },
      {
        call: "get_order",
        with: { id: 482 },
        gives: '{"id":482,"name":"Hopper","items":[{"what":"baguette","count":4}],"total":9.6}',
        ms: 44,
      },
      {
        call: "update_order",
        with: { id: 482, note: "call before noon" },
        gives: '{"id":482,"updated":true}',
        ms: 118,
      },
    ],
  },
  {
    title: "",
    client: "claude-code",
    folder: HARBOUR,
    daysAgo: 1,
    upstream: "weather",
    steps: [
      {
        call: "forecast",
        with: { place: "Cuxhaven", days: 3 },
        gives: '{"days":[{"wind":7,"from":"NW"},{"wind":5,"from":"W"},{"wind":4,"from":"SW"}]}',
        ms: 412,
      },
      {
        call: "forecast",
        with: { place: "Helgoland", days: 3 },
        gives: '{"days":[{"wind":9,"from":"NW"},{"wind":7,"from":"NW"},{"wind":6,"from":"W"}]}',
        ms: 388,
      },
      {
        call: "warnings",
        with: { area: "German Bight" },
        gives: "the service limits calls to 10 a minute",
        ms: 95,
        failed: true,
      },
      {
        call: "warnings",
        with: { area: "German Bight" },
        gives: '{"warnings":[{"kind":"storm","until":"2026-11-30T06:00:00Z"}]}',
        ms: 276,
      },
    ],
  },
];

const subjects: readonly [folder: string, client: string, title: string][] = [
  [BAKERY, "claude-code", "Prices with and without tax on the receipt"],
  [BAKERY, "claude-code", "Sourdough schedule as a calendar feed"],
  [BAKERY, "codex", "Move the photos to WebP"],
  [BAKERY, "claude-code", "Why the nightly export takes an hour"],
  [BAKERY, "gemini", "Opening hours around the holidays"],
  [HARBOUR, "claude-code", "Berth plan: two boats in one place"],
  [HARBOUR, "codex", "Read the wind gauge over Modbus"],
  [HARBOUR, "claude-code", "Fees for boats longer than 15 metres"],
  [HARBOUR, "claude-code", "Backups of the logbook"],
  [HARBOUR, "gemini", "Translate the mooring rules"],
  [ATLAS, "claude-code", "Contour lines vanish at zoom 12"],
  [ATLAS, "claude-code", "Names of lakes in two languages"],
  [ATLAS, "codex", "Cache tiles for hikes without a network"],
  [ATLAS, "claude-code", "A legend that fits on a phone"],
  [ATLAS, "cursor", "Hill shading from the new elevation model"],
];

/** Shorter talks of the last weeks, so that lists and charts have something to show. */
export const earlier: readonly DemoTalk[] = Array.from({ length: 60 }, (_, index) => {
  const [folder, client, title] = subjects[(index * 7) % subjects.length] ?? [BAKERY, "codex", "Notes"];
  const round = Math.floor(index / subjects.length);
  return {
    title: round === 0 ? title : `${title} (${["continued", "again", "last part"][round - 1]})`,
    client,
    folder,
    // Denser of late, and two days a week without any.
    daysAgo: 1 + Math.floor((index * index) / 62) + (index % 3),
    steps: shortSteps(title, 2 + ((index * 5) % 6)),
  };
});

function shortSteps(title: string, rounds: number): Step[] {
  return Array.from({ length: rounds }, (_, round): Step[] => [
    { say: round === 0 ? `${title}: where do we begin?` : `And then? Step ${round + 1}, please.` },
    {
      call: "Read",
      with: { file_path: `notes/${round + 1}.md` },
      gives: `# Step ${round + 1}\n\n${title}.`,
      ms: 12 + ((round * 37) % 90),
    },
    {
      answer: `Step ${round + 1} of ${rounds} is done: ${title.toLowerCase()}. I looked at \`notes/${round + 1}.md\` and changed what it names.`,
    },
  ]).flat();
}

/** Startup contexts, each with its versions, the earliest first. */
export const contexts: readonly { name: string; versions: readonly string[]; folder?: string }[] = [
  {
    name: "house rules",
    versions: [
      "Write plain English.\nRun the tests before you say that something works.",
      "Write plain English.\nRun the tests before you say that something works.\nCommit small steps, each with its reason.",
      "Write plain English, and short.\nRun the tests before you say that something works.\nCommit small steps, each with its reason.\nAsk before you add a dependency.",
    ],
  },
  {
    name: "harbour",
    versions: ["All times are the harbour's own zone.\nDepths are below chart datum."],
    folder: HARBOUR,
  },
];
