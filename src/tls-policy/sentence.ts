/** Why a host gets mail, and with which TLS, in one sentence that an operator can pass on. RFC 7672 §2.2, RFC 8461 §5. */
import { data, type Phrase, phrase } from '../system/phrase.ts';
import type { Connect, Demand, Skip, TlsDecision, TlsFacts } from './decision.ts';

/** @returns a sentence without its full stop, beginning with the host's name. */
export function explainDecision(facts: TlsFacts, { demand, shadow }: TlsDecision): Phrase {
  const reasons = demand.kind === 'skip' ? whyPassedOver(facts, demand) : whyMet(facts, demand);
  const why = reasons.reduce((all, one) => phrase`${all}, and ${one}`);
  const said = phrase`${facts.mx} ${effectOf(demand)}, because ${why}`;
  return shadow === undefined ? said : phrase`${said}; if ${onlyWatched(facts)} were obeyed, it ${wouldBe(shadow)}`;
}

function effectOf(demand: Demand): Phrase {
  if (demand.kind === 'skip') return phrase`gets no mail`;
  if (demand.tls === 'never') return phrase`gets mail in clear text`;
  if (demand.tls === 'offered') return phrase`gets mail over TLS if it offers TLS, with any certificate, and else in clear text`;
  return phrase`gets mail only over TLS, with ${certificatesOf(demand)}`;
}

function wouldBe(demand: Demand): Phrase {
  if (demand.kind === 'skip') return phrase`would get no mail`;
  if (demand.tls === 'never') return phrase`would get mail in clear text`;
  if (demand.tls === 'offered')
    return phrase`would get mail over TLS if it offers TLS, with any certificate, and else in clear text`;
  return phrase`would get mail only over TLS, with ${certificatesOf(demand)}`;
}

function certificatesOf({ dane, pkix }: Connect): Phrase {
  const certificates = [
    ...(dane === undefined ? [] : [phrase`a certificate that matches the TLSA records of ${dane.base}`]),
    ...[pkix?.names, pkix?.also]
      .filter((names) => names !== undefined)
      .map((names) => phrase`a valid certificate for ${listed(names)}`),
  ];
  return certificates.length === 0 ? phrase`any certificate` : certificates.reduce((all, one) => phrase`${all} and ${one}`);
}

function whyMet(facts: TlsFacts, demand: Connect): readonly Phrase[] {
  const { dane, level, named, domain, sts } = facts;
  if (demand.tls === 'never') return [phrase`this relay is configured to use no TLS for it`];
  if (demand.tls === 'offered') return [phrase`nobody demands more`, ...whyNoMore(facts)];
  const isSts = demand.assurance === 'sts';
  const decides = demand.dane !== undefined && named !== 'unproven';
  return [
    ...(dane.kind === 'unusable' && demand.source === 'dane'
      ? [phrase`its TLSA records at ${dane.base} are signed with DNSSEC, but none of them can be used (RFC 7672)`]
      : []),
    ...(demand.dane !== undefined ? [phrase`these records are signed with DNSSEC (RFC 7672)`] : []),
    ...(demand.dane !== undefined && named === 'unproven'
      ? [phrase`DANE protects the host alone, as the MX records of ${domain} are not signed`]
      : []),
    ...(decides && sts?.mode === 'enforce' ? [phrase`where DANE decides, the MTA-STS policy of ${domain} is not applied`] : []),
    ...(isSts ? [phrase`the MTA-STS policy of ${domain} names this host and is enforced (RFC 8461)`] : []),
    ...(facts.message.requireTls ? [phrase`the message asks for it (REQUIRETLS)`] : []),
    ...(level === 'opportunistic' ? [] : [phrase`this relay is configured to demand ${DEMANDS[level]}`]),
  ];
}

const DEMANDS = {
  none: phrase`no TLS`,
  encrypt: data('TLS'),
  verify: phrase`a valid certificate`,
  dane: data('DANE'),
} as const;

/** What DANE and MTA-STS have to say, where they demand nothing. */
function whyNoMore({ dane, sts, modes, named, domain, message }: TlsFacts): readonly Phrase[] {
  if (named === 'operator') return [phrase`a route of this relay names the host`];
  if (message.tlsOptional) return [phrase`the message asks that no policies count`];
  return [whyNoDane(dane, modes.dane), whyNoSts(sts, modes.mtaSts, domain)];
}

function whyNoDane(dane: TlsFacts['dane'], mode: TlsFacts['modes']['dane']): Phrase {
  if (mode === 'off') return phrase`DANE is off here`;
  if (dane.kind !== 'none') return phrase`DANE is only evaluated here`;
  if (dane.why === 'insecure') return phrase`its addresses are not signed with DNSSEC`;
  return dane.why === 'absent' ? phrase`it has no TLSA records` : phrase`the resolver of this relay does not validate DNSSEC`;
}

function whyNoSts(sts: TlsFacts['sts'], mode: TlsFacts['modes']['mtaSts'], domain: string): Phrase {
  if (mode === 'off') return phrase`MTA-STS is off here`;
  if (sts === undefined) return phrase`no MTA-STS policy of ${domain} is known`;
  if (sts.mode === 'enforce') return phrase`MTA-STS is only evaluated here`;
  return phrase`the MTA-STS policy of ${domain} has the mode ${sts.mode}`;
}

function whyPassedOver({ dane, domain }: TlsFacts, { why }: Skip): readonly Phrase[] {
  switch (why) {
    case 'tlsa-lookup': {
      const { name, why: cause } = dane.kind === 'failed' ? dane : { name: phrase`its name`, why: phrase`unknown` };
      return [
        phrase`its TLSA records could not be looked up at ${name} (${cause})`,
        phrase`without them nobody knows what DANE demands (RFC 7672)`,
      ];
    }
    case 'mx-mismatch':
      return [phrase`the MTA-STS policy of ${domain} is enforced and does not name this host (RFC 8461)`];
    case 'dane-required':
      return [phrase`this relay is configured to demand DANE`, whyNoProof(dane, domain)];
    case 'no-tls':
      return [phrase`the message asks for verified TLS (REQUIRETLS)`, phrase`this relay is configured to use no TLS for it`];
    case 'requiretls':
      return [phrase`the message asks for verified TLS (REQUIRETLS)`, phrase`nothing proves that this is a host of ${domain}`];
  }
}

function whyNoProof(dane: TlsFacts['dane'], domain: string): Phrase {
  if (dane.kind === 'unusable') return phrase`none of its TLSA records at ${dane.base} can be used`;
  if (dane.kind === 'records') return phrase`the MX records of ${domain} are not signed with DNSSEC`;
  return dane.kind === 'none' ? whyNoDane(dane, 'on') : phrase`its TLSA records are not known`;
}

function onlyWatched({ modes, sts }: TlsFacts): Phrase {
  const isTested = modes.dane !== 'audit' && modes.mtaSts === 'on' && sts?.mode === 'testing';
  return isTested ? phrase`the policy that is only tested` : phrase`the policies that are only evaluated`;
}

function listed(names: readonly string[]): Phrase {
  const [first = data(''), ...others] = names.map(data);
  return others.reduce((all, one) => phrase`${all} or ${one}`, first);
}
