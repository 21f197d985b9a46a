import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { scan } from "../../../src/store/search/scanner.ts";
import { searchable } from "../../../src/store/search/text.ts";
import type { Store } from "../../../src/store/store.ts";
import { connect, emptyDatabase, engines, testStore } from "../../support/postgres.ts";

/** A piece of a text without spaces, and what people may ask for to find it. */
interface Piece {
  text: string;
  asks: string[];
}

/** The same texts every time; a failure is shrunk and reports how to repeat it. */
const SEED = 20_260_101;
/** Of twenty to forty texts that are parsed at once. */
const PARSED_RUNS = 50;
/** Of a text for which some fifty searches are made. */
const SEARCHED_RUNS = 10;

// Made-up words, because stop words are searched verbatim.
const plainWord = fc.constantFrom(
  "quokka",
  "zephyr",
  "Brindle",
  "OKAPI",
  "x",
  "fjord",
  "vex2",
  "9lives",
  "12e5",
  "utf8",
);
const foreignWord = fc.constantFrom(
  "Ångström",
  "ΣΊΣΥΦΟΣ",
  "σίσυφος",
  "Ёлка",
  "Дом",
  "straße",
  "re\u0301sume\u0301",
  "हिन्दी",
  "שלום",
  "İzmir",
);
const unspacedRun = fc.constantFrom("図書館員", "数据库", "ห้องสมุด", "회의는", "本", "か\u3099っこう");
const mixed = fc.stringMatching(/^[a-zA-Z0-9]{1,9}$/);
const word = fc.oneof(plainWord, mixed, foreignWord);
const number = fc.nat(99_999).map(String);
const extension = fc.constantFrom("ts", "rs", "go", "h5", "tar", "mp3");
const sign = fc.constantFrom(...Array.from("()[]{}<>\"'`,;!?*#$%^&+=|~…—“”’ 🦭"));

/** Letters and digits of scripts that a PostgreSQL may not know: it parts words there, in contents and queries alike. */
const rare = /(?=[\p{L}\p{N}\p{M}])[\u0800-\u{10ffff}]/gu;

const parts = (least: number, most = 4) => fc.array(word, { minLength: least, maxLength: most });
const joined = (by: string) => parts(2).map((each): Piece => ({ text: each.join(by), asks: each }));
const humps = fc
  .array(fc.constantFrom("quokka", "zephyr", "brindle", "okapi", "vexes9"), { minLength: 2, maxLength: 4 })
  .map((each) => ({
    text: each.map((part, index) => (index === 0 ? part : part.slice(0, 1).toUpperCase() + part.slice(1))).join(""),
    asks: [...each, each.join("")],
  }));
const path = fc
  .record({
    root: fc.constantFrom("./", "../", "~/", "/", "", "C:\\", "@"),
    folders: parts(1, 3),
    base: word,
    extension,
    line: fc.option(number),
  })
  .map(({ root, folders, base, extension: end, line }): Piece => {
    const by = root === "C:\\" ? "\\" : "/";
    const file = `${folders.join(by)}${by}${base}.${end}`;
    const whole = `${root}${file}`;
    return {
      text: line === null ? whole : `${whole}:${line}`,
      asks: [whole, file, `${base}.${end}`, base, end, ...folders, ...(line === null ? [] : [line])],
    };
  });
const file = fc
  .tuple(word, extension)
  .map(([base, end]): Piece => ({ text: `${base}.${end}`, asks: [base, end, `./${base}.${end}`] }));
const version = fc
  .tuple(
    fc.constantFrom("", "v", "V"),
    fc.array(number, { minLength: 1, maxLength: 4 }),
    fc.constantFrom("", "-rc4", "-beta.1"),
  )
  .map(([v, numbers, end]): Piece => {
    const bare = numbers.join(".");
    return { text: v + bare + end, asks: [bare, `v${bare}`, bare + end, `v${bare}${end}`] };
  });
const email = fc
  .tuple(word, word)
  .map(([name, host]): Piece => ({ text: `${name}@${host}.example`, asks: [name, `${host}.example`, host] }));
const url = fc.tuple(word, parts(1, 3), word).map(([host, folders, value]): Piece => ({
  text: `https://${host}.example:8080/${folders.join("/")}?k=${value}#top9`,
  asks: [`${host}.example`, host, ...folders, folders.join("/"), value, "top9", "8080"],
}));
const generic = fc
  .tuple(word, word)
  .map(([outer, inner]): Piece => ({ text: `${outer}<${inner}>`, asks: [outer, inner, `${outer}<${inner}>`] }));
const tag = fc
  .tuple(word, word)
  .map(([name, value]): Piece => ({ text: `<${name} a="${value}">&${name};`, asks: [name, value] }));
const alone = (from: fc.Arbitrary<string>) => from.map((text): Piece => ({ text, asks: [text] }));
const run = unspacedRun.map((text): Piece => ({ text, asks: [text, ...Array.from(text.normalize("NFC"))] }));

const piece = fc.oneof(
  alone(word),
  alone(number.map((each) => `-${each}`)),
  run,
  humps,
  path,
  file,
  version,
  email,
  url,
  generic,
  tag,
  ...["_", "-", ".", "::", "\\", "/", ",", "="].map(joined),
);
const around = fc.tuple(fc.string({ unit: sign, maxLength: 2 }), piece, fc.string({ unit: sign, maxLength: 2 }));
const text = fc.array(around, { minLength: 1, maxLength: 4 }).map((each) => ({
  content: each.map(([before, { text: said }, behind]) => before + said + behind).join(" "),
  asks: each.flatMap(([, { text: said, asks }]) => [said, ...asks]),
}));

/** Everything that the text holds for certain, by a rule of the test's own. */
function asksOf({ content, asks }: { content: string; asks: string[] }): string[] {
  const runs = content.match(/[\p{L}\p{N}\p{M}]+/gu) ?? [];
  const tokens = content.split(/\s+/).map((token) => token.replace(/^[^\p{L}\p{N}\p{M}]+|[^\p{L}\p{N}\p{M}]+$/gu, ""));
  const all = [...runs, ...tokens, ...asks];
  const cased = all.flatMap((each) => [each, each.toUpperCase(), each.toLowerCase()]);
  // A minus at the start excludes, and quotes and asterisks are operators.
  return [...new Set(cased)].filter((each) => /[\p{L}\p{N}]/u.test(each) && !/^-|["*]/.test(each));
}

/** All words of a text as the scanner has them. */
function scanned(content: string): string[] {
  const words = new Set<string>();
  const add = (each: string) => words.add(each);
  scan(content, 0, content.length, { word: add, form: add, last: add });
  return [...words].toSorted();
}

for (const engine of engines) {
  describe(`the words of a text on ${engine.name}`, () => {
    let store: Store;
    let connection: Awaited<ReturnType<typeof emptyDatabase>>;
    beforeAll(async () => {
      connection = await emptyDatabase(engine);
      store = await testStore(engine, { connection });
    });
    afterAll(() => store.close());
    const user = (content: string) => ({ role: "user", content });
    let sessions = 0;
    /** Stores a text alone in a session. Returns those of the queries that do not find it there. */
    const missed = async (content: string, queries: string[]) => {
      sessions += 1;
      const session_id = `words ${sessions}`;
      await store.messages.storeBulk({ session_id, messages: [user(content)] });
      const found = await Promise.all(
        queries.map(async (query) => {
          const { total, corrected } = await store.search.find({ query, session_id, limit: 1, offset: 0 });
          return total === 1 && corrected === undefined;
        }),
      );
      return queries.filter((_, index) => !found[index]);
    };

    test("are what PostgreSQL's parser sees, whatever the text looks like", async () => {
      await using sql = connect(connection);
      const odd = fc.oneof(
        text.map(({ content }) => content),
        fc.string({
          unit: fc.oneof(
            sign,
            fc.constantFrom(...Array.from("aB1é/.-_:@\\ \n2eV")),
            fc.constantFrom("Я", "字", "\u0301"),
          ),
          maxLength: 30,
        }),
        fc.string({ unit: "grapheme", maxLength: 20 }).map((each) => each.replace(rare, "")),
      );
      const property = fc.asyncProperty(fc.array(odd, { minLength: 20, maxLength: 40 }), async (given) => {
        const contents = given.map((each) => each.toWellFormed().replaceAll("\0", " "));
        const rows: { words: string[] }[] = await sql`
          select tsvector_to_array(to_tsvector('simple', written)) as words
          from unnest(${sql.array(
            contents.map((each) => searchable(each) ?? each),
            "TEXT",
          )}::text[])
            with ordinality as given (written, place) order by place`;
        const known = (words: string[]) => words.filter((each) => !/[^\p{ASCII}]/u.test(each)).toSorted();
        expect(rows.map(({ words }) => known(words))).toEqual(contents.map((each) => known(scanned(each))));
      });
      await fc.assert(property, { seed: SEED, numRuns: PARSED_RUNS });
    });

    test("find it: each run, name, path, part and version, in any case", async () => {
      const property = fc.asyncProperty(text, async (given) => {
        expect(await missed(given.content, asksOf(given))).toEqual([]);
      });
      await fc.assert(property, { seed: SEED, numRuns: SEARCHED_RUNS });
    });

    test("find the texts that were once lost", async () => {
      const lost: [string, string[]][] = [
        ["first run ./gradlew build", ["gradlew", "./gradlew", '"./gradlew build"', "gradl*", "./gra*"]],
        ["./configure, ../helm3chart", ["configure", "helm3chart"]],
        ["see ./oauth2.ts, ok", ["oauth2", "oauth2.ts", "./oauth2.ts", '"see ./oauth2.ts, ok"']],
        ["look at src/utf8.rs please", ["utf8.rs", "utf8", "src/utf8.rs", '"utf8.rs please"', '"at src/utf8.rs"']],
        ["edit http2.go first", ["http2", "http2.go"]],
        ["lib/zig/alpha1.ts and C:\\dir\\x3.ts or dir/x8.ts:42", ["alpha1", "x3", "x8", "x8.ts:42", "dir/x8.ts"]],
        ["python3.12 and v1.2.3-rc4 for Map2D<Key3>", ["python3", "1.2.3", "v1.2.3", "Key3", "Map2D", "map2d"]],
        ["HTTPServer of @scope/pkg", ["server", "http", "@scope/pkg", "pkg", "httpserver"]],
        ["commit 12e5abc took 1.5e-9s", ["12e5abc", "12e*", "12*", "1.5e-9s"]],
        ["the deployment is running, happily", ["deploy*", "deploym*", "runni*", "RUNNING*", "happil*"]],
        ["ΣΊΣΥΦΟΣ", ["σίσυφος", "σισυφοσ"]],
        ["日本語 test", ['"日本語 test"', '"本語 test"']],
        [
          "co\u00adope\u00adra\u00adtion and pass\u200bword",
          ["cooperation", "ope", '"cooperation and"', "password", "pass"],
        ],
        ["می\u200cخواهم", ["میخواهم", "خواهم", "می\u200cخواهم"]],
        ["葛\u{e0100}城市 क्\u200dष", ["葛城", '"葛城市"', "क्ष"]],
        [
          "ﬁle oﬃce Ｆｕｌｌ１２ 𝐁𝐨𝐥𝐝 µs H₂O \u212bngstrom Ⅷ",
          ["file", "office", "full12", "bold", "μs", "h2o", "angstrom", "viii"],
        ],
        ["ﾃｽﾄﾊﾞｸﾞ を za", ["テスト", "バグ", '"バグ を"']],
        ["за́мок ѝ", ["замок", "и"]],
        ["\u0958लम \u09afাদ \ufb2aלום ﺍﻟﻌﺮﺑﻴﺔ", ["\u0915\u093cलम", "शब्द क़लम", "שלום", "العربية"]],
        ["سنة ٢٠٢٤ पृष्ठ ४२ ปี๒๕๖๗", ["2024", "٢٠٢٤", "42", "४२", "2567", "๒๕๖๗"]],
        ["ꦲꦏ꧀ꦱꦫꦗꦮ ㄅㄆㄇㄈ", ["ꦗꦮ", "ㄆㄇ"]],
        ["\u001b[1;31merror\u001b[0m here \u001b[Kdone", ["error", '"error here done"', "31merror"]],
        [JSON.stringify({ out: "\u001b[31mbroken\u001b[0m" }), ["broken"]],
        ["\\033[32mpassed\\e[0mquagga", ["passed", "quagga"]],
        ['{"a": "caf\\u00e9", "b": "\\\\u6771\\\\u4eac", "c": "\\u003cspan\\u003e"}', ["café", "cafe", "東京", "span"]],
        ["/wiki/%E6%9D%B1%E4%BA%AC?t=my%20note%2Fbar b'caf\\xc3\\xa9'", ["東京", "note", "bar", "café"]],
        ["caf&eacute; &#233;t&#xe9; gro&szlig;", ["café", "été", "groß"]],
        ["grep '\\bneedle\\b'", ["needle"]],
        ["col·lecció non\u2011stop", ["colleccio", "nonstop", "non-stop"]],
      ];
      for (const [content, queries] of lost) expect([content, await missed(content, queries)]).toEqual([content, []]);
    });

    test("are found in any case by a database with the C locale, whose own lower case knows only ASCII", async () => {
      const database = `${connection.database}_c`;
      await using sql = connect(connection);
      await sql.unsafe(`create database ${database} template template0 lc_ctype 'C' lc_collate 'C'
        ${engine.name.includes("15") ? "" : "locale_provider libc"}`);
      await using other = await testStore(engine, { connection: { ...connection, database } });
      await other.messages.storeBulk({ messages: [user("Дом у моря, “Ёлка” — ΣΊΣΥΦΟΣ")] });
      for (const query of ["дом", "ДОМ", "елка", "Моря", "σίσυφος", '"Елка Σίσυφος"']) {
        expect([query, (await other.search.find({ query, limit: 1, offset: 0 })).total]).toEqual([query, 1]);
      }
    });

    test("rank a name above its parts, and no name of which a part exists is corrected", async () => {
      const said = ["a session begins in ts", "src/auth/session.ts broke", "the sessions", "auth or session, and ts"];
      for (const content of said) await store.messages.storeBulk({ session_id: "rank", messages: [user(content)] });
      await store.search.vocabulary.refresh();
      const find = (query: string) => store.search.find({ query, session_id: "rank", limit: 9, offset: 0 });
      for (const query of ["session.ts", "./session.ts", "auth/session.ts", "src/auth/session.ts"]) {
        const { results, corrected, total } = await find(query);
        expect([query, results[0]?.content, corrected, total]).toEqual([query, said[1], undefined, 4]);
      }
      expect((await find("sesion.ts")).corrected).toBeUndefined();
      expect((await find("sesion")).corrected).toEqual([{ from: "sesion", to: "session" }]);
      expect((await find("sesion_zzz")).corrected).toEqual([{ from: "sesion", to: "session" }]);
    });

    test("are marked where they stand, as far as they are sought", async () => {
      const marked: [string, string, string][] = [
        ["run ./gradlew build", "gradl*", "run ./**gradlew** build"],
        ["in src/utf8.rs:7", "utf8.rs", "in src/**utf8.rs**:7"],
        ["the storeMessage call", "message", "the store**Message** call"],
        ["upgrade to v22 now", "22", "upgrade to v**22** now"],
        ["to ΣΊΣΥΦΟΣ it", "σίσυφος", "to **ΣΊΣΥΦΟΣ** it"],
      ];
      for (const [content, query, snippet] of marked) {
        const { conversation_id } = await store.messages.storeBulk({ messages: [user(content)] });
        const { results } = await store.search.find({ query, conversation_id, limit: 1, offset: 0 });
        expect(results[0]?.snippet).toBe(snippet);
      }
    });
  });
}
