/** An address as messages show it: without the user and the password that it may have. */
export function withoutCredentials(url: string): string {
  return url.replace(/^([a-z][a-z+.-]*:\/\/)[^/?#]*@/i, "$1");
}
