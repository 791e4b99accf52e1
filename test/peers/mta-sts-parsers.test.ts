/** Policy files and hosts as mailauth judges them, in its strict form: each difference has a reason. RFC 8461 §3.2, §4.1 */
import { isIP } from 'node:net';
import { parsePolicy as parseByMailauth, validateMx } from 'mailauth/lib/mta-sts.js';
import { expect, test } from 'vitest';
import { parsePolicy, policyNames } from '../../src/tls-policy/mta-sts.ts';
import { GOOD_POLICIES, INVALID_POLICIES } from '../unit/tls-policy/policy-texts.ts';

/** What we read, and mailauth does not; why. */
const LENIENT: Readonly<Record<string, string>> = {
  'with ten digits of age': 'an age above a year is cut to a year',
  'with a second more than a year': 'an age above a year is cut to a year',
  'with a final dot': 'a name with a final dot is the same name',
  'with names in Unicode': 'they are converted to A-labels',
  'with an underscore': 'such names have MX hosts',
  'with a mode of none and an mx that is none': 'a domain that revokes its policy has no host to name',
};
/** What mailauth reads, and we do not; why. */
const STRICT: Readonly<Record<string, string>> = {
  'in Latin-1': 'what is not UTF-8 is outside of the grammar',
  'with a comment': 'a line without a field is outside of the grammar',
  'with a line without a value': 'a field without a value is outside of the grammar',
};
/** No MX host is named by an address: mailauth compares the texts. */
const isName = (mx: string) => isIP(mx) === 0;

const byMailauth = (text: string | Uint8Array) => {
  try {
    return parseByMailauth(Buffer.from(text as string), { strict: true });
  } catch {
    return undefined;
  }
};

test.each(GOOD_POLICIES)(
  'a policy $what: mailauth reads the same, or there is a reason',
  ({ what, text, names = [], not = [] }) => {
    const [ours, theirs] = [parsePolicy(Buffer.from(text)), byMailauth(text)];
    if (theirs === undefined) return expect(Object.keys(LENIENT)).toContain(what);
    expect(Object.keys(LENIENT), 'the reason is needed').not.toContain(what);
    expect(ours).toMatchObject({ mode: theirs.mode, maxAge: theirs.maxAge });
    if (theirs.mode === 'none' || !('mx' in ours)) return;
    for (const mx of [...names, ...not].filter(isName)) expect(policyNames(ours, mx), mx).toBe(validateMx(mx, theirs).valid);
  },
);

test.each(INVALID_POLICIES)(
  'a file that is no policy, $what: mailauth refuses it too, or there is a reason',
  ({ what, text }) => {
    if (byMailauth(text) !== undefined) expect(Object.keys(STRICT)).toContain(what);
    else expect(Object.keys(STRICT), 'the reason is needed').not.toContain(what);
  },
);
