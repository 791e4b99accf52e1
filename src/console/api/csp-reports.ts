/** Browsers say here what the policy of our pages has kept from running: a fault of ours, or somebody's try. */
import * as v from 'valibot';
import { cleanLine } from '../../smtp/text.ts';
import { createRate } from '../access/rate.ts';
import { route } from '../route.ts';

/** As browsers send it by `report-uri`, and by `report-to`. */
const OldForm = v.object({ 'csp-report': v.record(v.string(), v.unknown()) });
const NewForm = v.array(v.object({ body: v.record(v.string(), v.unknown()) }));

const logged = createRate({ perSecond: 10 / 60, burst: 10 }, () => performance.now());

/** Strangers send anything. */
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

export const CSP_REPORT_ROUTES = [
  route({
    method: 'POST',
    path: '/csp-reports',
    below: '/api',
    access: 'public',
    scope: null,
    when: 'always',
    about: 'Takes what browsers report about the policy of the pages. At most ten a minute are logged.',
    takes: ['application/csp-report', 'application/reports+json'],
    body: v.union([OldForm, NewForm]),
    async handle({ body, arrival, parts }) {
      const reports = Array.isArray(body) ? body.map((one) => one.body) : [body['csp-report']];
      for (const report of reports) {
        if (logged.take('') > 0) return;
        const text = (...names: string[]) => cleanLine(names.map((name) => report[name]).find(isText) ?? '', { max: 255 });
        parts.log.emit('consolePolicy', {
          ip: arrival.ip,
          directive: text('effectiveDirective', 'effective-directive', 'violated-directive'),
          blocked: text('blockedURL', 'blocked-uri'),
          document: text('documentURL', 'document-uri').split('#')[0]!,
        });
      }
    },
  }),
];
