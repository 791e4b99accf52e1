/** The shape of what the doctor finds, and of the records of a domain. */
import * as v from 'valibot';

const result = v.picklist(['ok', 'warning', 'error', 'unknown']);

export const finding = v.object({
  check: v.string(),
  subject: v.string(),
  result,
  found: v.string(),
  wanted: v.string(),
  advice: v.pipe(v.string(), v.description('What to do. Empty: nothing.')),
});

export const checkedRecord = v.object({
  purpose: v.picklist(['dkim', 'spf', 'dmarc', 'mx']),
  name: v.string(),
  type: v.picklist(['TXT', 'MX']),
  ttl: v.pipe(v.number(), v.description('Seconds.')),
  wanted: v.pipe(v.nullable(v.string()), v.description('Whole and unquoted. null: it is not for us to say.')),
  line: v.pipe(v.nullable(v.string()), v.description('The wanted record as a line of a zone file.')),
  found: v.pipe(v.nullable(v.array(v.string())), v.description('All that stands there. null: the DNS gave no answer.')),
  result,
  advice: v.string(),
});
