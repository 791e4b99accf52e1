/** What senders must still be told, of a store in memory: collected by message and Action, limited by sender. */
import {
  type AttemptRecord,
  type DueReport,
  ENDED_STATES,
  type NewUntold,
  type RecipientState,
  type StoredRecipient,
  type UntoldRecipient,
} from '../../src/store/store.ts';
import { HOUR } from '../../src/system/clock.ts';

type Recipient = StoredRecipient & { delayReported: boolean; readonly trace: readonly AttemptRecord[] };
/** How the message store shows a message. */
export type Reported = {
  readonly facts: Extract<DueReport, { kind: 'report' }>['message'];
  readonly content: Extract<DueReport, { kind: 'report' }>['content'];
  readonly recipients: readonly Recipient[];
};
type Entry = NewUntold & { readonly message: string; readonly sender: string; dueAt: number; summary: boolean };

const TRIED: readonly RecipientState[] = ['queued', 'active', 'delayed', 'uncertain'];
/** One report tells both: RFC 3464 §2.3.3 has one word for them. */
const actionOf = ({ action }: { readonly action: NewUntold['action'] }) => (action === 'expired' ? 'failed' : action);

export class MemoryUntold {
  #entries: Entry[] = [];
  /** Reports of the hour that began with the first of them, by sender. */
  readonly #windows = new Map<string, { readonly startedAt: number; readonly used: number }>();
  readonly #messages: ReadonlyMap<string, Reported>;

  constructor(messages: ReadonlyMap<string, Reported>) {
    this.#messages = messages;
  }

  all(): readonly UntoldRecipient[] {
    return this.#entries.map((entry) => this.#recipientOf(entry));
  }

  /** @param whole also what a summary will tell, which needs no content. */
  keeps(message: string, { whole }: { readonly whole: boolean }): boolean {
    return this.#entries.some((entry) => entry.message === message && (whole || !entry.summary));
  }

  owe(message: string, news: NewUntold): void {
    if (this.#entries.some((entry) => entry.message === message && entry.n === news.n && entry.action === news.action)) return;
    const sender = this.#messages.get(message)!.facts.reversePath;
    this.#entries.push({ ...news, message, sender, dueAt: news.collectUntil, summary: false });
  }

  /** @returns true if a report became due, because no other recipient can follow before its time. */
  endCollecting(message: string, at: number): boolean {
    const waiting = (this.#messages.get(message)?.recipients ?? []).filter(({ state }) => TRIED.includes(state));
    const next = Math.min(...waiting.map(({ state, nextAttemptAt }) => (state === 'active' ? 0 : (nextAttemptAt ?? 0))));
    const ready = this.#entries.filter((one) => one.message === message && !one.summary && one.dueAt > at && one.dueAt < next);
    for (const entry of ready) entry.dueAt = at;
    return ready.length > 0;
  }

  due({ now, limit, perHour }: { readonly now: number; readonly limit: number; readonly perHour: number }) {
    const due: DueReport[] = [];
    const planned = new Map<string, number>();
    const taken = new Set<string>();
    for (const entry of this.#entries.filter(({ dueAt }) => dueAt <= now).sort((a, b) => a.dueAt - b.dueAt)) {
      const { message, sender, summary } = entry;
      const key = summary ? `summary ${sender}` : `${message} ${actionOf(entry)}`;
      if (due.length >= limit || taken.has(key)) continue;
      taken.add(key);
      const window = this.#window(sender, now);
      if (!summary && window.used + (planned.get(sender) ?? 0) >= perHour) {
        for (const same of this.#about(entry)) Object.assign(same, { summary: true, dueAt: window.startedAt + HOUR });
        continue;
      }
      const report = summary ? this.#summaryFor(sender, now) : this.#reportAbout(entry);
      if (report === undefined) continue;
      if (!summary) planned.set(sender, (planned.get(sender) ?? 0) + 1);
      due.push(report);
    }
    const times = this.#entries.map(({ dueAt }) => dueAt);
    return { due, nextAt: times.length === 0 ? null : Math.min(...times) };
  }

  /** @returns false if all of it had been told. */
  told(sender: string, untold: readonly UntoldRecipient[], { at, report }: { at: number; report: boolean }): boolean {
    const ended = this.#entries.filter((entry) => untold.some((one) => isSame(one, entry)));
    if (ended.length === 0) return false;
    this.#entries = this.#entries.filter((entry) => !ended.includes(entry));
    for (const { message, n, joined } of untold) {
      const recipient = this.#messages.get(message)?.recipients[n];
      if (joined && recipient !== undefined && !ENDED_STATES.includes(recipient.state)) recipient.delayReported = true;
    }
    const { startedAt, used } = this.#window(sender, at);
    if (report && !ended.some(({ summary }) => summary)) this.#windows.set(sender, { startedAt, used: used + 1 });
    return true;
  }

  postpone(untold: readonly UntoldRecipient[], until: number): void {
    for (const entry of this.#entries) if (untold.some((one) => isSame(one, entry))) entry.dueAt = until;
  }

  #window(sender: string, now: number) {
    const known = this.#windows.get(sender);
    const holds = known !== undefined && now >= known.startedAt && now < known.startedAt + HOUR;
    return holds ? known : { startedAt: now, used: 0 };
  }

  #about(entry: Entry): Entry[] {
    return this.#entries.filter((one) => one.message === entry.message && !one.summary && actionOf(one) === actionOf(entry));
  }

  #reportAbout(entry: Entry): DueReport | undefined {
    const { facts, content } = this.#messages.get(entry.message)!;
    const about = this.#about(entry);
    const noted = about.map((one) => this.#recipientOf(one)).sort((a, b) => a.n - b.n);
    const hasEnded = ({ recipient }: UntoldRecipient) => ENDED_STATES.includes(recipient.state);
    const untold = entry.action === 'delayed' ? noted.filter((one) => !hasEnded(one)) : noted;
    this.#entries = this.#entries.filter((one) => !about.includes(one) || untold.some((kept) => isSame(kept, one)));
    if (untold.length === 0) return undefined;
    const late = entry.action === 'delayed' ? this.#alsoLate(entry.message, untold) : [];
    return { kind: 'report', message: facts, content, untold: [...untold, ...late] };
  }

  #alsoLate(message: string, untold: readonly UntoldRecipient[]): readonly UntoldRecipient[] {
    return this.#messages.get(message)!.recipients.flatMap((recipient): UntoldRecipient[] => {
      const { n, state, delayReported, trace } = recipient;
      const last = trace.at(-1);
      if (!TRIED.includes(state) || delayReported || last === undefined || untold.some((one) => one.n === n)) return [];
      const { at, mx, ip, code, status, reply } = last;
      const words = reply.startsWith(`${code} `) ? reply.slice(`${code} `.length) : reply;
      const where = { ...(mx === null ? {} : { mx }), ...(ip === null ? {} : { ip }) };
      const shown = { recipient: stored(recipient), joined: true };
      return [{ message, n, action: 'delayed', at, reply: { code, status, text: '', words }, ...where, ...shown }];
    });
  }

  #summaryFor(sender: string, now: number): DueReport | undefined {
    const entries = this.#entries.filter((one) => one.summary && one.sender === sender && one.dueAt <= now);
    const messages = [...new Set(entries.map(({ message }) => message))].map((id) => this.#messages.get(id)!.facts);
    return { kind: 'summary', sender, messages, untold: entries.map((one) => this.#recipientOf(one)) };
  }

  #recipientOf({ dueAt: _, summary: __, sender: ___, collectUntil: ____, ...entry }: Entry): UntoldRecipient {
    return { ...entry, recipient: stored(this.#messages.get(entry.message)!.recipients[entry.n]!), joined: false };
  }
}

const isSame = (one: UntoldRecipient, entry: Entry) =>
  !one.joined && one.message === entry.message && one.n === entry.n && one.action === entry.action;

function stored(recipient: Recipient & { readonly lease?: unknown }): StoredRecipient {
  const { trace: _, lease: __, ...rest } = recipient;
  return { ...rest };
}
