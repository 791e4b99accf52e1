/** What the operator reads of a provider that refuses our address. */
import { expect, test } from 'vitest';
import { loadProviders } from '../../../src/delivery/delivery.ts';
import { blockNotice } from '../../../src/report/block-notice.ts';

const facts = {
  ...{
    hostname: 'relay.example.net',
    provider: 'microsoft365',
    way: { family: 4 as const, source: '192.0.2.1' },
    since: 1_800_000_000_000,
  },
  cause: {
    ...{ class: 'address-blocked', mx: 't0-test.mail.protection.outlook.com' },
    reply: { code: 550, status: '5.7.606', text: 'Access denied, banned sending IP [192.0.2.1]' },
  },
  removal: 'https://sender.office.com/',
} as const;

test('the beginning of a block names provider, address, reply, what was done, what to do, and the page for removals', () => {
  const { subject, lines } = blockNotice({ ...facts, state: 'blocked' });
  expect(subject).toBe('relay.example.net: microsoft365 refuses mail from 192.0.2.1');
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "Since Fri, 15 Jan 2027 08:00:00 +0000, microsoft365 refuses mail from 192.0.2.1 of the mail relay relay.example.net.

    What t0-test.mail.protection.outlook.com said (address-blocked):

        550 5.7.606 Access denied, banned sending IP [192.0.2.1]

    What the relay does: it returns no mail for this. All mail for this provider is held and keeps its lifetime, and its senders are warned after some hours. One of the held messages is sent after 2, 4, 8 and then each 12 hours. When it comes through, the rest follows by itself.

    What you can do: find out whether a login sends spam, look at the DNS of the relay, and ask the provider to take mail again.

        https://sender.office.com/
        smarthost doctor
        smarthost provider show microsoft365
        smarthost provider probe microsoft365"
  `);
});

test('its end is said in a few lines', () => {
  const { subject, lines } = blockNotice({ ...facts, state: 'open', removal: undefined });
  expect(subject).toBe('relay.example.net: microsoft365 takes mail again');
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "Since Fri, 15 Jan 2027 08:00:00 +0000, microsoft365 takes mail from 192.0.2.1 of the mail relay relay.example.net again.

    The mail that was held goes now, the oldest first: 20 messages in the first hour, and twice as many in each further hour without a refusal.

        smarthost provider list"
  `);
});

test("a hold by an operator's word is told as one, with the command that ends it, and so is its end", () => {
  const cause = { class: 'operator', reply: { code: 451, status: '4.3.2', text: 'Held' } };
  const { subject, lines } = blockNotice({ ...facts, cause, state: 'blocked' });
  expect(subject).toBe('relay.example.net: mail for microsoft365 is held');
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "Since Fri, 15 Jan 2027 08:00:00 +0000, mail of the relay relay.example.net for microsoft365 is held, because an operator has asked for it.

    It keeps its lifetime, and its senders are warned after some hours. Nothing is sent to the provider until an operator lets the mail go.

        smarthost provider show microsoft365
        smarthost provider open microsoft365"
  `);
  expect(blockNotice({ ...facts, cause, state: 'open' }).subject).toBe('relay.example.net: mail for microsoft365 goes again');
});

test('a refusal of unknown addresses names whom to write to, as T-Online asks for it', () => {
  const { subject, lines } = blockNotice({
    ...{ ...facts, provider: 'tonline', state: 'blocked', removal: loadProviders(undefined).byKey.get('tonline')?.removal },
    cause: {
      ...{ class: 'address-blocked', mx: 'mx00.t-online.de' },
      reply: {
        code: 554,
        status: '',
        text: 'IP=192.0.2.1 - None/bad reputation. Ask your postmaster for help or to contact tosa@rx.t-online.de',
      },
    },
  });
  expect(subject).toBe('relay.example.net: tonline refuses mail from 192.0.2.1');
  expect(lines).toContain('    mail to tosa@rx.t-online.de');
  expect(lines).toContain(
    '    554 IP=192.0.2.1 - None/bad reputation. Ask your postmaster for help or to contact tosa@rx.t-online.de',
  );
});
