/**
 * What is done about mail that receivers will not believe, because neither SPF nor a signature is aligned with From: RFC 9989 §5.3. It is
 * refused only on fresh and certain knowledge. Everything else is sent, and the operator is told.
 */
import {
  adviceFor,
  describeMisalignment,
  isFresh,
  type KnownVerdict,
  type Misaligned,
  type SenderDetail,
  type SenderIdentity,
  type SenderVerdicts,
} from '../alignment/alignment.ts';
import type { AlignmentDuty, AlignmentRule } from '../smtp/alignment-rule.ts';
import { matchesDomain } from '../smtp/domain.ts';
import { refusal } from '../smtp/replies.ts';
import type { Refusal } from '../smtp/reply.ts';
import { createCache } from '../system/cache.ts';
import { type Clock, HOUR, MINUTE, SECOND, systemClock } from '../system/clock.ts';
import { inEnglish } from '../system/phrase.ts';

export type AlignmentSettings = { readonly mode: AlignmentDuty; readonly rules: readonly AlignmentRule[] };

/** A message that is complete. Domains are lower-case A-labels. */
type SentMail = {
  readonly user: string;
  /** Of all addresses in From. */
  readonly from: readonly string[];
  /** Of the envelope sender. Empty: the null sender. */
  readonly envelope: string;
  /** `selector._domainkey.domain` of our signatures. */
  readonly signatures: readonly string[];
  /** The domains of signatures that the message brought along, and that fit its body. */
  readonly broughtBy: readonly string[];
  /** False if a recipient gets it by an upstream, whose addresses are not known. */
  readonly isDirect: () => boolean;
};

export type AlignmentCheck = {
  /**
   * Takes a look at memory where the verdict is known. Without one, only `refuse` waits, for two seconds at most.
   * @returns a promise only where it must wait. @throws Refusal 550 5.7.26, as the promise rejects.
   */
  check(mail: SentMail): Promise<unknown> | undefined;
  reload(settings: AlignmentSettings): void;
};

type CheckOptions = {
  readonly settings: AlignmentSettings;
  /** Stands for the null sender. */
  readonly hostname: string;
  readonly verdicts: Pick<SenderVerdicts, 'look' | 'fresh'>;
  /** Told about each sender once in an hour. */
  readonly tell: (problem: Misaligned) => void;
  readonly now?: Clock;
};

/** The client waits so long for a first verdict. */
const PATIENCE = 2 * SECOND;
/** A refusal needs two evaluations that are so far apart. */
const APART = MINUTE;
/** Senders that the operator was told about. */
const REMEMBERED = 1000;
const BAD: ReadonlySet<KnownVerdict['verdict']> = new Set(['weak', 'spam', 'rejected']);

export function createAlignmentCheck({ hostname, verdicts, tell, now = systemClock, ...options }: CheckOptions): AlignmentCheck {
  let { mode, rules } = options.settings;
  const told = createCache<string, number>(REMEMBERED);

  function dutyFor({ user }: SentMail, domain: string): AlignmentDuty {
    for (const rule of rules) {
      if (rule.user !== undefined && rule.user.toLowerCase() !== user.toLowerCase()) continue;
      if (rule.domain === undefined || matchesDomain(rule.domain, domain)) return rule.mode;
    }
    return mode;
  }

  function judge(mail: SentMail, duty: AlignmentDuty, identity: SenderIdentity, known: KnownVerdict | undefined): void {
    if (known === undefined || !BAD.has(known.verdict)) return;
    if (isAlignedByOthers(mail, identity.domain, known.detail) || !mail.isDirect()) return;
    if (duty === 'refuse' && mayRefuse(known, now())) throw misaligned(identity, known.detail);
    const key = `${identity.domain} ${known.verdict}`;
    const at = now();
    if (Math.abs(at - (told.get(key) ?? Number.NEGATIVE_INFINITY)) < HOUR) return;
    told.set(key, at);
    tell({ ...identity, user: mail.user, verdict: known.verdict, at: known.at, detail: known.detail });
  }

  function one(mail: SentMail, domain: string): Promise<void> | undefined {
    const duty = dutyFor(mail, domain);
    if (duty === 'off') return undefined;
    const envelope = mail.envelope === '' ? hostname : mail.envelope;
    const identity = { domain, envelope, signatures: mail.signatures.join(' ') };
    const known = verdicts.look(identity);
    // A verdict that is old is only good enough to accept mail by it.
    if (known !== undefined && !(duty === 'refuse' && known.verdict === 'rejected' && !isFresh(known, now()))) {
      judge(mail, duty, identity, known);
      return undefined;
    }
    const fresh = verdicts.fresh(identity);
    if (duty === 'refuse') return within(fresh, PATIENCE).then((found) => judge(mail, duty, identity, found));
    void fresh.then((found) => judge(mail, duty, identity, found));
    return undefined;
  }

  return {
    check(mail) {
      if (mode === 'off' && rules.length === 0) return undefined;
      const [first, ...more] = mail.from;
      if (more.length === 0) return first === undefined ? undefined : one(mail, first);
      const waits = [...new Set(mail.from)].map((domain) => one(mail, domain)).filter((wait) => wait !== undefined);
      return waits.length === 0 ? undefined : Promise.all(waits);
    },
    reload(settings) {
      ({ mode, rules } = settings);
    },
  };
}

/** All answers of the DNS were certain, because otherwise the verdict is `unknown`. */
function mayRefuse(known: KnownVerdict, now: number): boolean {
  return known.verdict === 'rejected' && known.at - known.since >= APART && isFresh(known, now);
}

/**
 * A signature that the message brought and that fits its body is believed, as everywhere in preparation. Whoever made one up harms only
 * the own mail.
 */
function isAlignedByOthers({ broughtBy }: SentMail, domain: string, { organization, strict }: SenderDetail): boolean {
  return broughtBy.some(
    (by) => by === domain || (!strict && organization !== undefined && (by === organization || by.endsWith(`.${organization}`))),
  );
}

function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds, undefined);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function misaligned({ domain, envelope }: SenderIdentity, detail: SenderDetail): Refusal {
  const { at = domain, text = '' } = detail.policy ?? {};
  const help = [
    `What is wrong: ${describeMisalignment({ domain, envelope }, detail)}.`,
    ...adviceFor(domain, detail).map(inEnglish),
  ];
  return refusal('notAligned', { domain, at, policy: text, help: help.join('\n') });
}
