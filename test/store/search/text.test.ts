import { describe, expect, test } from "bun:test";
import { searchable } from "../../../src/store/search/text.ts";
import { engines, testStore } from "../../support/postgres.ts";

describe("text for PostgreSQL's parser", () => {
  test("is unchanged when it is prose", () => {
    for (const text of [
      "A fact: it works, isn't it?",
      "plain",
      "",
      "https is a word",
      'He said: "1,000 (of 20) for $5 - or 7%!"',
      "в лесу родилась",
      "R & D",
    ]) {
      expect(searchable(text)).toBeNull();
    }
  });

  test("has words joined by signs or capitals apart, and behind the text their parts and wholes", () => {
    expect(searchable("call dewey_store_message now")).toBe("call dewey store message now\ndeweystoremessage");
    expect(searchable("parseHTTPResponse")).toBe("parsehttpresponse\nparse http response");
    expect(searchable("/usr/lib/x.so")).toBe("usr lib x so\nxso usrlibxso");
    expect(searchable("std::vec")).toBe("std vec\nstdvec");
    expect(searchable("me@example.org")).toBe("me example org\nexampleorg meexampleorg");
    expect(searchable("01a20e0c-05cb-7f75")).toBe("01a20e0c 05cb 7f75\nx01a20e0c05cb7f75");
    expect(searchable("a.test.ts")).toBe("a test ts\natestts atest");
    expect(searchable("v1.2-rc4")).toBe("v1 2 rc4\n1 v1x2rc4 x1x2");
    expect(searchable("12e5")).toBe("x12e5");
    expect(searchable(String.raw`one\ntwo\tthree`)).toBe("one ntwo tthree\ntwo three onentwotthree");
    expect(searchable(String.raw`"\nfooBar"`)).toBe("nfoobar\nnfoo bar foobar foo bar");
  });

  test("keeps the colon of a label and the mark of a question, by which these are recognised", () => {
    expect(searchable("Zoë: is it a/b?")).toBe("zoe: is it a b\nab ?");
    expect(searchable("Zoë: is it? a/b".padEnd(201, " x"))).toEndWith(" x\nab");
  });

  test("has other forms behind a line, so that a text that is cut keeps those of its beginning", () => {
    const lines = "storeMessage\n".repeat(1000);
    const written = searchable(lines) ?? "";
    expect(written.indexOf("store message")).toBeLessThan(9000);
    expect(written.match(/\bstore message\b/g)).toHaveLength(1000);
  });

  test("has pairs of characters in scripts without spaces, and letters without accents", () => {
    expect(searchable("日本語の本")).toBe("日本 本語 語の の本\n本");
    expect(searchable("Café Ångström")).toBe("cafe angstrom");
    expect(searchable("e\u0301 ß Œ x\u0304 й Й")).toBe("e ss oe x й й");
  });
});

for (const engine of engines) {
  describe(`search on ${engine.name}`, () => {
    test("finds every language by words and by parts of words, and code by the whole and by its parts", async () => {
      await using store = await testStore(engine);
      const texts: [string, string[]][] = [
        ["私は昨日、東京で新しい図書館員に会いました", ["図書館", "東京", "昨日 東京"]],
        ["我们决定使用分布式数据库来保存对话", ["数据库", "分布式", "保存对话"]],
        ["회의는 화요일에 서울에서 열립니다", ["서울", "화요일", "회의"]],
        ["ห้องสมุดเปิดทุกวัน", ["ห้องสมุด"]],
        [JSON.stringify({ output: "a line\nTAMARIN runs\n\n\tMARMOSET" }), ["tamarin", "marmoset", "tamarin runs"]],
        ["the tool dewey_store_message failed", ["dewey_store_message", "deweyStoreMessage", "DEWEY_STORE_MESSAGE"]],
        ["we call renderWidgetTree twice", ["renderWidgetTree", "render_widget_tree", "WidgetTree"]],
        [
          "see /etc/nginx/sites-enabled/default.conf",
          ["/etc/nginx/sites-enabled/default.conf", "nginx", "sites-enabled", "default.conf"],
        ],
        ["it answered ERR_CONNECTION_REFUSED", ["ERR_CONNECTION_REFUSED", "err_connection_refused"]],
        [
          "open https://docs.example.net/guide/intro?x=1",
          ["docs.example.net", "https://docs.example.net/guide/intro?x=1"],
        ],
        ["write to zelda.fitz@mail.example", ["zelda.fitz@mail.example", "zelda.fitz"]],
        ["trace 7f3a9c1e-12e5-4b0d-9c3e-aa00bb11cc22 ended", ["7f3a9c1e-12e5-4b0d-9c3e-aa00bb11cc22", "7f3a9c1e"]],
        [
          "the résumé of Søren Kærgård in Malmö",
          ["resume", "Malmo", "malmö", "RÉSUMÉ", "soren", "Kaergard", "KÆRGÅRD"],
        ],
        ["Große Straße in Łódź", ["grosse", "strasse", "lodz", "ŁÓDŹ"]],
        ["Ёлка и ёж, ΑΘΉΝΑ", ["елка", "ЁЖ", "αθηνα", "Αθήνα"]],
        ["שָׁלוֹם לכולם", ["שלום"]],
        ["the file re\u0301sultat.txt of macOS", ["résultat.txt", "resultat"]],
        ["か\u3099っこう が鳴く", ["がっこう", "鳴く"]],
        ["我家的猫很可爱", ["猫", "可爱"]],
        ["新しい本", ["本"]],
        ["内部 API設計の資料", ["API設計", "api", "設計"]],
        ["commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b broke it", ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"]],
        ["exit code 0x80070057 and E11000", ["0x80070057", "E11000", "e11000"]],
        ["C:\\Users\\quill\\notes.md is gone", ["C:\\Users\\quill\\notes.md", "quill", "notes.md"]],
        ["PyTorch's torch.nn.functional.scaled_dot", ["torch.nn.functional.scaled_dot", "scaled_dot", "functional"]],
      ];
      for (const [content] of texts) await store.messages.storeBulk({ messages: [{ role: "user", content }] });
      for (const [content, queries] of texts) {
        for (const query of queries) {
          const { results } = await store.search.find({ query, limit: 5, offset: 0 });
          expect([query, results[0]?.content]).toEqual([query, content]);
          expect([query, /\*\*.+\*\*/.test(results[0]?.snippet ?? "")]).toEqual([query, true]);
        }
      }
    });
  });
}
