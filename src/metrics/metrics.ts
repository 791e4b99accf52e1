/** The metrics of the relay in Prometheus' text form. The text of a metric is its help on the page. Only this file imports prom-client. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { RelayEvent } from '../events/events.ts';

/** The values of gauges, read at each scrape. */
export type Snapshot = {
  /** Undefined if the store does not answer. The last known values are shown then. */
  readonly queue: { readonly states: Readonly<Partial<Record<string, number>>>; readonly oldestSeconds: number } | undefined;
  /** A database that relays share. undefined: the store is in files of this machine. */
  readonly database?:
    | {
        readonly relays: number;
        readonly otherConfigurations: number;
        readonly reachable: boolean;
        readonly bytes: number;
        /** Seconds. */
        readonly oldestTransaction: number;
        /** Seconds by which this machine is ahead. */
        readonly skew: number;
      }
    | undefined;
  readonly sessions: number;
  readonly threads: number;
  /** Of each thread, from the first on. Empty: the main thread has all. */
  readonly sessionsByThread: readonly number[];
  /** MX host sets that get no mail for a while. */
  readonly resting: number;
  /** Fallback upstreams: recipients that each has taken today, and whether it fails. */
  readonly fallback: readonly { readonly upstream: string; readonly used: number; readonly failing: boolean }[];
  /** Providers that refuse our address now, and recipients that are held, by provider. */
  readonly blocked: readonly string[];
  /** Logins, and senders of mail servers, whose mail is held, and its recipients. */
  readonly stopped: number;
  readonly heldForLogins: number;
  readonly heldBy: readonly { readonly provider: string; readonly recipients: number }[];
  /** Policies of MTA-STS that hold, by mode, and those whose refresh has failed for long. */
  readonly policies: { readonly modes: Readonly<Record<string, number>>; readonly overdue: number };
  /** The resolver validates, as far as is known. */
  readonly validates: boolean;
  /** Senders by what receivers think of their mail. */
  readonly senders: Readonly<Partial<Record<string, number>>>;
  /** Entries of `destinations` that weaken TLS now. */
  readonly exceptions: number;
  readonly certificates: readonly { readonly keyType: string; readonly notAfter: number; readonly failures: number }[];
};

export type Metrics = {
  /** Counts a log event. */
  observe(event: RelayEvent): void;
  observeCommit(seconds: number): void;
  /** Counts a question to the resolvers. */
  observeQuestion(question: { readonly type: string; readonly result: string; readonly seconds: number }): void;
  /** The text for a scraper. */
  render(snapshot: Snapshot): Promise<string>;
  readonly contentType: string;
  /** All metrics, for the reference page. */
  describe(): Promise<
    readonly { readonly name: string; readonly type: string; readonly labels: readonly string[]; readonly help: string }[]
  >;
};

const STS_RESULTS = ['fetched', 'sts-policy-fetch-error', 'sts-policy-invalid', 'sts-webpki-invalid'] as const;
/** What is known before a session, as the event `tlsPolicy` has it. */
const DANE_RESULTS: ReadonlySet<string> = new Set(['unusable', 'absent', 'insecure', 'failed']);

/** Values of a label `provider`. */
const MAX_PROVIDERS = 200;

/** By how good they are. */
const VERDICTS = ['ok', 'fragile', 'weak', 'spam', 'rejected', 'unknown'] as const;
const WAITING = ['queued', 'active', 'delayed', 'held', 'uncertain'] as const;

/** Events that change a metric. Other threads send these alone. */
export const COUNTED_EVENTS: ReadonlySet<RelayEvent['event']> = new Set([
  ...(['accepted', 'requireTlsFailed', 'refused', 'authFailed', 'connected', 'reported', 'tlsReport', 'damaged'] as const),
  ...(['storeTrouble', 'upstreamLoginFailed', 'upstreamRefused', 'stsPolicy', 'tlsPolicy', 'tlsSession'] as const),
  ...(['suppression', 'tlsPolicyFailed', 'expired', 'removed', 'relayed', 'delayed', 'failed'] as const),
]);

export function createMetrics(version: string): Metrics {
  const registers = [new Registry()];
  const registry = registers[0]!;
  const counter = (name: string, help: string, labelNames: string[] = []) => new Counter({ name, help, labelNames, registers });
  const gauge = (name: string, help: string, labelNames: string[] = []) => new Gauge({ name, help, labelNames, registers });
  const accepted = counter('smarthost_accepted_total', 'Messages accepted, by credential (empty: own reports)', ['user']);
  const refused = counter('smarthost_refused_total', 'Commands and messages refused, by reply code', ['code']);
  const authFailed = counter('smarthost_auth_failed_total', 'Failed logins');
  const connected = counter('smarthost_connections_total', 'Connections accepted, by listener', ['listener']);
  const attempts = counter('smarthost_attempts_total', 'Delivery attempts that have ended, one per recipient, by outcome', [
    'outcome',
  ]);
  const byFallback = counter(
    'smarthost_fallback_attempts_total',
    'Attempts at the fallback upstream, one per recipient, by outcome: a provider refuses our address',
    ['outcome'],
  );
  const replies = counter(
    'smarthost_replies_total',
    'Refusals, one per recipient and attempt, by class (`smarthost reply explain`) and provider (empty: not known)',
    ['class', 'provider'],
  );
  /** Providers that have a label of their own. The operator's file may have any number. */
  const labelled = new Set<string>();
  const labelOf = (provider = ''): string => {
    if (labelled.size >= MAX_PROVIDERS && !labelled.has(provider)) return 'other';
    labelled.add(provider);
    return provider;
  };
  const suppressions = counter(
    'smarthost_suppressions_total',
    'Addresses that seem not to exist, by new state: suspected, suppressed, over bound (too many of a provider in an hour), none (mail arrived)',
    ['state'],
  );
  for (const state of ['suspected', 'suppressed', 'over bound', 'none']) suppressions.inc({ state }, 0);
  const upstream = counter(
    'smarthost_upstream_refused_total',
    'Refusals of an upstream that concern us and not the message, by kind: login or relay. The mail of its route waits',
    ['what'],
  );
  for (const what of ['login', 'relay']) upstream.inc({ what }, 0); // starts at 0, so that the first refusal is an increase
  const stsFetches = counter(
    'smarthost_sts_fetches_total',
    'MTA-STS policies that the relay asked for, by result: fetched, or the reason of the failure',
    ['result'],
  );
  for (const result of STS_RESULTS) stsFetches.inc({ result }, 0);
  const tlsSessions = counter(
    'smarthost_tls_sessions_total',
    'Sessions with destinations, by what they are worth and the TLS version (empty: in clear)',
    ['assurance', 'version'],
  );
  const dane = counter(
    'smarthost_dane_decisions_total',
    'Results of DANE for a host; verified and mismatch are of sessions. If only insecure is ever counted, the resolver does not validate',
    ['result'],
  );
  for (const result of ['verified', 'mismatch', 'unusable', 'absent', 'insecure', 'failed']) dane.inc({ result }, 0);
  const policyFailures = counter(
    'smarthost_tls_policy_failures_total',
    'Hosts that did not meet a TLS policy, by policy and reason, including policies that are only evaluated',
    ['policy', 'reason'],
  );
  const rootsUnknown = counter(
    'smarthost_tls_roots_unknown_total',
    'Hosts that did not meet an enforced MTA-STS policy because this machine does not know the authority of their certificate',
  );
  const requireTls = counter(
    'smarthost_requiretls_total',
    'Messages with REQUIRETLS, by result: accepted, or failed where no host of a destination can keep it',
    ['result'],
  );
  for (const result of ['accepted', 'failed']) requireTls.inc({ result }, 0);
  const tlsRequiredNo = counter('smarthost_tls_required_no_total', 'Accepted messages with TLS-Required: No, by credential', [
    'user',
  ]);
  const ended = counter('smarthost_ended_total', 'Recipients that ended without an attempt, by how', ['how']);
  const reported = counter('smarthost_reports_total', 'Reports to senders, by action', ['action']);
  const tlsReports = counter('smarthost_tls_reports_total', 'Reports about TLS to domains, by transport and result', [
    'transport',
    'result',
  ]);
  const shared = (name: string, help: string) => {
    const one = gauge(`smarthost_database_${name}`, `Only with a shared database: ${help}`);
    one.remove(); // 0 would be a wrong value
    return one;
  };
  const relays = shared(
    'relays',
    'living relays, with this one. The queue figures are those of all relays together: do not add them up',
  );
  const otherConfigurations = shared('other_configurations', 'living relays that have other settings than this one');
  const reachable = shared('reachable', '1: the primary answers');
  const databaseBytes = shared('bytes', 'its size on the disk');
  const oldestTransaction = shared('oldest_transaction_seconds', 'the age of its oldest transaction, which keeps dead rows');
  const skew = shared('clock_skew_seconds', 'by how much the clock of this machine is ahead');
  const damaged = counter(
    'smarthost_damaged_total',
    'Damaged messages that were set aside and are held, and other damage that was repaired',
  );
  const trouble = counter(
    'smarthost_store_trouble_total',
    'Failures of the store: a failed commit, or the end of its thread. Requests that waited for it got 4xx, or are tried again',
  );
  const recipients = gauge('smarthost_queue_recipients', 'Recipients in the queue, by state', ['state']);
  const oldest = gauge('smarthost_queue_oldest_seconds', 'Age of the oldest message in the queue');
  const resting = gauge('smarthost_resting_host_sets', 'Sets of MX hosts that get no mail for a while, after failures');
  const providersBlocked = gauge('smarthost_provider_blocked', '1 for each provider that refuses our address', ['provider']);
  const fallbackUsed = gauge('smarthost_fallback_used', 'Recipients that a fallback upstream has taken today (UTC)', [
    'upstream',
  ]);
  const fallbackFailing = gauge('smarthost_fallback_failing', '1 for a fallback upstream that takes no mail from us', [
    'upstream',
  ]);
  const stopped = gauge(
    'smarthost_logins_held',
    'Logins, and senders of mail servers, whose mail is held because of their behaviour',
  );
  const heldForLogins = gauge('smarthost_login_held_recipients', 'Recipients that wait because of the behaviour of their login');
  const heldBy = gauge('smarthost_provider_held_recipients', 'Recipients that wait because a provider refuses our address', [
    'provider',
  ]);
  const stsPolicies = gauge('smarthost_sts_policies', 'Valid MTA-STS policies, by mode', ['mode']);
  const stsOverdue = gauge(
    'smarthost_sts_refresh_overdue',
    'MTA-STS policies that could not be fetched again for three days, or for half of their lifetime',
  );
  const dnssecTrusted = gauge(
    'smarthost_dnssec_trusted',
    '1 if the resolver validates DNSSEC, as far as is known; at 0 DANE is off',
  );
  const senders = gauge(
    'smarthost_senders',
    'Senders of the last day (domain in From and envelope), by what receivers think of their mail: ok, fragile (by SPF alone), weak, spam, rejected, unknown',
    ['verdict'],
  );
  const exceptions = gauge('smarthost_tls_exceptions', 'Entries of the setting destinations that weaken TLS now');
  const sessions = gauge('smarthost_sessions', 'Open submission sessions');
  const threads = gauge('smarthost_session_threads', 'Threads that have sessions and answer; see the setting `threads`');
  const threadSessions = gauge(
    'smarthost_thread_sessions',
    'Open submission sessions of each thread, where sessions have threads',
    ['thread'],
  );
  const threadEnds = counter('smarthost_thread_ends_total', 'Threads of sessions that ended by a fault, and were replaced');
  const notAfter = gauge('smarthost_certificate_not_after_timestamp_seconds', 'End of the served certificate', ['keyType']);
  const renewalFailures = gauge('smarthost_certificate_renewal_failures', 'Failed renewals since the last successful one', [
    'keyType',
  ]);
  const memory = gauge('smarthost_memory_bytes', 'Resident memory of the process');
  const delivery = new Histogram({
    name: 'smarthost_delivery_seconds',
    help: 'Length of a delivery attempt',
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300],
    registers,
  });
  const commit = new Histogram({
    name: 'smarthost_commit_seconds',
    help: 'Length of a synced group commit of the store',
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    registers,
  });
  const questions = counter(
    'smarthost_dns_queries_total',
    'Questions to the resolvers, by type and result: found, none, nxdomain, failed (an error or an unusable answer), silent (no answer). Answers from the cache are not counted',
    ['type', 'result'],
  );
  const answering = new Histogram({
    name: 'smarthost_dns_seconds',
    help: 'Time until the resolvers have answered a question, with all repetitions',
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 1, 3, 6, 12],
    registers,
  });
  gauge('smarthost_info', 'The running version', ['version']).set({ version }, 1);

  return {
    observe({ event, fields }) {
      switch (event) {
        case 'accepted':
          if (fields.asks === 'REQUIRETLS') requireTls.inc({ result: 'accepted' });
          else if (fields.asks !== undefined) tlsRequiredNo.inc({ user: fields.user ?? '' });
          return accepted.inc({ user: fields.user ?? '' });
        case 'requireTlsFailed':
          return requireTls.inc({ result: 'failed' });
        case 'refused':
          return refused.inc({ code: fields.code });
        case 'authFailed':
          return authFailed.inc();
        case 'connected':
          return connected.inc({ listener: fields.listener });
        case 'reported':
          return reported.inc({ action: fields.action });
        case 'tlsReport':
          return tlsReports.inc({ transport: fields.transport, result: fields.action });
        case 'damaged':
          return damaged.inc();
        case 'suppression':
          return suppressions.inc({ state: fields.state });
        case 'storeTrouble':
          return trouble.inc();
        case 'threadEnded':
          return threadEnds.inc();
        case 'upstreamLoginFailed':
          return upstream.inc({ what: 'login' });
        case 'upstreamRefused':
          return upstream.inc({ what: 'relay' });
        case 'stsPolicy':
          if (fields.result !== undefined) stsFetches.inc({ result: fields.result });
          return;
        case 'tlsPolicy':
          if (DANE_RESULTS.has(fields.dane)) dane.inc({ result: fields.dane });
          return;
        case 'tlsSession':
          tlsSessions.inc({ assurance: fields.assurance, version: fields.version ?? '' });
          if (fields.dane !== undefined) dane.inc({ result: 'verified' });
          return;
        case 'tlsPolicyFailed':
          policyFailures.inc({ policy: fields.policy, reason: fields.reason });
          if (fields.check === 'dane') dane.inc({ result: 'mismatch' });
          return;
        case 'tlsRootUnknown':
          return rootsUnknown.inc();
        case 'expired':
        case 'removed':
          return ended.inc({ how: event });
        case 'relayed':
        case 'delayed':
        case 'failed':
          if (fields.class !== undefined) replies.inc({ class: fields.class, provider: labelOf(fields.provider) });
          if (fields.via !== undefined) byFallback.inc({ outcome: event });
          attempts.inc({ outcome: 'uncertain' in fields && fields.uncertain === true ? 'uncertain' : event });
          return delivery.observe(fields.seconds);
      }
    },
    observeCommit: (seconds) => commit.observe(seconds),
    observeQuestion({ type, result, seconds }) {
      questions.inc({ type, result });
      answering.observe(seconds);
    },
    contentType: registry.contentType,
    async describe() {
      const metrics = registry.getMetricsAsArray() as unknown as {
        name: string;
        type: string;
        help: string;
        labelNames?: string[];
      }[];
      return metrics.map(({ name, type, help, labelNames = [] }) => ({ name, type, help, labels: labelNames }));
    },
    render(snapshot) {
      const { queue } = snapshot;
      if (queue !== undefined) {
        for (const state of WAITING) recipients.set({ state }, queue.states[state] ?? 0);
        oldest.set(queue.oldestSeconds);
      }
      const { database } = snapshot;
      if (database !== undefined) {
        relays.set(database.relays);
        otherConfigurations.set(database.otherConfigurations);
        reachable.set(database.reachable ? 1 : 0);
        databaseBytes.set(database.bytes);
        oldestTransaction.set(database.oldestTransaction);
        skew.set(database.skew);
      }
      sessions.set(snapshot.sessions);
      threads.set(snapshot.threads);
      for (const [i, count] of snapshot.sessionsByThread.entries()) threadSessions.set({ thread: String(i + 1) }, count);
      resting.set(snapshot.resting);
      providersBlocked.reset();
      for (const provider of snapshot.blocked) providersBlocked.set({ provider: labelOf(provider) }, 1);
      fallbackUsed.reset();
      fallbackFailing.reset();
      for (const { upstream, used, failing } of snapshot.fallback) {
        fallbackUsed.set({ upstream }, used);
        fallbackFailing.set({ upstream }, failing ? 1 : 0);
      }
      stopped.set(snapshot.stopped);
      heldForLogins.set(snapshot.heldForLogins);
      heldBy.reset();
      for (const { provider, recipients } of snapshot.heldBy) heldBy.inc({ provider: labelOf(provider) }, recipients);
      for (const [mode, number] of Object.entries(snapshot.policies.modes)) stsPolicies.set({ mode }, number);
      stsOverdue.set(snapshot.policies.overdue);
      for (const verdict of VERDICTS) senders.set({ verdict }, snapshot.senders[verdict] ?? 0);
      exceptions.set(snapshot.exceptions);
      dnssecTrusted.set(snapshot.validates ? 1 : 0);
      memory.set(process.memoryUsage.rss());
      notAfter.reset();
      renewalFailures.reset();
      for (const { keyType, notAfter: at, failures } of snapshot.certificates) {
        notAfter.set({ keyType }, at / 1000);
        renewalFailures.set({ keyType }, failures);
      }
      return registry.metrics();
    },
  };
}

/** Makes the page deploy/metrics.md from the registered metrics. */
export async function renderMetricsReference(): Promise<string> {
  const rows = (await createMetrics('').describe()).map(({ name, type, labels, help }) => {
    const named = labels.length === 0 ? name : `${name}{${labels.join(', ')}}`;
    return `| \`${named}\` | ${type} | ${help} |`;
  });
  return `# Metrics

<!-- Generated from src/metrics/metrics.ts by npm run reference. Change it there. -->

\`listen.admin\` answers \`/metrics\` in Prometheus' text form. [alerts.yaml](alerts.yaml) has rules for them,
[dashboard.json](dashboard.json) shows them in Grafana.

| metric | type | what |
| --- | --- | --- |
${rows.join('\n')}
`;
}
