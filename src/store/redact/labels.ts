import { NAMED } from "./cuts.ts";
import type { Scan } from "./scan.ts";
import { isMixed } from "./values.ts";

/** The word for a password in languages whose letters are not those of names in code. */
const words = [
  "contraseña",
  "пароль",
  "密码",
  "密碼",
  "口令",
  "パスワード",
  "暗証番号",
  "비밀번호",
  "암호",
  "lösenord",
  "hasło",
  "şifre",
  "parolă",
  "κωδικός",
  "סיסמה",
  "كلمة المرور",
  "رمز عبور",
  "mật khẩu",
  "पासवर्ड",
  "รหัสผ่าน",
] as const;
/** The sign behind the word, also the wide one, and the value. */
const value = /^["'*`]{0,3}\s{0,4}[:：=]\s{0,9}["'`]?(?=([^\s"'`<>]{4,100}))/;
/** A letter of each word that stands in few other texts: a fast check. */
const letters = new RegExp(`[${words.map(lastLetterBeyondAscii).join("")}]`, "iu");

function lastLetterBeyondAscii(word: string): string {
  return /[^\0-\x7f](?=[\0-\x7f]*$)/u.exec(word)?.[0] ?? "";
}

/** Cuts passwords behind their name in other languages. Each word is looked for in one pass. */
export function labels({ text, cuts }: Scan): void {
  if (!letters.test(text)) return;
  for (const word of words) {
    for (const form of new Set([word, capitalized(word), word.toUpperCase()]))
      for (let at = text.indexOf(form); at !== -1; at = text.indexOf(form, at + form.length)) {
        const from = at + form.length;
        const found = value.exec(text.slice(from, from + 130));
        const secret = found?.[1]?.replace(/[.,;。]+$/, "") ?? "";
        if (found === null || !(isMixed(secret) || /\w[!@#^&*]|[!@#^&*]\w/.test(secret))) continue;
        cuts.add(from + found[0].length, from + found[0].length + secret.length, NAMED);
      }
  }
}

function capitalized(word: string): string {
  return `${word[0]?.toUpperCase() ?? ""}${word.slice(1)}`;
}
