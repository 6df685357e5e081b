/** Paths of a Dockerfile, as Linux has them: pure text, nothing is looked up. */

/** Go's path.Clean("/" + path): absolute, without `.`, `..` and doubled slashes. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** What `path` means with the working folder `workdir`; `keepSlash`: a slash at the end stays. */
export function resolvePath(workdir: string, path: string, { keepSlash = false } = {}): string {
  const joined = path.startsWith("/") ? path : `${workdir}/${path}`;
  const clean = cleanPath(joined);
  const isFolder = keepSlash && clean !== "/" && /(^|\/)\.?$/.test(path);
  return isFolder ? `${clean}/` : clean;
}

/** The last part; "" of "/". */
export function baseName(path: string): string {
  return cleanPath(path).split("/").at(-1)!;
}
