/** Why a host gets mail, and with which TLS, in one sentence that an operator can pass on. RFC 7672 §2.2, RFC 8461 §5. */
import type { Connect, Demand, Skip, TlsDecision, TlsFacts } from './decision.ts';

/** @returns a sentence without its full stop, beginning with the host's name. */
export function explainDecision(facts: TlsFacts, { demand, shadow }: TlsDecision): string {
  const reasons = demand.kind === 'skip' ? whyPassedOver(facts, demand) : whyMet(facts, demand);
  const beside = shadow === undefined ? '' : `; if ${onlyWatched(facts)} were obeyed, it would ${effectOf(shadow)}`;
  return `${facts.mx} ${effectOf(demand).replace('get', 'gets')}, because ${reasons.join(', and ')}${beside}`;
}

function effectOf(demand: Demand): string {
  if (demand.kind === 'skip') return 'get no mail';
  const { tls, dane, pkix } = demand;
  if (tls === 'never') return 'get mail in clear text';
  if (tls === 'offered') return 'get mail over TLS if it offers TLS, with any certificate, and else in clear text';
  const certificates = [
    ...(dane === undefined ? [] : [`a certificate that matches the TLSA records of ${dane.base}`]),
    ...[pkix?.names, pkix?.also]
      .filter((names) => names !== undefined)
      .map((names) => `a valid certificate for ${listed(names)}`),
  ];
  return `get mail only over TLS, with ${certificates.length === 0 ? 'any certificate' : certificates.join(' and ')}`;
}

function whyMet(facts: TlsFacts, demand: Connect): readonly string[] {
  const { dane, level, named, domain, sts } = facts;
  if (demand.tls === 'never') return ['this relay is configured to use no TLS for it'];
  if (demand.tls === 'offered') return ['nobody demands more', ...whyNoMore(facts)];
  const isSts = demand.assurance === 'sts';
  const decides = demand.dane !== undefined && named !== 'unproven';
  return [
    ...(dane.kind === 'unusable' && demand.source === 'dane'
      ? [`its TLSA records at ${dane.base} are signed with DNSSEC, but none of them can be used (RFC 7672)`]
      : []),
    ...(demand.dane !== undefined ? [`these records are signed with DNSSEC (RFC 7672)`] : []),
    ...(demand.dane !== undefined && named === 'unproven'
      ? [`DANE protects the host alone, as the MX records of ${domain} are not signed`]
      : []),
    ...(decides && sts?.mode === 'enforce' ? [`where DANE decides, the MTA-STS policy of ${domain} is not applied`] : []),
    ...(isSts ? [`the MTA-STS policy of ${domain} names this host and is enforced (RFC 8461)`] : []),
    ...(facts.message.requireTls ? ['the message asks for it (REQUIRETLS)'] : []),
    ...(level === 'opportunistic' ? [] : [`this relay is configured to demand ${DEMANDS[level]}`]),
  ];
}

const DEMANDS = { none: 'no TLS', encrypt: 'TLS', verify: 'a valid certificate', dane: 'DANE' } as const;

/** What DANE and MTA-STS have to say, where they demand nothing. */
function whyNoMore({ dane, sts, modes, named, domain, message }: TlsFacts): readonly string[] {
  if (named === 'operator') return ['a route of this relay names the host'];
  if (message.tlsOptional) return ['the message asks that no policies count'];
  return [whyNoDane(dane, modes.dane), whyNoSts(sts, modes.mtaSts, domain)];
}

function whyNoDane(dane: TlsFacts['dane'], mode: TlsFacts['modes']['dane']): string {
  if (mode === 'off') return 'DANE is off here';
  if (dane.kind !== 'none') return 'DANE is only evaluated here';
  if (dane.why === 'insecure') return 'its addresses are not signed with DNSSEC';
  return dane.why === 'absent' ? 'it has no TLSA records' : 'the resolver of this relay does not validate DNSSEC';
}

function whyNoSts(sts: TlsFacts['sts'], mode: TlsFacts['modes']['mtaSts'], domain: string): string {
  if (mode === 'off') return 'MTA-STS is off here';
  if (sts === undefined) return `no MTA-STS policy of ${domain} is known`;
  if (sts.mode === 'enforce') return 'MTA-STS is only evaluated here';
  return `the MTA-STS policy of ${domain} has the mode ${sts.mode}`;
}

function whyPassedOver({ dane, domain }: TlsFacts, { why }: Skip): readonly string[] {
  switch (why) {
    case 'tlsa-lookup': {
      const { name, cause } = dane.kind === 'failed' ? dane : { name: 'its name', cause: 'unknown' };
      return [
        `its TLSA records could not be looked up at ${name} (${cause})`,
        'without them nobody knows what DANE demands (RFC 7672)',
      ];
    }
    case 'mx-mismatch':
      return [`the MTA-STS policy of ${domain} is enforced and does not name this host (RFC 8461)`];
    case 'dane-required':
      return ['this relay is configured to demand DANE', whyNoProof(dane, domain)];
    case 'no-tls':
      return ['the message asks for verified TLS (REQUIRETLS)', 'this relay is configured to use no TLS for it'];
    case 'requiretls':
      return ['the message asks for verified TLS (REQUIRETLS)', `nothing proves that this is a host of ${domain}`];
  }
}

function whyNoProof(dane: TlsFacts['dane'], domain: string): string {
  if (dane.kind === 'unusable') return `none of its TLSA records at ${dane.base} can be used`;
  if (dane.kind === 'records') return `the MX records of ${domain} are not signed with DNSSEC`;
  return dane.kind === 'none' ? whyNoDane(dane, 'on') : 'its TLSA records are not known';
}

function onlyWatched({ modes, sts }: TlsFacts): string {
  const isTested = modes.dane !== 'audit' && modes.mtaSts === 'on' && sts?.mode === 'testing';
  return isTested ? 'the policy that is only tested' : 'the policies that are only evaluated';
}

function listed(names: readonly string[]): string {
  return names.join(' or ');
}
