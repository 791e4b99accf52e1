/** What the operator reads of the fallback upstream. */
import { expect, test } from 'vitest';
import { fallbackNotice } from '../../../src/report/fallback-notice.ts';

const facts = {
  ...{ hostname: 'relay.example.net', upstream: 'smtp.upstream.example:587', provider: 'microsoft365' },
  at: 1_800_000_000_000,
};

test('a cap that is reached says what waits, and until when', () => {
  const { subject, lines } = fallbackNotice({ ...facts, kind: 'cap', cap: 500 });
  expect(subject).toMatchInlineSnapshot(
    `"relay.example.net: the fallback smtp.upstream.example:587 has taken its mail for today"`,
  );
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "microsoft365 refuses the address of the mail relay relay.example.net, and its mail leaves by smtp.upstream.example:587 meanwhile. The cap of 500 recipients in a day (delivery.fallback, dailyCap) was reached at Fri, 15 Jan 2027 08:00:00 +0000.

    What the relay does: it holds further mail for this provider until midnight UTC, or until the provider takes it again. Nothing is returned for this.

        smarthost provider show microsoft365"
  `);
});

test('a failure quotes the upstream and says when it is tried again', () => {
  const reply = { code: 535, status: '5.7.8', text: 'Authentication failed' };
  const { subject, lines } = fallbackNotice({ ...facts, kind: 'failing', reply, until: facts.at + 1_800_000 });
  expect(subject).toMatchInlineSnapshot(`"relay.example.net: the fallback smtp.upstream.example:587 fails"`);
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "microsoft365 refuses the address of the mail relay relay.example.net, and its mail leaves by smtp.upstream.example:587 meanwhile. Since Fri, 15 Jan 2027 08:00:00 +0000 the fallback takes none:

        535 5.7.8 Authentication failed

    What the relay does: it holds the mail, and tries the fallback again at Fri, 15 Jan 2027 08:30:00 +0000 and then every few hours. Nothing is returned for this.

    What you can do: look at the account at the fallback, its quota and its senders, and at the login in delivery.fallback. After a reload (SIGHUP) it is tried at once.

        smarthost provider show microsoft365"
  `);
});

test('a domain that may not use it is named, with the reason and what to publish', () => {
  const { subject, lines } = fallbackNotice({ ...facts, kind: 'unaligned', domain: 'shop.example', why: 'alignment' });
  expect(subject).toMatchInlineSnapshot(`"relay.example.net: mail from shop.example for microsoft365 waits"`);
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "microsoft365 refuses the address of the mail relay relay.example.net, and its mail leaves by smtp.upstream.example:587 meanwhile. Mail from shop.example waits, because receivers would take it for a forgery: no DKIM signature of shop.example verifies, and its SPF record does not allow smtp.upstream.example:587.

    What you can do: publish the DKIM key of shop.example, or allow the addresses of smtp.upstream.example:587 in its SPF record (delivery.fallback, addresses).

        smarthost doctor shop.example
        smarthost domain show shop.example

        smarthost provider show microsoft365"
  `);
});

test('its end, and a domain that is not in its list, are said in a few lines', () => {
  expect(fallbackNotice({ ...facts, kind: 'working' }).lines.join('\n')).toMatchInlineSnapshot(`
    "Since Fri, 15 Jan 2027 08:00:00 +0000 the fallback smtp.upstream.example:587 takes mail again.

    microsoft365 refuses the address of the mail relay relay.example.net, and its mail leaves by smtp.upstream.example:587 meanwhile.

        smarthost provider show microsoft365"
  `);
  const { lines } = fallbackNotice({ ...facts, kind: 'unaligned', domain: 'shop.example', why: 'domains' });
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "microsoft365 refuses the address of the mail relay relay.example.net, and its mail leaves by smtp.upstream.example:587 meanwhile. Mail from shop.example waits, because its domain is not among those that the fallback may be used for.

    What you can do: add the domain to delivery.fallback, domains, if the fallback may send for it.

        smarthost provider show microsoft365"
  `);
});
