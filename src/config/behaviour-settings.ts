/** The settings that say what is unusual in the behaviour of a login. */
import type { Setting } from './settings.ts';
import * as type from './types.ts';

const live = <T>(kind: type.ValueType<T>, fallback: unknown, about: string): Setting<T> => ({
  type: kind,
  fallback,
  about,
  live: true,
});
/** 0 turns the signal off. */
const threshold = (fallback: number, about: string) => live(type.count(0, 1_000_000), fallback, about);
const percent = (fallback: number, about: string) => live(type.count(0, 100), fallback, about);
const points = (fallback: number, about: string) => live(type.count(1, 100), fallback, about);

/** @param of whom the server's texts speak. */
function thresholds(of: string, server: boolean) {
  const each = (forPerson: number, forServer: number) => (server ? forServer : forPerson);
  return {
    attempts: threshold(40, `${of}: shares are judged from so many recipients in an hour on.`),
    unknownShare: percent(
      15,
      `${of}: percent of recipients that do not exist (2 points). 0 turns this and each other signal off.`,
    ),
    unknownShareDouble: percent(30, 'From here on it has 4 points, and counts as two signals.'),
    unknownCount: threshold(each(25, 100), `${of}: recipients that do not exist (3 points).`),
    unknownCountShare: percent(each(0, 10), 'They count only if they are so many percent.'),
    newRecipients: threshold(
      each(100, 500),
      `${of}: recipients that were never written to, if they are also five times the usual (2 points).`,
    ),
    spamRefusals: threshold(3, `${of}: receivers that have refused a message as spam (3 points).`),
    spamShare: percent(each(0, 2), 'They count only if they are so many percent.'),
    messages: threshold(each(200, 1000), `${of}: messages, if they are also ten times the usual (2 points).`),
    unusualHour: threshold(each(50, 0), `${of}: messages at an hour of the day that it never used (1 point).`),
    newNetworks: threshold(3, 'IPv4 /16 and IPv6 /32 of clients from which the login was never used (2 points).'),
    countries: threshold(each(3, 0), 'Countries of clients in a day (3 points). Not counted in this release.'),
    parallelSources: threshold(
      each(10, 3),
      'Addresses of clients within ten minutes, if they are also more than twice the usual (3 points).',
    ),
    newAuthors: threshold(each(5, 20), 'Addresses in From that the login never used (2 points).'),
    complaints: threshold(each(2, 5), `${of}: complaints of recipients (3 points).`),
    blocks: threshold(2, `${of}: providers that block the relay (3 points).`),
    blockedShare: percent(50, 'They count only if so many percent of the mail of the relay come from it.'),
  };
}

export const BEHAVIOUR_SETTINGS = {
  mode: live(
    type.oneOf('off', 'notice', 'hold'),
    'hold',
    'Each login is watched for what a stolen password does: recipients that do not exist, refusals as spam, far more than usual. `hold` keeps its mail back and tells the operator, `notice` only tells, `off` does not watch.',
  ),
  noticeAt: points(3, 'Points of an hour from which the operator is told.'),
  slowAt: points(4, 'Points from which one message leaves in 5 s. It takes two different signals.'),
  holdAt: points(5, 'Points from which mail is accepted and kept back until it is released. It takes two different signals.'),
  link: live(
    type.optional(type.url),
    undefined,
    'Address under which a browser of the operator reaches `listen.admin`, such as `https://relay.example.org`. Notices then have a link that releases once.',
  ),
  person: thresholds('In an hour, of one person or program', false),
  server: thresholds('In an hour, of one sender of a mail server', true),
};
