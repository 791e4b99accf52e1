/** How much a credential may send: a count in a window. The configuration, the store, the policy and the command line share it. */

export type WindowUnit = 'minute' | 'hour' | 'day';

/** At most `count` in a window that begins with the first thing counted after the last window ended. */
export type Limit = {
  readonly kind: 'messages' | 'recipients' | 'newRecipients';
  readonly count: number;
  readonly per: WindowUnit;
};

/** A limit with what was used of it in the window that ends at `resetsAt`. */
export type LimitUse = { readonly limit: Limit; readonly used: number; readonly resetsAt: number };

/** @returns the limit of `1000/day`; undefined where the text is no limit. */
export function limitOf(text: string, kind: Limit['kind']): Limit | undefined {
  const [, count, per] = /^(\d{1,12})\/(minute|hour|day)$/.exec(text.trim()) ?? [];
  return count === undefined ? undefined : { kind, count: Number(count), per: per as WindowUnit };
}

/** `1000/day` */
export function formatLimit({ count, per }: Limit): string {
  return `${count}/${per}`;
}
