/** What receivers report about mail of our domains: DMARC aggregate reports and complaints that the operator has received. */
import { createHash } from 'node:crypto';
import type { DnsClient } from '../dns/dns.ts';
import type { Complaint, Own, ReportHead } from '../feedback/feedback.ts';
import { canonicalAddress, publicAddresses } from '../net/addresses.ts';
import { COMPLAINT_PREFIX, type HeardComplaint } from '../policy/policy.ts';
import type { FeedbackStore } from '../store/store.ts';
import { DAY, systemClock } from '../system/clock.ts';
import { ControlError } from './control-error.ts';
import type { Parts } from './parts.ts';
import { iso } from './shapes.ts';

export type ReportSettings = { readonly hostname: string; readonly delivery: { readonly source: readonly string[] } };

/**
 * Where a report is: a file, or what came on stdin. `read` is called when its turn comes, so that one file is in memory at a time. It
 * stops after more than `most` octets.
 */
export type ReportSource = { readonly name: string; read(most: number): Promise<Buffer> };

/** `report read` */
export type ReadReports = Awaited<ReturnType<ReportControl['read']>>;

/** `report domains` */
export type DomainReports = Awaited<ReturnType<ReportControl['domains']>>;

type ReportOptions = Partial<Parts<ReportSettings>> & { readonly dns?: DnsClient };

export type ReportControl = ReturnType<typeof createReportControl>;

/** @param options none: without a relay, so nothing is known to be ours but the given addresses. */
/** Complaints that say that mail is unwanted. */
const ABUSE: ReadonlySet<string> = new Set(['abuse', 'fraud', 'virus']);
const MOST_TOLD = 100;

export function createReportControl({ store, settings, dns, note, now = systemClock }: ReportOptions = {}) {
  /** The configured addresses, else those of the machine and of its name: behind a NAT only the DNS has them. */
  async function ownAddresses(): Promise<readonly string[]> {
    if (settings === undefined) return [];
    const { hostname, delivery } = settings();
    if (delivery.source.length > 0 || dns === undefined) return delivery.source;
    const answers = await Promise.all([dns.a(hostname), dns.aaaa(hostname)]);
    return [...publicAddresses(), ...answers.flatMap((answer) => (answer.kind === 'found' ? answer.values : []))];
  }

  /** The relay counts a complaint for the login that has sent the mail, each once. */
  async function tellComplaints(complaints: readonly Complaint[]): Promise<void> {
    if (store === undefined) return;
    const told = complaints.filter(({ ours, type, messageId }) => ours && messageId !== null && ABUSE.has(type));
    for (const { messageId } of told.slice(0, MOST_TOLD)) {
      const [found] = await store.messages.find(messageId!, 1);
      if (found === undefined || found.user === null) continue;
      const { user, reversePath } = found;
      const name = COMPLAINT_PREFIX + createHash('sha256').update(messageId!).digest('hex').slice(0, 32);
      await store.operation.keepValue(name, JSON.stringify({ user, reversePath, at: now() } satisfies HeardComplaint));
    }
  }

  return {
    /**
     * Sums of all reports together. A report that is there twice counts once. A file that cannot be read is in `refused` with the reason, and
     * nothing of it counts.
     * @param addresses more addresses of ours. @param keeps adds the sums to those in the store, for `domains`.
     */
    async read(sources: readonly ReportSource[], addresses: readonly string[] = [], keeps = false) {
      const { FeedbackRefusal, FeedbackSums, keyName, MOST_UNPACKED, readFeedback } = await import('../feedback/feedback.ts');
      const own: Own = {
        addresses: new Set([...addresses, ...(await ownAddresses())].map(canonicalAddress)),
        keys: new Set((await store?.operation.dkimKeys())?.map(keyName)),
      };
      const total = new FeedbackSums(own);
      const reports: ReturnType<typeof reportShape>[] = [];
      const complaints: Complaint[] = [];
      const refused: { readonly file: string; readonly reason: string }[] = [];
      const known = new Set<string>();
      let stored = 0;
      const view = keeps ? note?.({ action: 'report.keep', target: targetOf(sources) }) : undefined;
      for (const { name, read } of sources) {
        try {
          const found = await readFeedback(await read(MOST_UNPACKED), own);
          complaints.push(...found.complaints);
          for (const { head, sums } of found.reports) {
            const key = JSON.stringify([head.reporter, head.reportId, head.domain, head.begin]);
            const isRepeated = known.has(key);
            known.add(key);
            reports.push(reportShape(head, sums.list(), isRepeated));
            if (isRepeated) continue;
            total.merge(sums);
            if (keeps && (await keep(view?.feedback, { key, begin: head.begin ?? now(), sums: sums.list() }))) stored++;
          }
        } catch (error) {
          if (!(error instanceof FeedbackRefusal)) throw error;
          refused.push({ file: name, reason: error.message });
        }
      }
      if (keeps) await tellComplaints(complaints);
      return {
        ownAddresses: [...own.addresses],
        ownKeys: [...own.keys],
        reports,
        sums: total.list(),
        complaints,
        refused,
        stored,
      };
    },
    /** What the stored reports of the last days say, of one domain or of all. @throws ControlError `not found` if there is none. */
    async domains(days: number, domain?: string) {
      const since = Math.floor(now() / DAY) - days;
      const rows = (await store?.feedback.sums(since, domain)) ?? [];
      if (rows.length === 0)
        throw new ControlError(
          'not found',
          'report',
          'The store has no sums of reports: `smarthost report read --store FILE` adds some.',
        );
      return { days, sums: rows.map(sumShape) };
    },
  };
}

const targetOf = (sources: readonly ReportSource[]): string =>
  sources.length === 1 ? sources[0]!.name : `${sources.length} files`;

type KeptReport = { readonly key: string; readonly begin: number; readonly sums: readonly Sum[] };
type Sum = ReturnType<InstanceType<typeof import('../feedback/feedback.ts').FeedbackSums>['list']>[number];

/** False if it was stored before. */
async function keep(feedback: FeedbackStore | undefined, { key, begin, sums }: KeptReport): Promise<boolean> {
  if (feedback === undefined) throw new ControlError('invalid', 'report', 'There is no store to keep the sums in.');
  return feedback.addReport({
    key: createHash('sha256').update(key).digest('base64url'),
    day: Math.floor(begin / DAY),
    sums: sums.map(({ verified, dmarc: _, ...sum }) => ({ ...sum, verified: verified.join(',') })),
  });
}

function sumShape({ verified, ...sum }: Awaited<ReturnType<FeedbackStore['sums']>>[number]) {
  const dmarc = sum.dkim === 'pass' || sum.spf === 'pass' ? 'pass' : 'fail';
  return { ...sum, dmarc, verified: verified === '' ? [] : verified.split(',') } as Sum;
}

function reportShape({ begin, end, ...head }: ReportHead, sums: readonly { readonly messages: number }[], repeated: boolean) {
  const messages = sums.reduce((total, sum) => total + sum.messages, 0);
  return { ...head, begin: iso(begin), end: iso(end), messages, repeated };
}
