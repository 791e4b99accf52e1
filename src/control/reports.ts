/** What receivers report about mail of our domains: DMARC aggregate reports and complaints that the operator has received. */
import type { DnsClient } from '../dns/dns.ts';
import type { Complaint, Own, ReportHead } from '../feedback/feedback.ts';
import { canonicalAddress, publicAddresses } from '../net/addresses.ts';
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

type ReportOptions = Partial<Parts<ReportSettings>> & { readonly dns?: DnsClient };

export type ReportControl = ReturnType<typeof createReportControl>;

/** @param options none: without a relay, so nothing is known to be ours but the given addresses. */
export function createReportControl({ store, settings, dns }: ReportOptions = {}) {
  /** The configured addresses, else those of the machine and of its name: behind a NAT only the DNS has them. */
  async function ownAddresses(): Promise<readonly string[]> {
    if (settings === undefined) return [];
    const { hostname, delivery } = settings();
    if (delivery.source.length > 0 || dns === undefined) return delivery.source;
    const answers = await Promise.all([dns.a(hostname), dns.aaaa(hostname)]);
    return [...publicAddresses(), ...answers.flatMap((answer) => (answer.kind === 'found' ? answer.values : []))];
  }

  return {
    /**
     * Sums of all reports together. A report that is there twice counts once. A file that cannot be read is in `refused` with the reason, and
     * nothing of it counts.
     * @param addresses more addresses of ours
     */
    async read(sources: readonly ReportSource[], addresses: readonly string[] = []) {
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
      for (const { name, read } of sources) {
        try {
          const found = await readFeedback(await read(MOST_UNPACKED), own);
          complaints.push(...found.complaints);
          for (const { head, sums } of found.reports) {
            const key = JSON.stringify([head.reporter, head.reportId, head.domain, head.begin]);
            const isRepeated = known.has(key);
            known.add(key);
            reports.push(reportShape(head, sums.list(), isRepeated));
            if (!isRepeated) total.merge(sums);
          }
        } catch (error) {
          if (!(error instanceof FeedbackRefusal)) throw error;
          refused.push({ file: name, reason: error.message });
        }
      }
      return { ownAddresses: [...own.addresses], ownKeys: [...own.keys], reports, sums: total.list(), complaints, refused };
    },
  };
}

function reportShape({ begin, end, ...head }: ReportHead, sums: readonly { readonly messages: number }[], repeated: boolean) {
  const messages = sums.reduce((total, sum) => total + sum.messages, 0);
  return { ...head, begin: iso(begin), end: iso(end), messages, repeated };
}
