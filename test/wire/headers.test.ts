import { expect, test } from "bun:test";
import { fromHeaderValue, headerValue } from "../../src/wire/headers.ts";

test("a plain name is its own header value, and any other is written in base64", () => {
  for (const plain of ["get_weather", "file:///a/b c?d=e#f", "two words", "a\tb", "=?base64?", "?="])
    expect(headerValue(plain)).toBe(plain);
  expect(headerValue("Hello, 世界")).toBe("=?base64?SGVsbG8sIOS4lueVjA==?=");
  expect(headerValue(" padded ")).toBe("=?base64?IHBhZGRlZCA=?=");
  expect(headerValue("line1\nline2")).toBe("=?base64?bGluZTEKbGluZTI=?=");
  expect(headerValue("=?base64?literal?=")).toBe("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=");
});

test("every text comes back from its header value", () => {
  for (const text of ["größe", "\uFEFFmark", "a\r\nb", "\t", " ", "", "😀", "=?base64?YQ==?=", "=?base64??="]) {
    expect(/^[\t -~]*$/.test(headerValue(text))).toBe(true);
    expect(fromHeaderValue(headerValue(text))).toBe(text);
  }
});

test("a header value that is no text by the rule is told apart", () => {
  for (const wrong of [
    "größe",
    "a\u0000b",
    "=?base64?a?=",
    "=?base64?YQ?=",
    "=?base64?Y Q==?=",
    "=?base64?_w==?=",
    "=?base64?/w==?=",
  ])
    expect(fromHeaderValue(wrong)).toBeUndefined();
  // The mark is case-sensitive.
  expect(fromHeaderValue("=?BASE64?YQ==?=")).toBe("=?BASE64?YQ==?=");
});
