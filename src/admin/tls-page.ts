/** The page for the operator about domains whose mail must be secured: their policies, and the failures that the relay has counted. */

export type TlsPageFacts = {
  /** Policies of MTA-STS. */
  readonly policies: readonly {
    readonly domain: string;
    /** `holds` or `expired`. */
    readonly state: string;
    readonly mode: string;
    readonly expiresAt: string;
    /** Why the last fetch failed. */
    readonly lastError: string | null;
  }[];
  /** The latest day first. */
  readonly failures: readonly {
    readonly day: string;
    readonly domain: string;
    readonly policy: string;
    readonly type: string;
    readonly mx: string | null;
    readonly reason: string | null;
    readonly sessions: number;
  }[];
};

type Row = { policy: string; trouble: string; sessions: number; last: string; kinds: Map<string, number> };

const MOST_ROWS = 1000;
const MOST_KINDS = 5;
/** The page is text alone. Nothing in it may run or load, whatever a stranger's server has said. */
export const TLS_PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** HTML. Domains with failures are first, those with the most of them before others. */
export function tlsPage(facts: TlsPageFacts): string {
  const rows = [...rowsOf(facts)].sort(([a, x], [b, y]) => y.sessions - x.sessions || (a < b ? -1 : 1));
  const shown = rows.slice(0, MOST_ROWS).map(([domain, row]) => htmlRow(domain, row));
  const left = rows.length - shown.length;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>smarthost: TLS by domain</title>
<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:1em}table{border-collapse:collapse}
th,td{text-align:left;vertical-align:top;padding:.3em .8em .3em 0;border-bottom:1px solid #8886;overflow-wrap:anywhere}</style></head>
<body><h1>TLS by domain</h1>
<p>Domains with a policy of MTA-STS, and domains with failed TLS sessions of the last 30 days (UTC).
<code>smarthost tls check DOMAIN --connect</code> says what happens to mail for one of them now, and why.</p>
${
  rows.length === 0
    ? '<p>There are none.</p>'
    : `<table><thead><tr><th scope="col">Domain</th><th scope="col">Policy</th><th scope="col">Failed sessions</th><th scope="col">Last</th><th scope="col">What failed</th></tr></thead>
<tbody>
${shown.join('\n')}
</tbody></table>`
}
${left > 0 ? `<p>${left} more: <code>smarthost tls policies list</code> and <code>smarthost tls failures</code>.</p>\n` : ''}</body></html>
`;
}

function rowsOf({ policies, failures }: TlsPageFacts): Map<string, Row> {
  const rows = new Map<string, Row>();
  const rowOf = (domain: string): Row => {
    const row = rows.get(domain) ?? { policy: '', trouble: '', sessions: 0, last: '', kinds: new Map() };
    rows.set(domain, row);
    return row;
  };
  for (const { domain, state, mode, expiresAt, lastError } of policies) {
    const row = rowOf(domain);
    row.policy = state === 'holds' ? `${mode}, until ${expiresAt.slice(0, 10)}` : `${mode}, expired ${expiresAt.slice(0, 10)}`;
    row.trouble = lastError === null ? '' : `The policy could not be fetched again: ${lastError}`;
  }
  for (const { day, domain, policy, type, mx, reason, sessions } of failures) {
    const row = rowOf(domain);
    const kind = [`${policy} ${type}`, mx, reason].filter((part) => part !== null && part !== '').join(', ');
    row.sessions += sessions;
    if (day > row.last) row.last = day;
    row.kinds.set(kind, (row.kinds.get(kind) ?? 0) + sessions);
  }
  return rows;
}

function htmlRow(domain: string, { policy, trouble, sessions, last, kinds }: Row): string {
  const most = [...kinds].sort(([, a], [, b]) => b - a);
  const said = most.slice(0, MOST_KINDS).map(([kind, count]) => `${count} × ${kind}`);
  if (most.length > MOST_KINDS) said.push(`${most.length - MOST_KINDS} more kinds`);
  if (trouble !== '') said.push(trouble);
  const cells = [policy, sessions === 0 ? '' : String(sessions), last].map((text) => `<td>${escaped(text)}</td>`).join('');
  return `<tr><th scope="row">${escaped(domain)}</th>${cells}<td>${said.map(escaped).join('<br>')}</td></tr>`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}
