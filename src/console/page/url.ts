/** The address of a page is its state: which page, and how its list is filtered. */

/** `/messages/:id` finds `{id}`, decoded. undefined: another page. */
export function matchPath(pattern: string, path: string): Readonly<Record<string, string>> | undefined {
  const wanted = pattern.split('/');
  const parts = path.split('/');
  if (wanted.length !== parts.length) return undefined;
  const found: Record<string, string> = {};
  for (const [at, part] of wanted.entries()) {
    const given = parts[at]!;
    if (!part.startsWith(':')) {
      if (part !== given) return undefined;
      continue;
    }
    const value = decodedPart(given);
    if (value === undefined || value === '') return undefined;
    found[part.slice(1)] = value;
  }
  return found;
}

function decodedPart(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** An empty value takes the name out. The order of the others stays, so that one filter has one address. */
export function queryWith(query: string, changes: Readonly<Record<string, string | null | undefined>>): string {
  const all = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === '') all.delete(name);
    else all.set(name, value);
  }
  const text = all.toString();
  return text === '' ? '' : `?${text}`;
}

/** A path with a stranger's name in it: pathTo('/messages', id). */
export const pathTo = (...parts: readonly string[]) =>
  parts.map((part, at) => (at === 0 ? part : encodeURIComponent(part))).join('/');

/** Where a search goes, by what was typed: an id, a Message-ID, or a part of an address. Ids begin with a digit, and have no signs of an address. */
export function searchHref(text: string): string {
  if (/^\d[0-9a-z]{11,19}$/.test(text)) return pathTo('/messages', text);
  if (/^<.*>$/.test(text)) return `/messages${queryWith('', { messageId: text })}`;
  return `/messages${queryWith('', { to: text })}`;
}

/** The only page while there is no configuration. */
export const FIRST_RUN = '/first-run';
