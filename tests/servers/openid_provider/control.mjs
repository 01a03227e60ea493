// POST /_control/<verb> with JSON: how the tests arrange things and learn what happened.
import { randomBytes } from 'node:crypto';
import { json } from 'node:stream/consumers';

const PREFIX = '/_control/';

export function control({ clients, stats, told, troubles }) {
  const forget = () => { stats.calls.length = 0; stats.events.length = 0; };
  const verbs = {
    register: (wanted) => register(clients, wanted),
    stats: () => stats,
    'reset-stats': forget,
    reset: () => { troubles.reset(); told.clear(); forget(); },
    tell: ({ email, claims }) => { told.set(email, claims); },
    delay: ({ ms }) => { troubles.delay = ms; },
    fail: ({ count, ...failure }) => { troubles.failures.push(...Array(count).fill(failure)); },
    tamper: ({ patch }) => { troubles.patches.push(patch); },
    hold: ({ when }) => { troubles.gate.close(when); },
    held: ({ count }) => troubles.gate.reached(count),
    release: ({ drop }) => { troubles.gate.open(drop); },
  };
  return async (context, next) => {
    if (!context.path.startsWith(PREFIX)) return next();
    const verb = verbs[context.path.slice(PREFIX.length)];
    if (!verb || context.method !== 'POST') return; // 404
    context.body = (await verb(await json(context.req))) ?? {};
  };
}

async function register(clients, { redirect_uri: redirectUri, auth_method: method, name }) {
  const client = { client_id: `client-${randomBytes(8).toString('hex')}`, client_secret: randomBytes(32).toString('hex') };
  await clients.upsert(client.client_id, {
    ...client,
    client_name: name,
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [redirectUri],
    response_types: ['code'],
    token_endpoint_auth_method: method,
  });
  return client;
}
