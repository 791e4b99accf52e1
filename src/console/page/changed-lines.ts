/** What a change has changed, as lines: the fields before and after it, in the order of the fields. */

/** `-` was so before, `+` is so after, and a space stays. */
export type ChangedLine = { readonly sign: ' ' | '-' | '+'; readonly text: string };

/** @param before null: there was nothing. @param after null: nothing is left. */
export function changedLines(before: unknown, after: unknown): readonly ChangedLine[] {
  const [old, fresh] = [linesOf(before), linesOf(after)];
  return [...new Set([...old.keys(), ...fresh.keys()])].flatMap((key): readonly ChangedLine[] => {
    const [was, is] = [old.get(key), fresh.get(key)];
    if (was === is) return [{ sign: ' ', text: is! }];
    return [
      ...(was === undefined ? [] : [{ sign: '-' as const, text: was }]),
      ...(is === undefined ? [] : [{ sign: '+' as const, text: is }]),
    ];
  });
}

/** By what a line is about. Each entry of a list has a line of its own, so that one entry more shows as one line more. */
function linesOf(value: unknown, path = ''): ReadonlyMap<string, string> {
  if (value === null || value === undefined) return new Map();
  if (Array.isArray(value))
    return new Map(
      value.map((entry) => [`${path}\n${wordOf(entry)}`, path === '' ? wordOf(entry) : `${path}: ${wordOf(entry)}`]),
    );
  if (typeof value !== 'object') return new Map([[path, path === '' ? String(value) : `${path}: ${value}`]]);
  const below = ([name, inner]: [string, unknown]) => [...linesOf(inner, path === '' ? name : `${path}.${name}`)];
  return new Map(Object.entries(value).flatMap(below));
}

function wordOf(entry: unknown): string {
  if (typeof entry !== 'object' || entry === null) return String(entry);
  return Object.entries(entry)
    .map(([name, inner]) => `${name} ${wordOf(inner)}`)
    .join(', ');
}
