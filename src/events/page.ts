/** The page deploy/events.md, made from the list of events. */
import type { EventDefinition } from './fields.ts';

/** In the order of the list. */
export function renderEventsPage(events: Readonly<Record<string, EventDefinition>>): string {
  const rows = Object.entries(events).map(([name, { level, about, fields }]) => {
    const named = Object.entries(fields).map(([key, { isOptional }]) => `\`${key}${isOptional ? '?' : ''}\``);
    return `| \`${name}\` | ${level} | ${about} | ${named.join(' ')} |`;
  });
  return `# Events

<!-- Generated from src/events/events.ts by npm run reference. Change it there. -->

Each line of the log is one JSON object with \`time\` (ISO 8601, UTC), \`level\`, \`event\`, and the fields of that event; those with \`?\` are left out where there is
nothing to say. Names and fields stay as they are from one version to the next; new ones may come. What to do about an event: [README.md](README.md).

| event | level | tells | fields |
| --- | --- | --- | --- |
${rows.join('\n')}
`;
}
