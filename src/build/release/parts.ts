import type { Target } from "../engine.ts";

/** What all parts of a release have in common. */
export interface Release {
  version: string;
  /** Address of the repository, without a slash at its end. */
  repository: string;
  /** The day of the release at midnight, in seconds since 1970: the time of every file in it. */
  seconds: number;
  /** Where its files are laid. */
  folder: string;
}

/** One platform's files. */
export interface Built {
  target: Target;
  /** Paths of the binary, and of the licences of others' works in it. */
  binary: string;
  notices: string;
}
