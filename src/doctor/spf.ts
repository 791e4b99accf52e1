/** Judges SPF of a domain and of the host name, for each address that mail is sent from: RFC 7208. */
import { isSpf, type SpfFacts, type SpfResult, wantedSpf } from '../alignment/alignment.ts';
import { presentText } from '../dns/dns.ts';
import { data, phrase } from '../system/phrase.ts';
import { ASK_AGAIN, about, type Finding, listed, nothingIn, type Severity, worst } from './finding.ts';
import { valuesOf } from './own-addresses.ts';

const JUDGED: Readonly<Record<SpfResult, Severity>> = {
  pass: 'ok',
  softfail: 'warning',
  neutral: 'warning',
  fail: 'error',
  none: 'error',
  permerror: 'error',
  temperror: 'unknown',
};

export function checkSpf({ domain, hostname, txt, evaluated }: SpfFacts): Finding {
  const say = about('spf', domain);
  const records = valuesOf(txt).filter(isSpf);
  const own = domain === hostname;
  const wanted = data(presentText(wantedSpf(records[0], { domain, hostname })));
  const text = presentText(records[0] ?? '');
  if (txt.kind === 'temporary') return say('unknown', nothingIn(txt), wanted, ASK_AGAIN);
  if (records.length === 0)
    return say(
      own ? 'warning' : 'error',
      phrase`no SPF record`,
      wanted,
      own
        ? phrase`Publish it: for reports with the null sender, receivers check the SPF record of ${hostname}.`
        : phrase`Publish it as a TXT record of ${domain}.`,
    );
  if (records.length > 1)
    return say(
      'error',
      phrase`${records.length} SPF records`,
      wanted,
      phrase`Merge them into one: if there are several, none counts (permerror).`,
    );
  if (evaluated.length === 0)
    return say('unknown', data(text), wanted, phrase`Our addresses are not known, so it was not evaluated.`);
  const result = worst(evaluated.map((one) => JUDGED[one.result]));
  const bad = evaluated.filter((one) => JUDGED[one.result] === result);
  const found = phrase`${text} (${result === 'ok' ? 'pass' : bad[0]!.result} for ${listed(bad.map(({ address }) => address))})`;
  if (result === 'ok') return say('ok', found, phrase`pass for every address`);
  if (result === 'unknown') return say('unknown', found, wanted, ASK_AGAIN);
  const why = bad[0]!.comment === '' || bad[0]!.result !== 'permerror' ? '' : ` (${bad[0]!.comment})`;
  const advice =
    bad[0]!.result === 'permerror'
      ? phrase`The record cannot be evaluated${why}: correct it, with at most ten mechanisms that need look-ups.`
      : own
        ? phrase`Allow the addresses of ${hostname} in its own record.`
        : phrase`Change the SPF record of ${domain}, so that it allows this relay.`;
  return say(result, found, wanted, advice);
}
