/** The shape of what the doctor finds, and of the records of a domain. */
import * as v from 'valibot';

/** What stands in a pattern may be a phrase itself, so that its shape has no end. */
export const phraseShape = v.pipe(
  v.object({ pattern: v.string(), values: v.array(v.unknown()) }),
  v.description(
    'The same to be said in another language: an English pattern, and what stands for `{0}`, `{1}` in it: text, numbers, phrases.',
  ),
);

const result = v.picklist(['ok', 'warning', 'error', 'unknown']);

export const finding = v.object({
  check: v.string(),
  subject: v.string(),
  result,
  found: v.string(),
  wanted: v.string(),
  advice: v.pipe(v.string(), v.description('What to do. Empty: nothing.')),
  phrases: v.object({ found: phraseShape, wanted: phraseShape, advice: phraseShape }),
});

/** As the servers of the domain have it. */
export const answeredRecord = v.object({
  purpose: v.picklist(['dkim', 'spf', 'dmarc', 'mx']),
  name: v.string(),
  type: v.picklist(['TXT', 'MX']),
  ttl: v.pipe(v.number(), v.description('Seconds.')),
  wanted: v.pipe(v.nullable(v.string()), v.description('Whole and unquoted. null: it is not for us to say.')),
  line: v.pipe(v.nullable(v.string()), v.description('The wanted record as a line of a zone file.')),
  found: v.pipe(v.nullable(v.array(v.string())), v.description('All that stands there. null: the DNS gave no answer.')),
  result,
  advice: v.string(),
  phrase: v.nullable(phraseShape),
  answerer: v.pipe(
    v.nullable(
      v.object({
        server: v.pipe(v.string(), v.description('Its address.')),
        authoritative: v.pipe(v.boolean(), v.description('It has the zone. false: a resolver, whose answer may be older.')),
        name: v.optional(v.pipe(v.string(), v.description('Of a server of the zone.'))),
        unasked: v.optional(
          v.pipe(
            v.picklist(['unknown', 'refused', 'silent', 'foreign']),
            v.description('Why no server of the zone gave the answer.'),
          ),
        ),
      }),
    ),
    v.description('Who was asked. null: nobody answered.'),
  ),
});
