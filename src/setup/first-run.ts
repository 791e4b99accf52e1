/**
 * The questions of a first run in the browser, one step after the other. Each answer is checked, kept in the store, and compared with DNS,
 * network and machine, so that a person can leave at any step and go on later. At the end the configuration is written. It never replaces one.
 */
import { hostname as machineName } from 'node:os';
import {
  type Config,
  formatProblem,
  parseAddress,
  parseConfig,
  parseDomain,
  parseHostAndPort,
  parseHostname,
  parseMailAddress,
} from '../config/config.ts';
import { type Control, createControl } from '../control/control.ts';
import { createDns } from '../dns/dns.ts';
import { checkOutbound, type Finding, gatherOutbound, probeSmtp, type SmtpProbe } from '../doctor/doctor.ts';
import { publicAddresses, reverseName } from '../net/addresses.ts';
import type { StoreData } from '../store/store.ts';
import { SECOND } from '../system/clock.ts';
import { data, inEnglish, type Phrase, phrase } from '../system/phrase.ts';
import { type Challenge, configurationText, type Upstream } from './file.ts';
import { createSetupLooks, type SeenByDns, type Surroundings } from './looks.ts';
import { type CheckedGroup, checkRecordGroups } from './published.ts';
import { type Existing, neededRecords, zoneText } from './records.ts';
import { chosenResolvers } from './resolvers.ts';
import { AnswerCheck, SetupProblem } from './setup-problem.ts';

/** The value of the store that keeps the answers. */
const KEPT = 'setup.answers';
/** A name for what is asked before there is one. */
const NO_NAME = 'relay.invalid';
const DNS_TIMEOUT = 1.5 * SECOND;
const CONNECT_TIMEOUT = 6 * SECOND;

/** What is known so far. `upstream` null: mail goes to its receivers by port 25. */
type SetupAnswers = {
  readonly hostname?: string;
  readonly addresses?: readonly string[];
  readonly domains?: readonly string[];
  readonly acceptTerms?: boolean;
  readonly challenge?: Challenge;
  /** null: no address was wanted. */
  readonly email?: string | null;
  readonly upstream?: Upstream | null;
};

export type FirstRunOptions = Surroundings & {
  readonly store: StoreData;
  /** The file that will be written. */
  readonly file: string;
  /** As written in the file. */
  readonly dataDir: string;
  /** What the file says of the console's ports. Absent: nothing. */
  readonly console?: readonly string[] | undefined;
  /** `service`: the system starts the relay. `here`: this process becomes it. */
  readonly start: 'service' | 'here';
  /** Writes the file. Rejects with a ControlError if there is one already, or if it cannot be written. */
  readonly write: (text: string) => Promise<void>;
  /** Replaces the connection to mail servers. */
  readonly probe?: SmtpProbe;
};

type WayOut = Pick<Finding, 'result' | 'found' | 'advice' | 'subject' | 'phrases'>;

export type FirstRun = {
  /** @returns what was answered, without the password, and what could be answered. */
  show(): Promise<{
    readonly answers: SetupAnswers;
    readonly proposed: { readonly hostname: string | undefined; readonly addresses: readonly string[] };
    readonly file: string;
    readonly start: 'service' | 'here';
  }>;
  setMachine(answers: { readonly hostname: string; readonly addresses: readonly string[] }): Promise<readonly SeenByDns[]>;
  /** Makes a pair of DKIM keys for each domain. */
  setDomains(domains: readonly string[]): Promise<readonly SeenByDns[]>;
  /** The records to set, as the DNS has them now, and the same as lines of a zone file. */
  records(): Promise<{ readonly groups: readonly CheckedGroup[]; readonly zone: string }>;
  setCertificate(answers: {
    readonly acceptTerms: boolean;
    readonly challenge: Challenge;
    readonly email: string;
  }): Promise<void>;
  /** Connects to large receivers by port 25. */
  wayOut(): Promise<readonly WayOut[]>;
  setUpstream(upstream: Upstream | null): Promise<void>;
  /** Logs in at the provider, and sends nothing. */
  tryUpstream(upstream: Upstream): Promise<{ readonly ok: boolean; readonly sentence: string; readonly phrase: Phrase }>;
  /** Writes the configuration. */
  finish(): Promise<{ readonly file: string; readonly start: 'service' | 'here' }>;
  /** The actions of an operator, as far as a relay that does not run yet has them. */
  readonly control: Control;
  readonly config: () => Config;
};

export async function createFirstRun(options: FirstRunOptions): Promise<FirstRun> {
  const { store, env, cwd, file, start } = options;
  const { operation } = store;
  const resolvers = await chosenResolvers(env, undefined);
  let answers = JSON.parse((await operation.value(KEPT)) ?? '{}') as SetupAnswers;
  let config = await configOf(answers);
  const existing = new Map<string, Existing>();

  function textOf({ hostname = NO_NAME, email, acceptTerms = false, challenge, upstream }: SetupAnswers): string {
    const { dataDir, console } = options;
    const settings = { hostname, email: email ?? undefined, acceptTerms, dataDir, resolvers, challenge, console };
    return configurationText({ ...settings, upstream: upstream ?? undefined });
  }

  /** @throws SetupProblem with the sentences of `config check`. */
  async function configOf(given: SetupAnswers): Promise<Config> {
    const parsed = await parseConfig({ path: file, text: textOf(given) }, { env, cwd });
    if ('config' in parsed) return parsed.config;
    const errors = parsed.problems.filter(({ level }) => level === 'error');
    throw new SetupProblem(errors.map((problem) => ({ field: '', sentence: formatProblem({ ...problem, source: '' }) })));
  }

  async function keep(more: SetupAnswers): Promise<void> {
    const next = { ...answers, ...more };
    config = await configOf(next);
    answers = next;
    await operation.setValue(KEPT, JSON.stringify(answers));
  }

  const freshDns = () => createDns({ servers: config.dns.servers, trustAd: config.dns.trustAd, timeout: DNS_TIMEOUT });
  const controlOf = (settings: () => Config) =>
    createControl({ store, settings, dns: freshDns(), by: { name: 'first run', way: 'relay' } });
  const control = controlOf(() => config);
  const looks = () => createSetupLooks({ env, cwd });
  const addressesNow = () => answers.addresses ?? publicAddresses();

  async function keyRecords() {
    const { hostname = NO_NAME, domains = [] } = answers;
    const { records } = await control.domains.ensure([hostname, ...domains]);
    return records;
  }

  async function lookAtDomains(): Promise<readonly SeenByDns[]> {
    const { hostname = NO_NAME, domains = [] } = answers;
    const asked = await looks();
    const seen = await Promise.all(domains.map(async (name) => [name, await asked.domain(name, hostname)] as const));
    existing.clear();
    for (const [name, { existing: found }] of seen) if (found !== undefined) existing.set(name, found);
    return seen.map(([, { result, sentence, phrase }]) => ({ result, sentence, phrase }));
  }

  return {
    control,
    config: () => config,
    async show() {
      const addresses = publicAddresses();
      const asked = await looks();
      const known = machineName().includes('.') ? machineName() : await asked.nameOf(addresses[0]);
      const { upstream } = answers;
      const shown = upstream ? { ...answers, upstream: { ...upstream, password: '' } } : answers;
      return { answers: shown, proposed: { hostname: known, addresses }, file, start };
    },
    async setMachine(given) {
      const check = new AnswerCheck();
      const hostname = check.read('hostname', () => parseHostname(given.hostname.trim()));
      const addresses = check.readList('addresses', given.addresses, parseAddress);
      check.done();
      await keep({ hostname: hostname!, addresses });
      return (await looks()).host(hostname!, addresses);
    },
    async setDomains(given) {
      const check = new AnswerCheck();
      const domains = check.readList('domains', given, parseDomain);
      if (domains.length === 0) check.add('domains', 'Name at least one domain that sends.');
      check.done();
      const gone = (answers.domains ?? []).filter((name) => !domains.includes(name) && name !== answers.hostname);
      await keep({ domains });
      for (const name of gone) await control.domains.remove(name);
      await keyRecords();
      return lookAtDomains();
    },
    async records() {
      const { zoneLine } = await import('../signing/signing.ts');
      const { hostname = NO_NAME, domains = [] } = answers;
      const addresses = addressesNow();
      if (existing.size < domains.length) await lookAtDomains();
      const groups = neededRecords({ hostname, domains, dkim: await keyRecords(), addresses, existing });
      const reverse = new Map(addresses.map((address) => [reverseName(address), address]));
      return { groups: await checkRecordGroups(groups, freshDns(), reverse), zone: zoneText(groups, zoneLine) };
    },
    async setCertificate({ acceptTerms, challenge, email: typed }) {
      const check = new AnswerCheck();
      const email = typed.trim() === '' ? null : (check.read('email', () => parseMailAddress(typed.trim())) ?? null);
      check.done();
      await keep({ acceptTerms, challenge, email });
    },
    async wayOut() {
      const { hostname, delivery, doctor } = config;
      const { port, ip, source } = delivery;
      const { destinations } = doctor;
      const smtp = options.probe ?? probeSmtp;
      const question = { dns: freshDns(), smtp, destinations, hostname, port, source, timeout: CONNECT_TIMEOUT };
      const gathered = await gatherOutbound(question);
      const hasIpv6 = publicAddresses().some((address) => address.includes(':'));
      return checkOutbound({ ...gathered, port, ip, destinations, hasIpv6, upstream: undefined });
    },
    async setUpstream(upstream) {
      await keep({ upstream: upstream === null ? null : checkedUpstream(upstream) });
    },
    async tryUpstream(upstream) {
      const tried = await configOf({ ...answers, upstream: checkedUpstream(upstream) });
      const { hosts, phrase: headline } = await controlOf(() => tried).tlsCheck.check(tried.hostname, { connect: true });
      const refused = hosts.flatMap(({ session }) => (session?.ok === false ? [session.reply ?? ''] : []));
      const ok = hosts.some(({ session }) => session?.ok === true);
      const why = refused[0] === undefined ? headline : data(refused[0]);
      const words = ok ? phrase`${upstream.host} takes the login.` : why;
      return { ok, sentence: inEnglish(words), phrase: words };
    },
    async finish() {
      const missing = (['hostname', 'domains', 'acceptTerms'] as const).filter((name) => answers[name] === undefined);
      if (missing.length > 0)
        throw new SetupProblem(missing.map((field) => ({ field, sentence: `${field} is not answered yet.` })));
      await keyRecords();
      await options.write(textOf(answers));
      await operation.setValue(KEPT, null);
      return { file, start };
    },
  };
}

/** @throws SetupProblem */
function checkedUpstream({ host, user, password }: Upstream): Upstream {
  const check = new AnswerCheck();
  const place = check.read('host', () => parseHostAndPort(/:\d+$/.test(host.trim()) ? host.trim() : `${host.trim()}:587`));
  for (const [field, text] of [
    ['user', user],
    ['password', password],
  ] as const) {
    if (text === '') check.add(field, 'It is needed.');
    else if (/[\x00-\x1f\x7f]/.test(text)) check.add(field, 'It has a control character.');
  }
  check.done();
  return { host: place!, user, password };
}
