/** One line of comma-separated values, as the fields of `--mount` are. */

/** @see Go's encoding/csv: a field in double quotes may hold commas, and quotes doubled */
export function splitFields(text: string): string[] {
  const fields: string[] = [];
  for (let at = 0; at <= text.length;) {
    const quoted = /^"((?:[^"]|"")*)"(?=,|$)/.exec(text.slice(at));
    const field = quoted?.[0] ?? /^[^,]*/.exec(text.slice(at))![0];
    fields.push(quoted ? quoted[1]!.replaceAll('""', '"') : field);
    at += field.length + 1;
  }
  return fields;
}
