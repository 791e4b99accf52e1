/** `npm run reference`: writes the pages in deploy/ that are made from the code, anew. */
import { writeFileSync } from 'node:fs';
import { renderReference } from './config/config.ts';
import { renderApiDocument } from './console/console.ts';
import { renderEventsReference } from './events/events.ts';
import { renderMetricsReference } from './metrics/metrics.ts';
import { renderRepliesReference } from './smtp/replies.ts';

const page = (name: string) => new URL(`../deploy/${name}`, import.meta.url);
writeFileSync(page('configuration.md'), renderReference());
writeFileSync(page('events.md'), renderEventsReference());
writeFileSync(page('metrics.md'), await renderMetricsReference());
writeFileSync(page('replies.md'), renderRepliesReference());
writeFileSync(page('openapi.json'), await renderApiDocument());
