/** What the header compares, and what it executes. */
export interface Launch {
  /** The name of the unpacked folder. */
  id: string;
  /** What is in it, all of it regular files. */
  files: readonly { name: string; permissions: number; size: number }[];
  /** The words between the runtime and the program in it, of which the caller's follow. */
  words: readonly string[];
  /** The variables that the header sets, without those whose values differ (see `addVariables`). */
  variables: Readonly<Record<string, string>>;
  /** The caller's that the runtime would obey: it gets them by other names. */
  asideVariables: readonly string[];
  /** Those that the header looks at: with one of them the start is its own. */
  headerVariables: readonly string[];
  header: string;
}
