/** Opens the SQLite store: a database in its own thread, and files for large bodies. */
import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import { continueQueueIds } from '../../smtp/queue-id.ts';
import { SECOND, systemClock } from '../../system/clock.ts';
import type { ActivityStore } from '../activity-store.ts';
import type { AlignmentStore } from '../alignment-store.ts';
import type { AuditStore } from '../audit-store.ts';
import type { BehaviourStore } from '../behaviour-store.ts';
import type { ConsoleStore } from '../console-store.ts';
import type { CredentialStore } from '../credential-store.ts';
import { DATABASE_FILE, prepareDataDir, SPOOL_DIR } from '../embedded/data-dir.ts';
import type { EmbeddedOptions } from '../embedded/embedded.ts';
import type { FeedbackStore } from '../feedback-store.ts';
import type { Led } from '../lease.ts';
import { StoreError } from '../opening.ts';
import type { OperationStore } from '../operation-store.ts';
import type { JoinedStore, LedData, OpenedStore, StoreData } from '../store.ts';
import type { SuppressionStore } from '../suppression-store.ts';
import type { TlsPolicyStore } from '../tls-policy-store.ts';
import type { TlsResultStore } from '../tls-result-store.ts';
import { StoreClient } from './client.ts';
import { JoinedClient } from './joined-client.ts';
import { type BodyStore, messageStore } from './message-client.ts';
import { PeopleClient } from './people-client.ts';
import type { WorkerOptions } from './protocol.ts';
import { type StoreCaller, withLease, withNote } from './requests.ts';
import { encodeMessage } from './rows.ts';
import { SpoolDirectory } from './spool.ts';

/** @throws StoreError with one sentence for the operator. */
export async function openSqlite(options: EmbeddedOptions & { readonly dataDir: string }): Promise<OpenedStore> {
  const { dataDir, busyTimeout = 10 * SECOND, sweep = false } = options;
  prepareDataDir(dataDir);
  const spool = new SpoolDirectory(join(dataDir, SPOOL_DIR));
  const worker: WorkerOptions = { path: join(dataDir, DATABASE_FILE), spoolDir: spool.path, busyTimeout };
  const client = new StoreClient({ ...options, worker, unlink: (names) => void spool.remove(names) });
  const people = new PeopleClient(client, worker);
  await client.start();
  try {
    continueQueueIds(await client.call('queueIds', undefined));
    if (sweep) await tidy(client);
  } catch (cause) {
    await client.close();
    throw new StoreError((cause as Error).message, { cause });
  }
  return {
    ...dataOf(client, spool),
    now: systemClock,
    onChange: (listener) => client.onChange(listener),
    ping: async () => void (await client.call('ping', Date.now())),
    condition: () => 'ready',
    announce: () => {},
    relays: () => [],
    relaysNow: async () => [],
    database: () => undefined,
    share: (give) => client.share(give),
    forPeople: dataOf(people, spool),
    async close() {
      await people.close();
      await client.close();
    },
  };
}

/** @param port of `share`, in another thread of the process that has the store open. */
export function joinSqlite(dataDir: string, port: MessagePort): JoinedStore {
  const client = new JoinedClient(port);
  return {
    ...dataOf(client, new SpoolDirectory(join(dataDir, SPOOL_DIR))),
    now: systemClock,
    onChange: (listener) => client.onChange(listener),
    renew: (next) => client.renew(next),
    close: () => client.close(),
  };
}

/** The parts of a store, by requests to its thread. */
export function dataOf(client: StoreCaller, spool: BodyStore): StoreData {
  return {
    messages: messageStore(client, spool),
    credentials: credentialStore(client),
    operation: operationStore(client),
    tlsPolicies: tlsPolicyStore(client),
    tlsResults: tlsResultStore(client),
    activity: activityStore(client),
    alignment: alignmentStore(client),
    behaviour: behaviourStore(client),
    suppression: suppressionStore(client),
    feedback: feedbackStore(client),
    console: consoleStore(client),
    audit: auditStore(client),
    noted: (note) => dataOf(withNote(client, note), spool),
    underLease: (lease) => dataOf(withLease(client, lease), spool) as unknown as LedData,
  };
}

/** Cleans up after the last run, before the first mail of this run. */
async function tidy(client: StoreCaller): Promise<void> {
  await client.call('buryAll', undefined);
  await client.call('forgetDestinations', undefined);
  await client.call('recount', undefined);
  await client.call('checkSpooled', undefined);
}

function credentialStore(client: StoreCaller): CredentialStore {
  return {
    get: (name) => client.call('getCredential', name),
    list: () => client.call('listCredentials', undefined),
    add: (credential) => client.call('addCredential', credential),
    update: (name, change, seen) => client.call('updateCredential', { name, change, seen }),
    renewHash: (name, from, to) => client.call('renewHash', { name, from, to }),
    remove: (name, seen) => client.call('removeCredential', { name, seen }),
    putFailures: (counts, now) => client.call('putFailures', { counts, now }),
    failures: (now) => client.call('failures', now),
    forgetFailures: (key) => client.call('forgetFailures', key),
  };
}

function operationStore(client: StoreCaller): OperationStore {
  return {
    dkimKeys: (domain) => client.call('dkimKeys', domain ?? null),
    addDkimKeys: (keys) => client.call('addDkimKeys', keys),
    setDkimKeyState: (key, state) => client.call('setDkimKeyState', { key, state }),
    removeDkimKey: (key) => client.call('removeDkimKey', key),
    certificates: () => client.call('certificates', undefined),
    putCertificate: (certificate) => client.call('putCertificate', certificate),
    paces: () => client.call('paces', undefined),
    putPace: (pace) => client.call('putPace', pace),
    removePace: (key) => client.call('removePace', key),
    shaping: () => client.call('shaping', undefined),
    putShaping: (row) => client.call('putShaping', row),
    refusals: (since, limit) => client.call('refusals', { since, limit }),
    value: (name) => client.call('value', name),
    keepValue: (name, value) => client.call('keepValue', { name, value }),
    setValue: (name, value) => client.call('setValue', { name, value }),
    values: (prefix) => client.call('values', prefix),
    takeLease: (name, owner, until, now) => client.call('takeLease', { name, owner, until, now }),
    underLease: (lease) => operationStore(withLease(client, lease)) as Led<OperationStore>,
  };
}

function alignmentStore(client: StoreCaller): AlignmentStore {
  return {
    verdicts: (usedSince, limit) => client.call('senderVerdicts', { usedSince, limit }),
    putVerdicts: (verdicts) => client.callWithCompany('putSenderVerdicts', verdicts),
    trimVerdicts: (usedSince) => client.call('trimSenderVerdicts', usedSince),
  };
}

function behaviourStore(client: StoreCaller): BehaviourStore {
  return {
    record: (user, sender) => client.call('behaviourRecord', { user, sender }),
    put: (records, now) => client.callWithCompany('putBehaviour', { records, now }),
    forget: (user) => client.call('forgetBehaviour', user),
    trim: (before) => client.call('trimBehaviour', before),
  };
}

function feedbackStore(client: StoreCaller): FeedbackStore {
  return {
    addReport: (report) => client.call('addFeedback', report),
    sums: (since, domain) => client.call('feedbackSums', { since, domain: domain ?? null }),
    trim: (before) => client.call('trimFeedback', before),
  };
}

function suppressionStore(client: StoreCaller): SuppressionStore {
  return {
    get: (address) => client.call('suppression', address),
    list: (after, limit) => client.call('listSuppression', { after, limit }),
    remove: (address) => client.call('removeSuppression', address),
    forgetUnsure: (provider, since) => client.call('forgetUnsure', { provider, since }),
    trim: (now) => client.call('trimSuppression', now),
  };
}

function tlsPolicyStore(client: StoreCaller): TlsPolicyStore {
  return {
    stsPolicy: (domain) => client.call('stsPolicy', domain),
    putStsPolicy: (policy, by) => client.call('putStsPolicy', { policy, by }),
    noteStsFailure: (failure) => client.call('noteStsFailure', failure),
    noteStsUse: (uses) => client.callWithCompany('noteStsUse', uses),
    dueStsPolicies: (request) => client.call('dueStsPolicies', request),
    listStsPolicies: (after, limit) => client.call('listStsPolicies', { after, limit }),
    forgetStsPolicy: (domain) => client.call('forgetStsPolicy', domain),
    trimStsPolicies: (request) => client.call('trimStsPolicies', request),
    countStsPolicies: (request) => client.call('countStsPolicies', request),
  };
}

function tlsResultStore(client: StoreCaller): TlsResultStore {
  return {
    addTlsResults: (counts) => client.callWithCompany('addTlsResults', counts),
    tlsResults: (day, name) => client.call('tlsResults', { day, name }),
    unreportedTlsDomains: (request) => client.call('unreportedTlsDomains', request),
    addTlsReports({ reports, ...request }) {
      const encoded = reports.map(({ message, ...report }) => ({ ...report, message: message ? encodeMessage(message) : null }));
      return client.call('addTlsReports', { ...request, reports: encoded });
    },
    claimTlsReports: (request) => client.call('claimTlsReports', request),
    noteTlsReport: (note) => client.call('noteTlsReport', note),
    endedTlsReports: () => client.call('endedTlsReports', undefined),
    retryTlsReport: (day, domain) => client.call('retryTlsReport', { day, domain }),
    tlsReports: ({ day = null, domain = null, since = 0, limit }) => client.call('tlsReports', { day, domain, since, limit }),
    countTlsReports: (since) => client.call('countTlsReports', since),
    failedTlsDays: (rua) => client.call('failedTlsDays', rua),
    tlsFailures: (query) => client.call('tlsFailures', query),
    trimTlsResults: (day) => client.call('trimTlsResults', day),
  };
}

function activityStore(client: StoreCaller): ActivityStore {
  return {
    addRefused: (refused) => client.callWithCompany('addRefused', refused),
    refused: (query) => client.call('refused', query),
    addHistory: (counts) => client.callWithCompany('addHistory', counts),
    history: (query) => client.call('history', query),
    trimHistory: (by, before) => client.call('trimHistory', { by, before }),
  };
}

function consoleStore(client: StoreCaller): ConsoleStore {
  return {
    account: (name) => client.call('account', name),
    accounts: () => client.call('accounts', undefined),
    addAccount: (account, link) => client.call('addAccount', { account, link }),
    changeAccount: (name, change, { link = null, force = false, when = {} } = {}) =>
      client.call('changeAccount', { name, change, link, force, when }),
    removeAccount: (name, { force = false, when = {} } = {}) => client.call('removeAccount', { name, force, when }),
    putLink: (link) => client.call('putLink', link),
    tryLink: ({ id, hash }, now) => client.call('tryLink', { id, hash, now }),
    takeLink: ({ id, hash }, { name, passwordHash }, now) => client.call('takeLink', { id, hash, name, passwordHash, now }),
    useTotpStep: (name, step) => client.call('useTotpStep', { name, step }),
    useRecoveryCode: (name, hash) => client.call('useRecoveryCode', { name, hash }),
    addSession: (session, { passwordHash, totpSecret }) =>
      client.call('addSession', { session, verified: { passwordHash, totpSecret } }),
    session: (hash) => client.call('session', hash),
    sessions: (account) => client.call('sessions', account ?? null),
    seeSession: (hash, at, ip) => client.callWithCompany('seeSession', { hash, at, ip }),
    confirmSession: (hash, at) => client.call('confirmSession', { hash, at }),
    endSession: (hash) => client.call('endSession', hash),
    endSessions: (account, except) => client.call('endSessions', { account, except: except ?? null }),
    addToken: (token) => client.call('addToken', token),
    tokens: () => client.call('tokens', undefined),
    token: (hash) => client.call('token', hash),
    seeToken: (id, at, ip) => client.callWithCompany('seeToken', { id, at, ip }),
    removeToken: (id) => client.call('removeToken', id),
    beginRequest: (key, hash, at, { again = false } = {}) => client.call('beginRequest', { ...key, hash, at, again }),
    endRequest: (key, answer) => client.call('answerRequest', { ...key, answer }),
    mutes: () => client.call('mutes', undefined),
    putMute: (mute) => client.call('putMute', mute),
    removeMute: (check, subject) => client.call('removeMute', { check, subject }),
    keepFindings: (findings, at) => client.call('keepFindings', { findings, at }),
    findings: () => client.call('findings', undefined),
    trim: (now, sessions) => client.call('trimConsole', { now, ...sessions }),
  };
}

function auditStore(client: StoreCaller): AuditStore {
  return {
    add: (note) => client.call('addChange', note),
    changes: (query) => client.call('changes', query),
    trim: (before) => client.call('trimChanges', before),
  };
}
