/** Checks our own listeners as a client without SNI sees them: the certificate, its names, and the EHLO reply. RFC 8314 §3, RFC 6409. */
import { X509Certificate } from 'node:crypto';
import { DAY } from '../system/clock.ts';
import { data, type Phrase, phrase } from '../system/phrase.ts';
import { about, type Finding, listed } from './finding.ts';
import type { SmtpAnswer, SmtpTarget } from './smtp-probe.ts';

export type ConfiguredListener = { readonly name: 'submissions' | 'submission'; readonly address: string; readonly port: number };
export type TlsMode = 'acme' | 'files' | 'self-signed';

export type ListenerFacts = {
  readonly listener: ConfiguredListener;
  readonly names: readonly string[];
  readonly mode: TlsMode;
  /** The last error of the certificate's renewal. */
  readonly lastError: string | null;
  readonly now: number;
  readonly answer: SmtpAnswer;
  /** The answer to a client that only supports RSA. */
  readonly rsa: SmtpAnswer;
};

type ListenerQuestion = {
  readonly listener: ConfiguredListener;
  readonly hostname: string;
  readonly smtp: (target: SmtpTarget) => Promise<SmtpAnswer>;
  readonly ca: string | undefined;
  readonly timeout: number;
};

export async function gatherListener({
  listener,
  hostname,
  smtp,
  ca,
  timeout,
}: ListenerQuestion): Promise<{ answer: SmtpAnswer; rsa: SmtpAnswer }> {
  const address = listener.address === '::' ? '::1' : listener.address === '0.0.0.0' ? '127.0.0.1' : listener.address;
  const ask = (at: string, rsaOnly: boolean) =>
    smtp({
      address: at,
      port: listener.port,
      hostname,
      tls: listener.name === 'submissions' ? 'implicit' : 'starttls',
      rsaOnly,
      timeout,
      ...(ca === undefined ? {} : { ca }),
    });
  let at = address;
  let answer = await ask(at, false);
  // Without IPv6 on this machine, `[::]` opens 0.0.0.0.
  if (answer.failure !== undefined && address === '::1') answer = await ask((at = '127.0.0.1'), false);
  return { answer, rsa: await ask(at, true) };
}

export function checkListener(facts: ListenerFacts): readonly Finding[] {
  const { listener, answer } = facts;
  const subject = `${listener.name} ${listener.port}`;
  if (answer.certificate === undefined || answer.ehlo === undefined) {
    const heard = answer.failure ?? answer.greeting?.[0];
    const found = heard === undefined ? phrase`closed` : data(heard);
    const advice = phrase`No client can submit mail there: look at the log of the relay.`;
    return [about('listener', subject)('error', found, phrase`a greeting over TLS`, advice)];
  }
  return [checkEhlo(subject, answer), checkCertificate(subject, facts), ...checkRsa(subject, facts)];
}

/** PLAIN for Go and Postfix, LOGIN for Exchange and .NET. */
function checkEhlo(subject: string, { ehlo = [] }: SmtpAnswer): Finding {
  const say = about('ehlo', subject);
  const offers = ehlo.slice(1).map((line) => line.slice(4));
  const found = data(offers.join(', '));
  const mechanisms =
    offers
      .find((line) => /^AUTH /i.test(line))
      ?.toUpperCase()
      .split(' ') ?? [];
  const missing = ['PLAIN', 'LOGIN'].filter((mechanism) => !mechanisms.includes(mechanism));
  if (missing.length > 0)
    return say(
      'error',
      found,
      data('AUTH PLAIN LOGIN'),
      phrase`AUTH ${listed(missing)} is missing: is there a proxy between this command and the relay?`,
    );
  return say('ok', found, data('AUTH PLAIN LOGIN'));
}

const SOON = 7 * DAY;

function checkCertificate(subject: string, { answer, names, mode, lastError, now }: ListenerFacts): Finding {
  const say = about('certificate', subject);
  const { leaf, untrusted, length } = answer.certificate!;
  const certificate = new X509Certificate(leaf);
  const until = Date.parse(certificate.validTo);
  const alternatives = certificate.subjectAltName?.replaceAll('DNS:', '') ?? phrase`no names`;
  const found = phrase`${alternatives}, until ${new Date(until).toISOString().slice(0, 10)}, by ${issuerOf(certificate)}`;
  const wanted = phrase`${names.join(', ')}, from an authority`;
  const why = lastError === null ? '' : phrase` Last error: ${lastError}.`;
  const missing = names.filter((name) => certificate.checkHost(name) === undefined);
  if (until < now)
    return say('error', found, wanted, phrase`It has expired.${why} See: smarthost cert show, smarthost cert renew`);
  if (Date.parse(certificate.validFrom) > now)
    return say('error', found, wanted, phrase`It is not valid yet: is the clock right?`);
  if (missing.length > 0)
    return say('error', found, wanted, phrase`It does not name ${listed(missing)}: clients that compare names refuse it.${why}`);
  if (untrusted !== undefined)
    return say(mode === 'self-signed' ? 'warning' : 'error', found, wanted, phrase`${explain(untrusted, mode, length)}${why}`);
  if (until - now < SOON) return say('warning', found, wanted, phrase`It expires soon.${why} See: smarthost cert show`);
  return say('ok', found, wanted);
}

function explain(untrusted: string, mode: TlsMode, length: number): Phrase {
  if (mode === 'self-signed')
    return phrase`Clients must be set up to trust it: \`tls.mode: acme\` gets one that they trust already.`;
  if (untrusted === 'DEPTH_ZERO_SELF_SIGNED_CERT')
    return mode === 'acme'
      ? phrase`It is the self-signed one for the time until the authority has signed: port 80 must be reachable, and \`tls.acme.acceptTerms\` must be true.`
      : phrase`It is self-signed: clients refuse it.`;
  if (length === 1 && /UNABLE_TO_(VERIFY_LEAF|GET_ISSUER)/.test(untrusted))
    return phrase`The chain is not complete: put the intermediate certificates after the leaf (fullchain.pem).`;
  return phrase`Clients do not trust it (${untrusted}).`;
}

/** Some old clients do not support ECDSA (RFC 8422). They need an RSA certificate. */
function checkRsa(subject: string, { rsa }: ListenerFacts): readonly Finding[] {
  const say = about('certificateRsa', subject);
  if (rsa.certificate !== undefined) return [say('ok', phrase`served`, phrase`an RSA certificate for old clients`)];
  return [
    say(
      'warning',
      rsa.failure === undefined ? phrase`none` : data(rsa.failure),
      phrase`an RSA certificate for old clients`,
      phrase`Clients without ECDSA cannot connect: add an RSA pair.`,
    ),
  ];
}

function issuerOf(certificate: X509Certificate): Phrase {
  const fields = new Map(certificate.issuer.split('\n').map((line) => line.split('=') as [string, string]));
  if (certificate.issuer === certificate.subject) return phrase`itself`;
  const name = fields.get('O') ?? fields.get('CN');
  return name === undefined ? phrase`an unnamed authority` : data(name);
}
