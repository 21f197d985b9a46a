import { alphabets, has, isAlnum, isDigit } from "./alphabets.ts";
import type { Alphabet } from "./alphabets.ts";
import type { Scan } from "./scan.ts";
import { atobOrNothing, isRandom } from "./values.ts";

/** Part of a secret behind its prefix: a text, or a run of an alphabet of this length, which goes on unless it is exact. */
type Part = string | { alphabet: Alphabet; least: number; isExact: boolean };

/** How a maker writes its secrets. */
export interface Maker {
  kind: string;
  prefix: string;
  parts: Part[];
  /** A short or common prefix: what follows must look generated. */
  isCommon: boolean;
  /** Refuses what has the shape and is no secret. */
  accepts?: ((text: string, start: number, end: number) => boolean) | undefined;
}

/** Of a secret its beginning shows whether it is one. */
const MAX_JUDGED_CHARACTERS = 200;

/** `hex:32` is a run of at least 32, `hex=32` one of exactly 32; anything else is the text itself. */
function part(source: string): Part {
  const [, name, sign, length] = /^([a-z\d]+)([:=])(\d+)$/.exec(source) ?? [];
  const alphabet = name === undefined ? undefined : alphabets[name as keyof typeof alphabets];
  if (alphabet === undefined) return source;
  return { alphabet, least: Number(length), isExact: sign === "=" };
}

/** Prefixes, each group with what follows it: the prefixes and lengths that makers publish, with room below the lengths. */
function makers(
  kind: string,
  groups: Record<string, string>,
  { isCommon = false, accepts }: { isCommon?: boolean; accepts?: Maker["accepts"] } = {},
): Maker[] {
  return Object.entries(groups).flatMap(([prefixes, shape]) =>
    prefixes.split(" ").map((prefix) => ({ kind, prefix, parts: shape.split(" ").map(part), isCommon, accepts })),
  );
}

export const knownMakers: readonly Maker[] = [
  ...makers("API key", { "sk-": "word:20" }, { accepts: hasGeneratedPart }),
  ...makers("API key", {
    "sk_live_ sk_test_ sk_prod_ rk_live_ rk_test_ rk_prod_": "alnum:16",
    whsec_: "base64:20",
    "hf_ api_org_": "alnum:30",
    npm_: "alnum:36",
    "pypi-": "word:50",
    "dop_v1_ doo_v1_ dor_v1_": "hex:64",
    "SG.": "word:16 . word:16",
    AIza: "word:35",
    "GOCSPX- ya29. gloas-": "word:20",
    "glpat- gldt- glrt- glft- glffct- glimt- glsoat- glwt-": "dotted:20",
    "glcbt- glptt- glagent-": "word:20",
    GR1348941: "word:20",
    "xai- gsk_ pplx- ntn_": "alnum:40",
    "lin_api_ lin_oauth_": "alnum:32",
    "shpat_ shpss_ shpca_ shppa_": "hex:32",
    r8_: "alnum:30",
    "hvs. hvb. hvr.": "word:24",
    dapi: "hex:32",
    sbp_: "hex:40",
    sb_secret_: "word:20",
    "figd_ figo_": "word:40",
    "dckr_pat_ dckr_oat_": "word:20",
    "tskey-": "alnum:3 - word:16",
    "PMAK-": "hex:24 - hex:34",
    "PMAT-": "alnum:26",
    "sntrys_ sntryu_": "credential:40",
    "1//0": "word:30",
    "ATATT3 ATCTT3 ATSTT3": "dotted:60",
    ATBB: "alnum:24",
    glsa_: "alnum:32 _ hex:8",
    glc_: "base64:32",
    "NRAK- NRII- NRIQ-": "word:20",
    "NRBR- NRJS- NRAL-": "hex:16",
    "pscale_tkn_ pscale_pw_ pscale_oauth_": "dotted:32",
    rubygems_: "hex:40",
    "lsv2_pt_ lsv2_sk_": "hex:32 _ hex:8",
    pcsk_: "word:40",
    "dp.pt. dp.ct. dp.sa. dp.scim. dp.audit.": "alnum:36",
    "dp.st.": "dotted:36",
    "sk.eyJ tk.eyJ": "word:20 . word:16",
    "CFPAT-": "word:40",
    "FLWSECK-": "alnum:32",
    "FLWSECK_TEST-": "alnum:12",
    "HRKU-AA": "word:40",
    "HRKU- amzn.mws.": "hex:8 - hex:4 - hex:4 - hex:4 - hex:12",
    rdme_: "alnum:60",
    "shippo_live_ shippo_test_": "hex:40",
    "pul-": "hex:40",
    "pnu_ pnb_": "alnum:36",
    "phx_ phs_": "word:40",
    "nvapi-": "word:50",
    fo1_: "word:40",
    "fm1a_ fm1r_ fm2_": "base64:60",
    "EZAK EZTK": "alnum:54",
    "duffel_live_ duffel_test_": "word:40",
    "dt0c01. dt0s01. dt0s16.": "alnum:20 . alnum:60",
    "fio-u-": "word:60",
    "ico-": "alnum:32",
    AKCp: "alnum:60",
    cmVmd: "alnum:59",
    ops_eyJ: "base64:100",
    "p8e-": "alnum:32",
    sgp_: "word:40",
    "sq0atp- sq0csp-": "word:22",
    "sm_aat_ sm_pat_ sm_sat_": "alnum:16",
    tfp_: "word:40",
    "xkeysib- xsmtpsib-": "hex:64 - alnum:16",
    "rzp_live_ rzp_test_": "alnum:14",
    "SWMTKN-1-": "alnum:40 - alnum:20",
    "v1.0-": "hex:24 - hex:100",
    "vcp_ vck_ vca_ vcr_": "alnum:40",
    "nfp_ nfc_ nfo_": "alnum:36",
    rnd_: "alnum:28",
    aio_: "alnum:26",
    live_: "digit:6 _ alnum:25",
    "00D": "alnum:9 ! credential:60",
    "v1.local. v2.local. v3.local. v4.local.": "word:40",
    odt_: "alnum:30",
    CLOJARS_: "alnum:60",
    "base64url.bearer.authorization.k8s.io.": "word:20",
    napi_: "alnum:50",
    mdb_sa_sk_: "word:30",
    tgp_v1_: "word:36",
    jina_: "word:50",
    "tvly-": "word:24",
    e2b_: "hex:40",
    wandb_v1_: "word:40",
    "sqp_ squ_ sqa_": "hex:40",
    "CCIPAT_ CCIPRJ_": "word:40",
    "bkua_ bkaj_ bkpt_": "alnum:30",
    ABSK: "base64:100",
    "access-sandbox- access-development- access-production-": "hex:8 - hex:4 - hex:4 - hex:4 - hex:12",
    "pat-na1- pat-na2- pat-eu1-": "hex:8 - hex:4 - hex:4 - hex:4 - hex:12",
    "A3-": "capital:6 - capital:6 - capital:5 - capital:5 - capital:5",
    LTAI: "alnum:16",
    "BBDC-": "base64:40",
    "atlasv1.": "word:60",
    esecret_: "alnum:24",
    "sha256~": "word:43",
    "SKNK- SCWSK-": "word:20",
    oy2: "alnum=43",
    "cfut_ cfat_ cfk_": "alnum:40",
    "github_app_ ghv_": "alnum:30",
    secret_: "alnum=43",
    xau_: "alnum:30",
    "ddp_ ddw_": "alnum:36",
    "hcaik_ hcxik_ hcamk_ hcxmk_": "alnum:58",
    "xaat- xapt-": "hex:8 - hex:4 - hex:4 - hex:4 - hex:12",
    "csk-": "alnum:40",
    apify_api_: "alnum:36",
    vercel_blob_rw_: "alnum:16 _ alnum:20",
    "signkey-prod- signkey-test- signkey-branch-": "hex:32",
    "s-s4t2ud- s-s4t2af-": "hex:64",
    "tk-us-": "word:40",
    "dnkey-": "word:60",
    KGAT_: "hex:32",
    "bedrock-api-key-": "base64:60",
    b3BlbnNzaC1rZXktdjE: "base64:60",
  }),
  ...makers(
    "API key",
    {
      "SK key-": "hex=32",
      EAA: "alnum:100",
      EAAA: "word=60",
      AAAAAAAAAAAAAAAAAAAAA: "credential:60",
      re_: "alnum:8 _ alnum:20",
      "fc-": "hex=32",
      sk_: "hex=48",
      "pa-": "word:40",
      BSA: "word=28",
      "sl.": "word:120",
      "s.": "alnum=24",
      AKID: "alnum=32",
      "API-": "capital=26",
      pat: "alnum=14 . hex=64",
      "pat. sat.": "word:20 . hex:24 . alnum:20",
      "p.eyJ": "word:20 . word:16",
      cio: "alnum=32",
      AQVN: "word=36",
    },
    { isCommon: true },
  ),
  ...makers("GitHub token", { "ghp_ gho_ ghu_ ghs_ ghr_": "alnum:30", github_pat_: "word:22" }),
  ...makers("private key", { "AGE-SECRET-KEY-1 AGE-SECRET-KEY-PQ-1": "capital:50" }),
  // Of minisign and signify, with a password and without.
  ...makers("private key", { "RWRTY0Iy RWQAAEIy RWRCSw": "base64:130" }),
  ...makers("private key", { LS0tLS1CRUdJTi: "base64:40" }, { accepts: isEncodedKey }),
  ...makers(
    "AWS key",
    { "AKIA ASIA ABIA ACCA": "capital=16" },
    { accepts: (text, _start, end) => text.slice(end - 7, end) !== "EXAMPLE" },
  ),
  ...makers("Slack token", {
    "xoxa- xoxb- xoxc- xoxd- xoxe- xoxo- xoxp- xoxr- xoxs- xoxe.xoxb- xoxe.xoxp-": "credential:10",
    "xapp-": "word:20",
  }),
  ...makers("Azure key", { "AccountKey= SharedAccessKey=": "base64:40" }),
  ...makers("JSON Web Token", { eyJ: "word:10 .eyJ word:10 . word:10" }),
  ...makers("JSON Web Token", { eyJ: "word:10 . word:0 . word:10 . word:16 . word:16" }),
];

/** Where the secret ends whose prefix is at `start`; undefined when it is not one. */
export function makerEnd({ text, runs, makerEnds }: Scan, maker: Maker, start: number): number | undefined {
  if (start < (makerEnds.get(maker) ?? 0)) return undefined;
  let at = start + maker.prefix.length;
  for (const each of maker.parts) {
    if (typeof each === "string") {
      if (!text.startsWith(each, at)) return undefined;
      at += each.length;
      continue;
    }
    const end = runs.end(each.alphabet, at);
    if (end - at < each.least || (each.isExact && (end - at !== each.least || isAlnum(text.charCodeAt(end)))))
      return undefined;
    at = end;
  }
  makerEnds.set(maker, at);
  at = withoutPunctuation(text, start, at);
  const body = text.slice(start + maker.prefix.length, Math.min(at, start + MAX_JUDGED_CHARACTERS));
  if (isStandIn(body) || (maker.isCommon && !isRandom(body))) return undefined;
  return maker.accepts?.(text, start, at) === false ? undefined : at;
}

/** `XXXXXXXX`, and `your-token-here`, which has no digit: a stand-in in a document. */
function isStandIn(body: string): boolean {
  return new Set(body.slice(0, 60)).size < 6 || /^(?:x{4}|your|example|\.\.\.)|x{6}|_here$|-here$/i.test(body);
}

/** The end of a sentence is not a part of the secret. */
function withoutPunctuation(text: string, start: number, end: number): number {
  let at = end;
  while (at > start && /[.:,%]/.test(text[at - 1] ?? "")) at -= 1;
  return at;
}

/** `sk-…` is also how class names begin: a key has a part of 16 letters and digits, and a digit in it. */
function hasGeneratedPart(text: string, start: number, end: number): boolean {
  const body = text.slice(start, Math.min(end, start + MAX_JUDGED_CHARACTERS));
  return body.split(/[_-]/).some((part) => part.length >= 16 && /\d/.test(part)) || isRandomWhole(body);
}

function isRandomWhole(body: string): boolean {
  return body.length >= 40 && isRandom(body) && /[A-Z]/.test(body) && /[a-z]/.test(body.slice(3));
}

/** Base64 of PEM, as in kubeconfig: of a private key, not of a certificate. */
function isEncodedKey(text: string, start: number): boolean {
  return /PRIVATE KEY/.test(atobOrNothing(text.slice(start, start + 64)));
}

/** `123456789:AA…`, a Telegram bot's token, by the colon in it. */
export function telegramToken({ text, runs, cuts }: Scan, colon: number): void {
  if (text[colon + 1] !== "A" || !isDigit(text.charCodeAt(colon - 1))) return;
  let start = colon;
  while (start > colon - 11 && isDigit(text.charCodeAt(start - 1))) start -= 1;
  const end = runs.end(alphabets.word, colon + 1);
  if (colon - start >= 8 && end - colon > 33 && end - colon < 50) cuts.add(start, end, "bot token");
}

/** `id.time.signature`, a Discord bot's token, by its first dot. */
export function discordToken({ text, runs, cuts }: Scan, dot: number): void {
  const second = runs.end(alphabets.word, dot + 1);
  if (second - dot !== 7 || text[second] !== ".") return;
  let start = dot;
  while (start > dot - 30 && has(alphabets.word, text.charCodeAt(start - 1))) start -= 1;
  const end = runs.end(alphabets.word, second + 1);
  if (dot - start < 23 || dot - start > 29 || end - second < 26 || end - second > 46) return;
  if (isRandom(text.slice(start, end))) cuts.add(start, end, "bot token");
}

/** `…-us12`, a Mailchimp key: 32 hexadecimal digits and the data centre, by the hyphen between them. */
export function mailchimpKey({ text, runs, cuts }: Scan, hyphen: number): void {
  if (!/^-us\d{1,2}(?!\w)/.test(text.slice(hyphen, hyphen + 6)) || hyphen < 32) return;
  const start = hyphen - 32;
  if (isAlnum(text.charCodeAt(start - 1)) || runs.end(alphabets.hex, start) < hyphen) return;
  if (isRandom(text.slice(start, hyphen))) cuts.add(start, hyphen, "API key");
}

/** `"AC…", "…"`, a Twilio account and its token, by the account. */
export function twilioToken({ text, cuts }: Scan, start: number): void {
  const found = /^AC[\da-f]{32}(?:["'],\s{0,20}["']|:)(?=([\da-f]{32})\b)/.exec(text.slice(start, start + 100));
  if (found !== null) cuts.add(start + found[0].length, start + found[0].length + 32, "API key");
}

/** An Azure client secret: three characters, a digit, `Q~` and 31 or more, by its tilde. */
export function azureSecret({ text, runs, cuts }: Scan, tilde: number): void {
  if (text[tilde - 1] !== "Q" || !isDigit(text.charCodeAt(tilde - 2))) return;
  const start = tilde - 5;
  const end = runs.end(alphabets.dotted, tilde + 1);
  if (start < 0 || end - tilde < 31 || !/^[\w.~-]{3}$/.test(text.slice(start, start + 3))) return;
  cuts.add(start, end, "Azure key");
}

/** `$2b$12$…`, `$6$salt$…` and others of crypt, by their first sign. */
export function passwordHash({ text, runs, cuts }: Scan, dollar: number): void {
  const begin = /^\$(?:2[abxy]?\$\d\d\$|[156y]\$|gy\$|apr1\$|argon2(?:id?|d)\$|scrypt\$|pbkdf2[\w-]*\$|7\$)/.exec(
    text.slice(dollar, dollar + 24),
  );
  if (begin === null) return;
  const end = runs.end(alphabets.crypt, dollar);
  const body = withoutPunctuation(text, dollar, end) - dollar - begin[0].length;
  if (body >= (begin[0].startsWith("$2") ? 50 : 24))
    cuts.add(dollar, withoutPunctuation(text, dollar, end), "password hash");
}

/** `pbkdf2_sha256$260000$salt$…`, of Django, Werkzeug and PostgreSQL, by where it begins. */
export function storedHash({ text, cuts }: Scan, start: number): void {
  const found =
    /^(?:pbkdf2[_:]sha\d{1,3}[$:]\d{1,9}|scrypt:\d{1,9}:\d{1,3}:\d{1,3}|SCRAM-SHA-256\$\d{1,9}:[\w+/=]{8,100})\$(?:[^$\s"']{1,100}\$)?[\w+/=:]{24,300}/.exec(
      text.slice(start, start + 600),
    );
  if (found !== null) cuts.add(start, start + found[0].length, "password hash");
}

/** `name:500:LM:NT:::`, a line of Windows' password hashes, by a colon in it. */
export function windowsHash({ text, cuts }: Scan, colon: number): void {
  if (text.charCodeAt(colon + 33) !== 58 || text.charCodeAt(colon + 66) !== 58) return;
  if (/^:[\da-f]{32}:[\da-f]{32}:::/i.test(text.slice(colon, colon + 69)))
    cuts.add(colon + 1, colon + 66, "password hash");
}

/** `{SHA}…`, as in htpasswd and LDAP, by its brace. */
export function schemeHash({ text, runs, cuts }: Scan, brace: number): void {
  const begin = /^\{(?:SHA|SSHA|SSHA256|SSHA512|SHA256|SHA512|SMD5|MD5|CRYPT|PBKDF2[\w-]*)\}/i.exec(
    text.slice(brace, brace + 24),
  );
  if (begin === null) return;
  const start = brace + begin[0].length;
  const end = runs.end(alphabets.base64, start);
  if (end - start >= 22) cuts.add(brace, end, "password hash");
}
