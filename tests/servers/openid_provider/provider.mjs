// A real OpenID provider for tests: node provider.mjs --modules=<node_modules> --access-token-seconds=3600
// Listens on a free port of this machine, says "ready <issuer>", and ends when its standard input does.
import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { control } from './control.mjs';
import { interaction, SCOPES } from './interaction.mjs';
import { TokenTroubles } from './token_troubles.mjs';

const { values: options } = parseArgs({
  options: { modules: { type: 'string' }, 'access-token-seconds': { type: 'string', default: '3600' } },
});
const DAY = 24 * 3600;
const WATCHED = [
  'authorization.error', 'authorization.success', 'grant.error', 'grant.revoked', 'grant.success',
  'introspection.error', 'refresh_token.consumed', 'revocation.error', 'server_error',
];

console.info = console.error; // the library's notices: standard output carries the "ready" line alone

const library = (file) => import(pathToFileURL(path.join(options.modules, 'oidc-provider', 'lib', file)).href);
const { Provider } = await library('index.js');
const { default: MemoryAdapter } = await library('adapters/memory_adapter.js');

const told = new Map(); // of an address what a test wants to be said of it instead

function account(context, sub) {
  const email = sub.slice('id:'.length);
  const name = email.split('@')[0].replace(/^./, (letter) => letter.toUpperCase());
  return { accountId: sub, claims: async () => ({ sub, email, email_verified: true, name, ...told.get(email) }) };
}

// By way of PEM: when a generated key is exported as JWK while its generator is garbage collected, Node.js waits for itself.
function signingKey() {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  return { ...createPrivateKey(privateKey).export({ format: 'jwk' }), use: 'sig', kid: randomBytes(8).toString('hex') };
}

function makeProvider(issuer, adapter) {
  return new Provider(issuer, {
    adapter,
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups', 'hd'] },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    features: { devInteractions: { enabled: false }, introspection: { enabled: true }, revocation: { enabled: true } },
    findAccount: account,
    interactions: { url: (context, { uid }) => `/interaction/${uid}` },
    issueRefreshToken: async (context, client, code) =>
      client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
    jwks: { keys: [signingKey()] },
    pkce: { required: () => true },
    rotateRefreshToken: true, // by default it rotates only towards the end of a token's life
    scopes: Object.keys(SCOPES),
    ttl: {
      AccessToken: Number(options['access-token-seconds']),
      AuthorizationCode: 60,
      Grant: 14 * DAY,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: 14 * DAY,
      Session: DAY,
    },
  });
}

function watch(provider, events) {
  for (const name of WATCHED) {
    provider.on(name, (context, detail) => {
      events.push({ name, grant_type: context?.oidc?.params?.grant_type ?? '', error: detail?.error ?? '' });
      if (name === 'server_error') console.error(detail);
    });
  }
}

const server = createServer();
await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
const issuer = `http://localhost:${server.address().port}`;

const store = new Map(); // the library's own forgets the oldest of 1000 entries
const adapter = (model) => new MemoryAdapter(model, store);
const provider = makeProvider(issuer, adapter);
const stats = { calls: [], events: [] };
const troubles = new TokenTroubles(stats.calls);
watch(provider, stats.events);
provider.use(control({ clients: adapter('Client'), stats, told, troubles }));
provider.use((context, next) => troubles.around(context, next));
provider.use(interaction(provider));
server.on('request', provider.callback());

process.stdin.resume().on('end', () => process.exit(0));
process.stdout.write(`ready ${issuer}\n`);
