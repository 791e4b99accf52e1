/** Twenty kinds of ordinary use that look unusual. None is held, at most one is slowed down, and few are worth a notice. */
import { afterAll, describe, expect, test } from 'vitest';
import type { BehaviourStage } from '../../../../src/policy/behaviour/signals.ts';
import { HOUR, MINUTE } from '../../../../src/system/clock.ts';
import { Simulation } from './simulation.ts';

let notices = 0;
let cases = 0;

function benign(name: string, simulate: () => Simulation, stages: readonly BehaviourStage[] = ['none', 'notice']): void {
  test(`${name} is not held`, () => {
    const simulation = simulate();
    cases++;
    notices += simulation.notices;
    expect(stages, JSON.stringify(simulation.last)).toContain(simulation.worst);
  });
}

describe('ordinary use', () => {
  benign('the yearly newsletter of one Exchange user, with 4 % unknown recipients,', () => {
    const s = new Simulation('server').office();
    s.burst(5000, 60, (n) => s.send({ to: [s.stranger()], ends: n % 25 === 0 ? 'unknown' : 'relayed' }));
    return s;
  }, ['slow']);
  benign('a Bcc of an Exchange user to 150 customers, of which 12 % are unknown,', () => {
    const s = new Simulation('server').office();
    s.note({ kind: 'accepted', authors: [], recipients: Array.from({ length: 150 }, () => s.stranger()) });
    for (let n = 0; n < 150; n++) s.note({ kind: 'ended', as: n % 8 === 7 ? 'unknown' : 'relayed', receiver: 'example.net' });
    return s;
  });
  benign('the newsletter of a declared bulk sender with an old list, of which 9 % are unknown,', () => {
    const s = new Simulation('app', { bulk: true }).program(2);
    s.burst(3000, 60, (n) => s.send({ to: [s.stranger()], ends: n % 11 === 0 ? 'unknown' : 'relayed' }));
    return s;
  });
  benign('a migration of a directory, with trust, that meets 18 % wrong addresses,', () => {
    const s = new Simulation('app', { trusted: true }).office();
    s.at += 9 * HOUR;
    s.burst(150, 60, (n) => s.send({ to: [s.stranger()], ends: n % 50 < 9 ? 'unknown' : 'relayed' }));
    return s;
  });
  benign('a destination that greylists all day', () => {
    const s = new Simulation('app').program();
    s.burst(1000, 24 * 60, () => s.send({ to: [s.stranger()], ends: 'none' }));
    return s;
  });
  benign('mail to many mailboxes that are full', () => {
    const s = new Simulation('app').program();
    s.burst(100, 60, () => s.send({ ends: 'other' }));
    return s;
  });
  benign('the block of one provider, which refuses everything for an hour,', () => {
    const s = new Simulation('app').program(60);
    s.share = 100;
    s.note({ kind: 'blocked', provider: 'outlook' });
    s.burst(100, 60, () => s.send({ ends: 'none' }));
    return s;
  });
  benign('an alert storm of a monitoring at night, to five known recipients,', () => {
    const s = new Simulation('app');
    s.days(28, [9, 15], 2, (n) => s.send({ to: [`admin${n % 5}@example.org`] }), true);
    s.at += 3 * HOUR;
    s.burst(2000, 60, (n) => s.send({ to: [`admin${n % 2}@example.org`] }));
    return s;
  });
  benign('a laptop on a train, in five mobile networks and two countries,', () => {
    const s = new Simulation('person').office();
    s.at += 9 * HOUR;
    s.burst(20, 60, (n) => s.send({ source: `10${n % 5}.${n % 5}.2.${n}`, country: ['DE', 'FR'][n % 2]! }));
    return s;
  });
  benign('a ticket system that answers spam with forged senders, 40 % of them unknown,', () => {
    const s = new Simulation('app').program();
    s.burst(60, 60, (n) => s.send({ ends: n % 5 < 2 ? 'unknown' : 'relayed', automatic: n % 5 < 2 }));
    return s;
  });
  benign('reports of a mail server about mail that nobody can get', () => {
    const s = new Simulation('server').office();
    s.burst(150, 60, (n) => s.send({ to: [s.stranger()], ends: n % 4 === 0 ? 'unknown' : 'relayed', automatic: true }));
    return s;
  });
  benign('the first day of a new program, with 900 messages to strangers,', () => {
    const s = new Simulation('app');
    s.burst(900, 60, (n) => s.send({ to: [s.stranger()], ends: n % 50 === 0 ? 'unknown' : 'relayed' }));
    return s;
  });
  benign('the import of a shop on the third day of a relay', () => {
    const s = new Simulation('app');
    s.days(2, [9, 10, 11], 5, () => s.send(), true);
    s.burst(2000, 90, () => s.send({ to: [s.stranger()] }));
    return s;
  });
  benign('invoices at the end of the month, fifty times the usual, to known customers,', () => {
    const s = new Simulation('app').program();
    s.burst(2000, 60, (n) => s.send({ to: [`customer${n % 20}@example.net`] }));
    return s;
  });
  benign('a job that now runs at night', () => {
    const s = new Simulation('app').office();
    s.at += 3 * HOUR;
    s.burst(150, 50, () => s.send({ to: ['list@example.org'] }));
    return s;
  });
  benign('a program on twelve hosts with one login', () => {
    const s = new Simulation('app');
    s.days(28, [9, 10, 11, 12, 13, 14], 60, (n) => s.send({ source: `192.0.2.${n % 12}` }), true);
    return s;
  });
  benign('a person with a phone, a laptop and a tablet on IPv6 privacy addresses', () => {
    const s = new Simulation('person').office();
    s.at += 9 * HOUR;
    s.burst(30, 60, (n) => s.send({ source: `2001:db8:${n % 3}:1:${n}:2:3:4` }));
    return s;
  });
  benign('a mailing list that sends as thirty authors', () => {
    const s = new Simulation('app').office();
    s.at += 9 * HOUR;
    s.burst(60, 60, (n) => s.send({ from: `author${n % 30}@example.org`, to: ['list@example.net'] }));
    return s;
  });
  benign('a person who comes back after three weeks and answers 60 people', () => {
    const s = new Simulation('person').office();
    s.at += 21 * 24 * HOUR;
    s.burst(60, 45, () => s.send({ to: [s.stranger()] }));
    return s;
  });
  benign('a relay whose clock jumps a day ahead and back', () => {
    const s = new Simulation('app').program();
    s.at += 24 * HOUR;
    s.burst(20, 10, () => s.send());
    s.at -= 24 * HOUR + 10 * MINUTE;
    s.burst(20, 10, () => s.send());
    return s;
  });

  afterAll(() => {
    if (cases < 20) return; // only some of the tests ran
    expect(cases).toBe(20);
    expect(notices).toBeLessThanOrEqual(2);
  });
});
