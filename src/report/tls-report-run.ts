/**
 * Sends the TLS reports of each UTC day: RFC 8460 §4.1, §5. One transaction stores the row of a report and its mail. So neither a
 * crash nor another process of the same store makes two reports of it.
 */
import { createHash } from 'node:crypto';
import type { Dns, DnsAnswer } from '../dns/dns.ts';
import type { EventLog } from '../events/events.ts';
import { discard, type OwnMailOptions, prepareOwnMail } from '../preparation/preparation.ts';
import { domainOf } from '../smtp/envelope.ts';
import { newQueueId } from '../smtp/queue-id.ts';
import { Refusal } from '../smtp/reply.ts';
import type {
  NewMessage,
  NewTlsReport,
  OperationStore,
  StoredTlsReport,
  TlsResultStore,
  TlsSessionCount,
} from '../store/store.ts';
import { type Clock, DAY, HOUR, MINUTE, systemClock } from '../system/clock.ts';
import { dayOf, type ReportTarget, readReportRecord, reportRecordName } from '../tls-policy/tls-policy.ts';
import { type HttpsPostOptions, postReport } from './https-post.ts';
import { packTlsReport, type TlsReportFacts, tlsReport, tlsReportContent, tlsReportHeader, tlsReportId } from './tls-report.ts';

export type TlsReportOptions = Omit<OwnMailOptions, 'signs'> & {
  /** The address in From and in contact-info. Its domain signs, and is the submitter. */
  readonly from: string;
  /** The days that get a report: all days with a session, days with a failure, or no day. */
  readonly mode: () => 'all' | 'failures' | 'off';
  readonly store: TlsResultStore;
  readonly operation: Pick<OperationStore, 'values' | 'value' | 'setValue'>;
  readonly dns: Pick<Dns, 'txt' | 'a' | 'aaaa'>;
  readonly https: Omit<HttpsPostOptions, 'dns' | 'signal'>;
  /** Stores all counts so far. Never rejects. */
  readonly flush: () => Promise<void>;
  /** Tells the queue that the store has mail that is due. */
  readonly wake: () => void;
  readonly log: EventLog;
  readonly now?: Clock;
};

type TlsReportRun = {
  /** Does at once all that is due, then resolves. Never rejects. */
  look(): Promise<void>;
  close(): Promise<void>;
};

/** A report is written between five minutes past midnight and four o'clock, so that receivers do not get all reports at once. */
const FIRST = 5 * MINUTE;
const LAST = 4 * HOUR;
/** Older days get no report any more. */
const OLDEST_DAYS = 2;
/** The time for delivery, by mail or by HTTPS: RFC 8460 §5.5. */
const LIFETIME = DAY;
const LOOK_EVERY = MINUTE;
/** The most reports that one look writes, and that one hour allows. Their delivery goes below other mail. */
const AT_ONCE = 16;
const PER_HOUR = 1000;
const PARALLEL_POSTS = 16;
/** The rounds of posts in one look. Reports by mail wait for no more than that. */
const POST_ROUNDS = 4;
const PARALLEL_LOOKUPS = 16;
/** The pause after each failed try by HTTPS. After the last one the report fails. */
const RETRIES: readonly number[] = [30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR];
/** A try by HTTPS belongs to its process for this time. */
const POSTING = 10 * MINUTE;
/** The pause after a look-up without an answer. */
const ASK_AGAIN = 30 * MINUTE;
const FAILED_DAYS = 5;
const SUPPRESSED = 30 * DAY;
const PAGE = 500;
const MOST_TRIES = 5;

/** Prefixes of small values: the time until which an address gets no reports, and the requests of an operator. */
export const SUPPRESSED_UNTIL = 'tlsReports.suppressed.';
export const ASKED_FOR = 'tlsReports.ask.';

type Planned = { readonly day: number; readonly domain: string; readonly at: number };

export function startTlsReportRun(options: TlsReportOptions): TlsReportRun {
  const { store, operation, log, now = systemClock } = options;
  let agenda: Planned[] = [];
  /** The hour in which the agenda was made, counted since 1970. */
  let madeIn = -1;
  let running: Promise<void> = Promise.resolve();
  /** A look waits to begin. Another one would see the same. */
  let waiting = false;
  const stop = new AbortController();
  const { signal } = stop;
  const timer = setInterval(() => void look(), LOOK_EVERY).unref();

  function look(): Promise<void> {
    if (waiting) return running;
    waiting = true;
    running = running.then(async () => {
      waiting = false;
      try {
        if (!signal.aborted) await lookOnce();
      } catch (error) {
        log.emit('storeFailed', { operation: 'tlsReports', error });
      }
    });
    return running;
  }

  /** A failure to write one report does not stop the others. */
  async function write(planned: Planned, settings: TlsReportOptions): Promise<number | 'later' | 'failed'> {
    try {
      return await writeReport(planned, settings);
    } catch (error) {
      log.emit('tlsReportNotWritten', { day: dateOf(planned.day), domain: planned.domain, error });
      return 'failed';
    }
  }

  async function lookOnce(): Promise<void> {
    await options.flush();
    for (const ended of await store.endedTlsReports()) await tellEnd(ended, options);
    await postDue();
    await writeAsked();
    await writeDue();
  }

  async function postDue(): Promise<void> {
    for (let round = 0; round < POST_ROUNDS && !signal.aborted; round++) {
      const due = await store.claimTlsReports({ now: now(), until: now() + POSTING, limit: PARALLEL_POSTS });
      await Promise.all(due.map((report) => post(report, options, signal)));
      if (due.length < PARALLEL_POSTS) return;
    }
  }

  /** A command asked for these, so `reports.tls` does not matter. */
  async function writeAsked(): Promise<void> {
    for (const { name } of await operation.values(ASKED_FOR)) {
      if (signal.aborted) return;
      const [day, domain] = name.slice(ASKED_FOR.length).split(' ');
      await store.retryTlsReport(Number(day), domain!);
      const written = await write({ day: Number(day), domain: domain!, at: now() }, { ...options, mode: () => 'all' });
      // A request whose report could not be written stays for the next look.
      if (typeof written === 'number') await operation.setValue(name, null);
    }
  }

  async function writeDue(): Promise<void> {
    if (options.mode() === 'off') return;
    await makeAgenda();
    if (agenda.length === 0 || agenda[0]!.at > now()) return;
    let room = Math.min(AT_ONCE, PER_HOUR - (await store.countTlsReports(now() - HOUR)));
    while (!signal.aborted && room > 0 && agenda.length > 0 && agenda[0]!.at <= now()) {
      const planned = agenda.shift()!;
      const written = await write(planned, options);
      // A look-up without an answer takes time too.
      room -= typeof written === 'number' ? written : 1;
      if (typeof written !== 'number') plan({ ...planned, at: now() + ASK_AGAIN });
    }
  }

  /** The agenda is made every hour, because other processes write reports, and late counts add domains. */
  async function makeAgenda(): Promise<void> {
    const today = dayOf(now());
    if (Math.floor(now() / HOUR) === madeIn) return;
    madeIn = Math.floor(now() / HOUR);
    agenda = [];
    for (let day = today - OLDEST_DAYS; day < today; day++) {
      for (let after: string | undefined = ''; after !== undefined; ) {
        const names: readonly string[] = await store.unreportedTlsDomains({ day, after, limit: PAGE });
        for (const domain of names) agenda.push({ day, domain, at: dueAt(day, domain, options.hostname) });
        after = names.length < PAGE ? undefined : names.at(-1);
      }
    }
    agenda.sort((a, b) => a.at - b.at);
  }

  function plan(planned: Planned): void {
    const at = agenda.findIndex((other) => other.at > planned.at);
    agenda.splice(at === -1 ? agenda.length : at, 0, planned);
  }

  void look();
  return {
    look,
    async close() {
      stop.abort();
      clearInterval(timer);
      await running;
    },
  };
}

/** A random time, the same for every process. */
function dueAt(day: number, domain: string, hostname: string): number {
  const random = createHash('sha256').update(`${hostname} ${day} ${domain}`).digest().readUInt32BE() / 2 ** 32;
  return (day + 1) * DAY + FIRST + Math.floor(random * (LAST - FIRST));
}

/** @returns the number of copies. `later`: the DNS did not say yet where the report goes. */
async function writeReport({ day, domain }: Planned, options: TlsReportOptions, tries = 1): Promise<number | 'later'> {
  const { store, mode, log, wake, now = systemClock } = options;
  const facts: TlsReportFacts = { day, domain, hostname: options.hostname, contact: options.from };
  const reportId = tlsReportId(facts);
  const skip = async (lastError: string) => {
    const reports = [{ rua: '', reportId, state: 'skipped', lastError }] as const;
    await store.addTlsReports({ day, domain, at: now(), reports });
    return 0;
  };
  const results = await store.tlsResults(day, domain);
  if (mode() !== 'all' && results.every(({ failed }) => failed === 0)) return skip('no session failed');
  const answer = await options.dns.txt(reportRecordName(domain));
  if (answer.kind === 'temporary') return 'later';
  const targets = targetsIn(answer);
  const others = await targetsOf(targets.length === 0 ? [] : otherDomains(domain, results), options.dns);
  const copies: { report: NewTlsReport; transport: string }[] = [];
  for (const target of targets) {
    const told = resultsFor(target.uri, domain, results, others);
    if (told.length > 0) copies.push({ report: await copyFor(target, facts, told, options), transport: target.transport });
  }
  if (copies.length === 0) return skip(targets.length === 0 ? 'it wants no reports' : 'the reports of its domains say all of it');
  let added: readonly string[];
  try {
    added = await store.addTlsReports({ day, domain, at: now(), reports: copies.map(({ report }) => report) });
  } catch (error) {
    await Promise.all(copies.map(({ report }) => report.message && discard(report.message.content)));
    // Another message has the queue ID of one of them.
    if ((error as { code?: string }).code !== 'EEXIST' || tries === MOST_TRIES) throw error;
    return writeReport({ day, domain, at: 0 }, options, tries + 1);
  }
  for (const { report, transport } of copies) {
    const { rua, message, state, lastError } = report;
    if (!added.includes(rua)) {
      if (message !== undefined) await discard(message.content);
      continue;
    }
    if (message !== undefined) logAccepted(message, log);
    const action = state === 'suppressed' ? 'suppressed' : state === 'skipped' ? 'failed' : 'queued';
    const why = lastError === null ? {} : { reason: lastError };
    const fields = { action, day: dateOf(day), domain, rua, reportId, transport, queueId: message?.id ?? null, ...why };
    log.emit('tlsReport', fields, action === 'failed' ? 'warn' : 'info');
  }
  wake();
  return added.length;
}

const targetsIn = (answer: DnsAnswer<string>): readonly ReportTarget[] =>
  answer.kind === 'found' ? (readReportRecord(answer.values) ?? []) : [];

type Targets = ReadonlyMap<string, readonly ReportTarget[]>;

/** The targets of the reports to the recipient domains themselves. */
async function targetsOf(names: readonly string[], dns: Pick<Dns, 'txt'>): Promise<Targets> {
  const found = new Map<string, readonly ReportTarget[]>();
  for (let i = 0; i < names.length; i += PARALLEL_LOOKUPS) {
    const some = names.slice(i, i + PARALLEL_LOOKUPS);
    const answers = await Promise.all(some.map((name) => dns.txt(reportRecordName(name))));
    for (const [n, name] of some.entries()) found.set(name, targetsIn(answers[n]!));
  }
  return found;
}

/** A report to a TLSA base leaves out the domains whose own reports go to the same address. */
function resultsFor(
  rua: string,
  name: string,
  results: readonly TlsSessionCount[],
  targets: Targets,
): readonly TlsSessionCount[] {
  return results.filter(({ domain }) => domain === name || !(targets.get(domain) ?? []).some(({ uri }) => uri === rua));
}

const otherDomains = (name: string, results: readonly TlsSessionCount[]): readonly string[] => [
  ...new Set(results.map(({ domain }) => domain).filter((domain) => domain !== name)),
];

async function copyFor(
  target: ReportTarget,
  facts: TlsReportFacts,
  results: readonly TlsSessionCount[],
  options: TlsReportOptions,
): Promise<NewTlsReport> {
  const { operation, now = systemClock } = options;
  const copy = { rua: target.uri, reportId: tlsReportId(facts), lastError: null };
  const until = Number((await operation.value(SUPPRESSED_UNTIL + target.uri)) ?? 0);
  if (until > now()) return { ...copy, state: 'suppressed', lastError: `left alone until ${dateOf(dayOf(until))}` };
  if (target.transport === 'https') return { ...copy, state: 'due' };
  const submitter = domainOf(facts.contact);
  const unsigned = { ...copy, state: 'skipped', lastError: `${submitter} has no DKIM key here that signs` } as const;
  const message = await mailFor(target.address, facts, results, options).catch((error: unknown) => {
    if (error instanceof Refusal) return undefined; // signing.noKey is refuse
    throw error;
  });
  if (message === undefined) return unsigned;
  // Receivers must ignore a report that its submitter has not signed: RFC 8460 §3.
  if (message.signatures.some((name) => name.endsWith(`._domainkey.${submitter}`))) return { ...copy, state: 'queued', message };
  await discard(message.content);
  return unsigned;
}

async function mailFor(
  to: string,
  facts: TlsReportFacts,
  results: readonly TlsSessionCount[],
  options: TlsReportOptions,
): Promise<NewMessage> {
  const { now = systemClock } = options;
  const at = now();
  const report = tlsReport(facts, results);
  const { subject, fields } = tlsReportHeader(facts, report['report-id']);
  const mail = {
    ...{ id: newQueueId(at), now: at, lifetime: LIFETIME, reversePath: '', to, subject, fields },
    from: { name: 'TLS reports', address: facts.contact },
    autoSubmitted: 'auto-generated',
    content: tlsReportContent(facts, results, await packTlsReport(report)),
  } as const;
  return { ...(await prepareOwnMail(mail, { ...options, signs: () => true })), tlsOptional: true, tlsReport: true };
}

function logAccepted({ id, user, reversePath, recipients, size, messageId, signatures }: NewMessage, log: EventLog): void {
  const addresses = recipients.map(({ address }) => address);
  log.emit('accepted', { queueId: id, user, reversePath, recipients: addresses, size, messageId, signatures });
}

/** One try by HTTPS. */
async function post(due: StoredTlsReport, options: TlsReportOptions, signal: AbortSignal): Promise<void> {
  const { store, dns, https, now = systemClock } = options;
  const { day, domain, rua, attempts } = due;
  const facts = { day, domain, hostname: options.hostname, contact: options.from };
  const all = await store.tlsResults(day, domain);
  const results = resultsFor(rua, domain, all, await targetsOf(otherDomains(domain, all), dns));
  const { bytes } = await packTlsReport(tlsReport(facts, results));
  const error = (await postReport(rua, bytes, { ...https, dns, signal })) ?? null;
  if (error !== null && signal.aborted) return; // the report is due again when the claim ends
  const pause = error === null ? undefined : RETRIES[attempts - 1];
  const state = error === null ? 'sent' : pause === undefined ? 'failed' : 'due';
  const nextAt = pause === undefined ? null : now() + pause;
  await store.noteTlsReport({ day, domain, rua, state, nextAt, error });
  if (state !== 'due') await tellEnd({ ...due, state, lastError: error }, options);
}

/** After some days of failures an address gets no reports for a while. */
async function tellEnd(ended: StoredTlsReport, { store, operation, log, now = systemClock }: TlsReportOptions): Promise<void> {
  const { day, domain, rua, reportId, queueId, state, lastError } = ended;
  const transport = rua.slice(0, rua.indexOf(':'));
  const facts = { day: dateOf(day), domain, rua, reportId, transport, queueId };
  const why = lastError === null ? {} : { reason: lastError };
  if (state === 'sent') log.emit('tlsReport', { action: 'sent', ...facts });
  else log.emit('tlsReport', { action: 'failed', ...facts, ...why }, 'warn');
  if (state === 'sent' || (await store.failedTlsDays(rua)) < FAILED_DAYS) return;
  const until = now() + SUPPRESSED;
  await operation.setValue(SUPPRESSED_UNTIL + rua, String(until));
  const reason = `it took no report for ${FAILED_DAYS} days, and gets none until ${dateOf(dayOf(until))}`;
  log.emit('tlsReport', { action: 'suppressed', ...facts, reason }, 'warn');
}

/** `2026-11-27` */
const dateOf = (day: number): string => new Date(day * DAY).toISOString().slice(0, 10);
