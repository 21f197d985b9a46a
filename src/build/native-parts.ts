/** A part of the binary that no npm package's licence file covers. Its texts lie in `notices/`. */
export interface NativePart {
  name: string;
  /** An SPDX expression. */
  license: string;
  /** Names of files in `notices/`, without `.txt`. */
  texts: string[];
}

/** A part of the PostgreSQL archive, recognised by its libraries. */
export interface EnginePart extends NativePart {
  /** Matches the libraries' names; a group named version holds the version, when the name states it. */
  libraries: RegExp;
  /** Finds the version in a library's bytes. */
  version?: RegExp;
}

/** Every library that the archives of all platforms hold belongs to one of these; the build fails for any other. */
export const engineParts: readonly EnginePart[] = [
  {
    name: "PostgreSQL",
    license: "PostgreSQL",
    texts: ["postgresql"],
    libraries: /^lib(?:pq|pq-oauth-\d+|ecpg|ecpg_compat|pgtypes)\./,
  },
  {
    name: "OpenSSL",
    license: "OpenSSL",
    texts: ["openssl-1.1"],
    libraries: /^lib(?:crypto|ssl)\.so\.1\.1$/,
    version: /OpenSSL (1\.\d+\.\d+[a-z]?)/,
  },
  {
    name: "OpenSSL",
    license: "Apache-2.0",
    texts: ["apache-2.0"],
    libraries: /^lib(?:crypto|ssl)\.(?:so\.3|3\.dylib)$/,
    version: /OpenSSL (3\.\d+\.\d+)/,
  },
  {
    name: "ICU",
    license: "Unicode-3.0 AND ICU",
    texts: ["icu"],
    libraries: /^libicu(?:data|i18n|uc)\.(?:so\.)?(?<version>\d+\.\d+)(?:\.dylib)?$/,
  },
  { name: "libxml2", license: "MIT", texts: ["libxml2"], libraries: /^libxml2\./ },
  { name: "libxslt", license: "MIT", texts: ["libxslt"], libraries: /^libxslt\./ },
  {
    name: "zlib",
    license: "Zlib",
    texts: ["zlib"],
    libraries: /^libz\./,
    version: /deflate (\d+\.\d+[.\d]*) Copyright/,
  },
  { name: "XZ Utils (liblzma)", license: "LicenseRef-public-domain", texts: ["xz"], libraries: /^liblzma\./ },
  {
    name: "OSSP uuid",
    license: "LicenseRef-OSSP-uuid",
    texts: ["ossp-uuid"],
    libraries: /^libossp-uuid\./,
    version: /OSSP uuid (\d+\.\d+\.\d+)/,
  },
  { name: "libuuid", license: "BSD-3-Clause", texts: ["libuuid"], libraries: /^libuuid\./ },
  { name: "lz4", license: "BSD-2-Clause", texts: ["lz4"], libraries: /^liblz4\.(?<version>\d+\.\d+\.\d+)/ },
  { name: "Zstandard", license: "BSD-3-Clause", texts: ["zstd"], libraries: /^libzstd\.(?<version>\d+\.\d+\.\d+)/ },
  { name: "libedit", license: "BSD-3-Clause", texts: ["libedit"], libraries: /^libedit\./ },
  {
    name: "MIT Kerberos",
    license: "MIT",
    texts: ["krb5"],
    libraries: /^lib(?:com_err|gssapi_krb5|k5crypto|krb5|krb5support)\./,
  },
  { name: "GNU libiconv", license: "LGPL-2.1-or-later", texts: ["lgpl-2.1"], libraries: /^libiconv\./ },
  { name: "GNU gettext (libintl)", license: "LGPL-2.1-or-later", texts: ["lgpl-2.1"], libraries: /^libintl\./ },
];

/** What Bun, which the binary is compiled with, links statically, by its own list. */
export const runtimeParts: readonly NativePart[] = [
  { name: "Bun", license: "MIT", texts: ["bun", "mit"] },
  { name: "JavaScriptCore and WebKit", license: "LGPL-2.0-only", texts: ["lgpl-2.0"] },
  { name: "TinyCC", license: "LGPL-2.1-only", texts: ["lgpl-2.1"] },
  { name: "BoringSSL", license: "Apache-2.0 AND OpenSSL AND ISC", texts: ["boringssl", "apache-2.0"] },
  { name: "Brotli", license: "MIT", texts: ["brotli"] },
  { name: "c-ares", license: "MIT", texts: ["c-ares"] },
  { name: "Highway", license: "Apache-2.0", texts: ["apache-2.0"] },
  { name: "ICU", license: "Unicode-3.0 AND ICU", texts: ["icu"] },
  { name: "base64", license: "BSD-2-Clause", texts: ["base64"] },
  { name: "libarchive", license: "BSD-2-Clause", texts: ["libarchive"] },
  { name: "libdeflate", license: "MIT", texts: ["libdeflate"] },
  { name: "libjpeg-turbo", license: "BSD-3-Clause AND IJG AND Zlib", texts: ["libjpeg-turbo"] },
  { name: "libspng", license: "BSD-2-Clause", texts: ["libspng"] },
  { name: "libwebp", license: "BSD-3-Clause", texts: ["libwebp"] },
  { name: "lol-html", license: "BSD-3-Clause", texts: ["lol-html"] },
  { name: "ls-hpack", license: "MIT", texts: ["ls-hpack"] },
  { name: "ls-qpack", license: "MIT", texts: ["ls-qpack"] },
  { name: "lsquic", license: "MIT AND BSD-3-Clause", texts: ["lsquic"] },
  { name: "mimalloc", license: "MIT", texts: ["mimalloc"] },
  { name: "picohttpparser", license: "MIT", texts: ["picohttpparser"] },
  { name: "simdutf", license: "Apache-2.0 OR MIT", texts: ["simdutf"] },
  { name: "uSockets and uWebSockets", license: "Apache-2.0", texts: ["apache-2.0"] },
  { name: "uucode", license: "MIT", texts: ["uucode"] },
  { name: "zlib-ng", license: "Zlib", texts: ["zlib"] },
  { name: "Zstandard", license: "BSD-3-Clause", texts: ["zstd"] },
  { name: "acorn", license: "MIT", texts: ["acorn"] },
  { name: "punycode", license: "MIT", texts: ["punycode"] },
];
