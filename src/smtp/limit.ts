/** How much a credential may send: a count in a window of time. The configuration, the store, the policy and the command line share it. */

export type WindowUnit = 'minute' | 'hour' | 'day';

/** At most `count` in a window. A window begins with the first use after the end of the last one. */
export type Limit = {
  readonly kind: 'messages' | 'recipients' | 'newRecipients';
  readonly count: number;
  readonly per: WindowUnit;
};

/** A limit with its use in the window that ends at `resetsAt`. */
export type LimitUse = { readonly limit: Limit; readonly used: number; readonly resetsAt: number };

/** @returns the limit of a text such as `1000/day`; undefined if the text is no limit. */
export function limitOf(text: string, kind: Limit['kind']): Limit | undefined {
  const [, count, per] = /^(\d{1,12})\/(minute|hour|day)$/.exec(text.trim()) ?? [];
  return count === undefined ? undefined : { kind, count: Number(count), per: per as WindowUnit };
}

/** `1000/day` */
export function formatLimit({ count, per }: Limit): string {
  return `${count}/${per}`;
}
