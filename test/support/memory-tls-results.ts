/** A TlsResultStore that keeps everything in memory, and the mail of reports in a message store. */
import {
  ENDED_STATES,
  furtherTlsPolicies,
  type MessageStore,
  MOST_TLS_POLICIES,
  type SeenTlsPolicy,
  type StoredTlsReport,
  type TlsFailureDetail,
  type TlsResultStore,
  type TlsSessionCount,
} from '../../src/store/store.ts';

const MOST_KINDS = 100;
const NOWHERE = { sendingIp: null, mx: null, helo: null, receivingIp: null, reason: null };
const kindOf = ({ count: _, ...kind }: TlsFailureDetail) => JSON.stringify(kind);
const byName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

export function createMemoryTlsResults(messages: MessageStore): TlsResultStore {
  let results: TlsSessionCount[] = [];
  let reports: StoredTlsReport[] = [];
  const sameReport = (a: Pick<StoredTlsReport, 'day' | 'domain' | 'rua'>) => (b: StoredTlsReport) =>
    a.day === b.day && a.domain === b.domain && a.rua === b.rua;
  const change = (report: Pick<StoredTlsReport, 'day' | 'domain' | 'rua'>, to: Partial<StoredTlsReport>) => {
    reports = reports.map((one) => (sameReport(report)(one) ? { ...one, ...to } : one));
  };

  function add(before: readonly TlsFailureDetail[], failure: TlsFailureDetail): readonly TlsFailureDetail[] {
    const known = before.some((one) => kindOf(one) === kindOf(failure));
    const kept = known || before.length < MOST_KINDS ? failure : { ...failure, ...NOWHERE };
    const same = before.find((one) => kindOf(one) === kindOf(kept));
    if (same === undefined) return [...before, kept];
    return before.map((one) => (one === same ? { ...one, count: one.count + kept.count } : one));
  }

  return {
    async addTlsResults(counts) {
      for (const { ok, failed, failures, day, domain, policy: met } of counts) {
        const ofDay = results.filter((one) => one.day === day && one.domain === domain);
        const has = ({ key }: SeenTlsPolicy) => ofDay.some(({ policy }) => policy.key === key);
        const policy = has(met) || ofDay.length < MOST_TLS_POLICIES ? met : furtherTlsPolicies(met.type, domain);
        const of = { day, domain, policy };
        const isSame = (one: TlsSessionCount) => one.day === day && one.domain === domain && one.policy.key === policy.key;
        const before = results.find(isSame) ?? { ...of, ok: 0, failed: 0, failures: [] };
        const sums = { ok: before.ok + ok, failed: before.failed + failed, failures: failures.reduce(add, before.failures) };
        results = [...results.filter((one) => !isSame(one)), { ...before, ...sums }];
      }
    },
    tlsResults: async (day, name) =>
      results
        .filter((one) => one.day === day && (one.domain === name || (one.policy.type === 'tlsa' && one.policy.domain === name)))
        .sort((a, b) => b.failed - a.failed || byName(`${a.domain} ${a.policy.type}`, `${b.domain} ${b.policy.type}`))
        .sort((a, b) => Number(a.domain !== name) - Number(b.domain !== name))
        .slice(0, 1000)
        .map((one) => ({ ...one, failures: one.failures.toSorted((a, b) => b.count - a.count) })),
    async unreportedTlsDomains({ day, after, limit }) {
      const names = results
        .filter((one) => one.day === day)
        .flatMap(({ domain, policy }) => (policy.type === 'tlsa' ? [domain, policy.domain] : [domain]));
      const open = (name: string) => name > after && !reports.some((one) => one.day === day && one.domain === name);
      return [...new Set(names)].filter(open).sort(byName).slice(0, limit);
    },
    async addTlsReports({ day, domain, at, reports: given }) {
      const fresh = given.filter(({ rua }) => !reports.some(sameReport({ day, domain, rua })));
      for (const { message } of fresh) {
        if (message !== undefined && (await messages.get(message.id)) !== undefined)
          throw Object.assign(new Error('taken'), { code: 'EEXIST' });
      }
      const written = fresh.filter(({ rua }) => !reports.some(sameReport({ day, domain, rua })));
      for (const { rua, reportId, state, lastError, message } of written) {
        const rest = { queueId: message?.id ?? null, attempts: 0, nextAt: state === 'due' ? at : null, lastError, createdAt: at };
        reports.push({ day, domain, rua, reportId, state, ...rest });
      }
      for (const { message } of written) if (message !== undefined) await messages.accept({ message });
      return written.map(({ rua }) => rua);
    },
    async claimTlsReports({ now, until, limit }) {
      const due = reports.filter(({ nextAt }) => nextAt !== null && nextAt <= now).slice(0, limit);
      for (const one of due) change(one, { attempts: one.attempts + 1, nextAt: until });
      return due.map((one) => ({ ...one, attempts: one.attempts + 1, nextAt: until }));
    },
    async noteTlsReport({ state, nextAt, error, ...key }) {
      if (reports.some((one) => sameReport(key)(one) && one.state === 'due')) change(key, { state, nextAt, lastError: error });
    },
    async endedTlsReports() {
      const ended: StoredTlsReport[] = [];
      for (const one of reports.filter(({ state }) => state === 'queued')) {
        const recipient = (await messages.get(one.queueId!))?.recipients[0];
        if (recipient !== undefined && !ENDED_STATES.includes(recipient.state)) continue;
        const state = recipient?.state === 'relayed' ? 'sent' : 'failed';
        const lastError = state === 'sent' ? null : (recipient?.lastReply ?? 'its mail is gone');
        change(one, { state, lastError, attempts: recipient?.attempts ?? one.attempts });
        ended.push(reports.find(sameReport(one))!);
      }
      return ended;
    },
    async retryTlsReport(day, domain) {
      const left = reports.filter(
        (one) => one.day !== day || one.domain !== domain || !['failed', 'suppressed', 'skipped'].includes(one.state),
      );
      const removed = reports.length - left.length;
      reports = left;
      return removed;
    },
    tlsReports: async ({ day, domain, since = 0, limit }) =>
      reports
        .filter((one) => one.day === (day ?? one.day) && one.domain === (domain ?? one.domain) && one.day >= since)
        .sort((a, b) => b.day - a.day || byName(`${a.domain} ${a.rua}`, `${b.domain} ${b.rua}`))
        .slice(0, limit),
    countTlsReports: async (since) => reports.filter(({ rua, createdAt }) => rua !== '' && createdAt >= since).length,
    async failedTlsDays(rua) {
      const judged = reports.filter((one) => one.rua === rua && ['sent', 'failed', 'suppressed'].includes(one.state));
      const days = [...new Set(judged.map(({ day }) => day))].sort((a, b) => b - a);
      const end = days.findIndex((day) => judged.some((one) => one.day === day && one.state === 'sent'));
      return end === -1 ? days.length : end;
    },
    tlsFailures: async ({ since, limit }) =>
      results
        .filter(({ day }) => day >= since)
        .sort((a, b) => b.day - a.day || byName(a.domain, b.domain))
        .flatMap(({ day, domain, policy, failures }) =>
          failures.map((failure) => ({ day, domain, policy: policy.type, policyDomain: policy.domain, ...failure })),
        )
        .slice(0, limit),
    async trimTlsResults(before) {
      const kept = results.filter(({ day }) => day >= before);
      const more = kept.length < results.length;
      results = kept;
      reports = reports.filter(({ day }) => day >= before);
      return more;
    },
  };
}
