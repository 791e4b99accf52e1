import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatText } from '../../../src/report/dsn.ts';
import { formatStatus } from '../../../src/report/dsn-fields.ts';
import { cleanLine, wrap } from '../../../src/smtp/text.ts';
import { change, NOW, outcome, subject } from '../../support/report-rig.ts';

const signs = fc.constantFrom('\r', '\n', '\0', '\x1b', ':', ' ', '-', '.', '\u2028', '\u0085', '\ud800');
const hostile = fc.string({ unit: fc.oneof(signs, fc.string({ unit: 'binary', minLength: 1, maxLength: 9 })) });

describe('for any reply of a server', () => {
  test.each([true, false])('the status part has our fields only, in lines that a mail may have (global: %s)', (global) => {
    fc.assert(
      fc.property(hostile, hostile, hostile, (reply, status, mx) => {
        const told = { ...outcome('failed', 550, status, reply), mx };
        const changes = [change('b@example.org', { outcome: told, recipient: { orcpt: `rfc822;${reply}` } })];
        const about = subject({ envid: reply, messageId: reply });
        const text = formatStatus({ hostname: 'relay.example.net', about, changes, action: 'failed', now: NOW, global });
        const lines = text.split('\r\n');
        expect(lines.pop()).toBe('');
        const names = lines
          .filter((line) => line !== '' && !line.startsWith(' '))
          .map((line) => line.slice(0, line.indexOf(':')));
        expect(names).toEqual([
          ...['Reporting-MTA', 'Original-Envelope-Id', 'Arrival-Date', 'Original-Recipient', 'Final-Recipient'],
          ...['Action', 'Status', 'Remote-MTA', 'Diagnostic-Code', 'Last-Attempt-Date'],
        ]);
        expect(lines.filter((line) => line === '')).toHaveLength(1);
        expect(lines.every((line) => line.length <= 998 && !/[\x00-\x1f\x7f]/.test(line))).toBe(true);
        if (!global) expect(text).not.toMatch(/[^\x00-\x7f]/);
      }),
    );
  });

  test('the text part keeps it indented', () => {
    fc.assert(
      fc.property(hostile, (reply) => {
        const changes = [change('b@example.org', { outcome: outcome('failed', 550, '5.0.0', reply) })];
        const ours = formatText({ hostname: 'r.example', about: subject(), changes: [], action: 'failed' }).split('\r\n');
        const lines = formatText({ hostname: 'r.example', about: subject(), changes, action: 'failed' }).split('\r\n');
        const others = lines.filter((line) => !ours.includes(line) && !/^ {2}(queued as|accepted)/.test(line));
        expect(others[0]).toBe('<b@example.org>');
        expect(others.slice(1).every((line) => line.startsWith('    '))).toBe(true);
      }),
    );
  });
});

test('clean makes one line of well-formed text, no longer than asked for', () => {
  fc.assert(
    fc.property(hostile, fc.nat(50), (text, max) => {
      const line = cleanLine(text, { max });
      expect(line).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/);
      expect(line.length).toBeLessThanOrEqual(max + 3);
      expect(line.isWellFormed()).toBe(true);
    }),
  );
});

test('wrap changes nothing but the places where lines break', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', 'b', ' '), maxLength: 400 }), (text) => {
      expect(wrap(text, ' ').join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
    }),
  );
});
